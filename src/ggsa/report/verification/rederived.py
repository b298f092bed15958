"""What follows from the published predictions, computed again and compared with what is published.

The functions are those of `ggsa.evaluation.core` and `ggsa.evaluation.answers` that first made the tables. Text and
integers are compared exactly, other numbers within `RELATIVE` of themselves, allowing for the
rounding of a CSV file. How many pairs a pattern allows cannot be counted without the corpus: these
integers of the cost table are taken as published (its hash is checked), and its shares are computed
from them.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from ggsa.evaluation import answers, core, outcomes
from ggsa.report import publish, tables
from ggsa.report.verification import findings
from ggsa.report.verification.findings import Check, Difference
from ggsa.workspace import artifacts, paths
from ggsa.workspace.config import Evaluate, Grid, Rules
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import read_table

RELATIVE = 1e-9
TINY = 1e-12  # two numbers as close as this are equal: around zero, rounding is no difference
DIGITS = 8  # that `artifacts.write_table` writes of a number
LAST_DIGIT = 10.0 ** (1 - DIGITS)  # of two numbers that are both rounded
TABLES = ("runs", "results", "comparisons", "mcnemar", "equivalence", "confusion", "claims", "cost")
KEYS = ("base", "claim", "question", "arm", "mode", "seed", "split", "label", "predicted")
COUNTED = (
    *("mode", "split", "pairs", "allowed_pairs", "attention_flops", "full_attention_flops"),
    *("model_flops", "full_model_flops"),
)
FAILURES = (UserError, KeyError, ValueError, TypeError, OSError, IndexError)
"""What the functions that made the tables may raise on files that were tampered with."""

RUNS, COMPUTED_TABLES = paths.PUBLISHED / "runs", paths.PUBLISHED / "tables"
AGAIN = "the tables computed again"


# The core run.


def check_core() -> list[Check]:
    """Return the checks of tables, Markdown and metrics of the core run."""
    name = "tables re-derived from predictions"
    try:
        found = rederive()
        texts = {f"{key}.csv": as_text(found[key]) for key in TABLES}
        return [
            check_csv(name, COMPUTED_TABLES, texts, RELATIVE),
            check_texts("their Markdown and the metrics", found),
        ]
    except FAILURES as error:
        differences = [findings.missing(path, "the published grid") for path in _absent()]
        differences = differences or [_failure(paths.PUBLISHED, error)]
        return [Check(name, 0, len(TABLES), tuple(differences))]


def rederive() -> dict[str, pd.DataFrame]:
    """Return the tables of `TABLES`, computed again from the published predictions.

    Raises:
        UserError: If a published file that they rest on is missing or damaged.
    """
    found = core.prediction_tables(
        outcomes.outcomes_of(_block("grid", Grid), prediction_file), _block("evaluate", Evaluate)
    )
    found["cost"] = with_exact_shares(read_table(COMPUTED_TABLES / "cost.csv", COUNTED))
    return found | core.concluding_tables(found, core.setting_of(_provenance()))


def prediction_file(mode: str, seed: int) -> Path:
    """Return the published predictions of one cell of the core run."""
    return RUNS / f"{mode}-{seed}.parquet"


def with_exact_shares(costs: pd.DataFrame) -> pd.DataFrame:
    """Return a cost table with density, share and savings computed from its integers."""
    attention, full = costs["attention_flops"], costs["full_attention_flops"]
    return costs.assign(
        density=costs["allowed_pairs"] / costs["pairs"],
        attention_share=full / costs["full_model_flops"],
        saving_attention=1 - attention / full,
        saving_model=1 - costs["model_flops"] / costs["full_model_flops"],
    )


def check_texts(name: str, found: Mapping[str, pd.DataFrame]) -> Check:
    """Return the comparison of the Markdown tables and metrics.json with those made again."""
    provenance = _provenance()
    notes = core.table_notes(
        _block("grid", Grid),
        _block("rules", Rules),
        core.setting_of(provenance),
        list(found["runs"]["split"].unique()),
    )
    files, differences = [], []
    for key in core.IN_MARKDOWN:
        path = COMPUTED_TABLES / f"{key}.md"
        files.append(path)
        if path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            wanted = core.markdown(found[key], notes.get(key, [])).splitlines()
            differences += _lines(path, lines, wanted)
        else:
            differences.append(findings.missing(path, AGAIN))
    path = paths.PUBLISHED / paths.METRICS.name
    if path.is_file():
        metrics = core.metrics(found["results"], provenance)
        differences += _entries(path, artifacts.read_json(path), metrics)
    else:
        differences.append(findings.missing(path, AGAIN))
    return findings.check(name, [*files, path], differences)


def check_readme() -> Check:
    """Return the comparison of the README's result table with the published one."""
    try:
        results = tables.read(COMPUTED_TABLES, "results")
        wanted = publish.readme_block(results, _provenance()).splitlines()
        shown = publish.block_of(publish.README.read_text(encoding="utf-8")).splitlines()
        differences = _lines(publish.README, shown, wanted)
    except FAILURES as error:
        differences = [_failure(publish.README, error)]
    return findings.check("result table of the README", [publish.README], differences)


# The answers over all studies.


def answer_tables(corpus: str = "*") -> list[Path]:
    """Return the published tables that `ggsa.evaluation.answers` wrote, of one corpus or of all."""
    return sorted(paths.RESULTS.glob(f"answers/{corpus}/tables/*.csv"))


def check_all_answers() -> list[Check]:
    """Return one check per corpus whose answers are published."""
    return [check_answers(name) for name in sorted({p.parts[-3] for p in answer_tables()})]


