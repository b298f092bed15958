"""Every verdict once more, from predictions and declarations alone.

Written from docs/method.md and without `ggsa.evaluation`, so that a wrong formula there has no part in
it: variances by their definition, tests by scipy, Holm's correction by statsmodels.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml
from scipy import stats
from statsmodels.stats.multitest import multipletests

TOLERANCE = 1e-6
MOST = 0.8


class Material(NamedTuple):
    """What a study published on a corpus.

    Attributes:
        questions: Each a dict with `family, kind, arm, reference, text` and maybe `floor, split`.
        arms: The arms that are declared on the corpus.
        seeds: The seeds that are declared on the corpus.
        right: Arm and seed -> table `split, label, right` of the labeled sentences.
        machines: Arm and seed -> the machine in cell.json.
        verdicts: verdicts.csv.
        margin: Of equivalence, in percentage points.
    """

    questions: list[dict[str, Any]]
    arms: list[str]
    seeds: list[int]
    right: dict[tuple[str, int], pd.DataFrame]
    machines: dict[tuple[str, int], Any]
    verdicts: pd.DataFrame
    margin: float


def of_study(root: Path, name: str, corpus: str) -> Material:
    """Return the material of a published study."""
    declared = yaml.safe_load((root / "studies" / name / "params.yaml").read_text(encoding="utf-8"))
    plan = declared["corpora"][corpus]
    questions = [
        {"family": family["name"], **question}
        for family in declared.get("families", ())
        for question in family["questions"]
    ]
    folder = root / "reports/published/studies" / name / corpus
    arms = plan.get("arms") or [*declared["arms"]]
    return _material(root, questions, arms, plan["seeds"], folder / "cells", folder / "tables")


def of_core(root: Path) -> Material:
    """Return the material of the published core study, whose grid declares its questions."""
    published = root / "reports/published"
    grid = yaml.safe_load((published / "params.yaml").read_text(encoding="utf-8"))["grid"]
    gate = {"family": "headroom", "kind": "gate", "arm": "full", "reference": "diagonal"}
    kept = {"family": "accuracy is kept", "kind": "equivalence", "reference": "full"}
    others = [mode for mode in grid["modes"] if mode not in ("full", "diagonal")]
    questions = [gate, *({**kept, "arm": mode} for mode in others)]
    return _material(
        root, questions, grid["modes"], grid["seeds"], published / "runs", published / "tables"
    )


def _material(
    root: Path,
    questions: list[dict[str, Any]],
    arms: list[str],
    seeds: list[int],
    cells: Path,
    tables: Path,
) -> Material:
    right, machines = {}, {}
    for arm in arms:
        for seed in seeds:
            folder = cells / f"{arm}-{seed}"
            if not folder.is_dir():
                continue
            table = pd.read_parquet(folder / "predictions.parquet")
            table = table[table["split"].isin(["validation", "test", "fresh"])]
            table = table[table["label"] >= 0]
            guessed = np.stack(list(table["logits"])).argmax(1)
            right[arm, seed] = pd.DataFrame(
                {
                    "split": table["split"].to_numpy(),
                    "label": table["label"].to_numpy(),
                    "right": guessed == table["label"].to_numpy(),
                }
            )
            machines[arm, seed] = json.loads((folder / "cell.json").read_text())["machine"]
    margin = yaml.safe_load((root / "params.yaml").read_text())["evaluate"][
        "equivalence_margin_points"
    ]
    verdicts = pd.read_csv(tables / "verdicts.csv")
    return Material(questions, arms, seeds, right, machines, verdicts, margin)


def problems(found: Material) -> list[str]:
    """Return everything that a table of verdicts has wrong; nothing if it is right."""
    return [*_problems(found)]


def _problems(found: Material) -> Iterator[str]:
    missing = [f"{a}-{s}" for a in found.arms for s in found.seeds if (a, s) not in found.right]
    if missing:
        yield f"cells are missing: {', '.join(missing)}"
        return
    for seed in found.seeds:
        machines = [json.dumps(found.machines[arm, seed], sort_keys=True) for arm in found.arms]
        if len(set(machines)) > 1:
            yield f"the cells of seed {seed} are of several machines"
    key = ["family", "kind", "arm", "reference"]
    rows = found.verdicts.set_index(key)
    asked = [tuple(question[name] for name in key) for question in found.questions]
    yield from (f"no row answers {question}" for question in asked if question not in rows.index)
    yield from (f"a row answers no question: {row}" for row in rows.index if row not in asked)
    answers = [_answer(found, question) for question in found.questions]
    for family in {question["family"] for question in found.questions}:
        members = [answer for answer in answers if answer["family"] == family]
        for column in ("p", "p_worse", "p_two_sided"):
            known = [answer for answer in members if not np.isnan(answer[column])]
            if known:
                adjusted = multipletests([a[column] for a in known], method="holm")[1]
                for answer, value in zip(known, adjusted, strict=True):
                    answer[f"{column}_holm"] = value
    headroom = {
        a["arm"]: a["p_holm"] < 0.05 and a["difference_points"] > 0 and not _contradicted(a)
        for a in answers
        if a["kind"] == "gate"
    }
    for question, answer in zip(asked, answers, strict=True):
        if question not in rows.index:
            continue
        row = rows.loc[[question]].iloc[0]
        gate = next(
            (a for a in answers if a["kind"] == "gate" and a["arm"] == answer["reference"]), None
        )
        behind = [answer, gate] if answer["kind"] == "equivalence" and gate else [answer]
        failed = next((a["_failed"] for a in behind if a["_failed"]), [])
        answer["verdict"] = (
            f"no verdict: {' and '.join(failed)} did not learn"
            if failed
            else "no verdict: the arms never differ"
            if answer["_constant"] and answer["kind"] != "share" and len(found.seeds) > 1
            else _word(answer, headroom, found.margin)
        )
        for column, value in answer.items():
            if column in key or column.startswith("_"):
                continue
            if not _same(row[column], value):
                yield f"{question}, {column}: published {row[column]!r}, recomputed {value!r}"
        family = [q for q in found.questions if q["family"] == answer["family"]]
        if answer["kind"] != "share":
            power = _power(answer, row["smallest_points"], len(family))
            if abs(power - 0.8) > 1e-3:
                yield f"{question}, smallest_points: found with power {power:.4f}, not 0.8"


def _answer(found: Material, question: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers of one question, without correction."""
    split = question.get("split")

    def on(arm: str, chosen: list[str]) -> np.ndarray:
        tables = [found.right[arm, seed] for seed in found.seeds]
        return np.stack([t["right"][t["split"].isin(chosen)].to_numpy() for t in tables]).astype(
            float
        )

    scored = [split] if split else ["validation", "test"]
    arm, reference = on(question["arm"], scored), on(question["reference"], scored)
    mean, error, freedom = _crossed(100 * (arm - reference))
    named = [question[name] for name in ("arm", "reference")]
    named = named[: 1 if question["kind"] == "gate" else 2]
    failed = [name for name in named if not _learned(on(name, scored), found, scored)]
    equal = question["kind"] == "equivalence"
    level = 0.90 if equal else 0.95
    half = stats.t.ppf((1 + level) / 2, freedom) * error
    below = lambda bound: stats.t.sf((bound - mean) / error, freedom)  # noqa: E731
    above = lambda bound: stats.t.sf((mean - bound) / error, freedom)  # noqa: E731
    two_sided = 2 * stats.t.sf(abs(mean) / error, freedom)
    margin = found.margin
    answer = {
        **{name: question[name] for name in ("family", "kind", "arm", "reference")},
        "seeds": len(found.seeds),
        "n": arm.shape[1],
        "difference_points": mean,
        "low_points": mean - half,
        "high_points": mean + half,
        "p": max(above(-margin), below(margin)) if equal else two_sided,
        "p_worse": below(-margin),
        "p_two_sided": two_sided,
        "margin_points": margin if equal else np.nan,
        "share": np.nan,
        "_failed": failed,
        "_constant": bool(np.ptp(arm - reference) == 0),
        "_error": error,
        "_freedom": freedom,
    }
    for name in ("test", "fresh"):
        there = on(question["arm"], [name]), on(question["reference"], [name])
        difference = 100 * (there[0].mean() - there[1].mean()) if there[0].size else np.nan
        answer[f"{name}_difference_points"] = difference
    if question["kind"] == "share" and failed:
        missing = ("p", "p_worse", "p_two_sided", "share", "share_low", "share_high")
        return answer | dict.fromkeys(missing, np.nan)
    if question["kind"] == "share":
        floor = on(question["floor"], scored)
        gained, whole = arm - floor, reference - floor
        answer |= {"share": gained.mean() / whole.mean(), "p_worse": np.nan, "p_two_sided": np.nan}
        _, whole_error, whole_freedom = _crossed(whole)
        shown = abs(whole.mean()) > stats.t.ppf(0.975, whole_freedom) * whole_error
        middle, spread, degrees = _crossed(gained - MOST * whole)
        p = 2 * stats.t.sf(abs(middle) / spread, degrees)
        answer |= {"p": p if shown else np.nan, "share_low": np.nan, "share_high": np.nan}
        if shown:
            answer["share_low"], answer["share_high"] = _fieller(gained, whole)
    return answer


