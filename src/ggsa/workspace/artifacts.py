"""Reading and writing the files that stages exchange.

Every file is written under a temporary name in the same folder and then renamed, so that a killed
stage or a full disk leaves the old file or the new one, never a part of one.
"""

import errno
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ggsa.workspace import paths
from ggsa.workspace.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors of a disk that takes no more."""

DISK_IS_FULL = re.compile(rf"{os.strerror(errno.ENOSPC)}|disk is full")
"""What libraries say that raise another error then."""


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `path` as a whole if the block succeeds.

    Until then `path` stays as it is, and nothing appears beside it: what is published has a manifest,
    and DVC hashes the folders that a stage depends on. The rest of a killed process is removed by the
    next one that writes `path`.

    Raises:
        UserError: If the disk is full or a folder is not writable.
    """
    path = Path(path)
    beside = paths.PUBLISHED.parent if paths.PUBLISHED in path.parents else path.parent
    new = beside / f".{path.as_posix().strip('/').replace('/', '-')}.new"
    with _writing(path):
        _restore(path, _old(new))
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        try:
            yield new
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_folder(new, path)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def replace_folder(new: Path, path: Path) -> None:
    """Move a folder to a path on the same file system, in place of the folder that is there."""
    old = _old(new)
    try:
        if path.exists():
            path.rename(old)
        new.rename(path)
    finally:
        _restore(path, old)


def _old(new: Path) -> Path:
    """Return where a folder is while `new` takes its place."""
    return new.with_name(f"{new.name}.old")


def _restore(path: Path, old: Path) -> None:
    """Delete a folder that was replaced, or move it back if nothing has taken its place."""
    if old.exists() and not path.exists():
        old.rename(path)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` if the block succeeds and is deleted if not.

    Raises:
        UserError: If the disk is full or the folder is not writable.
    """
    path = Path(path)
    temporary = None
    try:
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            new.touch(exist_ok=False)  # its mode follows the umask, unlike that of mkstemp
            temporary = new
            yield temporary
            temporary.replace(path)
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Raise a `UserError` where the disk or a folder's permissions keep `path` from being written."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a library's own OSError, not the disk's
            raise
        raise UserError(
            f"{path} could not be written ({error.strerror or error}); what it held is "
            f"unchanged. Free disk space or fix the folder's permissions, then run again."
        ) from error


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn the error of a full or read-only disk into one that says what to do.

    For what libraries write by themselves; `atomic_write` names the file that it leaves unchanged.

    Raises:
        UserError: If the block raises such an error.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # safetensors and SQLite raise no OSError
        if getattr(error, "errno", None) not in FULL and not DISK_IS_FULL.search(str(error)):
            raise
        file = getattr(error, "filename", None) or "A file"
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{file} could not be written ({reason}). Free disk space, also in "
            f"{tempfile.gettempdir()} (`df -h . {tempfile.gettempdir()}` shows it), then run again."
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON with the keys in their given order, indented by two spaces."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file that a stage wrote.

    Raises:
        UserError: If the file does not exist or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise missing(path) from error
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}). Remove it and run `dvc repro`."
        ) from error
    except ValueError as error:
        raise UserError(
            f"{path} is not valid JSON ({error}). Delete it and run `dvc repro`."
        ) from error


def missing(path: Path) -> UserError:
    """Return the error for a missing file that a stage writes."""
    return UserError(
        f"{Path(path).resolve()} does not exist. An earlier stage writes it: run `dvc repro` in the "
        f"project's folder."
    )
