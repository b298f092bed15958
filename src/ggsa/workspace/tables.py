"""Reading and writing the tables that stages exchange, as CSV or Parquet.

Reading checks the columns, so that an error names the wrong file.
"""

from pathlib import Path

import pandas as pd

from ggsa.workspace.artifacts import atomic_write, missing
from ggsa.workspace.errors import UserError

CORPUS_COLUMNS = ("id", "words", "label")
TAG_COLUMNS = ("id", "tags")
PREDICTION_COLUMNS = ("split", "id", "label", "logits")
TEXT_COLUMNS = ("arm", "reference", "floor", "query_piece", "key_piece")
"""Columns of CSV files with words or names that the user chose, which may look like numbers."""


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
    except FileNotFoundError as error:
        raise missing(path) from error
    except Exception as error:  # pyarrow and pandas raise many classes
        raise UserError(
            f"{path} cannot be read ({error}). It is damaged: delete it and run `dvc repro`."
        ) from error
    absent = [column for column in columns if column not in table.columns]
    if absent:
        raise UserError(
            f"{path} lacks the column {', '.join(absent)}; found {', '.join(table.columns)}. "
            f"Another version wrote it: delete it and run `dvc repro`."
        )
    if table.empty:
        raise UserError(f"{path} has no rows. Check the key corpus.limit and the corpus's source.")
    return table
