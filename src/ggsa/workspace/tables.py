"""Reading and writing the tables that stages exchange, as CSV or Parquet.

Reading checks the columns, so that an error names the wrong file. Tables that may not fit in memory
are read and written batch by batch, with the same bytes.
"""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ggsa.workspace.artifacts import atomic_write, missing
from ggsa.workspace.errors import UserError

CORPUS_COLUMNS = ("id", "words", "label")
TAG_COLUMNS = ("id", "tags")
PREDICTION_COLUMNS = ("split", "id", "label", "logits")
TEXT_COLUMNS = ("arm", "reference", "floor", "query_piece", "key_piece")
"""Columns of CSV files with words or names that the user chose, which may look like numbers."""

BATCH_ROWS = 10_000
"""Rows that are read at a time."""

GROUP_ROWS, GROUP_BYTES = 2**20, 2**28
"""Size of a row group of a Parquet file: Arrow's number of rows, or fewer if these are large."""


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV or Parquet, by the file's ending; equal tables give equal bytes."""
    with atomic_write(path) as temporary:
        if path.suffix == ".csv":
            table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.8g")
        else:
            table.reset_index(drop=True).to_parquet(temporary, index=False, compression="zstd")


def read_csv(path: Path, all_text: bool = False) -> pd.DataFrame:
    """Return a table that `write_table` wrote as CSV.

    Only an empty cell is missing: pandas would also read the words `null`, `NA` and `nan` so.

    Args:
        path: The file.
        all_text: Whether every column is text, and not only `TEXT_COLUMNS`.
    """
    text = str if all_text else dict.fromkeys(TEXT_COLUMNS, str)
    return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""])


def read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return the table in a CSV or Parquet file.

    Args:
        path: The file.
        columns: Columns that the table must have; it may have others.

    Raises:
        UserError: If the file does not exist, cannot be read, has no rows or lacks a column.
    """
    path = Path(path)
    try:
        table = read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except Exception as error:  # pyarrow and pandas raise many classes
        raise _unreadable(path, error) from error
    _check(path, columns, table.columns, len(table))
    return table


def read_batches(path: Path, columns: tuple[str, ...]) -> Iterator[pd.DataFrame]:
    """Yield the rows of a Parquet file in order, `BATCH_ROWS` at a time, and the rest.

    Args:
        path: The file.
        columns: Columns to read.

    Raises:
        UserError: See `read_table`.
    """
    path = Path(path)
    try:
        with pq.ParquetFile(path) as file:
            _check(path, columns, file.schema_arrow.names, file.metadata.num_rows)
            for batch in file.iter_batches(BATCH_ROWS, columns=list(columns)):
                yield batch.to_pandas()
    except UserError:
        raise
    except Exception as error:  # pyarrow raises many classes
        raise _unreadable(path, error) from error


def write_batches(path: Path, batches: Iterable[pd.DataFrame]) -> None:
    """Write the rows of some tables as one Parquet file, with the bytes of `write_table`.

    At most one row group is in memory.

    Args:
        path: The file.
        batches: At least one; all with the same columns of the same types.
    """
    groups = _row_groups(batches)
    first = next(groups)
    with (
        atomic_write(path) as temporary,
        pq.ParquetWriter(temporary, first.schema, compression="zstd") as writer,
    ):
        for group in itertools.chain([first], groups):
            writer.write_table(group)


def _row_groups(batches: Iterable[pd.DataFrame]) -> Iterator[pa.Table]:
    """Yield the rows as tables of a row group each."""
    waiting: list[pa.Table] = []
    schema = None
    for batch in batches:
        table = pa.Table.from_pandas(batch, schema, preserve_index=False)
        schema = table.schema
        while len(table):
            waiting.append(table.slice(0, GROUP_ROWS - sum(map(len, waiting))))
            table = table.slice(len(waiting[-1]))
            is_full = sum(map(len, waiting)) == GROUP_ROWS
            if is_full or sum(part.nbytes for part in waiting) >= GROUP_BYTES:
                group, waiting = pa.concat_tables(waiting).combine_chunks(), []
                yield group
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _check(path: Path, expected: Iterable[str], columns: Iterable[str], rows: int) -> None:
    """Raise a `UserError` if a table lacks a column or has no rows."""
    absent = [column for column in expected if column not in columns]
    if absent:
        raise UserError(
            f"{path} lacks the column {', '.join(absent)}; found {', '.join(columns)}. "
            f"Another version wrote it: delete it and run `dvc repro`."
        )
    if not rows:
        raise UserError(f"{path} has no rows. Check the key corpus.limit and the corpus's source.")


def _unreadable(path: Path, error: Exception) -> UserError:
    if isinstance(error, FileNotFoundError):
        return missing(path)
    return UserError(
        f"{path} cannot be read ({error}). It is damaged: delete it and run `dvc repro`."
    )
