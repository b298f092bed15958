"""The answer of everything published, in six sentences and one figure: the first screen.

Each sentence is filled in from the tables of a study and left out where the study is not published.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from ggsa.evaluation import cost
from ggsa.report import style, tables, wording
from ggsa.training import studies
from ggsa.workspace.tables import read_csv
from ggsa.workspace.vocabulary import DID_NOT_LEARN

PRETRAINED, ADAPTED, LONG = ("pretrained", "sst2"), ("adapted", "sst2"), ("long", "imdb")
ENCODER, SIZES = "all-MiniLM-L6-v2", cost.Architecture(layers=6, hidden=384, feed_forward=1536)
"""The encoder of both studies, and its sizes (config.json of the checkpoint)."""
FIGURE = "answer"


def sentences(core: Path, provenance: dict) -> list[str]:
    """Return the answer, at most six sentences.

    Args:
        core: The tables of the published run.
        provenance: Of that run.
    """
    about = provenance["encoder"]
    start = f"with {about['checkpoint']}" if about["pretrained"] else "from scratch"
    found = (
        _reproduced(core, start),
        _worth(core, start),
        _kept(PRETRAINED),
        _kept_after_adaptation(),
        _grammar(),
        _saved(core, about["checkpoint"] if about["pretrained"] else "bert-tiny"),
    )
    return [sentence for sentence in found if sentence]


def _reproduced(core: Path, start: str) -> str:
    results = tables.read(core, "results").query("split == 'validation' and paper.notna()")
    results = results[results["verdict"] != ""]
    if results.empty:
        return ""
    paper, ours = (
        wording.listing(map(wording.accuracy, results[column]))
        for column in ("paper", "accuracy_mean")
    )
    words = list(dict.fromkeys(results["verdict"]))
    verdict = f"each {words[0]}" if len(words) == 1 else wording.listing(results["verdict"])
    return (
        f"For {wording.listing(results['mode'])} attention the paper reports {paper} on SST-2, from "
        f"one seed; trained {start}, ours reach {ours} (mean of "
        f"{wording.seeds(int(results['seeds'].iloc[0]))}): {verdict}."
    )


def _worth(core: Path, start: str) -> str:
    arms, verdicts = _arms(core), tables.read(core, "verdicts")
    gates = verdicts[verdicts["kind"] == "gate"]
    if gates.empty:
        return ""
    gate = gates.iloc[0]
    bag = tables.read(core, "baselines").query("baseline == 'bag of words'")
    bag = bag[bag["split"] == wording.widest_split(bag)]
    if gate["verdict"].endswith(DID_NOT_LEARN):
        return f"Nothing follows from that about attention: {_reason(gate)}."
    worth = f"attention between words is worth {_points(gate)}"
    if gate["verdict"] != "headroom shown":
        beside = (
            f", and a bag of words reaches {wording.accuracy(bag['accuracy'].iloc[0])} beside "
            f"{wording.accuracy(arms['accuracy_mean']['full'])} of full attention"
            if len(bag)
            else ""
        )
        return (
            f"That says little: {start}, {worth}, which is not shown to be more than "
            f"nothing{beside}, so a mask has little there that it could lose."
        )
    words = wording.listing(
        f"{row.arm}: {row.verdict}" for row in _kept_rows(verdicts).itertuples()
    )
    return f"Trained {start}, {worth}; {words}."


def _kept(study: tuple[str, str]) -> str:
    folder = _published(study)
    if folder is None:
        return ""
    verdicts = tables.read(folder, "verdicts")
    gate = verdicts[verdicts["kind"] == "gate"].iloc[0]
    if gate["verdict"].endswith(DID_NOT_LEARN):
        return f"With a pretrained encoder ({ENCODER}), {_reason(gate)}: no mask is judged there."
    worth = f"With a pretrained encoder ({ENCODER}) it is worth {_points(gate)}"
    if gate["verdict"] != "headroom shown":
        return f"{worth}, not shown to be more than nothing, so no mask is judged there."
    loss = _asked(verdicts, "equivalence", "hard", "full")
    return (
        f"{worth}: hard loses {_points(loss, -1)} "
        f"({loss['verdict']}) and keeps {_share(verdicts, 'hard')} of it, soft keeps "
        f"{_share(verdicts, 'soft')}, and a window that allows as many pairs as hard keeps "
        f"{_share(verdicts, 'window')}."
    )


def _kept_after_adaptation() -> str:
    folder = _published(ADAPTED)
    if folder is None:
        return ""
    verdicts = tables.read(folder, "verdicts")
    gain = _asked(verdicts, "difference", "hard-adapted", "hard")
    return (
        f"If the encoder first learns, without labels, to work under its mask, hard changes by "
        f"{_points(gain)} ({gain['verdict']}) and keeps {_share(verdicts, 'hard-adapted')}, and the "
        f"window keeps {_share(verdicts, 'window-adapted')}."
    )


def _grammar() -> str:
    folder = _published(PRETRAINED)
    if folder is None:
        return ""
    verdicts = tables.read(folder, "verdicts").query("kind == 'difference'")
    against = {
        "complement": "as many of the pairs that it blocks",
        "random": "as many random pairs",
        "shuffled": "the same table with its tags exchanged",
        "window": "a window",
    }
    rows = verdicts[verdicts["arm"] == "hard"].set_index("reference").loc[list(against)]
    each = wording.listing(
        f"{wording.points(row.difference_points)} points from {against[row.Index]} ({row.verdict})"
        for row in rows.itertuples()
    )
    better = rows["verdict"] == "better"
    matters = "matters" if better[["complement", "random"]].all() else "is not shown to matter"
    local = "beats" if better["window"] else "is not shown to beat"
    both = _asked(verdicts, "difference", "hard_neighbors", "window_matched")
    best = "hard with its neighbors" if both["verdict"] == "better" else "a window"
    return (
        f"Among masks of about equal density, hard is {each}: by the rule fixed beforehand, grammar "
        f"{matters}, and it {local} locality; hard with each word’s neighbors is "
        f"{wording.points(both['difference_points'])} points from a window of its density "
        f"({both['verdict']}), so of these masks we recommend {best}."
    )


def _saved(core: Path, encoder: str) -> str:
    rows = tables.read(core, "cost").query("split == 'validation' and mode == 'hard'")
    if rows.empty:
        return ""
    row = rows.iloc[0]
    pieces, sentences = row["pieces_mean"] * row["sentences"], row["sentences"]
    full = cost.model_flops(pieces, sentences, row["pairs"], SIZES)
    larger = 1 - cost.model_flops(pieces, sentences, row["allowed_pairs"], SIZES) / full
    text = (
        f"In theory hard skips {wording.percent(row['saving_attention'], 0)} of the attention "
        f"work, which at {row['pieces_mean']:.0f} pieces a sentence is "
        f"{wording.percent(row['saving_model'])} of all work of {encoder} and "
        f"{wording.percent(larger)} of that of a BERT of six layers and width 384 ({ENCODER})"
    )
    times = studies.results(*LONG) / "times.csv"
    if times.is_file():
        steps = read_csv(times).query("what == 'training step' and mode == 'hard'")
        longest = steps.loc[steps["length"].idxmax()]
        text += (
            f"; at {wording.count(longest['length'])} pieces, with blocks that are never computed, "
            f"a training step takes {wording.percent(1 - longest['ratio'], 0)} less time"
        )
    return f"{text}."


def figure(dpi: int) -> Figure | None:
    """Return the accuracy of every arm of the study pretrained; None if it is not published.

    Arms from diagonal to full, with those at hard's density together.
    """
    folder = _published(PRETRAINED)
    if folder is None:
        return None
    style.use(dpi)
    arms = _arms(folder)
    differences = _arms(folder, "differences")
    hard = arms["density"]["hard"]
    rank = {"diagonal": 0, "full": 3}
    place = [
        (rank.get(arm, 1 if abs(row["density"] - hard) < 0.02 else 2), row["accuracy_mean"])
        for arm, row in arms.iterrows()
    ]
    order = [arm for _, arm in sorted(zip(place, arms.index, strict=True))]
    drawn, axes = plt.subplots(figsize=(style.WIDTH_INCHES, 0.32 * len(order) + 0.9))
    for y, arm in enumerate(order):
        row = arms.loc[arm]
        middle, spread = 100 * row["accuracy_mean"], [[0], [0]]
        if arm in differences.index:
            difference = differences.loc[arm]
            ends = difference[["low_points", "high_points"]] - difference["difference_points"]
            spread = [[-ends["low_points"]], [ends["high_points"]]]
        axes.errorbar(middle, y, xerr=spread, **style.dots(row["mode"]))
        axes.text(1.01, y, wording.percent(row["density"], 0), va="center",
                  transform=axes.get_yaxis_transform(), color=style.MUTED)  # fmt: skip
    for arm, line in (("diagonal", ":"), ("full", "--")):
        value = 100 * arms["accuracy_mean"][arm]
        axes.axvline(value, color=style.REFERENCE, linestyle=line, linewidth=1, zorder=0)
    same = [y for y, arm in enumerate(order) if abs(arms["density"][arm] - hard) < 0.02]
    axes.axhspan(min(same) - 0.45, max(same) + 0.45, color=style.REFERENCE, alpha=0.12, linewidth=0)
    axes.set_yticks(range(len(order)), order)
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.set_xlabel("accuracy (%)")
    axes.set_title("pairs allowed", loc="right", fontsize=9.5, color=style.MUTED)
    axes.grid(axis="y", visible=False)
    return drawn


def figure_html(folder: Path, dpi: int) -> str:
    """Return the figure for the page and write it into a folder; empty if there is none."""
    drawn = figure(dpi)
    if drawn is None:
        return ""
    caption = (
        f"Accuracy of {ENCODER} on SST-2 (validation and test together) under each pattern, mean over "
        "seeds. Bars: the 95% interval of the difference from full. At the right, the share of pairs "
        "that may attend; shaded, the masks that allow as many as hard. Dotted: words see only "
        "themselves. Dashed: full attention."
    )
    return style.publish(drawn, FIGURE, folder, caption, "Accuracy of each pattern.")


def _published(study: tuple[str, str]) -> Path | None:
    folder = studies.results(*study) / "tables"
    return folder if (folder / "verdicts.csv").is_file() else None


def _arms(folder: Path, name: str = "arms") -> pd.DataFrame:
    table = tables.read(folder, name)
    return table[table["split"] == wording.widest_split(table)].set_index("arm")


def _kept_rows(verdicts: pd.DataFrame) -> pd.DataFrame:
    return verdicts[verdicts["kind"] == "equivalence"]


def _asked(verdicts: pd.DataFrame, kind: str, arm: str, reference: str) -> Any:
    return verdicts.query("kind == @kind and arm == @arm and reference == @reference").iloc[0]


def _reason(row: Any) -> str:
    """Return why a question has no verdict."""
    return row["verdict"].partition(": ")[2]


def _points(row: Any, sign: int = 1) -> str:
    """Return a difference in points with its interval; the sign -1 turns it round, as a loss."""
    value, *ends = (sign * row[name] for name in ("difference_points", "low_points", "high_points"))
    form = wording.points if sign > 0 else lambda number: wording.points(number).removeprefix("+")
    return (
        f"{form(value)} points ({100 * row['level']:.0f}% interval "
        f"{wording.interval(*sorted(ends), form)})"
    )


def _share(verdicts: pd.DataFrame, arm: str) -> str:
    row = verdicts.query("kind == 'share' and arm == @arm").iloc[0]
    if wording.is_missing(row["share_low"]):
        return "a share that is not estimable"
    ends = wording.interval(row["share_low"], row["share_high"], lambda x: wording.percent(x, 0))
    return f"{wording.percent(row['share'], 0)} ({ends})"
