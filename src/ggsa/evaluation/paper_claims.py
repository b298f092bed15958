"""What was published, and the fixed rules by which our figures are held against it.

Place in the data flow: `ggsa.evaluation.core` hands in finished tables; nothing here reads or writes a
file. The rules were fixed before any result was seen, and no verdict about the paper is ever
given for a corpus that is not SST-2 by checksum.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ggsa.evaluation import statistics

REPRODUCED = "reproduced"
COMPATIBLE = "compatible"
NOT_REPRODUCED = "not reproduced"
NOT_RUN = "not run"

SUPPORTED = "supported"
PARTLY_SUPPORTED = "partly supported"
UNDECIDED = "undecided"
CONTRADICTED = "contradicted"
NOT_MEASURED = "not measured"

CLOSE_POINTS = 1.0
CLAIM_COLUMNS = ("claim", "statement", "paper", "ours", "interval", "verdict", "evidence")


@dataclass(frozen=True)
class Published:
    """An accuracy as the paper reports it, read on the 872 rows of GLUE's validation split."""

    correct: int
    rows: int = 872

    @property
    def accuracy(self) -> float:
        """The published accuracy, a fraction."""
        return self.correct / self.rows

    @property
    def interval(self) -> tuple[float, float]:
        """The Wilson 95% interval of the published accuracy."""
        return statistics.wilson(self.correct, self.rows)


PUBLISHED = {"full": Published(715), "hard": Published(715), "soft": Published(712)}
"""Published accuracies: 0.8200, 0.8200 and 0.8165, each from one seed."""


@dataclass(frozen=True)
class Setting:
    """What decides whether our figures may be held against the paper's at all."""

    is_sst2: bool  # by checksum
    is_paper_checkpoint: bool


def verdict(mode: str, accuracy: float, prediction: tuple[float, float], setting: Setting) -> str:
    """Return the verdict on a mode's mean validation accuracy.

    It is empty where none was published, and on other data than SST-2.

    - *reproduced*: the paper's checkpoint and data, our mean within 1.0 point of the published
      value, and that value inside our seed prediction interval.
    - *compatible*: our mean inside the Wilson interval of the published value.
    - *not reproduced*: outside it.

    Args:
        mode: The mode's name.
        accuracy: Our mean over seeds, a fraction.
        prediction: The 95% interval for a new seed; NaN with a single seed, which can
            then be compatible but never reproduced.
        setting: Which data and which checkpoint.
    """
    if mode not in PUBLISHED or not setting.is_sst2:
        return ""
    published = PUBLISHED[mode]
    close = abs(100 * (accuracy - published.accuracy)) <= CLOSE_POINTS
    expected = prediction[0] <= published.accuracy <= prediction[1]
    if setting.is_paper_checkpoint and close and expected:
        return REPRODUCED
    low, high = published.interval
    return COMPATIBLE if low <= accuracy <= high else NOT_REPRODUCED


def claims(
    results: pd.DataFrame, answered: pd.DataFrame, cost: pd.DataFrame, setting: Setting
) -> pd.DataFrame:
    """Return the paper's claims C1 to C6 beside our figures, one row each, all of it text.

    There are no rows on other data than SST-2, which the claims are not about.

    C1 to C3 take the verdicts on accuracy, or that the mode did not learn. C4 (comparable accuracy) is *supported* when every
    masked mode is equivalent to full within the margin, *contradicted* when the 90% interval of
    one lies wholly beyond the margin below full, else *undecided*. C5 (less theoretical work) asks
    only whether the pattern blocks anything, since the paper puts no number to "significantly".
    C6 (easier to interpret) has no agreed measure: it is described, not judged.
    """
    if not setting.is_sst2:
        return pd.DataFrame(columns=list(CLAIM_COLUMNS))
    rows = [
        _accuracy_claim(name, mode, results)
        for name, mode in (("C1", "full"), ("C2", "hard"), ("C3", "soft"))
    ]
    rows += [_comparable(answered), _less_work(cost), _interpretable()]
    return pd.DataFrame(rows, columns=list(CLAIM_COLUMNS))


