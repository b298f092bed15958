"""The answer of everything published: four paragraphs, for README and article.

A person wrote the paragraphs; only their numbers come from tables. Each rests on verdicts, which
`EXPECTED` names: if a table says another word, the paragraph is wrong, and nothing is published
until a person has rewritten both.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ggsa.evaluation import cost
from ggsa.report import tables, wording
from ggsa.training import studies
from ggsa.workspace import paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.paths import CORE
from ggsa.workspace.tables import read_csv

PRETRAINED, ADAPTED, LONG = "pretrained", "adapted", "long"
CORPORA = {PRETRAINED: "sst2", ADAPTED: "sst2", LONG: "imdb", "controls": "sst2"}
"""The studies that answer and article rest on, with the corpus."""
ENCODER, SIZES = "all-MiniLM-L6-v2", cost.Architecture(layers=6, hidden=384, feed_forward=1536)
"""The encoder of `pretrained` and `adapted`, and its sizes (config.json of the checkpoint)."""
FIGURE = "answer"
"""The name of the figure beside it, which the notebook `article` draws."""


class Asked(NamedTuple):
    """A declared question: the study, and what identifies the question there."""

    study: str
    kind: str
    arm: str
    reference: str


EXPECTED = {
    Asked(CORE, "gate", "full", "diagonal"): "no headroom shown",
    Asked(PRETRAINED, "gate", "full", "diagonal"): "headroom shown",
    Asked(PRETRAINED, "equivalence", "hard", "full"): "worse by more than 1.5 pp",
    Asked(PRETRAINED, "share", "hard", "full"): "less than 80 %",
    Asked(PRETRAINED, "share", "soft", "full"): "less than 80 %",
    Asked(PRETRAINED, "share", "window", "full"): "less than 80 %",
    Asked(ADAPTED, "difference", "hard-adapted", "hard"): "better",
    Asked(ADAPTED, "share", "hard-adapted", "full-adapted"): "less than 80 %",
    Asked(PRETRAINED, "difference", "hard", "complement"): "better",
    Asked(PRETRAINED, "difference", "hard", "random"): "better",
    Asked(PRETRAINED, "difference", "hard", "shuffled"): "inconclusive",
    Asked(PRETRAINED, "difference", "hard", "window"): "worse, size uncertain",
    Asked(PRETRAINED, "difference", "hard_neighbors", "window_matched"): "inconclusive",
}
"""What the paragraphs say of each question, in the words of `ggsa.evaluation.verdicts`."""


class Paragraph(NamedTuple):
    """A finding: what it says in a few words, and the numbers."""

    lead: str
    text: str


def paragraphs(core: Path, provenance: Mapping[str, Any]) -> list[Paragraph]:
    """Return the answer; none for a run on another corpus, or while a study is unpublished.

    Args:
        core: The tables of the published run.
        provenance: Of that run.

    Raises:
        UserError: If a table gives another verdict than the one that a paragraph was written for.
    """
    times = studies.results(LONG, CORPORA[LONG]) / "times.csv"
    needed = [times, *(_tables(name) / "verdicts.csv" for name in CORPORA if name != LONG)]
    needed += [paths.BENCHMARK / name for name in ("results.csv", "gpu.csv")]
    if not provenance["is_sst2"] or not all(file.is_file() for file in needed):
        return []
    folders = {CORE: core, PRETRAINED: _tables(PRETRAINED), ADAPTED: _tables(ADAPTED)}
    said = {name: tables.read(folder, "verdicts") for name, folder in folders.items()}
    _require_expected(said)
    rows = {question: _row(said, question) for question in EXPECTED}
    return [
        _scratch(core, rows),
        _kept(rows),
        _grammar(rows),
        _saved(core, times),
    ]


def _require_expected(said: Mapping[str, pd.DataFrame]) -> None:
    for question, expected in EXPECTED.items():
        found = _row(said, question)["verdict"]
        if found != expected:
            raise UserError(
                f"src/ggsa/report/answer.py was written for the verdict “{expected}” on "
                f"{question.arm} against {question.reference} ({question.kind}, study "
                f"{question.study}), and the published table says “{found}”. Rewrite the paragraph "
                f"that rests on it, and EXPECTED. Nothing was published."
            )


def _row(said: Mapping[str, pd.DataFrame], question: Asked) -> Any:
    table = said[question.study]
    chosen = table[(table[["kind", "arm", "reference"]] == list(question[1:])).all(axis=1)]
    if chosen.empty:
        raise UserError(
            f"The study {question.study} has no question of kind {question.kind} on {question.arm} "
            f"against {question.reference}, which src/ggsa/report/answer.py cites. Nothing was "
            f"published."
        )
    return chosen.iloc[0]


def _scratch(core: Path, rows: Mapping[Asked, Any]) -> Paragraph:
    results = tables.read(core, "results").query("split == 'validation' and paper.notna()")
    paper, ours = (
        wording.listing(map(wording.accuracy, results[column]))
        for column in ("paper", "accuracy_mean")
    )
    bag = tables.read(core, "baselines").query("baseline == 'bag of words'")
    bag = bag[bag["split"] == wording.widest_split(bag)]["accuracy"].iloc[0]
    arms = _arms(core)["accuracy_mean"]
    gate = rows[Asked(CORE, "gate", "full", "diagonal")]
    return Paragraph(
        "The accuracies replicate, but they cannot show the claim.",
        f"Trained from scratch, {wording.listing(results['mode'])} attention reach {ours} on the "
        f"validation sentences; the paper, with one seed, reports {paper}. But there, attention "
        f"between words is worth {_points(gate, '95% interval ')}, which cannot be told from "
        f"nothing: on validation and test together, full attention reaches "
        f"{wording.accuracy(arms['full'])}, a model in which every word sees only itself "
        f"{wording.accuracy(arms['diagonal'])}, and a bag of words {wording.accuracy(bag)}. A mask "
        f"has little to lose.",
    )


def _kept(rows: Mapping[Asked, Any]) -> Paragraph:
    gate = rows[Asked(PRETRAINED, "gate", "full", "diagonal")]
    hard, soft, window = (
        rows[Asked(PRETRAINED, "share", arm, "full")] for arm in ("hard", "soft", "window")
    )
    gain = rows[Asked(ADAPTED, "difference", "hard-adapted", "hard")]
    adapted = rows[Asked(ADAPTED, "share", "hard-adapted", "full-adapted")]
    return Paragraph(
        "Where attention matters, the hard mask loses most of it.",
        f"With a pretrained encoder ({ENCODER}), attention between words is worth {_points(gate)}. "
        f"Hard loses {_points(hard)} and keeps {_share(hard)} of that benefit; soft keeps "
        f"{_share(soft)}, and an equally sparse window {_share(window)}. If the encoder is first "
        f"adapted to its mask, without labels, hard gains {_points(gain)}, but attention is then worth less, and "
        f"the share that hard keeps is {_share(adapted)}.",
    )


def _grammar(rows: Mapping[Asked, Any]) -> Paragraph:
    complement, random, shuffled, window = (
        rows[Asked(PRETRAINED, "difference", "hard", arm)]
        for arm in ("complement", "random", "shuffled", "window")
    )
    neighbors = rows[Asked(PRETRAINED, "difference", "hard_neighbors", "window_matched")]
    return Paragraph(
        "Grammar may beat chance, but not nearness.",
        f"With the same encoder, and as many allowed pairs, hard beats the pairs that it blocks by "
        f"{_points(complement)} and random pairs by {_points(random)}; on 1,000 sentences that no "
        f"pilot saw, these leads are only {_fresh(complement)} and {_fresh(random)}. Its lead of "
        f"{_points(shuffled)} over the same table with shuffled tags is not significant, and a "
        f"window of neighboring words beats it by {_points(window)}. Nor does it help to give hard "
        f"each word’s neighbors: it is then behind an equally sparse window by {_points(neighbors)}, "
        f"which is not significant after Holm’s correction. If you need a mask, take the window.",
    )


def _saved(core: Path, times: Path) -> Paragraph:
    row = tables.read(core, "cost").query("split == 'validation' and mode == 'hard'").iloc[0]
    pieces, sentences = row["pieces_mean"] * row["sentences"], row["sentences"]
    full = cost.model_flops(pieces, sentences, row["pairs"], SIZES)
    larger = 1 - cost.model_flops(pieces, sentences, row["allowed_pairs"], SIZES) / full
    steps = read_csv(times).query("what == 'training step' and mode == 'hard'")
    longest = steps.loc[steps["length"].idxmax()]
    return Paragraph(
        "The saving is real, but only for long texts.",
        f"Hard skips {wording.percent(row['saving_attention'], 0)} of the attention work. At SST-2’s "
        f"{row['pieces_mean']:.0f} word pieces a sentence that is {wording.percent(row['saving_model'])} "
        f"of all work of bert-tiny and {wording.percent(larger)} of that of {ENCODER}, and a dense "
        f"mask saves no time. At {wording.count(longest['length'])} word pieces, where blocked pairs "
        f"are never computed, a training step of a small BERT on a CPU takes "
        f"{wording.percent(1 - longest['ratio'], 0)} less time than with full attention.",
    )


def _tables(study: str) -> Path:
    return studies.results(study, CORPORA[study]) / "tables"


def _arms(folder: Path, name: str = "arms") -> pd.DataFrame:
    table = tables.read(folder, name)
    return table[table["split"] == wording.widest_split(table)].set_index("arm")


def _points(row: Any, before: str = "") -> str:
    """Return the size of a difference in points with its interval, in the direction that it has.

    Args:
        row: Of the verdicts.
        before: Words before the interval.
    """
    sign = -1 if row["difference_points"] < 0 else 1
    value, *ends = (sign * row[name] for name in ("difference_points", "low_points", "high_points"))
    size = [wording.points(number).removeprefix("+") for number in (value, *sorted(ends))]
    return f"{size[0]} points ({before}{size[1]} to {size[2]})"


def _fresh(row: Any) -> str:
    return wording.points(row["fresh_difference_points"]).removeprefix("+")


def _share(row: Any) -> str:
    ends = wording.interval(row["share_low"], row["share_high"], lambda x: wording.percent(x, 0))
    return f"{wording.percent(row['share'], 0)} ({ends})"
