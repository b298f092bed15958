"""The answer of everything published: four paragraphs, for README and article.

A person wrote them, in `web/answer.txt.j2`; only their numbers come from tables. Each rests on
verdicts, which `EXPECTED` names: if a table says another word, the paragraph is wrong, and nothing is published
until a person has rewritten both.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ggsa.evaluation import cost
from ggsa.report import claims, tables, templates, wording
from ggsa.training import studies
from ggsa.workspace import paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.paths import CORE

PRETRAINED, ADAPTED, DEFECTS = "pretrained", "adapted", "defects"
SCRATCH, GENERATED = "from scratch", "generated"
STUDIES = {
    PRETRAINED: ("pretrained", "sst2"),
    ADAPTED: ("adapted", "sst2"),
    DEFECTS: ("defects", "sst2"),
    SCRATCH: ("controls", "sst2"),
    GENERATED: ("controls", "probe"),
}
"""The studies, and their corpora, that answer and article rest on, besides the times of `long`."""
ENCODER, SIZES = "all-MiniLM-L6-v2", cost.Architecture(layers=6, hidden=384, feed_forward=1536)
"""The encoder of `pretrained` and `adapted`, and its sizes (config.json of the checkpoint)."""
SOURCE = "src/ggsa/report/web/answer.txt.j2"
ON_GPU = "hard, auto, planned once per 12 layers"
"""The contestant of `benchmarks/gpu.py` that the answer quotes."""
FIGURE = "answer"
"""The name of the figure beside it, which the notebook `article` draws."""


class Asked(NamedTuple):
    """A declared question: a key of `STUDIES` or core, and what identifies the question there."""

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
    Asked(DEFECTS, "gate", "full-described", "diagonal-described"): "headroom shown",
    Asked(DEFECTS, "equivalence", "hard-described", "full-described"): "worse, size uncertain",
    Asked(GENERATED, "gate", "full", "diagonal"): "headroom shown",
    Asked(GENERATED, "equivalence", "hard", "full"): "inconclusive",
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
    needed = [claims.times_file(), *(_tables(name) / "verdicts.csv" for name in STUDIES)]
    needed += [paths.BENCHMARK / name for name in ("results.csv", "gpu.csv")]
    if not provenance["is_sst2"] or not all(file.is_file() for file in needed):
        return []
    folders = {CORE: core} | {name: _tables(name) for name in STUDIES}
    said = {name: tables.read(folder, "verdicts") for name, folder in folders.items()}
    _require_expected(said)
    text = templates.render(
        "answer.txt.j2",
        asked=lambda *question: _row(said, Asked(*question)),
        encoder=ENCODER,
        **_scratch(core),
        released=_released(),
        **_saved(core),
        on_gpu=_on_gpu(),
        **{"points": _points, "size": _size, "fresh": _fresh, "accuracies": _accuracies},
    )
    parts = (part.split("\n", 1) for part in text.strip().split("\n\n"))
    return [Paragraph(lead, rest.replace("\n", " ")) for lead, rest in parts]


def _require_expected(said: Mapping[str, pd.DataFrame]) -> None:
    for question, expected in EXPECTED.items():
        found = _row(said, question)["verdict"]
        if found != expected:
            raise UserError(
                f"{SOURCE} was written for the verdict “{expected}” on "
                f"{question.arm} against {question.reference} ({question.kind}, study "
                f"{question.study}), and the published table says “{found}”. Rewrite the paragraph "
                f"that rests on it, and EXPECTED in answer.py. Nothing was published."
            )


def _row(said: Mapping[str, pd.DataFrame], question: Asked) -> Any:
    table = said[question.study]
    chosen = table[(table[["kind", "arm", "reference"]] == list(question[1:])).all(axis=1)]
    if chosen.empty:
        raise UserError(
            f"The study {question.study} has no question of kind {question.kind} on {question.arm} "
            f"against {question.reference}, which {SOURCE} cites. Nothing was published."
        )
    return chosen.iloc[0]


def _scratch(core: Path) -> dict[str, Any]:
    """Return what was reached from scratch: beside the paper, by arms, and by a bag of words."""
    baselines, arms = (tables.widest(core, name) for name in ("baselines", "arms"))
    return {
        "results": tables.read(core, "results").query("split == 'validation' and paper.notna()"),
        "arms": arms.set_index("arm")["accuracy_mean"],
        "bag": baselines.set_index("baseline")["accuracy"]["bag of words"],
    }


def _released() -> pd.Series:
    """Return the accuracies of `defects` on validation, by arm."""
    arms = tables.read(_tables(DEFECTS), "arms").query("split == 'validation'")
    return arms.set_index("arm")["accuracy_mean"]


def _saved(core: Path) -> dict[str, Any]:
    """Return what hard saves: of two encoders' work, and of the time on the longest documents."""
    row = tables.read(core, "cost").query("split == 'validation' and mode == 'hard'").iloc[0]
    pieces, sentences = row["pieces_mean"] * row["sentences"], row["sentences"]
    full, kept = (
        cost.model_flops(pieces, sentences, row[pairs], SIZES)
        for pairs in ("pairs", "allowed_pairs")
    )
    return {"cost": row, "larger": 1 - kept / full, "longest": claims.longest_step()}


def _on_gpu() -> pd.DataFrame:
    """Return the ratios of hard's attention to full attention's time on a GPU, by length."""
    rows = tables.read(paths.BENCHMARK, "gpu").query(
        "case == 'attention' and peer == 'cuDNN' and direction == 'forward and backward'"
        f" and ours == '{ON_GPU}'"
    )
    return rows.sort_values("length")


def _tables(study: str) -> Path:
    return studies.results(*STUDIES[study]) / "tables"


def _accuracies(values: pd.Series) -> str:
    return wording.listing(map(wording.accuracy, values))


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


def _size(row: Any) -> str:
    return wording.points(row["difference_points"]).removeprefix("+")


def _fresh(row: Any) -> str:
    return wording.points(row["fresh_difference_points"]).removeprefix("+")
