"""Is there room for a mask to matter? What can be had without attention, and on which sentences."""

import matplotlib.pyplot as plt
import pandas as pd

from ggsa.evaluation.study_cells import PRETRAINED, SCRATCH
from ggsa.report import style, tables, wording
from ggsa.report.sections import studies
from ggsa.report.sections.studies import Studies, forest

MODES = ("diagonal", "full", "hard", "soft")
WHAT = {
    "majority": "the class most frequent in train",
    "bag of words": "TF-IDF unigrams, logistic regression",
    "diagonal": "every token sees itself alone, [CLS] everything",
    "full": "full attention",
    "hard": "hard mask",
    "soft": "soft bias",
}
NEAR = 0.15
"""A baseline further below all others than this is named in the caption instead of drawn."""
YES = "yes"


def finding(material: Studies, base: str) -> str:
    """Return what attention is worth: full minus `diagonal`, beside the bag of words."""
    rows = material.rows(base, "headroom")
    room = studies.row_of(rows, subset="all", what="headroom")
    if room is None:
        return studies.finding(
            f"Not run: on {studies.BASE_NAMES[base]}, full and diagonal are not both finished, so "
            f"nothing can be said of what attention is worth."
        )
    amount = studies.said(*_ends(room), room["n"], room["seeds"])
    if room["verdict"] == YES:
        verdict = "there is room for a mask to matter, and losses are also given as shares of it"
    else:
        verdict = (
            "this experiment cannot tell what a mask costs, for it cannot tell that attention "
            "between words is worth anything"
        )
    hard = studies.row_of(material.rows(base, "headroom"), subset="all", arm="hard")
    hard = hard if hard is not None else studies.row_of(rows, subset="all", arm="hard-described")
    loss = (
        ""
        if hard is None
        else f" Full minus hard is {studies.said(*_ends(hard), hard['n'], hard['seeds'])}."
    )
    return studies.finding(
        f"On {studies.BASE_NAMES[base]}, full attention minus diagonal is {amount}: {verdict}."
        f"{loss}{_bag_beside(material, base)}"
    )


def levels(material: Studies) -> str:
    """Return the figure of the baselines without attention beside the modes."""
    found = [base for base in (SCRATCH, PRETRAINED) if len(_arms(material, base))]
    baselines = material.table("sst2", "baselines")
    if not found or baselines.empty:
        return ""
    baselines = baselines[baselines["split"] == studies.ALL]
    lowest = min(_arms(material, base)["accuracy_mean"].min() for base in found)
    drawn = baselines[baselines["accuracy"] > lowest - NEAR]
    figure, panels = plt.subplots(
        1, len(found), figsize=(style.WIDTH_INCHES, 2.9), sharex=True, squeeze=False
    )
    for axes, base in zip(panels[0], found, strict=True):
        arms, labels = _arms(material, base), []
        for row in drawn.itertuples():
            ends = [[row.accuracy - row.wilson_low], [row.wilson_high - row.accuracy]]
            axes.errorbar(row.accuracy, len(labels), xerr=ends, fmt="|", color=style.MUTED)
            labels.append(row.baseline)
        for row in arms.itertuples():
            axes.errorbar(
                row.accuracy_mean,
                len(labels),
                xerr=None if wording.is_missing(row.accuracy_sd) else row.accuracy_sd,
                fmt=style.marker(row.mode),
                color=style.color(row.mode),
                markersize=7,
            )
            labels.append(f"{row.mode} ({wording.seeds(int(row.seeds))})")
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_title("from scratch" if base == SCRATCH else "bert-tiny-imdb", fontsize=10)
        axes.grid(axis="y", visible=False)
    figure.supxlabel("accuracy on validation and test together", fontsize=10)
    best = baselines.loc[baselines["accuracy"].idxmax()]
    aside = [row for row in baselines.itertuples() if row.baseline not in set(drawn["baseline"])]
    caption = (
        f"Without any word order, the {best['baseline']} reaches "
        f"{wording.accuracy(best['accuracy'])}; n = {wording.count(best['n'])} sentences. Bars: ± "
        f"one standard deviation over seeds, for the baselines Wilson’s 95% interval."
    )
    if aside:
        caption += " Not drawn, far to the left: " + wording.listing(
            f"{row.baseline} ({wording.accuracy(row.accuracy)})" for row in aside
        )
        caption += "."
    return style.publish(
        figure,
        "study_room",
        material.figures,
        caption,
        "Dot plot of the accuracy of baselines without attention beside full, hard and soft.",
    )


def baselines(material: Studies, base: str) -> str:
    """Return the table of the baselines beside the modes, on every split."""
    arms, plain = material.rows(base, "arms"), material.table(studies.CORPUS_OF[base], "baselines")
    rows, counts = [], {}
    for split in ("validation", "test", studies.ALL):
        for source in (arms, plain):
            one = studies.row_of(source, split=split)
            counts |= {} if one is None else {split: int(one["n"])}
    heads = {split: f"{_short(split)} (n = {wording.count(n)})" for split, n in counts.items()}
    for name in ("majority", "bag of words"):
        if studies.row_of(plain, baseline=name) is None:
            continue
        cells = {}
        for split, head in heads.items():
            row = studies.row_of(plain, baseline=name, split=split)
            cells[head] = wording.NONE if row is None else _with_wilson(row)
        rows.append({"arm": name, "what": WHAT[name], "seeds": wording.NONE, **cells})
    for mode in MODES:
        arm = studies.arm_of(arms, mode)
        if arm is None:
            continue
        cells = {}
        for split, head in heads.items():
            row = studies.row_of(arms, arm=arm, split=split)
            cells[head] = studies.spread(row["accuracy_mean"], row["accuracy_sd"])
        seeds = str(int(studies.row_of(arms, arm=arm)["seeds"]))
        rows.append({"arm": mode, "what": WHAT[mode], "seeds": seeds, **cells})
    if not rows:
        return ""
    caption = (
        f"Accuracy on {studies.BASE_NAMES[base]}: baselines with Wilson’s 95% interval, modes as "
        f"mean ± standard deviation over seeds."
    )
    table = pd.DataFrame(rows)
    return tables.as_html(table, f"study-room-{base}", caption, text=("arm", "what"))


