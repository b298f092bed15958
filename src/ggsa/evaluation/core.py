"""The tables of the core study: those of every study, and what only it has.

Reads `runs/core/<mode>-<seed>/` for the modes and seeds of the grid, the patterns, words and tags of
the scored splits, and the provenance. Writes `reports/tables/*.csv`, some of them as Markdown too,
and `reports/metrics.json`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ggsa.evaluation import baselines, cost, paper_claims, statistics, verdicts
from ggsa.evaluation.comparisons import study_tables
from ggsa.evaluation.finished_cells import Results, read_results
from ggsa.patterns.pattern import Pattern, read_pattern
from ggsa.patterns.rule_statistics import densities_by_length
from ggsa.tagging.splits import split_counts
from ggsa.training import studies
from ggsa.training.studies import BASELINE
from ggsa.workspace import artifacts, paths
from ggsa.workspace.config import Grid, Params, Rules
from ggsa.workspace.errors import UserError
from ggsa.workspace.provenance import corpus_name, encoder_name, read_provenance
from ggsa.workspace.tables import write_table
from ggsa.workspace.vocabulary import DID_NOT_LEARN, POOLED, SCORED_SPLITS

MCNEMAR_COLUMNS = ["mode", "seed", "split", "only_full_right", "only_mode_right", "p"]
LENGTH_COLUMNS = [
    *("mode", "length", "density", "attention_flops", "model_flops", "full_attention_flops"),
    *("full_model_flops", "attention_share", "saving_model", "encoder"),
]
SAME_DENSITY = 1e-9
IN_MARKDOWN = ("results", "runs", "differences", "verdicts", "cost", "claims")
NO_CLAIMS = "No published claim is about this corpus; verdicts.csv answers the declared questions."


def evaluate(params: Params) -> Results:
    """Write reports/metrics.json and reports/tables for the finished cells; return the cells.

    Raises:
        UserError: If a cell of the grid is missing or damaged, if cells disagree on sentences or
            machine, or if validation has no labels.
    """
    provenance = read_provenance()
    study = studies.core(params, provenance["corpus"]["name"])
    results = read_core(study, params)
    marks = baselines.sentence_marks(params)
    patterns = {mode: read_pattern(paths.rule_table(mode)) for mode in params.grid.modes}
    counts = {k: v for k, v in split_counts(params.train.max_pieces).items() if k in SCORED_SPLITS}
    if POOLED in results.splits:
        counts[POOLED] = np.concatenate([counts[split] for split in SCORED_SPLITS])
    sizes = cost.architecture(artifacts.read_json(paths.ENCODER / "config.json"))
    setting = setting_of(provenance)
    tables = {
        **study_tables(results, study, params.evaluate, marks),
        **own_tables(results),
        "cost": cost_table(patterns, counts, sizes),
        "cost_by_length": cost_by_length_table(
            patterns,
            counts["validation"],
            params.evaluate.cost_lengths,
            {encoder_name(provenance): sizes, "bert-base": cost.BERT_BASE},
        ),
        "density_by_length": densities_by_length(list(patterns.values()), counts),
        "cells": results.summaries,
        "history": results.history,
    }
    _require_same_patterns(results, tables["cost"])
    tables |= concluding_tables(results, tables, setting)
    notes = table_notes(params.grid, params.rules, setting, results.splits)
    for name, table in tables.items():
        write_table(paths.TABLES / f"{name}.csv", table)
        if name in IN_MARKDOWN:
            text = markdown(table, notes.get(name, []))
            artifacts.write_text(paths.TABLES / f"{name}.md", text)
    write_table(paths.TABLES / "sentences.parquet", marks)
    artifacts.write_json(paths.METRICS, metrics(tables["results"], provenance))
    return results


def read_core(study: studies.Study, params: Params) -> Results:
    """Return the cells of the grid.

    Raises:
        UserError: If one is missing.
    """
    (corpus,) = study.corpora
    for arm, seed in study.cells(corpus):
        folder = paths.cell(paths.CORE, arm, seed)
        if not (folder / "cell.json").is_file():
            raise UserError(f"{folder} holds no finished cell. Run `dvc repro train@{arm}-{seed}`.")
    results = read_results(study, corpus)
    assert results is not None  # every cell is there
    return results


def _require_same_patterns(results: Results, costs: pd.DataFrame) -> None:
    """Check that the cells were trained under the patterns whose cost is stated.

    Raises:
        UserError: If the densities of the two differ.
    """
    for row in costs[costs["split"].isin(SCORED_SPLITS)].to_dict("records"):
        trained = results.density(row["mode"], row["split"])
        if abs(trained - row["density"]) > SAME_DENSITY:
            raise UserError(
                f"{paths.rule_table(row['mode'])} allows {row['density']:.4f} of the pairs of "
                f"{row['split']}, and the cells of {row['mode']} were trained with {trained:.4f}. "
                f"One of them is stale: run `dvc repro`."
            )


def own_tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return the tables that only core has and that follow from predictions alone."""
    return {"mcnemar": mcnemar_table(results), "confusion": confusion_table(results)}


