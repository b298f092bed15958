"""Reading and writing the files that cross from one stage to the next.

Every file is written to a temporary name in the same folder and renamed, so that a killed stage or
a full disk leaves either the old file or the new one, never half of one. Every table is checked
against its columns when it is read, so that a malformed file is named where it is met.

Pandas is imported where a table is read: a trained model is loaded without it.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ggsa.workspace.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

CORPUS_COLUMNS = ("id", "words", "label")
TAG_COLUMNS = ("id", "tags")
PREDICTION_COLUMNS = ("split", "id", "label", "logits")


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path that becomes `path` when the block ends well, and vanishes if not.

    Raises:
        UserError: If the disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
        temporary.chmod(0o644)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.errno is None:  # a library's own OSError, not the disk's
            raise
        raise UserError(
            f"{path} could not be written ({error.strerror or error}). Nothing of it was left "
            f"half-written. Free some space or mend the folder's permissions, then run again."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted-as-given keys, two-space indent and a final newline."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file that a stage wrote.

    Raises:
        UserError: If the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _missing(path) from error
    except ValueError as error:
        raise UserError(
            f"{path} is not valid JSON ({error}). Delete it and run `dvc repro`."
        ) from error


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
    import pandas as pd

    path = Path(path)
    try:
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except FileNotFoundError as error:
        raise _missing(path) from error
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


def _missing(path: Path) -> UserError:
    return UserError(f"{path} does not exist. An earlier stage writes it: run `dvc repro`.")
