"""The order in which sources are tried, and what is reported when one of them fails.

A source raises `Unavailable` where it lacks an asset, and the next source is tried, with a warning.
An asset that fails its checksum is a `UserError` and ends the stage under every policy.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError

T = TypeVar("T")

SOURCES = ("hub", "mirror", "embedded")
NAMES = {"hub": "the Hub", "mirror": "the mirror", "embedded": "the embedded substitute"}


class Unavailable(Exception):
    """A source lacks the asset or cannot be reached; the message is a short reason.

    Attributes:
        absent: The source answered that it does not exist, so asking again is useless.
    """

    def __init__(self, reason: str, absent: bool = False) -> None:
        super().__init__(reason)
        self.absent = absent


def notice(text: str) -> None:
    """Print one line to the terminal."""
    print(f"download: {' '.join(text.split())}", file=sys.stderr, flush=True)


def mirror_folder(params: Params) -> Path:
    """Return the folder of the local mirror.

    Raises:
        Unavailable: If it does not exist.
    """
    folder = params.assets.mirror_folder()
    if folder is None:
        raise Unavailable(f"the folder {params.assets.mirror} does not exist")
    return folder


def first_available(
    asset: str, params: Params, attempts: Mapping[str, Callable[[], T]]
) -> tuple[str, T]:
    """Return the first source that has the asset, and the asset.

    Args:
        asset: Its name, for the messages.
        params: `assets.source` says which sources are allowed.
        attempts: How to obtain the asset, by source.

    Raises:
        UserError: If the required source lacks the asset, or under `auto` every source does.
    """
    required = params.assets.source
    sources = [name for name in SOURCES if required in ("auto", name) and name in attempts]
    reasons = []
    for place, source in enumerate(sources):
        try:
            return source, attempts[source]()
        except Unavailable as error:
            reasons.append(f"not from {NAMES[source]} ({error})")
            if place + 1 < len(sources):
                notice(f"{asset}: {reasons[-1]}; trying {NAMES[sources[place + 1]]}.")
    tried = ", ".join(reasons) or f"assets.source {required} has none"
    remedy = (
        "Fix that, or set assets.source to auto to try the other sources."
        if required != "auto"
        else "Fix one of these."
    )
    raise UserError(f"The {asset} is unavailable: {tried}. {remedy}")
