"""From the predictions of the trained cells to every number that the report shows.

Place in the data flow: reads `runs/<study>/<mode>-<seed>/` for the modes and seeds of params.yaml
(never by looking what lies there: a dropped seed's old folder must not be averaged in), the
patterns of `data/rules`, words and tags of validation and test, and the provenance. Writes
`reports/tables/*.csv`, some of them as Markdown too, and `reports/metrics.json`. How intervals and
tests are made stands in `ggsa.evaluation.statistics`, the cost formula in `ggsa.evaluation.cost`, the rules of the
verdicts in `ggsa.evaluation.verdicts`.

Accuracies and shares are fractions; differences and margins are in percentage points, in columns
that end in `_points`. Splits: validation, test where it has labels, and then pooled (both).
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ggsa.evaluation import cost, statistics, verdicts
from ggsa.evaluation.outcomes import (
    BASELINE,
    POOLED,
    SCORED_SPLITS,
    Outcome,
    cells_table,
    read_outcomes,
)
from ggsa.patterns.pattern import Pattern, read_pattern
from ggsa.patterns.rule_statistics import densities_by_length
from ggsa.tagging import splits
from ggsa.workspace import artifacts, paths
from ggsa.workspace.config import Evaluate, Grid, Params, Rules
from ggsa.workspace.provenance import corpus_name, encoder_name
from ggsa.workspace.tables import read_table, write_table

HISTORY_COLUMNS = ("step", "epoch", "loss", "selection_accuracy")
COMPARISON_COLUMNS = [
    *("mode", "split", "seeds", "difference_points", "low_points", "high_points"),
    *("p", "p_holm", "descriptive", "discordant_share"),
]
MCNEMAR_COLUMNS = ["mode", "seed", "split", "only_full_right", "only_mode_right", "p"]
EQUIVALENCE_COLUMNS = [
    *("mode", "split", "n", "margin_points", "difference_points", "low90_points", "high90_points"),
    *("p_lower", "p_upper", "p", "p_holm", "equivalent", "smallest_margin_points"),
]
LENGTH_COLUMNS = [
    *("mode", "length", "density", "attention_flops", "model_flops", "full_attention_flops"),
    *("full_model_flops", "attention_share", "saving_model", "encoder"),
]
IN_MARKDOWN = ("results", "runs", "comparisons", "equivalence", "cost", "claims")


def evaluate(params: Params, study: str = "core") -> None:
    """Write reports/metrics.json and reports/tables for the finished cells of a study.

    Raises:
        UserError: If a cell of the grid is missing or damaged, if cells disagree on the
            sentences, or if validation has no labels.
    """
    provenance = artifacts.read_json(paths.provenance())
    outcomes = read_outcomes(params, study)
    measured = {mode: read_pattern(paths.rule_table(mode)) for mode in params.grid.modes}
    counts = {split: tag_counts(split, params.train.max_pieces) for split in SCORED_SPLITS}
    if POOLED in outcomes:
        counts[POOLED] = np.concatenate([counts[split] for split in SCORED_SPLITS])
    sizes = cost.architecture(artifacts.read_json(paths.ENCODER / "config.json"))
    setting = setting_of(provenance)

    tables = {
        **prediction_tables(outcomes, params.evaluate),
        "cost": cost_table(measured, counts, sizes),
        "cost_by_length": cost_by_length_table(
            measured,
            counts["validation"],
            params.evaluate.cost_lengths,
            {encoder_name(provenance): sizes, "bert-base": cost.BERT_BASE},
        ),
        "density_by_length": densities_by_length(list(measured.values()), counts),
        "cells": cells_table(params, study),
        "history": history_table(params, study),
    }
    tables |= concluding_tables(tables, setting)
    notes = table_notes(params.grid, params.rules, setting, list(outcomes))
    for name, table in tables.items():
        write_table(paths.TABLES / f"{name}.csv", table)
        if name in IN_MARKDOWN:
            artifacts.write_text(paths.TABLES / f"{name}.md", markdown(table, notes.get(name, [])))
    artifacts.write_json(paths.METRICS, metrics(tables["results"], provenance))


def setting_of(provenance: Mapping[str, Any]) -> verdicts.Setting:
    """Return which data and which checkpoint a run had, from data/corpus/provenance.json."""
    return verdicts.Setting(
        is_sst2=provenance["is_sst2"],
        is_paper_checkpoint=provenance["encoder"]["is_paper_checkpoint"],
    )


def prediction_tables(
    outcomes: Mapping[str, Outcome], settings: Evaluate
) -> dict[str, pd.DataFrame]:
    """Return the tables that follow from the cells' predictions alone, by name."""
    return {
        "runs": runs_table(outcomes.values()),
        "comparisons": comparisons_table(outcomes.values(), settings),
        "mcnemar": mcnemar_table(outcomes.values()),
        "equivalence": equivalence_table(outcomes, settings.equivalence_margin_points),
        "confusion": confusion_table(outcomes.values()),
    }


