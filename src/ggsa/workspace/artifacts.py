"""Reading and writing the files that cross from one stage to the next.

Every file is written to a temporary name in the same folder and renamed, so that a killed stage or
a full disk leaves either the old file or the new one, never half of one.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ggsa.workspace.errors import UserError


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
        raise missing(path) from error
    except ValueError as error:
        raise UserError(
            f"{path} is not valid JSON ({error}). Delete it and run `dvc repro`."
        ) from error


def missing(path: Path) -> UserError:
    """Return the error that a file which a stage writes does not exist."""
    return UserError(f"{path} does not exist. An earlier stage writes it: run `dvc repro`.")
