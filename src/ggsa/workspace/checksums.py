"""Checksums of files, and the comparison of a checksum with the expected one."""

import hashlib
from pathlib import Path

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
