"""What follows from the published cells, computed again and compared with what is published.

The functions are those of `ggsa.evaluation` that wrote the tables. Text and integers are compared
exactly, other numbers within `RELATIVE` of themselves, allowing for the rounding of a CSV file. The
pairs that a pattern allows cannot be counted without the corpus: these integers of the cost table
are taken as published (its SHA-256 is checked), and its shares are computed from them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ggsa.evaluation import comparisons, core, finished_cells
from ggsa.report import readme
from ggsa.training import studies
from ggsa.training.study_cells import unlike_plan
from ggsa.workspace import artifacts, config, paths
from ggsa.workspace.config import Evaluate
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import read_csv, read_table
from ggsa.workspace.vocabulary import POOLED

RELATIVE = 1e-9
TINY = 1e-12  # two numbers as close as this are equal: around zero, rounding makes a difference
DIGITS = 8  # significant digits that `write_table` writes
KEYS = (
    *("base", "claim", "family", "question", "subset", "baseline", "arm", "mode", "reference"),
    *("seed", "split", "label", "predicted"),
)
COUNTED = (
    *("mode", "split", "pairs", "allowed_pairs", "attention_flops", "full_attention_flops"),
    *("model_flops", "full_model_flops"),
)
FAILURES = (UserError, KeyError, ValueError, TypeError, OSError, IndexError)
"""What the functions that wrote the tables may raise on files that were tampered with."""

RUNS, TABLES = paths.PUBLISHED / "runs", paths.PUBLISHED / "tables"
PARAMS = paths.PUBLISHED / paths.PARAMS.name
"""The parameters of what is published; those of the next run decide nothing here."""
AGAIN = "the tables computed again"
PATTERNS = "patterns"
SAME_DENSITY = 1e-6


@dataclass(frozen=True)
class Difference:
    """One thing that is not as published: the file, and what is wrong with it."""

    file: str
    text: str


@dataclass(frozen=True)
class Check:
    """One group of checks: how many of how many files are equal, and what differs."""

    name: str
    equal: int
    total: int
    differences: tuple[Difference, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.equal} of {self.total} equal"


def check(name: str, files: Iterable[object], differences: Iterable[Difference]) -> Check:
    """Return a group of checks over files; those without a difference are equal."""
    names, differences = [str(file) for file in files], tuple(differences)
    unequal = {difference.file for difference in differences}
    return Check(name, sum(file not in unequal for file in names), len(names), differences)


def missing(file: object, source: object) -> Difference:
    """Return that a file is missing, and what lists it."""
    return Difference(str(file), f"is missing; {source} lists it")


def extra(file: object, source: object) -> Difference:
    """Return that a file exists which something should list and does not."""
    return Difference(str(file), f"is not in {source}")


def listing(differences: Iterable[Difference]) -> list[str]:
    """Return differences as indented lines, those of one file under its name."""
    by_file: dict[str, list[str]] = {}
    for difference in differences:
        by_file.setdefault(difference.file, []).append(difference.text)
    lines = []
    for file, texts in by_file.items():
        if len(texts) == 1:
            lines.append(f"  {file}: {texts[0]}")
        else:
            lines += [f"  {file}:", *(f"    {text}" for text in texts)]
    return lines


def require_published() -> None:
    """Check that a run is published here.

    Raises:
        UserError: If there is none.
    """
    if not PARAMS.is_file():
        raise UserError(
            f"{paths.PUBLISHED} holds no published run. Run from the root of the repository."
        )


# Core.


def check_core() -> list[Check]:
    """Return the checks of the tables, Markdown and metrics of core."""
    name = "tables of core re-derived from its cells"
    try:
        params = config.load(PARAMS)
    except FAILURES as error:
        return [Check(name, 0, 1, (_failure(PARAMS, error),))]
    try:
        provenance = artifacts.read_json(paths.PUBLISHED / "provenance.json")
        corpus = provenance["corpus"]["name"]
    except FAILURES as error:
        return [Check(name, 0, 1, (_failure(paths.PUBLISHED / "provenance.json", error),))]
    study, setting = studies.core(params, corpus), core.setting_of(provenance)
    absent = check_cells("cells of core", study, corpus, RUNS)
    try:
        results = _results(study, corpus, RUNS)
        again = _tables(results, study, params.evaluate, TABLES)
        again |= core.own_tables(results)
        again["cost"] = with_exact_shares(read_table(TABLES / "cost.csv", COUNTED))
        again |= core.concluding_tables(results, again, setting)
        notes = core.table_notes(params.grid, params.rules, setting, results.splits)
        texts = {
            f"{table}.md": core.markdown(again[table], notes.get(table, []))
            for table in core.IN_MARKDOWN
        }
        metrics = core.metrics(again["results"], provenance)
    except FAILURES as error:
        return [absent, Check(name, 0, 1, (_failure(paths.PUBLISHED, error),))]
    return [
        absent,
        check_csv(name, TABLES, again),
        check_texts("their Markdown and the metrics", texts, metrics),
    ]


def with_exact_shares(costs: pd.DataFrame) -> pd.DataFrame:
    """Return a cost table with density, share and savings computed from its integers."""
    attention, full = costs["attention_flops"], costs["full_attention_flops"]
    return costs.assign(
        density=costs["allowed_pairs"] / costs["pairs"],
        attention_share=full / costs["full_model_flops"],
        saving_attention=1 - attention / full,
        saving_model=1 - costs["model_flops"] / costs["full_model_flops"],
    )


def check_texts(name: str, texts: Mapping[str, str], metrics: Mapping[str, Any]) -> Check:
    """Return the comparison of the Markdown tables and metrics.json with those made again."""
    differences = []
    for file, text in texts.items():
        path = TABLES / file
        if path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            differences += _lines(path, lines, text.splitlines())
        else:
            differences.append(missing(path, AGAIN))
    path = paths.PUBLISHED / paths.METRICS.name
    try:
        differences += _entries(path, artifacts.read_json(path), metrics)
    except FAILURES as error:
        differences.append(_failure(path, error))
    return check(name, [*(TABLES / file for file in texts), path], differences)


def check_readme() -> Check:
    """Return the comparison of the README's generated tables with the published ones."""
    try:
        text = readme.README.read_text(encoding="utf-8")
        differences = [
            difference
            for name, block in readme.blocks(paths.PUBLISHED).items()
            for difference in _lines(
                readme.README, readme.block_of(text, name).splitlines(), block.splitlines()
            )
        ]
    except FAILURES as error:
        differences = [_failure(readme.README, error)]
    return check("tables of the README", [readme.README], differences)