def hard_cases(material: Studies, base: str) -> str:
    """Return the figure of full minus diagonal on every subset of the sentences."""
    rows = material.rows(base, "headroom")
    if rows.empty:
        return ""
    room = rows[rows["what"] == "headroom"].reset_index(drop=True)
    told = room[room["verdict"] == YES]
    labels = [f"{_named(row.subset)} (n = {wording.count(row.n)})" for row in room.itertuples()]
    panel = forest.Panel(
        "full minus diagonal",
        [forest.Line("diagonal", *_ends(row)) for _, row in room.iterrows()],
    )
    figure = forest.figure(labels, [panel], "accuracy (percentage points)")
    which = (
        f"clear of zero, above it, on {wording.listing(_named(name) for name in told['subset'])}"
        if len(told)
        else "on no subset clear of zero and above it"
    )
    caption = (
        f"What attention between words is worth is {which}. {studies.BASE_NAMES[base].capitalize()}"
        f". {studies.method(room['seeds'])}{forest.note([panel])}"
    ).replace("Sst-2", "SST-2")
    return style.publish(
        figure,
        f"study_headroom_{base}",
        material.figures,
        caption,
        "Forest plot of full minus diagonal on subsets of the sentences.",
    )


def subsets(material: Studies, base: str) -> str:
    """Return the table of headroom and losses on every subset."""
    rows, accuracies = material.rows(base, "headroom"), material.rows(base, "subsets")
    if rows.empty:
        return ""
    lines = []
    for room in rows[rows["what"] == "headroom"].to_dict("records"):
        line = {
            "sentences": _named(room["subset"]),
            "n": room["n"],
            "full": _accuracy(accuracies, room["subset"], "full"),
            "full − diagonal": studies.estimate(*_ends(room)),
            "seeds": str(int(room["seeds"])),
            "room": room["verdict"],
        }
        for mode in ("hard", "soft"):
            loss = _loss(rows, room["subset"], mode)
            line[f"full − {mode}"] = (
                wording.NONE if loss is None else studies.estimate(*_ends(loss))
            )
            share = float("nan") if loss is None else loss["share_of_headroom"]
            line[f"{mode}: share"] = wording.percent(share, 0)
            line[f"{mode}: seeds"] = wording.NONE if loss is None else str(int(loss["seeds"]))
        lines.append(line)
    caption = (
        f"Points of accuracy on {studies.BASE_NAMES[base]}, validation and test together; subsets "
        f"overlap. Room: whether the interval of full minus diagonal lies above zero. Only there "
        f"is a loss also given as a share of it. {studies.method(rows['seeds'])}"
    )
    return tables.as_html(
        pd.DataFrame(lines),
        f"study-subsets-{base}",
        caption,
        {"n": wording.count},
        text=("sentences", "room"),
    )


def _bag_beside(material: Studies, base: str) -> str:
    plain = material.table(studies.CORPUS_OF[base], "baselines")
    bag = studies.row_of(plain, baseline="bag of words", split=studies.ALL)
    arms = material.rows(base, "arms")
    full = studies.row_of(arms, arm=studies.arm_of(arms, "full") or "", split=studies.ALL)
    if bag is None or full is None:
        return ""
    return (
        f" A bag of words without any order reaches {_with_wilson(bag)} (Wilson 95%), full "
        f"attention {studies.spread(full['accuracy_mean'], full['accuracy_sd'])} "
        f"({studies.basis(full['n'], full['seeds'])})."
    )


def _arms(material: Studies, base: str) -> pd.DataFrame:
    rows = material.rows(base, "arms")
    if rows.empty:
        return rows
    wanted = [arm for mode in MODES if (arm := studies.arm_of(rows, mode))]
    rows = rows[rows["arm"].isin(wanted) & (rows["split"] == studies.ALL)]
    return rows.set_index("arm").loc[wanted].reset_index()


def _loss(rows: pd.DataFrame, subset: str, mode: str) -> pd.Series | None:
    arm = studies.arm_of(rows, mode)
    return None if arm is None else studies.row_of(rows, subset=subset, arm=arm)


def _accuracy(rows: pd.DataFrame, subset: str, mode: str) -> str:
    arm = studies.arm_of(rows, mode)
    row = None if arm is None else studies.row_of(rows, subset=subset, arm=arm)
    return wording.NONE if row is None else studies.spread(row["accuracy_mean"], row["accuracy_sd"])


def _ends(row: pd.Series | dict) -> tuple[float, float, float]:
    return row["difference_points"], row["low_points"], row["high_points"]


def _with_wilson(row: pd.Series) -> str:
    span = wording.interval(row["wilson_low"], row["wilson_high"])
    return f"{wording.accuracy(row['accuracy'])} ({span})"


def _named(subset: str) -> str:
    names = {"all": "all sentences", "bag_wrong_or_unsure": "bag of words wrong or unsure"}
    return names.get(subset, subset.removeprefix("probe_").replace("_", " "))


def _short(split: str) -> str:
    return "both" if split == studies.ALL else split
