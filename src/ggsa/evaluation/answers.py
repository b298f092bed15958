"""The questions of the replication, each with its test, its margin, its power and its verdict.

Place in the data flow: reads the cells of all studies (`ggsa.evaluation.study_cells`) and writes one table per
question; nothing here trains. What each test is stands in `ggsa.evaluation.statistics`; the questions, their
margins and the rules of their verdicts stand here and were fixed before the cells were trained:

- *equal*: two one-sided tests at `evaluate.equivalence_margin_points`, on validation and test.
- *better* or *worse*: the 95% interval of the difference lies wholly on one side of zero and it stands
  after Holm's correction over the questions of its family.
- *cannot tell*: neither; `smallest_points` says which difference the design would have shown with
  80% power.
- *headroom*: full minus `diagonal`. A mask's loss is given as a share of it only where the interval
  of the headroom excludes zero; else the experiment cannot tell what a mask costs.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ggsa.evaluation import baselines, statistics, study_cells
from ggsa.evaluation.outcomes import POOLED, SCORED_SPLITS
from ggsa.evaluation.study_cells import CORE, IMDB, PRETRAINED, PROBE, SCRATCH, Arm
from ggsa.training import studies
from ggsa.workspace.config import Evaluate
from ggsa.workspace.tables import write_table

SPLITS = (*SCORED_SPLITS, POOLED)
DIFFERENCE_COLUMNS = [
    *("seeds", "n", "difference_points", "low_points", "high_points", "p", "interval_of"),
    *("descriptive", "smallest_points"),
]
DENSE_CONTROLS = ("random", "shuffled", "window")
"""The controls that have as many holes as hard, so that only the place of the holes differs."""

YES, NO, CANNOT_TELL, NOT_RUN = "yes", "no", "cannot tell", "not run"
BASES = {"sst2": (SCRATCH, PRETRAINED), "probe": (PROBE,), "imdb": (IMDB,)}
DEFECTS = ("described", "D1", "D3", "recipe", "released")


def write(corpus: str, settings: Evaluate, folder: Any = None) -> None:
    """Write every table of a corpus that the finished cells allow.

    Args:
        corpus: `sst2`, `probe` or `imdb`.
        settings: The evaluate block of params.yaml.
        folder: Where to; None for the published place.
    """
    folder = studies.results("answers", corpus) / "tables" if folder is None else folder
    marks = study_cells.sentences(corpus)
    tables: dict[str, list[pd.DataFrame]] = {}

    def keep(name: str, table: pd.DataFrame, base: str) -> None:
        if len(table):
            tables.setdefault(name, []).append(table.assign(base=base))

    for base in BASES[corpus]:
        arms = study_cells.arms(corpus, base)
        if not arms:
            continue
        keep("arms", arms_table(arms, marks, settings), base)
        keep("headroom", headroom_table(arms, marks, settings), base)
        keep("subsets", subsets_table(arms, marks, settings), base)
        keep("questions", questions_table(arms, marks, settings), base)
        keep("defects", defects_table(arms, marks, settings), base)
        keep("ablation", ablation_table(arms, marks, settings), base)
    keep("baselines", baselines_table(marks), "none")
    for name, parts in tables.items():
        table = pd.concat(parts, ignore_index=True)
        front = ["base", *(column for column in table if column != "base")]
        write_table(folder / f"{name}.csv", table[front])


# One difference.


def difference(one: Arm, other: Arm, rows: np.ndarray, settings: Evaluate) -> dict[str, Any] | None:
    """Return one arm minus another on some sentences, over the seeds that both have.

    With two seeds or more the interval is the crossed bootstrap's; with a single one there is no
    spread of seeds, and the interval is over sentences alone (normal, paired) and says so.
    `smallest_points` is the true difference that the two-sided test at 5% would find with 80%
    power, from the crossed standard error.

    Returns:
        The values of `DIFFERENCE_COLUMNS`; None if the arms share no seed or no row is chosen.
    """
    seeds = sorted(set(one.seeds) & set(other.seeds))
    if not seeds or not rows.any():
        return None
    delta = statistics.paired_difference(one.stacked(seeds)[:, rows], other.stacked(seeds)[:, rows])
    head = {"seeds": len(seeds), "n": int(rows.sum())}
    if len(seeds) == 1:
        error = float(delta.std(ddof=1) / np.sqrt(delta.size)) if delta.size > 1 else np.nan
        mean, half = float(delta.mean()), stats.norm.ppf(1 - statistics.LEVEL / 2) * error
        test = statistics.mcnemar(one.stacked(seeds)[0, rows], other.stacked(seeds)[0, rows])
        values = (100 * mean, 100 * (mean - half), 100 * (mean + half), test.p, "sentences")
        freedom = np.inf
    else:
        result = statistics.compare(delta, settings.bootstrap_samples, settings.seed)
        values = (result.difference_points, result.low_points, result.high_points, result.p)
        values = (*values, "sentences and seeds")
        error, freedom = statistics.crossed_standard_error(delta)
    return dict(
        zip(
            DIFFERENCE_COLUMNS,
            (
                *head.values(),
                *values,
                len(seeds) < statistics.FEWEST_SEEDS,
                100 * smallest_difference(error, freedom),
            ),
            strict=True,
        )
    )


def smallest_difference(error: float, freedom: float) -> float:
    """Return the true difference that a two-sided test at 5% finds with 80% power."""
    if np.isnan(error):
        return float("nan")
    quantiles = stats.t.ppf([1 - statistics.LEVEL / 2, statistics.POWER], freedom)
    return float(quantiles.sum() * error)


# Tables.


def arms_table(arms: dict[str, Arm], marks: pd.DataFrame, settings: Evaluate) -> pd.DataFrame:
    """Return accuracy of every arm on every split, with its differences to full and to hard."""
    rows = []
    for arm in arms.values():
        for split in SPLITS:
            chosen = study_cells.rows_of(marks, split)
            row = {"arm": arm.name, "study": arm.study, "mode": arm.mode, "split": split}
            row |= {"density": arm.density, **_accuracy(arm, chosen)}
            for reference in ("full", "hard"):
                against = reference_of(arms, reference)
                found = difference(arm, against, chosen, settings) if against else None
                if arm.name == (against.name if against else None):
                    found = None
                for column in ("seeds", *DIFFERENCE_COLUMNS[2:6], "smallest_points"):
                    row[f"{column}_to_{reference}"] = found[column] if found else np.nan
            rows.append(row)
    return pd.DataFrame(rows)


def reference_of(arms: dict[str, Arm], mode: str) -> Arm | None:
    """Return the arm that stands for a mode under the described protocol."""
    return arms.get(mode) or arms.get(f"{mode}-described")


def baselines_table(marks: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy of the majority class and of the bag of words, with Wilson intervals."""
    guesses = {
        "majority": marks["majority"].to_numpy(),
        "bag of words": (marks["bag_probability"] >= 0.5).astype(int).to_numpy(),
    }
    rows = []
    for name, guess in guesses.items():
        for split in SPLITS:
            chosen = study_cells.rows_of(marks, split)
            right = (guess == marks["label"].to_numpy())[chosen]
            low, high = statistics.wilson(int(right.sum()), len(right))
            rows.append((name, split, len(right), right.mean(), low, high))
    columns = ["baseline", "split", "n", "accuracy", "wilson_low", "wilson_high"]
    return pd.DataFrame(rows, columns=columns)