def check_answers(corpus: str) -> Check:
    """Return the comparison of the published answers on a corpus with those written again.

    They rest on the published cells of all studies, on the marks of the sentences, and on the
    `evaluate` block of params.yaml.
    """
    name = f"answers on {corpus} re-derived from predictions"
    published = answer_tables(corpus)
    folder = published[0].parent
    with tempfile.TemporaryDirectory() as temporary:
        try:
            settings = Evaluate.model_validate(_yaml(paths.PARAMS)["evaluate"])
            answers.write(corpus, settings, Path(temporary))
        except FAILURES as error:
            return Check(name, 0, len(published), (_failure(folder, error),))
        found = {path.name: read_text(path) for path in sorted(Path(temporary).glob("*.csv"))}
    compared = check_csv(name, folder, found, LAST_DIGIT)
    odd = [findings.extra(path, AGAIN) for path in published if path.name not in found]
    differences = (*compared.differences, *odd)
    return Check(name, compared.equal, compared.total + len(odd), differences)


# Two tables.


def check_csv(name: str, folder: Path, found: Mapping[str, pd.DataFrame], relative: float) -> Check:
    """Return the comparison of published CSV files with tables that were computed again.

    Args:
        name: What the group of checks is called.
        folder: Where the published files lie.
        found: The tables, their cells as text, by the names of their files.
        relative: As for `agree`.
    """
    differences = []
    for file, table in found.items():
        path = folder / file
        try:
            differences += compare(path, read_text(path), table, relative)
        except FileNotFoundError:
            differences.append(findings.missing(path, AGAIN))
        except (ValueError, OSError) as error:
            differences.append(_failure(path, error))
    return findings.check(name, [folder / file for file in found], differences)


def read_text(path: Path) -> pd.DataFrame:
    """Return a CSV file with its cells as the text that stands there."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with its cells as text: numbers with all their digits, NaN as nothing."""
    return pd.DataFrame({column: [*map(_text, table[column])] for column in table}, dtype=object)


def compare(
    file: object, published: pd.DataFrame, found: pd.DataFrame, relative: float = RELATIVE
) -> list[Difference]:
    """Return where two tables differ, whose cells are text.

    Args:
        file: The published file.
        published: As it was read.
        found: Computed again.
        relative: As for `agree`.
    """
    if list(published) != list(found):
        return [findings.value(file, "columns", ", ".join(published), ", ".join(found))]
    if len(published) != len(found):
        return [findings.value(file, "number of rows", len(published), len(found))]
    keys = [column for column in KEYS if column in found]
    differences = []
    rows = zip(published.to_dict("records"), found.to_dict("records"), strict=True)
    for number, (old, new) in enumerate(rows, start=1):
        named = " ".join(new[key] for key in keys)
        place = f"row {number} ({named})" if named else f"row {number}"
        differences += [
            findings.value(file, f"{place}, column {column}", old[column], new[column])
            for column in found
            if not agree(old[column], new[column], relative)
        ]
    return differences


def agree(published: str, found: str, relative: float = RELATIVE) -> bool:
    """Return whether a published cell is the rounding of a number that is almost the one found.

    Text and integers agree only when they are equal.

    Args:
        published: A cell of a CSV file, numbers rounded to 8 digits.
        found: The cell computed again.
        relative: By how much of itself a number that is no integer may differ, before rounding.
    """
    if published == found:
        return True
    try:
        old, new = float(published), float(found)
    except ValueError:
        return False
    if found.lstrip("-").isdigit():
        return not published.lstrip("-").isdigit() and published == f"{new:.{DIGITS}g}"
    near = (f"{new * (1 + shift):.{DIGITS}g}" for shift in (-relative, 0, relative))
    return abs(old - new) <= max(TINY, relative * abs(new)) or published in near


def _text(value: Any) -> str:
    if not isinstance(value, str) and pd.isna(value):
        return ""
    return f"{value:.17g}" if isinstance(value, float) else str(value)


def _lines(file: object, published: list[str], found: list[str]) -> list[Difference]:
    if len(published) != len(found):
        return [findings.value(file, "number of lines", len(published), len(found))]
    pairs = enumerate(zip(published, found, strict=True), start=1)
    return [
        findings.value(file, f"line {number}", old, new)
        for number, (old, new) in pairs
        if old != new
    ]


def _entries(file: object, published: Any, found: Any, key: str = "") -> list[Difference]:
    """Return where two nested mappings differ, entry by entry."""
    if isinstance(published, dict) and isinstance(found, dict):
        names = [*found, *(name for name in published if name not in found)]
        parts = (
            _entries(file, published.get(name), found.get(name), f"{key}.{name}") for name in names
        )
        return [difference for part in parts for difference in part]
    numbers = isinstance(published, float) and isinstance(found, float)
    if published == found or (numbers and abs(published - found) <= RELATIVE):
        return []
    return [findings.value(file, key.lstrip("."), published, found)]


# What is published.


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from error


def _block(name: str, kind: Any) -> Any:
    """Return one block of the published params.yaml; others may be of an older version."""
    return kind.model_validate(_yaml(paths.PUBLISHED / "params.yaml")[name])


def _provenance() -> dict[str, Any]:
    return artifacts.read_json(paths.PUBLISHED / "provenance.json")


def _absent() -> list[Path]:
    """Return the published predictions that are missing from the grid."""
    try:
        grid = _block("grid", Grid)
    except FAILURES:
        return []
    files = (prediction_file(mode, seed) for mode in grid.modes for seed in grid.seeds)
    return [path for path in files if not path.is_file()]


def _failure(file: object, error: Exception) -> Difference:
    said = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    return Difference(str(file), f"cannot be checked: {said}")
