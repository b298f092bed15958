"""The Hugging Face Hub and Stanza's resource host, asked once and briefly.

The client libraries retry with growing pauses, and one of them waits without limit. So each host is
asked once per process whether it answers at all, and only then are the libraries let loose, under
short timeouts. Whatever class of error they raise, a failed transfer leaves here as `Unavailable`.
"""

import functools
import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import huggingface_hub
import requests
from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError
from huggingface_hub.errors import RevisionNotFoundError as NoSuchRevision

from ggsa.assets import corpus
from ggsa.assets.policy import Unavailable
from ggsa.workspace.errors import UserError

ABSENT = (EntryNotFoundError, RepositoryNotFoundError, NoSuchRevision)


def require_hub(timeout: float) -> None:
    """Return if the Hub may be asked: it answers, or `HF_HUB_OFFLINE` leaves the cache to answer.

    Raises:
        Unavailable: If nothing answers within the timeout (seconds).
    """
    if not constants.is_offline_mode():
        require_answer(constants.ENDPOINT, timeout)


def require_answer(url: str, timeout: float) -> None:
    """Return if a host answers at all; it is asked once per process.

    Raises:
        Unavailable: If nothing answers within the timeout (seconds).
    """
    if problem := _problem(url, timeout):
        raise Unavailable(problem)


@functools.cache
def _problem(url: str, timeout: float) -> str:
    """Return why a host cannot be reached, or an empty string.

    Asked from a thread of its own, because the look-up of a name obeys no timeout.
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
    """Turn any failure of a client library in the block into `Unavailable`, under short timeouts.

    Keep nothing but the library's call in the block.

    Args:
        timeout: How long to wait for an answer, or for the next bytes, in seconds.
    """
    saved = constants.HF_HUB_ETAG_TIMEOUT, constants.HF_HUB_DOWNLOAD_TIMEOUT
    constants.HF_HUB_ETAG_TIMEOUT = constants.HF_HUB_DOWNLOAD_TIMEOUT = max(1, round(timeout))
    send = requests.adapters.HTTPAdapter.send

    def send_briefly(self, request, **options):  # Stanza gives no timeout of its own
        options["timeout"] = options.get("timeout") or timeout
        return send(self, request, **options)

    requests.adapters.HTTPAdapter.send = send_briefly
    try:
        yield
    except (Unavailable, UserError):
        raise
    except (
        Exception
    ) as error:  # datasets, huggingface_hub and stanza each have classes of their own
        raise Unavailable(reason(error), absent=_says_absent(error)) from error
    finally:
        constants.HF_HUB_ETAG_TIMEOUT, constants.HF_HUB_DOWNLOAD_TIMEOUT = saved
        requests.adapters.HTTPAdapter.send = send


def reason(error: BaseException) -> str:
    """Return what went wrong as a short line."""
    lines = str(error).strip().splitlines()
    text = lines[0].strip() if lines else ""
    return (f"{type(error).__name__}: {text}" if text else type(error).__name__)[:240]


def _says_absent(error: BaseException | None) -> bool:
    """Return whether the host itself said that there is no such thing."""
    while error is not None:
        if isinstance(error, ABSENT):
            return True
        error = error.__cause__ or error.__context__
    return False


def verify_cached(path: Path) -> None:
    """Verify a file of the Hub's cache by the digest under which the Hub lists it.

    The cache names each file after it: sha256 for large files, Git's sha1 for small ones. The
    client library itself compares sizes only.

    Raises:
        UserError: If the digests differ.
    """
    name = Path(path).resolve().name
    what = f"{Path(path).name} of the Hub (kept at {Path(path).resolve()})"
    if re.fullmatch("[0-9a-f]{64}", name):
        corpus.verify(what, "sha256", name, corpus.sha256(path))
    elif re.fullmatch("[0-9a-f]{40}", name):
        content = Path(path).read_bytes()
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
        corpus.verify(what, "Git sha1", name, blob.hexdigest())


def snapshot(repository: str, revision: str | None, files: list[str], timeout: float) -> Path:
    """Return the folder of the Hub's cache that holds these files of a model repository, verified.

    Args:
        repository: `owner/name`.
        revision: A commit, or None for the newest.
        files: Names; those that the repository lacks are passed over.
        timeout: See `transfer`.

    Raises:
        Unavailable: If they cannot be had.
        UserError: If one does not match the Hub's digest.
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