def headroom_table(arms: dict[str, Arm], marks: pd.DataFrame, settings: Evaluate) -> pd.DataFrame:
    """Return what attention is worth, full minus `diagonal`, and each arm's loss beside it."""
    full, diagonal = (reference_of(arms, mode) for mode in ("full", "diagonal"))
    if full is None or diagonal is None:
        return pd.DataFrame()
    rows = []
    for subset in ("all", *subset_names(marks)):
        chosen = rows_of_subset(marks, subset)
        room = difference(full, diagonal, chosen, settings)
        if room is None:
            continue
        can_tell = room["low_points"] > 0
        rows.append(
            {"subset": subset, "arm": "diagonal", "what": "headroom", **room}
            | {"share_of_headroom": np.nan, "verdict": YES if can_tell else CANNOT_TELL}
        )
        for arm in arms.values():
            compared = arm.study in (CORE, "controls") or arm.name.endswith("-described")
            if arm.name in (full.name, diagonal.name) or not compared:
                continue
            loss = difference(full, arm, chosen, settings)
            if loss is None:
                continue
            share = loss["difference_points"] / room["difference_points"] if can_tell else np.nan
            rows.append(
                {"subset": subset, "arm": arm.name, "what": "loss", **loss}
                | {"share_of_headroom": share, "verdict": _sign_verdict(loss, can_tell)}
            )
    return pd.DataFrame(rows)