def _learned(right: np.ndarray, found: Material, scored: list[str]) -> bool:
    """Return whether the lower end of Wilson's interval exceeds the share of the largest class."""
    table = next(iter(found.right.values()))
    majority = table[table["split"].isin(scored)]["label"].value_counts(normalize=True).max()
    low = stats.binomtest(int(right.sum()), right.size).proportion_ci(0.95, "wilson").low
    return bool(low > majority)


def _fieller(gained: np.ndarray, whole: np.ndarray) -> tuple[float, float]:
    """Return the ends of the interval of shares that are compatible with the data, by bisection."""

    def compatible(share: float) -> bool:
        mean, error, freedom = _crossed(gained - share * whole)
        return abs(mean) <= stats.t.ppf(0.975, freedom) * error

    ends = []
    for direction in (-1.0, 1.0):
        inside = float(gained.mean() / whole.mean())
        outside = inside + direction
        while compatible(outside):
            outside += direction
        for _ in range(60):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if compatible(middle) else (inside, middle)
        ends.append(inside)
    return ends[0], ends[1]


def _crossed(values: np.ndarray) -> tuple[float, float, float]:
    """Return mean, standard error and degrees of freedom of seeds x sentences, both random."""
    table = pd.DataFrame(values)
    seeds, sentences = values.shape
    grand = values.mean()
    rest = table.sub(table.mean(axis=0), axis=1).sub(table.mean(axis=1) - grand, axis=0)
    ms = {
        "seed": sentences * table.mean(axis=1).var(ddof=1),
        "sentence": seeds * table.mean(axis=0).var(ddof=1),
        "rest": float((rest**2).to_numpy().sum()) / ((seeds - 1) * (sentences - 1)),
    }
    ms = {name: max(value, ms["rest"]) for name, value in ms.items()}
    freedoms = {
        "seed": seeds - 1, "sentence": sentences - 1, "rest": (seeds - 1) * (sentences - 1)
    }  # fmt: skip
    total = ms["seed"] + ms["sentence"] - ms["rest"]
    freedom = total**2 / sum(ms[name] ** 2 / freedoms[name] for name in ms)
    return float(grand), float(np.sqrt(total / values.size)), float(freedom)


