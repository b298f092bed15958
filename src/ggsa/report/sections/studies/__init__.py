"""The sections on the studies: one module a question, one function a finding, figure or table.

Place in the data flow: called inside the kernel that runs `notebooks/studies.ipynb`. Everything is
read from the tables of `ggsa.evaluation.answers`, which are written while cells still train: whatever is not
there yet is named instead of shown.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ggsa.evaluation.statistics import FEWEST_SEEDS
from ggsa.evaluation.study_cells import IMDB, PRETRAINED, PROBE, SCRATCH
from ggsa.report import progress, style, tables, wording
from ggsa.report.sections import paragraph

CORPUS_OF = {SCRATCH: "sst2", PRETRAINED: "sst2", PROBE: "probe", IMDB: "imdb"}
BASE_NAMES = {
    SCRATCH: "SST-2, encoder from scratch",
    PRETRAINED: "SST-2, the pretrained stand-in bert-tiny-imdb",
    PROBE: "the probe corpus (generated sentences with gold tags, not SST-2), encoder from scratch",
    IMDB: "IMDB’s film reviews (rows not verified by a checksum), encoder from scratch",
}
ARM_ORDER = (
    *("full", "hard", "soft", "soft_released", "random", "shuffled", "window", "separator"),
    *("learned", "self", "diagonal", "hard_closed"),
)
ALL = "pooled"
"""Validation and test together."""

MANY = "the bootstrap’s, drawing sentences and seeds crossed"
ONE = "normal, over paired sentences alone, which knows nothing of how seeds differ"


@dataclass(frozen=True)
class Studies:
    """Where the studies' tables lie and where figures go."""

    results: Path
    figures: Path

    def table(self, corpus: str, name: str, study: str = "answers") -> pd.DataFrame:
        """Return a table of a corpus; without rows and columns if it is not written yet.

        Raises:
            UserError: If it is there and unreadable.
        """
        folder = self.results / study / corpus / "tables"
        if not (folder / f"{name}.csv").is_file():
            return pd.DataFrame()
        return tables.read(folder, name)

    def rows(self, base: str, name: str) -> pd.DataFrame:
        """Return the rows of one base (corpus, assets and encoder); none if there are none."""
        table = self.table(CORPUS_OF[base], name)
        return table[table["base"] == base].reset_index(drop=True) if len(table) else table


def material(studies: str, figures: str, figure_dpi: int) -> Studies:
    """Return where the studies lie, and set the style of figures: the notebook's first call."""
    style.use(figure_dpi)
    return Studies(Path(studies), Path(figures))


def finding(text: str) -> str:
    """Return the sentence that answers a section's question."""
    return paragraph(f"<strong>Finding.</strong> {text}") if text else ""


def not_run(names: Iterable[str], corpus: str, more: str = "") -> str:
    """Return what a section does not show because it was not run, by name."""
    return paragraph(f"{progress.not_run(names, corpus)} {more}".strip())


def arm_of(rows: pd.DataFrame, mode: str) -> str | None:
    """Return the arm that stands for a mode under the described protocol; None if not finished."""
    known = set(rows["arm"]) if len(rows) else set()
    return next((arm for arm in (mode, f"{mode}-described") if arm in known), None)


def row_of(rows: pd.DataFrame, **values: str) -> pd.Series | None:
    """Return the first row with these values; None if there is none."""
    for column, value in values.items():
        rows = rows[rows[column] == value] if len(rows) else rows
    return rows.iloc[0] if len(rows) else None


def in_order(arms: Iterable[str]) -> list[str]:
    """Return arms in the order of every figure: modes first, others by name as they stand."""
    arms = list(dict.fromkeys(arms))
    first = [arm for arm in ARM_ORDER if arm in arms]
    return first + [arm for arm in arms if arm not in first]


def estimate(middle: float, low: float, high: float) -> str:
    """Return a difference in points with its interval, for a cell of a table."""
    if wording.is_missing(middle):
        return wording.NONE
    span = wording.interval(low, high, wording.points)
    return wording.points(middle) + ("" if span == wording.NONE else f" ({span})")


def said(middle: float, low: float, high: float, n: float, seeds: float) -> str:
    """Return a difference with its interval, sentences and seeds, for a sentence."""
    return (
        f"{wording.points(middle)} points (95% interval "
        f"{wording.interval(low, high, wording.points)}; {basis(n, seeds)})"
    )


def basis(n: float, seeds: float) -> str:
    """Return on how many sentences and seeds a number rests."""
    return f"n = {wording.count(n)}, {wording.seeds(int(seeds))}"


def spread(mean: float, deviation: float) -> str:
    """Return an accuracy with its standard deviation over seeds, where there is one."""
    if wording.is_missing(mean):
        return wording.NONE
    return wording.accuracy(mean) + (
        "" if wording.is_missing(deviation) else f" ± {wording.accuracy(deviation)}"
    )


def clear(low: float, high: float) -> str:
    """Return whether an interval is clear of zero, and on which side."""
    if wording.is_missing(low) or wording.is_missing(high):
        return wording.NONE
    return "above zero" if low > 0 else "below zero" if high < 0 else "no"


def test_of(seeds: float) -> str:
    """Return the test that gave the p of a difference, by how many seeds both arms share."""
    if wording.is_missing(seeds):
        return wording.NONE
    return "McNemar, exact" if int(seeds) == 1 else "crossed bootstrap"


def method(seeds: Iterable[float]) -> str:
    """Return what intervals and tests a figure or table holds, by the seeds that occur in it."""
    found = {int(number) for number in seeds if not wording.is_missing(number)}
    if not found:
        return ""
    if found == {1}:
        text = f"Intervals: 95%, {ONE}; p by McNemar’s exact test"
    elif 1 in found:
        text = (
            f"Intervals: 95%, {MANY}, p by the same bootstrap; with one seed {ONE}, p by McNemar’s "
            f"exact test"
        )
    else:
        text = f"Intervals: 95%, {MANY}; p by the same bootstrap"
    fewest = min(found)
    caution = (
        f" Fewer than {FEWEST_SEEDS} seeds understate how much seeds differ: such intervals "
        f"describe, they do not infer."
        if fewest < FEWEST_SEEDS
        else ""
    )
    return f"{text}; two-sided, uncorrected.{caution}"