def concluding_tables(
    tables: Mapping[str, pd.DataFrame], setting: verdicts.Setting
) -> dict[str, pd.DataFrame]:
    """Return results and claims, which rest on the tables runs, equivalence and cost."""
    results = results_table(tables["runs"], tables["cost"], setting)
    claims = verdicts.claims(results, tables["equivalence"], tables["cost"], setting)
    return {"results": results, "claims": claims}


def tag_counts(split: str, max_pieces: int) -> npt.NDArray[np.int64]:
    """Return how many pieces of each tag every sentence of a split has, array [sentence, tag]."""
    return splits.tag_counts(splits.read_split(split, max_pieces))


def runs_table(outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """Return accuracy with its Wilson interval, and F1, of every run on every split."""
    rows = []
    for outcome in outcomes:
        for mode, predicted in outcome.predicted.items():
            for seed, classes in zip(outcome.seeds, predicted, strict=True):
                correct, n = int(np.sum(classes == outcome.labels)), len(outcome.labels)
                low, high = statistics.wilson(correct, n)
                rows.append(
                    {
                        "mode": mode,
                        "seed": seed,
                        "split": outcome.split,
                        "n": n,
                        "correct": correct,
                        "accuracy": correct / n,
                        "wilson_low": low,
                        "wilson_high": high,
                        "f1": statistics.f1(outcome.labels, classes, outcome.classes),
                    }
                )
    return pd.DataFrame(rows)


def results_table(
    runs: pd.DataFrame, costs: pd.DataFrame, setting: verdicts.Setting
) -> pd.DataFrame:
    """Return every mode's accuracy over seeds beside the published value and the verdict.

    The published values were read on validation, therefore they, the difference from them and
    the verdict stand on that split's rows alone; the difference only for SST-2.
    """
    density = costs.set_index(["mode", "split"])["density"]
    rows = []
    for (split, mode), part in runs.groupby(["split", "mode"], sort=False):
        accuracy, f1 = part["accuracy"].to_numpy(), part["f1"].to_numpy()
        low, high = statistics.prediction_interval(accuracy)
        row = {
            "mode": mode,
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
            "density": density[mode, split],
        }
        rows.append(row | _beside_paper(mode, split, accuracy.mean(), (low, high), setting))
    return pd.DataFrame(rows)


def comparisons_table(outcomes: Iterable[Outcome], settings: Evaluate) -> pd.DataFrame:
    """Return every mode minus full on every split, with the crossed-bootstrap interval.

    Holm's correction is over the modes on one split: pooled, or validation without test labels.
    """
    outcomes = list(outcomes)
    rows = []
    for outcome in outcomes:
        for mode in outcome.contenders:
            difference = outcome.difference(mode)
            result = statistics.compare(difference, settings.bootstrap_samples, settings.seed)
            rows.append(
                {
                    "mode": mode,
                    "split": outcome.split,
                    "seeds": len(outcome.seeds),
                    **asdict(result),
                    "descriptive": len(outcome.seeds) < statistics.FEWEST_SEEDS,
                    "discordant_share": np.mean(difference != 0),
                }
            )
    table = pd.DataFrame(rows, columns=COMPARISON_COLUMNS)
    family = table["split"] == family_split([outcome.split for outcome in outcomes])
    table["p_holm"] = np.nan
    table.loc[family, "p_holm"] = statistics.holm(table.loc[family, "p"].to_numpy(dtype=float))
    return table


def mcnemar_table(outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """Return McNemar's exact test of every mode against full, one for each seed and split."""
    rows = []
    for outcome in outcomes:
        for mode in outcome.contenders:
            arms = zip(outcome.right(BASELINE), outcome.right(mode), strict=True)
            for seed, (full_right, mode_right) in zip(outcome.seeds, arms, strict=True):
                test = asdict(statistics.mcnemar(full_right, mode_right))
                rows.append({"mode": mode, "seed": seed, "split": outcome.split, **test})
    return pd.DataFrame(rows, columns=MCNEMAR_COLUMNS)


def equivalence_table(outcomes: Mapping[str, Outcome], margin_points: float) -> pd.DataFrame:
    """Return the two one-sided tests of every mode against full, on the family's split."""
    outcome = outcomes[family_split(list(outcomes))]
    rows = []
    for mode in outcome.contenders:
        test = statistics.equivalence(outcome.difference(mode), margin_points)
        head = {"mode": mode, "split": outcome.split, "n": len(outcome.labels)}
        rows.append({**head, "margin_points": margin_points, **asdict(test), "p": test.p})
    table = pd.DataFrame(rows, columns=EQUIVALENCE_COLUMNS)
    table["p_holm"] = statistics.holm(table["p"].to_numpy(dtype=float))
    table["equivalent"] = table["p_holm"] < statistics.LEVEL  # NaN (one seed) is not shown
    return table


def family_split(splits: list[str]) -> str:
    """Return the split whose comparisons form Holm's family: pooled, else validation."""
    return POOLED if POOLED in splits else "validation"


def confusion_table(outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """Return the share of a split's rows with each label and prediction, mean over seeds."""
    rows = []
    for outcome in outcomes:
        for mode, predicted in outcome.predicted.items():
            for label in range(outcome.classes):
                for guess in range(outcome.classes):
                    share = np.mean((outcome.labels == label) & (predicted == guess))
                    rows.append((mode, outcome.split, label, guess, share))
    return pd.DataFrame(rows, columns=["mode", "split", "label", "predicted", "share"])


def cost_table(
    measured: Mapping[str, Pattern],
    counts: Mapping[str, npt.NDArray[np.int64]],
    sizes: cost.Architecture,
) -> pd.DataFrame:
    """Return the theoretical cost of every mode on every split, labeled or not."""
    return pd.DataFrame(
        [
            {"mode": mode, "split": split, **cost.split_cost(rows, pattern, sizes)}
            for split, rows in counts.items()
            for mode, pattern in measured.items()
        ]
    )


def cost_by_length_table(
    measured: Mapping[str, Pattern],
    counts: npt.NDArray[np.int64],
    lengths: Iterable[int],
    encoders: Mapping[str, cost.Architecture],
) -> pd.DataFrame:
    """Return the cost of one text of each length, for each encoder and mode."""
    return pd.DataFrame(
        [
            {"mode": mode, **cost.length_cost(length, counts, pattern, sizes), "encoder": name}
            for name, sizes in encoders.items()
            for mode, pattern in measured.items()
            for length in lengths
        ],
        columns=LENGTH_COLUMNS,
    )


def history_table(params: Params, study: str = "core") -> pd.DataFrame:
    """Return the training histories of all cells, one below the other."""
    parts = []
    for mode in params.grid.modes:
        for seed in params.grid.seeds:
            path = paths.cell(study, mode, seed) / "history.csv"
            part = read_table(path, HISTORY_COLUMNS)[list(HISTORY_COLUMNS)]
            parts.append(part.assign(mode=mode, seed=seed))
    return pd.concat(parts, ignore_index=True)[["mode", "seed", *HISTORY_COLUMNS]]


def metrics(results: pd.DataFrame, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested content of reports/metrics.json; null where a number does not exist.

    `cost` is the share of full attention's theoretical work on validation. It equals the density,
    since every allowed pair costs the same.
    """
    content: dict[str, Any] = {
        "corpus": corpus_name(provenance),
        "encoder": encoder_name(provenance),
    }
    test = results[results["split"] == "test"].set_index("mode")["accuracy_mean"]
    for row in results[results["split"] == "validation"].to_dict("records"):
        content[row["mode"]] = {
            "accuracy": _number(row["accuracy_mean"]),
            "sd": _number(row["accuracy_sd"]),
            "f1": _number(row["f1_mean"]),
            "test_accuracy": _number(test.get(row["mode"], np.nan)),
            "density": _number(row["density"]),
            "cost": _number(row["density"]),
            "verdict": row["verdict"],
        }
    return content


def table_notes(
    grid: Grid, rules: Rules, setting: verdicts.Setting, splits: list[str]
) -> dict[str, list[str]]:
    """Return what a reader must know of each table, as sentences that stand above it."""
    seeds, family = len(grid.seeds), family_split(splits)
    verdict_notes = (
        [] if setting.is_sst2 else ["Not SST-2 by checksum: not comparable with the paper."]
    )
    if rules.source != "paper" or rules.drop or rules.add:
        verdict_notes.append(
            "The hard table is not the paper's: rules were changed in params.yaml."
        )
    if POOLED not in splits:
        verdict_notes.append("The test split has no labels: scores are on validation alone.")
    against = [f"Mode minus full; Holm over the modes on {family}."]
    if BASELINE not in grid.modes:
        against = ["Empty: full is not in grid.modes, and comparisons are against full."]
    elif seeds == 1:
        against.append(
            "One seed: intervals and p values over seeds do not exist; see mcnemar.csv for the "
            "test of that single pair of runs."
        )
    bootstrap = ["95% intervals: bootstrap of sentences and seeds, crossed."]
    if 1 < seeds < statistics.FEWEST_SEEDS:
        bootstrap.append(f"Descriptive: {seeds} seeds understate the spread of seeds.")
    return {
        "results": [*verdict_notes, *(["One seed: no spread over seeds."] if seeds == 1 else [])],
        "comparisons": [*against, *bootstrap],
        "equivalence": [
            *against,
            "Two one-sided t tests with the crossed standard error of seeds and sentences. The "
            "smallest margin is the one shown with 80% power if nothing differs, before Holm.",
        ],
        "cost": [
            "Pairs of word pieces with special tokens, without padding; 2 FLOPs a multiply-add. "
            "The soft modes block nothing: density 1, nothing saved (defect D4)."
        ],
        "claims": verdict_notes,
    }


def markdown(table: pd.DataFrame, notes: Iterable[str] = ()) -> str:
    """Return a table as Markdown with rounded numbers and empty cells for NaN, notes above it."""
    shown = pd.DataFrame(
        {name: [_shown(name, value) for value in table[name]] for name in table}, dtype=object
    )
    body = shown.to_markdown(index=False, disable_numparse=True)
    return "\n\n".join([*notes, body]) + "\n"


def _shown(column: str, value: Any) -> str:
    if isinstance(value, str | bool | np.bool_):
        return str(value)
    if pd.isna(value):
        return ""
    if isinstance(value, int | np.integer):
        return str(value)
    if column.endswith(("flops", "bytes")):
        return f"{value:.4g}"
    if column.endswith("_points"):
        return f"{value:.2f}"
    return f"{value:.1f}" if column == "pieces_mean" else f"{value:.4f}"


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)


def _beside_paper(
    mode: str,
    split: str,
    accuracy: float,
    prediction: tuple[float, float],
    setting: verdicts.Setting,
) -> dict[str, Any]:
    columns = ("paper", "paper_low", "paper_high", "difference_points", "verdict")
    if split != "validation" or mode not in verdicts.PUBLISHED:
        return dict(zip(columns, (np.nan, np.nan, np.nan, np.nan, ""), strict=True))
    published = verdicts.PUBLISHED[mode]
    difference = 100 * (accuracy - published.accuracy) if setting.is_sst2 else np.nan
    decision = verdicts.verdict(mode, accuracy, prediction, setting)
    values = (published.accuracy, *published.interval, difference, decision)
    return dict(zip(columns, values, strict=True))