def _accuracy_claim(name: str, mode: str, results: pd.DataFrame) -> tuple[str, ...]:
    published = PUBLISHED[mode]
    statement = f"accuracy on SST-2 validation, {mode}"
    paper = f"{published.accuracy:.4f}"
    found = results[(results["mode"] == mode) & (results["split"] == "validation")]
    if found.empty:
        return (name, statement, paper, "", "", NOT_RUN, f"{mode} is not in grid.modes")
    row = found.iloc[0]
    seeds = "1 seed" if row["seeds"] == 1 else f"{row['seeds']} seeds"
    interval = "none with one seed"
    if not np.isnan(row["prediction_low"]):
        interval = f"{row['prediction_low']:.4f} to {row['prediction_high']:.4f} (new seed)"
    evidence = f"results.csv: mean of {seeds} on {row['n']} rows"
    return (
        name,
        statement,
        paper,
        f"{row['accuracy_mean']:.4f}",
        interval,
        row["verdict"],
        evidence,
    )


def _comparable(answered: pd.DataFrame) -> tuple[str, ...]:
    head = ("C4", "hard and soft keep comparable accuracy", "one seed, no test, no error bar")
    rows = answered[answered["arm"].isin(["hard", "soft"]) & (answered["kind"] == "equivalence")]
    if rows.empty:
        evidence = "needs full, diagonal and at least one of hard and soft in grid.modes"
        return (*head, "", "", NOT_RUN, evidence)
    ours = _each(rows, lambda row: f"{row['difference_points']:+.2f} pp")
    interval = _each(rows, _interval)
    margin = rows["margin_points"].iloc[0]
    evidence = (
        f"verdicts.csv: two one-sided tests at {margin:g} pp on {rows['n'].iloc[0]} rows, Holm; "
        f"{'; '.join(sorted(set(rows['verdict'])))}"
    )
    if rows["low_points"].isna().any():
        return (*head, ours, "none with one seed", UNDECIDED, evidence)
    kept = rows["verdict"].str.startswith("equivalent")
    lost = rows["verdict"].str.startswith("worse by more")
    decision = SUPPORTED if kept.all() else CONTRADICTED if lost.any() else UNDECIDED
    return (*head, ours, interval, decision, evidence)


def _interval(row: pd.Series) -> str:
    if row["low_points"] == row["high_points"]:
        return "none"  # the arms never differ
    return f"{row['low_points']:+.2f} to {row['high_points']:+.2f} (90%)"


def _less_work(cost: pd.DataFrame) -> tuple[str, ...]:
    head = ("C5", "theoretical attention work is significantly lower", "no number")
    found = cost[(cost["split"] == "validation") & cost["mode"].isin(["hard", "soft"])]
    if found.empty:
        return (*head, "", "", NOT_RUN, "neither hard nor soft is in grid.modes")
    ours = _each(
        found,
        lambda row: (
            f"{100 * row['saving_attention']:.1f}% of the attention FLOPs, "
            f"{100 * row['saving_model']:.1f}% of the model's"
        ),
    )
    saves = found["density"] < 1
    decision = SUPPORTED if saves.all() else PARTLY_SUPPORTED if saves.any() else CONTRADICTED
    evidence = "cost.csv: saved on validation; a mode that blocks nothing saves nothing (D4)"
    return (*head, ours, "exact count", decision, evidence)


def _interpretable() -> tuple[str, ...]:
    statement = "the attention becomes easier to interpret"
    evidence = "attention_by_tag.csv describes it; the study interpretability measures it"
    return ("C6", statement, "no measurement", "", "", NOT_MEASURED, evidence)


def _each(rows: pd.DataFrame, describe: Callable[[pd.Series], str]) -> str:
    name = "arm" if "arm" in rows else "mode"
    return "; ".join(f"{row[name]} {describe(row)}" for _, row in rows.iterrows())