def subset_names(marks: pd.DataFrame) -> list[str]:
    """Return the subsets that the marks know: the fixed ones and, on the probe, its phenomena."""
    known = [name for name in baselines.SUBSETS if name in marks]
    return known + [name for name in marks if name.startswith("probe_")]


def rows_of_subset(marks: pd.DataFrame, subset: str) -> np.ndarray:
    """Return the rows of a subset over validation and test, bool [sentence]."""
    if subset == "all":
        return np.ones(len(marks), bool)
    return marks[subset].to_numpy(dtype=bool)


def subsets_table(arms: dict[str, Arm], marks: pd.DataFrame, settings: Evaluate) -> pd.DataFrame:
    """Return every arm's accuracy on every subset of validation and test, and minus full."""
    full, rows = reference_of(arms, "full"), []
    for subset in ("all", *subset_names(marks)):
        chosen = rows_of_subset(marks, subset)
        if not chosen.any():
            continue
        for arm in arms.values():
            if arm.study not in (CORE, "controls", "seeds", "mend", "defects"):
                continue
            found = difference(arm, full, chosen, settings) if full else None
            row = {"subset": subset, "arm": arm.name, **_accuracy(arm, chosen)}
            for column in DIFFERENCE_COLUMNS[2:6]:
                row[column] = found[column] if found and arm is not full else np.nan
            rows.append(row)
    return pd.DataFrame(rows)


def questions_table(arms: dict[str, Arm], marks: pd.DataFrame, settings: Evaluate) -> pd.DataFrame:
    """Return the pre-stated questions of a base; Holm's correction is over those of a family."""
    everything, only_test = np.ones(len(marks), bool), study_cells.rows_of(marks, "test")
    full, hard, soft = (reference_of(arms, mode) for mode in ("full", "hard", "soft"))
    margin = settings.equivalence_margin_points
    both = (("hard", hard), ("soft", soft))
    lengths = [name for name in baselines.LENGTHS if name in marks]
    noisy = {
        f"{share}% of its tags wrong{where}": arms.get(f"hard-noise-{infix}{share}")
        for infix, where in (("", ""), ("eval-", " in evaluation alone"))
        for share in (5, 10, 20, 40)
    }
    families: dict[str, list[dict[str, Any] | None]] = {
        "accuracy is kept": [
            _equal(f"{name} equals full", arm, full, everything, margin) for name, arm in both
        ],
        "it holds on the test split": [
            _equal(f"{name} equals full on test", arm, full, only_test, margin)
            for name, arm in both
        ],
        "it holds at every length": [
            _equal(
                f"hard equals full at {name.replace('_', ' ')} words",
                hard,
                full,
                rows_of_subset(marks, name),
                margin,
            )
            for name in lengths
        ],
        "there is room for a mask to matter": [
            _better("full beats diagonal", full, reference_of(arms, "diagonal"), settings)
        ],
        "grammar matters": [
            _better(f"hard beats {name} at equal density", hard, arms.get(name), settings)
            for name in DENSE_CONTROLS
        ],
        "the tagger's mistakes matter": [
            _better(f"hard beats hard with {what}", hard, arm, settings)
            for what, arm in noisy.items()
        ],
    }
    parts = []
    for family, rows in families.items():
        asked = [row for row in rows if row is not None]
        if not asked:
            continue
        table = pd.DataFrame(asked).assign(family=family)
        table["p_holm"] = statistics.holm(table["p"].to_numpy(float))
        table["verdict"] = [_question_verdict(row) for row in table.to_dict("records")]
        parts.append(table)
    if not parts:
        return pd.DataFrame()
    table = pd.concat(parts, ignore_index=True)
    front = ["family", "question", "verdict"]
    return table[[*front, *(column for column in table if column not in front)]]


def _equal(
    question: str, one: Arm | None, other: Arm | None, rows: np.ndarray, margin: float
) -> dict[str, Any] | None:
    """Return the two one-sided tests of a question of equality."""
    if one is None or other is None or not rows.any():
        return None
    seeds = sorted(set(one.seeds) & set(other.seeds))
    if len(seeds) < 2:
        return None
    delta = statistics.paired_difference(one.stacked(seeds)[:, rows], other.stacked(seeds)[:, rows])
    result = statistics.equivalence(delta, margin)
    return {
        "question": question,
        "test": "two one-sided t tests, crossed standard error",
        "margin_points": margin,
        "seeds": len(seeds),
        "n": int(rows.sum()),
        "difference_points": result.difference_points,
        "low_points": result.low90_points,
        "high_points": result.high90_points,
        "level": 0.90,
        "p": result.p,
        "smallest_points": result.smallest_margin_points,
    }