# Studies.


def check_studies() -> list[Check]:
    """Return the checks of every study with published cells in today's format."""
    checks = []
    for name in studies.names():
        study = studies.load(name)
        for corpus in study.corpora:
            if any((studies.results(name, corpus) / "cells").glob("*/cell.json")):
                checks += check_study(study, corpus)
    return checks


def check_study(study: studies.Study, corpus: str) -> list[Check]:
    """Return the checks of a study on one corpus: its cells, and its tables computed again.

    A study without tables is unfinished: only the cells that it has are checked.
    """
    folder, where = studies.results(study.name, corpus), f"{study.name} on {corpus}"
    if not any((folder / "tables").glob("*.csv")):
        name = f"cells of {where}, which is unfinished"
        return [check_cells(name, study, corpus, folder / "cells", whole=False)]
    exist = check_cells(f"cells of {where}", study, corpus, folder / "cells")
    label = f"tables of {where} re-derived from its cells"
    try:
        results = _results(study, corpus, folder / "cells")
        again = _tables(results, study, config.load(PARAMS).evaluate, folder)
    except FAILURES as error:
        return [exist, Check(label, 0, 1, (_failure(folder, error),))]
    compared = check_csv(label, folder / "tables", again)
    present = sorted((folder / "tables").glob("*.csv"))
    odd = [extra(path, AGAIN) for path in present if path.stem not in (*again, PATTERNS)]
    differences = (*compared.differences, *odd)
    tables = Check(label, compared.equal, compared.total + len(odd), differences)
    return [exist, tables, check_patterns(where, folder / "tables", again["arms"])]


def check_patterns(where: str, folder: Path, arms: pd.DataFrame) -> Check:
    """Return the comparison of the densities of patterns.csv with those that the cells recorded.

    The rest of that table is counted on the tagged sentences, which are not published.
    """
    path, name = folder / f"{PATTERNS}.csv", f"densities of the patterns of {where}"
    try:
        counted = read_csv(path).set_index("arm")["density"]
    except FAILURES as error:
        return check(name, [path], [_failure(path, error)])
    widest = POOLED if POOLED in set(arms["split"]) else "validation"
    recorded = arms[arms["split"] == widest].set_index("arm")["density"]
    differences = [
        _value(path, f"density of {arm}", value, recorded.get(arm))
        for arm, value in counted.items()
        if not np.isclose(value, recorded.get(arm, np.nan), rtol=0, atol=SAME_DENSITY)
    ]
    return check(name, [path], differences)


def check_cells(
    name: str, study: studies.Study, corpus: str, folder: Path, whole: bool = True
) -> Check:
    """Return whether the cells of a study are those it declares, each trained as it was planned.

    Args:
        name: Of the check.
        study: Its declaration.
        corpus: One of the study's.
        folder: Where the cells are.
        whole: Whether a declared cell that does not exist is a difference.
    """
    present = {path.name for path in folder.glob("*")}
    declared = {f"{arm}-{seed}" for arm, seed in study.cells(corpus)}
    absent = sorted(declared - present)
    declared -= set() if whole else set(absent)
    differences = [missing(folder / cell, "the study") for cell in absent if whole]
    differences += [extra(folder / cell, "the study") for cell in sorted(present - declared)]
    for cell in sorted(declared & present):
        planned = folder.parent / "plan" / f"{cell}.json"
        if planned.is_file():
            try:
                differences += _unlike_plan(folder / cell, planned)
            except FAILURES as error:
                differences.append(_failure(folder / cell, error))
    return check(name, [folder / cell for cell in sorted(declared | present)], differences)


