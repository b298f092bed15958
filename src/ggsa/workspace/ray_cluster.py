"""A connection to a running Ray cluster, and what travels to its nodes."""

import importlib.util
import io
import logging
import os
import socket
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ggsa.workspace.errors import UserError


@contextmanager
def joined(address: str) -> Iterator[Any]:
    """Yield Ray, joined to a running cluster to which this machine belongs.

    Args:
        address: `HOST:PORT` of its head, or `auto`: that of `$RAY_ADDRESS`, or of the cluster that
            was last started here.

    Raises:
        UserError: If Ray is not installed, or no cluster can be joined.
    """
    if importlib.util.find_spec("ray") is None:
        raise UserError(
            "CLUSTER needs Ray, which is not installed. Run `pip install '.[cluster]'` in the "
            "project's folder, on every machine of the cluster, or leave CLUSTER out."
        )
    _require_answer(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "2")  # attempts; the default is 20
    import ray

    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(
            f"CLUSTER={address}: this machine belongs to no such Ray cluster. Run `ray start --head`, "
            f"or `ray start --address=HOST:PORT` to join one, with the Python and the Ray of the "
            f"other machines. Ray says:\n  {error}"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()  # ends the tasks that run


def _require_answer(address: str) -> None:
    """Check that something answers at an address: Ray itself would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(f"CLUSTER={address}: expected auto or HOST:PORT, such as 10.0.0.1:6379.")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise UserError(
            f"CLUSTER={address}: nothing answers there ({error.strerror or error}). Use the address "
            f"that `ray start --head` prints."
        ) from error


def pack(inputs: Iterable[Path]) -> bytes:
    """Return files and folders as a tar archive, without caches of Python."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for path in dict.fromkeys(inputs):
            archive.add(path, filter=lambda i: None if i.name.endswith("__pycache__") else i)
    return content.getvalue()