def _contradicted(answer: dict[str, Any]) -> bool:
    return answer["difference_points"] * answer["fresh_difference_points"] < 0


def _word(answer: dict[str, Any], headroom: dict[str, bool], margin: float) -> str:
    """Return the verdict: the first word that applies."""
    kind, seeds = answer["kind"], answer["seeds"]
    needed = 5 if kind == "difference" else 3
    if seeds < needed:
        return f"no verdict: fewer than {needed} seeds"
    if kind == "gate":
        return "headroom shown" if headroom[answer["arm"]] else "no headroom shown"
    if kind == "share":
        if np.isnan(answer["p"]):
            return "not estimable"
        if answer["p_holm"] >= 0.05:
            return "inconclusive"
        return "more than 80 %" if answer["share"] > MOST else "less than 80 %"
    if kind == "equivalence" and not headroom.get(answer["reference"], False):
        return "inconclusive: no headroom"
    if kind == "equivalence" and answer["p_holm"] < 0.05:
        return f"equivalent within {margin:g} pp"
    if seeds < 5:
        return "equivalence not shown, fewer than 5 seeds"
    if _contradicted(answer):
        return "inconclusive"
    if answer["p_worse_holm"] < 0.05:
        return f"worse by more than {margin:g} pp"
    if answer["p_two_sided_holm"] < 0.05:
        return "worse, size uncertain" if answer["difference_points"] < 0 else "better"
    return "inconclusive"


def _power(answer: dict[str, Any], difference: float, tests: int) -> float:
    """Return how often a true difference is found at the first step of Holm's correction."""
    critical = stats.t.ppf(1 - 0.05 / tests / 2, answer["_freedom"])
    return float(stats.nct.sf(critical, answer["_freedom"], difference / answer["_error"]))


def _same(published: Any, recomputed: Any) -> bool:
    if isinstance(recomputed, str):
        return published == recomputed
    if pd.isna(published) or pd.isna(recomputed):
        return bool(pd.isna(published) and pd.isna(recomputed))
    return bool(np.isclose(published, recomputed, rtol=1e-5, atol=TOLERANCE))