def _unlike_plan(cell: Path, planned: Path) -> list[Difference]:
    """Return what a cell was trained with that its plan does not have."""
    plan, trained = artifacts.read_json(planned), artifacts.read_json(cell / "cell.json")
    return [
        Difference(str(cell), f"was trained with another {key} than {planned} has")
        for key in unlike_plan(plan, trained)
    ]


def _results(study: studies.Study, corpus: str, folder: Path) -> finished_cells.Results:
    """Return the published cells of a study.

    Raises:
        UserError: If no seed is finished with every arm.
    """
    results = finished_cells.read_results(study, corpus, lambda arm, seed: folder / f"{arm}-{seed}")
    if results is None:
        raise UserError(f"{folder} holds no seed that is finished with every arm.")
    return results


def _tables(
    results: finished_cells.Results, study: studies.Study, settings: Evaluate, folder: Path
) -> dict[str, pd.DataFrame]:
    """Return a study's tables computed again, with the published marks of its sentences."""
    marks = read_table(folder / "sentences.parquet", ("split", "id", "label"))
    return comparisons.study_tables(results, study, settings, marks)


# Two tables.


def check_csv(name: str, folder: Path, again: Mapping[str, pd.DataFrame]) -> Check:
    """Return the comparison of the CSV files of a folder with tables that were computed again."""
    differences = []
    for file, table in again.items():
        path = folder / f"{file}.csv"
        try:
            differences += compare(path, read_text(path), as_text(table))
        except FileNotFoundError:
            differences.append(missing(path, AGAIN))
        except (ValueError, OSError) as error:
            differences.append(_failure(path, error))
    return check(name, [folder / f"{file}.csv" for file in again], differences)


def read_text(path: Path) -> pd.DataFrame:
    """Return a CSV file with its cells as text."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with its cells as text: numbers with all their digits, NaN as empty text."""
    return pd.DataFrame({column: [*map(_text, table[column])] for column in table}, dtype=object)


def compare(file: object, published: pd.DataFrame, again: pd.DataFrame) -> list[Difference]:
    """Return where two tables differ, whose cells are text."""
    if list(published) != list(again):
        return [_value(file, "columns", ", ".join(published), ", ".join(again))]
    if len(published) != len(again):
        return [_value(file, "number of rows", len(published), len(again))]
    keys = [column for column in KEYS if column in again]
    differences = []
    rows = zip(published.to_dict("records"), again.to_dict("records"), strict=True)
    for number, (old, new) in enumerate(rows, start=1):
        named = " ".join(new[key] for key in keys)
        place = f"row {number} ({named})" if named else f"row {number}"
        differences += [
            _value(file, f"{place}, column {column}", old[column], new[column])
            for column in again
            if not agree(old[column], new[column])
        ]
    return differences


def agree(published: str, again: str) -> bool:
    """Return whether a published cell is the rounding of a number very close to another.

    Text and integers agree only when they are equal.

    Args:
        published: A cell of a CSV file, numbers rounded to 8 digits.
        again: The cell computed again, with all its digits.
    """
    if published == again:
        return True
    try:
        old, new = float(published), float(again)
    except ValueError:
        return False
    if again.lstrip("-").isdigit():
        return not published.lstrip("-").isdigit() and published == f"{new:.{DIGITS}g}"
    near = (f"{new * (1 + shift):.{DIGITS}g}" for shift in (-RELATIVE, 0, RELATIVE))
    return abs(old - new) <= max(TINY, RELATIVE * abs(new)) or published in near


def _text(value: Any) -> str:
    if not isinstance(value, str) and pd.isna(value):
        return ""
    return f"{value:.17g}" if isinstance(value, float) else str(value)


def _value(file: object, place: str, published: object, again: object) -> Difference:
    return Difference(str(file), f"{place}: published {published}, recomputed {again}")


def _lines(file: object, published: list[str], again: list[str]) -> list[Difference]:
    if len(published) != len(again):
        return [_value(file, "number of lines", len(published), len(again))]
    pairs = enumerate(zip(published, again, strict=True), start=1)
    return [_value(file, f"line {number}", old, new) for number, (old, new) in pairs if old != new]


def _entries(file: object, published: Any, again: Any, key: str = "") -> list[Difference]:
    """Return where two nested mappings differ, entry by entry."""
    if isinstance(published, dict) and isinstance(again, dict):
        names = [*again, *(name for name in published if name not in again)]
        parts = (
            _entries(file, published.get(name), again.get(name), f"{key}.{name}") for name in names
        )
        return [difference for part in parts for difference in part]
    numbers = isinstance(published, float) and isinstance(again, float)
    if published == again or (numbers and abs(published - again) <= RELATIVE):
        return []
    return [_value(file, key.lstrip("."), published, again)]


def _failure(file: object, error: Exception) -> Difference:
    reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    return Difference(str(file), f"cannot be checked: {reason}")
