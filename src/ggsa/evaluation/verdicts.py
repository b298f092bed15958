"""The verdict on every declared question, by rules that were fixed before any result was seen.

- *gate*: `headroom shown` if the difference is positive and significant.
- *equivalence*: requires shown headroom of its reference; the first word that applies, with corrected
  p values: equivalent within the margin, worse by more than the margin, worse (size uncertain),
  better, inconclusive.
- *difference*: the same words without the first.
- *share*: `more than 80 %` or `less than 80 %` if the share is shown to differ from it (alone in its
  family: if Fieller's interval lies on one side of it), `not estimable` if the interval is not
  bounded.
- A gate, and a word that states a direction, do not stand if the difference on the split `fresh`,
  where there is one, has the opposite sign.
- Below three seeds there is no verdict; with three or four only gates, equivalence and shares, and
  where equivalence is not shown, nothing is said about a loss.
- No verdict follows from an arm that did not learn (see `unlearned`), nor equivalence from a gate
  that has no verdict for that reason.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ggsa.evaluation import statistics
from ggsa.evaluation.finished_cells import Results
from ggsa.training.studies import Family, Question
from ggsa.workspace.vocabulary import DID_NOT_LEARN, FRESH

HEADROOM, NO_HEADROOM = "headroom shown", "no headroom shown"
BETTER, UNCERTAIN, INCONCLUSIVE = "better", "worse, size uncertain", "inconclusive"
WITHOUT_HEADROOM = "inconclusive: no headroom"
NOT_ESTIMABLE = "not estimable"
NOT_SHOWN = f"equivalence not shown, fewer than {statistics.SEEDS_FOR_ALL} seeds"

VERDICT_COLUMNS = [
    *("family", "question", "kind", "arm", "reference", "split", "seeds", "n", "margin_points"),
    *("difference_points", "low_points", "high_points", "level", "p", "p_holm"),
    *("p_worse", "p_worse_holm", "p_two_sided", "p_two_sided_holm"),
    *("smallest_points", "test_difference_points", "fresh_difference_points"),
    *("floor", "share", "share_low", "share_high", "verdict"),
]


def verdicts_table(results: Results, families: Sequence[Family], margin: float) -> pd.DataFrame:
    """Return the declared questions with tests, corrected p values and verdicts.

    All are answered on all sentences of the scored splits, unless a question names one of them; the
    differences on the test split and on `fresh` are columns.

    Args:
        results: The finished cells.
        families: The declared questions; Holm's correction is over each family.
        margin: Of equivalence, in percentage points.
    """
    asked = {family.name: _answers(results, family, margin) for family in families}
    gates = {
        row["arm"]: row["verdict"]
        for rows in asked.values()
        for row in rows
        if row["kind"] == "gate"
    }
    rows = [
        {
            **row,
            "verdict": row["verdict"] or _verdict(row, margin, gates.get(row["reference"], "")),
        }
        for family_rows in asked.values()
        for row in family_rows
    ]
    return pd.DataFrame(rows, columns=VERDICT_COLUMNS)


def unlearned(results: Results, split: str, arms: Iterable[str]) -> list[str]:
    """Return the arms that are not shown to do better on a split than its majority class.

    Such an arm's correct answers, pooled over seeds, have a lower Wilson 95% bound that does not
    exceed the share of the most frequent class.
    """
    chosen = results.rows(split)
    majority = np.bincount(results.labels[chosen]).max() / chosen.sum()
    right = {arm: results.right(arm)[:, chosen] for arm in dict.fromkeys(arms)}
    return [
        arm
        for arm, answers in right.items()
        if statistics.wilson(int(answers.sum()), answers.size)[0] <= majority
    ]


def _answers(results: Results, family: Family, margin: float) -> list[dict[str, Any]]:
    """Return the questions of a family with corrected p values.

    They have a verdict if it does not depend on other families: gates, and where an arm did not
    learn.
    """
    rows = [
        _tests(results, question, margin, len(family.questions)) | {"family": family.name}
        for question in family.questions
    ]
    for column in ("p", "p_worse", "p_two_sided"):
        adjusted = statistics.holm(np.array([row[column] for row in rows], dtype=float))
        for row, value in zip(rows, adjusted, strict=True):
            row[f"{column}_holm"] = float(value)
    for row in rows:
        if row["verdict"]:
            continue
        if row["kind"] == "gate" and row["seeds"] >= statistics.FEWEST_SEEDS:
            shown = row["p_holm"] < statistics.LEVEL and row["difference_points"] > 0
            row["verdict"] = HEADROOM if shown and not _contradicted(row) else NO_HEADROOM
    return rows


def _tests(results: Results, question: Question, margin: float, tests: int) -> dict[str, Any]:
    """Return the tests of one question: `p` is that of its kind."""
    split = question.split or results.family_split
    scored = results.rows(split)
    right, reference = (results.right(arm)[:, scored] for arm in (question.arm, question.reference))
    difference = statistics.paired(right, reference)
    tested = question.kind != "share"
    # A floor may be at chance: without attention between words there may be nothing to learn from.
    arms = [question.arm] if question.kind == "gate" else [question.arm, question.reference]
    failed = unlearned(results, split, arms)
    share = statistics.Share(*4 * [np.nan])
    if question.floor is not None and not failed:
        share = statistics.share(right, results.right(question.floor)[:, scored], reference)
    equal = question.kind == "equivalence"
    level = 0.90 if equal else 0.95
    low, high = difference.interval(level)
    both_sides = max(difference.p_above(-margin), difference.p_below(margin))
    return {
        "question": question.text,
        "kind": question.kind,
        "arm": question.arm,
        "reference": question.reference,
        "split": split,
        "seeds": len(results.seeds),
        "n": int(scored.sum()),
        "margin_points": margin if equal else np.nan,
        "difference_points": difference.mean,
        "low_points": low,
        "high_points": high,
        "level": level,
        "p": both_sides if equal else difference.p if tested else share.p,
        "p_worse": difference.p_below(-margin) if tested else np.nan,
        "p_two_sided": difference.p if tested else np.nan,
        "smallest_points": difference.smallest_detectable(tests) if tested else np.nan,
        "test_difference_points": _difference_on(results, question, "test"),
        "fresh_difference_points": _difference_on(results, question, FRESH),
        "floor": question.floor or "",
        "share": share.value,
        "share_low": share.low,
        "share_high": share.high,
        "verdict": _without_test(failed, tested and difference.error == 0),
    }


def _without_test(failed: Sequence[str], constant: bool) -> str:
    """Return the verdict where no test can be trusted; empty where one can.

    Where the difference is the same in every run and sentence, its standard error is zero, which
    says nothing about other sentences: all of eight right proves no equivalence.
    """
    if failed:
        return f"no verdict: {' and '.join(failed)} {DID_NOT_LEARN}"
    return "no verdict: the arms never differ" if constant else ""


def _difference_on(results: Results, question: Question, split: str) -> float:
    """Return arm minus reference on a split in percentage points; NaN where there is none."""
    chosen = results.rows(split)
    if not chosen.any():
        return float("nan")
    arm, reference = (
        results.right(name)[:, chosen].mean() for name in (question.arm, question.reference)
    )
    return 100 * float(arm - reference)


def _contradicted(row: dict[str, Any]) -> bool:
    """Return whether the sentences of `fresh` say the opposite of a question's difference."""
    return row["difference_points"] * row["fresh_difference_points"] < 0


