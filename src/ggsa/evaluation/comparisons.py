"""Accuracy, intervals and comparisons of any study, `core` included.

Nothing here reads or writes a file: the cells come from `ggsa.evaluation.finished_cells`, the declared
questions from the study, and how each test works is described in `ggsa.evaluation.statistics`.
Accuracies and shares are fractions; differences and margins are in percentage points, in columns
that end in `_points`.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from ggsa.evaluation import statistics
from ggsa.evaluation.finished_cells import Results
from ggsa.evaluation.verdicts import verdicts_table
from ggsa.training.studies import Study
from ggsa.workspace.config import Evaluate
from ggsa.workspace.vocabulary import FRESH, POOLED, SCORED_SPLITS

SMALLEST_SUBSET = 200
"""Sentences that a subset needs to be shown."""

DIFFERENCE_COLUMNS = [
    *("arm", "reference", "split", "seeds", "n", "difference_points", "low_points", "high_points"),
    *("p", "bootstrap_low_points", "bootstrap_high_points", "smallest_points"),
    "discordant_share",
]


def study_tables(
    results: Results, study: Study, settings: Evaluate, marks: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """Return every table of a study by name.

    Args:
        results: Its finished cells.
        study: Its declaration.
        settings: Margin and bootstrap.
        marks: Baselines and subsets of the same sentences; see `ggsa.evaluation.baselines`.
    """
    runs = runs_table(results)
    return {
        "runs": runs,
        "arms": arms_table(runs, results, marks),
        "differences": differences_table(results, study.reference, settings),
        "verdicts": verdicts_table(results, study.families, settings.equivalence_margin_points),
        "subsets": subsets_table(results, study.reference, marks),
        "baselines": baselines_table(marks),
    }


def runs_table(results: Results) -> pd.DataFrame:
    """Return accuracy with its Wilson interval, and F1, of every cell on every split."""
    rows = []
    for split in results.splits:
        chosen = results.rows(split)
        labels = results.labels[chosen]
        for arm, predicted in results.predicted.items():
            for seed, classes in zip(results.seeds, predicted[:, chosen], strict=True):
                correct, n = int(np.sum(classes == labels)), len(labels)
                low, high = statistics.wilson(correct, n)
                rows.append(
                    {
                        "arm": arm,
                        "mode": results.modes[arm],
                        "seed": seed,
                        "split": split,
                        "n": n,
                        "correct": correct,
                        "accuracy": correct / n,
                        "wilson_low": low,
                        "wilson_high": high,
                        "f1": statistics.f1(labels, classes, results.classes),
                    }
                )
    return pd.DataFrame(rows)


def arms_table(runs: pd.DataFrame, results: Results, marks: pd.DataFrame) -> pd.DataFrame:
    """Return accuracy over seeds and density of every arm on every split.

    A density counts pairs of pieces, so that of all labeled sentences is the mean over splits,
    weighted by their pairs.
    """
    scored = marks[marks["split"].isin(SCORED_SPLITS)]
    pairs = (scored["pieces"] ** 2).groupby(scored["split"]).sum()
    rows = []
    for (split, arm), part in runs.groupby(["split", "arm"], sort=False):
        accuracy, f1 = part["accuracy"].to_numpy(), part["f1"].to_numpy()
        low, high = statistics.prediction_interval(accuracy)
        rows.append(
            {
                "arm": arm,
                "mode": part["mode"].iloc[0],
                "split": split,
                "seeds": len(part),
                "n": part["n"].iloc[0],
                "accuracy_mean": accuracy.mean(),
                "accuracy_sd": statistics.standard_deviation(accuracy),
                "accuracy_min": accuracy.min(),
                "accuracy_max": accuracy.max(),
                "prediction_low": low,
                "prediction_high": high,
                "f1_mean": f1.mean(),
                "f1_sd": statistics.standard_deviation(f1),
                "density": (
                    sum(results.density(arm, name) * share for name, share in pairs.items())
                    / pairs.sum()
                    if split == POOLED
                    else results.density(arm, split)
                ),
            }
        )
    return pd.DataFrame(rows)


def differences_table(results: Results, reference: str, settings: Evaluate) -> pd.DataFrame:
    """Return every arm minus the reference arm on every split; descriptive, uncorrected."""
    rows = []
    for split in results.splits:
        chosen = results.rows(split)
        for arm in results.predicted:
            if arm == reference:
                continue
            right = results.right(arm)[:, chosen], results.right(reference)[:, chosen]
            difference = statistics.paired(*right)
            each = statistics.paired_difference(*right)
            low, high = difference.interval()
            drawn = statistics.bootstrap_interval(each, settings.bootstrap_samples, settings.seed)
            values = (arm, reference, split, len(results.seeds), int(chosen.sum()))
            values += (difference.mean, low, high, difference.p, *drawn)
            values += (difference.smallest_detectable(), float(np.mean(each != 0)))
            rows.append(values)
    return pd.DataFrame(rows, columns=DIFFERENCE_COLUMNS)


def subsets_table(results: Results, reference: str, marks: pd.DataFrame) -> pd.DataFrame:
    """Return every arm's accuracy, and its difference to the reference, on subsets of sentences.

    Descriptive: subsets belong to no family, and those below `SMALLEST_SUBSET` are left out.
    """
    rows = []
    for subset, chosen in _subsets(marks):
        for arm in results.predicted:
            right = results.right(arm)[:, chosen]
            row = {
                "subset": subset,
                "arm": arm,
                "seeds": len(results.seeds),
                "n": int(chosen.sum()),
                "accuracy_mean": float(right.mean()),
            }
            if arm == reference:
                values = (np.nan, np.nan, np.nan)
            else:
                difference = statistics.paired(right, results.right(reference)[:, chosen])
                values = (difference.mean, *difference.interval())
            row |= dict(
                zip(("difference_points", "low_points", "high_points"), values, strict=True)
            )
            rows.append(row)
    columns = ["subset", "arm", "seeds", "n", "accuracy_mean"]
    return pd.DataFrame(rows, columns=[*columns, "difference_points", "low_points", "high_points"])


def _subsets(marks: pd.DataFrame) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """Return the subsets of the scored splits that are large enough, each bool `[sentence]`."""
    scored = marks["split"].isin(SCORED_SPLITS).to_numpy()
    subsets = [("all", scored)]
    subsets += [
        (str(name), scored & column.to_numpy(bool))
        for name, column in marks.items()
        if column.dtype == bool
    ]
    return subsets[:1] + [each for each in subsets[1:] if each[1].sum() >= SMALLEST_SUBSET]


def baselines_table(marks: pd.DataFrame) -> pd.DataFrame:
    """Return accuracy of the majority class and of the bag of words, with Wilson intervals."""
    labels = marks["label"].to_numpy()
    guesses = {"majority": marks["majority"].to_numpy(), "bag of words": marks["bag"].to_numpy()}
    scored = [split for split in SCORED_SPLITS if (marks["split"] == split).any()]
    fresh = [FRESH] if (marks["split"] == FRESH).any() else []
    rows = []
    for name, guess in guesses.items():
        for split in (*scored, *([POOLED] if len(scored) > 1 else []), *fresh):
            chosen = marks["split"].isin(scored if split == POOLED else [split]).to_numpy()
            right = (guess == labels)[chosen]
            low, high = statistics.wilson(int(right.sum()), len(right))
            rows.append((name, split, len(right), right.mean(), low, high))
    columns = ["baseline", "split", "n", "accuracy", "wilson_low", "wilson_high"]
    return pd.DataFrame(rows, columns=columns)
