"""Checksums of files, their comparison, and manifests: lists that `sha256sum --check` reads."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from ggsa.workspace import artifacts
from ggsa.workspace.errors import UserError


def sha256(path: Path) -> str:
    """Return the SHA256 of a file in hexadecimal digits."""
    return _digest(path, "sha256")


def md5(path: Path) -> str:
    """Return the MD5 of a file in hexadecimal digits."""
    return _digest(path, "md5")


def _digest(path: Path, algorithm: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def verify(what: str, kind: str, expected: str, actual: str) -> None:
    """Check that a checksum is the expected one.

    Args:
        what: The file, or the repository and split, for the message.
        kind: Name of the checksum, for the message.
        expected: The checksum that was published.
        actual: The checksum of what was obtained.

    Raises:
        UserError: If the two differ; the message has both.
    """
    if expected != actual:
        raise UserError(
            f"{what} does not match its checksum: expected the {kind} {expected}, got {actual}. It "
            f"is damaged or another version. Replace it, or choose another source."
        )


def listed_files(manifest: Path, without: Iterable[Path] = ()) -> list[Path]:
    """Return the files that a manifest lists: all under its folder except itself.

    Args:
        manifest: The manifest, which need not exist.
        without: Folders that are left out.
    """
    without = tuple(without)
    return sorted(
        path
        for path in manifest.parent.rglob("*")
        if path.is_file() and path != manifest and not any(f in path.parents for f in without)
    )


def write_manifest(manifest: Path, files: Iterable[Path]) -> None:
    """Write the SHA256 of files, one line per file, sorted by name.

    Names are relative to the manifest's folder: `sha256sum --check` reads it there.
    """
    names = {path.relative_to(manifest.parent).as_posix(): path for path in files}
    lines = [f"{sha256(names[name])}  {name}\n" for name in sorted(names)]
    artifacts.write_text(manifest, "".join(lines))