def _verdict(row: dict[str, Any], margin: float, gate: str) -> str:
    """Return the verdict of a question by its corrected p values; the first word that applies.

    Args:
        row: The question with its tests.
        margin: Of equivalence, in percentage points.
        gate: The verdict on the headroom of its reference; empty where there is none.
    """
    equal, seeds = row["kind"] == "equivalence", row["seeds"]
    if row["kind"] == "share":
        return _share_verdict(row)
    needed = statistics.SEEDS_FOR_ALL if row["kind"] == "difference" else statistics.FEWEST_SEEDS
    if seeds < needed:
        return f"no verdict: fewer than {needed} seeds"
    if equal and gate.endswith(DID_NOT_LEARN):
        return gate
    if equal and gate != HEADROOM:
        return WITHOUT_HEADROOM
    if equal and row["p_holm"] < statistics.LEVEL:
        return f"equivalent within {margin:g} pp"
    if seeds < statistics.SEEDS_FOR_ALL:
        return NOT_SHOWN
    if _contradicted(row):
        return INCONCLUSIVE
    if row["p_worse_holm"] < statistics.LEVEL:
        return f"worse by more than {margin:g} pp"
    if row["p_two_sided_holm"] < statistics.LEVEL:
        return UNCERTAIN if row["difference_points"] < 0 else BETTER
    return INCONCLUSIVE


def _share_verdict(row: dict[str, Any]) -> str:
    """Return on which side of most the share lies."""
    if row["seeds"] < statistics.FEWEST_SEEDS:
        return f"no verdict: fewer than {statistics.FEWEST_SEEDS} seeds"
    if np.isnan(row["share_low"]):
        return NOT_ESTIMABLE
    if row["p_holm"] >= statistics.LEVEL:
        return INCONCLUSIVE
    side = "more" if row["share"] > statistics.MOST else "less"
    return f"{side} than {100 * statistics.MOST:.0f} %"