def concluding_tables(
    results: Results, tables: Mapping[str, pd.DataFrame], setting: paper_claims.Setting
) -> dict[str, pd.DataFrame]:
    """Return results and claims, which rest on the tables arms, verdicts and cost."""
    failed = verdicts.unlearned(results, "validation", results.predicted)
    accuracies = results_table(tables["arms"], setting, failed)
    claims = paper_claims.claims(accuracies, tables["verdicts"], tables["cost"], setting)
    return {"results": accuracies, "claims": claims}


def results_table(
    arms: pd.DataFrame, setting: paper_claims.Setting, unlearned: Collection[str]
) -> pd.DataFrame:
    """Return every mode's accuracy and, on SST-2, the published value and the verdict beside it.

    The published values were read on validation, so they, the difference from them and the verdict
    are given for that split only. On another corpus the only verdict is that a mode did not learn.

    Args:
        arms: See `ggsa.evaluation.comparisons.arms_table`.
        setting: Of the run.
        unlearned: The modes that did not learn, which is their verdict on any corpus.
    """
    rows = []
    for row in arms.to_dict("records"):
        prediction = row["prediction_low"], row["prediction_high"]
        beside = {"verdict": ""}
        if setting.is_sst2:
            place = row["mode"], row["split"]
            beside = _beside_paper(*place, row["accuracy_mean"], prediction, setting)
        rows.append(row | beside)
        if row["split"] == "validation" and row["mode"] in unlearned:
            rows[-1]["verdict"] = DID_NOT_LEARN
    return pd.DataFrame(rows)


def mcnemar_table(results: Results) -> pd.DataFrame:
    """Return McNemar's exact test of every mode against full, one for each seed and split."""
    rows = []
    compared = [arm for arm in results.predicted if arm != BASELINE and BASELINE in results.modes]
    for split in results.splits:
        chosen = results.rows(split)
        for mode in compared:
            pairs = zip(results.right(BASELINE), results.right(mode), strict=True)
            for seed, (full, other) in zip(results.seeds, pairs, strict=True):
                test = asdict(statistics.mcnemar(full[chosen], other[chosen]))
                rows.append({"mode": mode, "seed": seed, "split": split, **test})
    return pd.DataFrame(rows, columns=MCNEMAR_COLUMNS)


def confusion_table(results: Results) -> pd.DataFrame:
    """Return the share of a split's rows with each label and prediction, mean over seeds."""
    rows = []
    for split in results.splits:
        chosen = results.rows(split)
        labels = results.labels[chosen]
        for mode, predicted in results.predicted.items():
            for label in range(results.classes):
                for guess in range(results.classes):
                    share = np.mean((labels == label) & (predicted[:, chosen] == guess))
                    rows.append((mode, split, label, guess, share))
    return pd.DataFrame(rows, columns=["mode", "split", "label", "predicted", "share"])


def setting_of(provenance: Mapping[str, Any]) -> paper_claims.Setting:
    """Return which data and which checkpoint a run had, from data/corpus/provenance.json."""
    return paper_claims.Setting(
        is_sst2=provenance["is_sst2"],
        is_paper_checkpoint=provenance["encoder"]["is_paper_checkpoint"],
    )


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
    grid: Grid, rules: Rules, setting: paper_claims.Setting, splits: list[str]
) -> dict[str, list[str]]:
    """Return what a reader must know of each table, as sentences above it."""
    seeds = len(grid.seeds)
    general = []
    if rules.source != "paper" or rules.drop or rules.add:
        changed = "The hard table is not the paper's: the rules were changed."
        general.append(changed if setting.is_sst2 else "The hard table's rules were changed.")
    if POOLED not in splits:
        general.append("The test split has no labels: scores are on validation only.")
    against = ["Mode minus full; 95% intervals by crossed random effects and Student's t."]
    if BASELINE not in grid.modes:
        against = ["full is not in grid.modes, so differences are against the first mode."]
    elif seeds == 1:
        against.append("One seed: no intervals over seeds; mcnemar.csv has the test of that pair.")
    return {
        "results": [*general, *(["One seed: no spread over seeds."] if seeds == 1 else [])],
        "differences": against,
        "verdicts": [
            "Corrected by Holm over each family; the smallest detectable difference is "
            "that of its first step, with 80% power."
        ],
        "cost": [
            "Pairs of word pieces with special tokens, without padding; 2 FLOPs a multiply-add. "
            "The soft modes block nothing: density 1, nothing saved (defect D4)."
        ],
        "claims": general if setting.is_sst2 else [NO_CLAIMS],
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
    setting: paper_claims.Setting,
) -> dict[str, Any]:
    columns = ("paper", "paper_low", "paper_high", "difference_points", "verdict")
    if split != "validation" or mode not in paper_claims.PUBLISHED:
        return dict(zip(columns, (np.nan, np.nan, np.nan, np.nan, ""), strict=True))
    published = paper_claims.PUBLISHED[mode]
    difference = 100 * (accuracy - published.accuracy)
    decision = paper_claims.verdict(mode, accuracy, prediction, setting)
    values = (published.accuracy, *published.interval, difference, decision)
    return dict(zip(columns, values, strict=True))
