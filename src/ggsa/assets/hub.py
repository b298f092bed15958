"""Downloads from the Hugging Face Hub and from Stanza's resource host: one attempt, short timeouts.

The client libraries retry with growing pauses, and one of them waits without limit. Therefore each
host is asked once per process whether it answers at all, and the libraries are called only if it
does. Every error of theirs becomes `Unavailable`.
"""

import functools
import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import huggingface_hub
import requests
from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError
from huggingface_hub.errors import RevisionNotFoundError as NoSuchRevision

from ggsa.assets.policy import Unavailable
from ggsa.workspace import checksums
from ggsa.workspace.errors import UserError

ABSENT = (EntryNotFoundError, RepositoryNotFoundError, NoSuchRevision)


def require_hub(timeout: float) -> None:
    """Check that the Hub answers, unless `HF_HUB_OFFLINE` makes its client read the cache only.

    Raises:
        Unavailable: If nothing answers within the timeout (seconds).
    """
    if not constants.is_offline_mode():
        require_answer(constants.ENDPOINT, timeout)


def require_answer(url: str, timeout: float) -> None:
    """Check that a host answers at all; each host is asked once per process.

    Raises:
        Unavailable: If nothing answers within the timeout (seconds).
    """
    if problem := _problem(url, timeout):
        raise Unavailable(problem)


@functools.cache
def _problem(url: str, timeout: float) -> str:
    """Return why a host cannot be reached, or an empty string.

    Asked from a separate thread, because name resolution obeys no timeout.
    """
    found = [f"no answer from {url} within {timeout:g} s"]

    def ask() -> None:
        try:
            httpx2.head(url, timeout=timeout)
            found[0] = ""
        except Exception as error:  # whatever it is, the host cannot be used
            found[0] = f"no answer from {url}: {reason(error)}"

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(timeout)
    return found[0]


@contextmanager
def transfer(timeout: float) -> Iterator[None]:
    """Turn any error of a client library in the block into `Unavailable`, under short timeouts.

    The block should contain only the library's call.

    Args:
        timeout: Longest wait for an answer, or for the next bytes, in seconds.
    """
    saved = constants.HF_HUB_ETAG_TIMEOUT, constants.HF_HUB_DOWNLOAD_TIMEOUT
    constants.HF_HUB_ETAG_TIMEOUT = constants.HF_HUB_DOWNLOAD_TIMEOUT = max(1, round(timeout))
    send = requests.adapters.HTTPAdapter.send

    def send_briefly(self, request, **options):  # Stanza sets no timeout
        options["timeout"] = options.get("timeout") or timeout
        return send(self, request, **options)

    requests.adapters.HTTPAdapter.send = send_briefly
    try:
        yield
    except (Unavailable, UserError):
        raise
    except Exception as error:  # datasets, huggingface_hub and stanza have no common error class
        raise Unavailable(reason(error), absent=_says_absent(error)) from error
    finally:
        constants.HF_HUB_ETAG_TIMEOUT, constants.HF_HUB_DOWNLOAD_TIMEOUT = saved
        requests.adapters.HTTPAdapter.send = send


def reason(error: BaseException) -> str:
    """Return the cause of an error as a short line."""
    lines = str(error).strip().splitlines()
    text = lines[0].strip() if lines else ""
    return (f"{type(error).__name__}: {text}" if text else type(error).__name__)[:240]


def _says_absent(error: BaseException | None) -> bool:
    """Return whether the host itself answered that the asset does not exist."""
    while error is not None:
        if isinstance(error, ABSENT):
            return True
        error = error.__cause__ or error.__context__
    return False


def verify_cached(path: Path) -> None:
    """Verify a file in the Hub's cache by the checksum that the Hub lists.

    The cache names each file after it: SHA256 for large files, Git's SHA1 for small ones.

    Raises:
        UserError: If the checksums differ.
    """
    # Not huggingface_hub: it compares sizes only.
    name = Path(path).resolve().name
    what = f"{Path(path).name} from the Hub (cached as {Path(path).resolve()})"
    if re.fullmatch("[0-9a-f]{64}", name):
        checksums.verify(what, "SHA256", name, checksums.sha256(path))
    elif re.fullmatch("[0-9a-f]{40}", name):
        content = Path(path).read_bytes()
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
        checksums.verify(what, "Git SHA1", name, blob.hexdigest())


def snapshot(repository: str, revision: str | None, files: list[str], timeout: float) -> Path:
    """Return the folder of the Hub's cache with these files of a model repository, verified.

    Args:
        repository: `owner/name`.
        revision: A commit, or None for the newest.
        files: Names; files that the repository lacks are skipped.
        timeout: See `transfer`.

    Raises:
        Unavailable: If the Hub cannot be reached or lacks the repository.
        UserError: If a file does not match its checksum.
    """
    require_hub(timeout)
    with transfer(timeout):
        folder = huggingface_hub.snapshot_download(
            repository, revision=revision, allow_patterns=files, etag_timeout=timeout
        )
    for name in files:
        if (Path(folder) / name).exists():
            verify_cached(Path(folder) / name)
    return Path(folder)


def dataset(repository: str, revision: str | None, timeout: float, part: str | None = None) -> Any:
    """Return the splits of a data set repository, as `datasets` loads them.

    Args:
        repository: `owner/name`.
        revision: A commit, or None for the newest.
        timeout: See `transfer`.
        part: The configuration, where the repository has several.

    Raises:
        Unavailable: If the Hub cannot be reached or lacks the repository.
    """
    import datasets  # slow to import, and no other source needs it

    with transfer(timeout):
        return datasets.load_dataset(repository, part, revision=revision)