def _better(
    question: str, one: Arm | None, other: Arm | None, settings: Evaluate
) -> dict[str, Any] | None:
    """Return the two-sided test of a question of superiority, on validation and test."""
    if one is None or other is None:
        return None
    rows = np.ones(len(next(iter(one.right.values()))), bool)
    found = difference(one, other, rows, settings)
    if found is None:
        return None
    kind = "crossed bootstrap" if found["seeds"] > 1 else "McNemar, one seed"
    return {
        "question": question,
        "test": kind,
        "margin_points": 0.0,
        **{name: found[name] for name in ("seeds", "n", *DIFFERENCE_COLUMNS[2:5])},
        "level": 0.95,
        "p": found["p"],
        "smallest_points": found["smallest_points"],
    }


def _question_verdict(row: dict[str, Any]) -> str:
    """Return yes, no or cannot tell, after Holm's correction."""
    if row["margin_points"] > 0:
        if row["p_holm"] < statistics.LEVEL:
            return YES
        beyond = (
            row["low_points"] > row["margin_points"] or row["high_points"] < -row["margin_points"]
        )
        return NO if beyond else CANNOT_TELL
    if row["p_holm"] < statistics.LEVEL:
        return YES if row["difference_points"] > 0 else NO
    return CANNOT_TELL


def defects_table(arms: dict[str, Arm], marks: pd.DataFrame, settings: Evaluate) -> pd.DataFrame:
    """Return every mode under every defect: accuracy, minus full, and minus itself as described."""
    rows = []
    for defect in DEFECTS:
        for mode in ("full", "hard", "soft", "soft_released"):
            arm = arms.get(f"{mode}-{defect}")
            if arm is None:
                continue
            full = arms.get(f"full-{defect}") or arms.get("full-described")
            described = arms.get(f"{mode}-described")
            for split in SPLITS:
                chosen = study_cells.rows_of(marks, split)
                row = {"defect": defect, "mode": mode, "split": split, "density": arm.density}
                row |= _accuracy(arm, chosen)
                for name, against in (("full", full), ("described", described)):
                    found = None
                    if against is not None and against is not arm:
                        found = difference(arm, against, chosen, settings)
                    for column in (*DIFFERENCE_COLUMNS[2:6], "seeds"):
                        row[f"{column}_to_{name}"] = found[column] if found else np.nan
                rows.append(row)
    return pd.DataFrame(rows)


def ablation_table(arms: dict[str, Arm], marks: pd.DataFrame, settings: Evaluate) -> pd.DataFrame:
    """Return what each rule of the hard table is worth: hard without it, and it alone.

    `cost_saved_per_point` is the density saved for each point of accuracy that is lost, in
    percentage points of density; empty where none is lost. `p_holm` is corrected over all arms of
    the ablation together.
    """
    hard = arms.get("hard")
    if hard is None:
        return pd.DataFrame()
    rows, everything = [], np.ones(len(marks), bool)
    for arm in arms.values():
        kind, _, rule = arm.name.partition("-")
        if arm.study != "ablation":
            continue
        found = difference(arm, hard, everything, settings)
        if found is None:
            continue
        saved, lost = hard.density - arm.density, -found["difference_points"]
        rows.append(
            {
                "rule": rule.replace("-", "->"),
                "kind": kind,
                **found,
                "density": arm.density,
                "density_change": -saved,
                "cost_saved_per_point": 100 * saved / lost if lost > 0 else np.nan,
            }
        )
    table = pd.DataFrame(rows)
    if len(table):
        table["p_holm"] = statistics.holm(table["p"].to_numpy(float))
    return table


def _accuracy(arm: Arm, rows: np.ndarray) -> dict[str, Any]:
    """Return mean, spread and range over seeds, and the Wilson interval of the mean's rows."""
    each = np.array([arm.right[seed][rows].mean() for seed in arm.seeds])
    low, high = statistics.prediction_interval(each)
    return {
        "seeds": len(each),
        "n": int(rows.sum()),
        "accuracy_mean": each.mean(),
        "accuracy_sd": statistics.standard_deviation(each),
        "prediction_low": low,
        "prediction_high": high,
    }


def _sign_verdict(loss: dict[str, Any], can_tell: bool) -> str:
    if loss["low_points"] > 0:
        return "loses"
    if loss["high_points"] < 0:
        return "gains"
    return "no loss shown" if can_tell else CANNOT_TELL
