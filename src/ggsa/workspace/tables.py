"""Tables that cross from one stage to the next, as CSV or Parquet.

A table is checked against its columns when it is read, so an error names the file that is wrong.
"""

from pathlib import Path

import pandas as pd

from ggsa.workspace.artifacts import missing, written_whole
from ggsa.workspace.errors import UserError

CORPUS_COLUMNS = ("id", "words", "label")
TAG_COLUMNS = ("id", "tags")
PREDICTION_COLUMNS = ("split", "id", "label", "logits")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV or Parquet, by the file's ending, byte-stable for equal content."""
    with written_whole(path) as temporary:
        if path.suffix == ".csv":
            table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.8g")
        else:
            table.reset_index(drop=True).to_parquet(temporary, index=False, compression="zstd")


def read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Read a Parquet or CSV table that must have at least these columns and one row.

    Raises:
        UserError: If the file is missing, unreadable, empty or lacks a column.
    """
    path = Path(path)
    try:
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except FileNotFoundError as error:
        raise missing(path) from error
    except Exception as error:  # pyarrow and pandas have a class of their own per kind of damage
        raise UserError(
            f"{path} cannot be read ({error}). It is damaged: delete it and run `dvc repro`."
        ) from error
    absent = [column for column in columns if column not in table.columns]
    if absent:
        raise UserError(
            f"{path} lacks the column {', '.join(absent)}; it has {', '.join(table.columns)}. "
            f"It was written by another version: delete it and run `dvc repro`."
        )
    if table.empty:
        raise UserError(
            f"{path} has no rows. Check corpus.limit in params.yaml, or the source file."
        )
    return table
