"""From where an asset may come: the order of sources, and what is said when one of them fails.

Between `ggsa.assets.download` and the sources of each asset. A source raises `Unavailable` where it
has nothing to give, and the next one is asked, aloud; whatever a source gives that fails its
checksum is a `UserError` and ends the stage under every policy.
"""

import sys
from collections.abc import Callable, Mapping
from typing import TypeVar

from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError

T = TypeVar("T")

SOURCES = ("hub", "mirror", "embedded")
NAMES = {"hub": "the Hub", "mirror": "the mirror", "embedded": "the embedded substitute"}


class Unavailable(Exception):
    """A source has not got the asset, or cannot be reached; the message is a short reason.

    Attributes:
        absent: The source answered that there is no such thing, so that asking again is no use.
    """

    def __init__(self, reason: str, absent: bool = False) -> None:
        super().__init__(reason)
        self.absent = absent


def notice(text: str) -> None:
    """Print one line to the terminal."""
    print(f"download: {' '.join(text.split())}", file=sys.stderr, flush=True)


def first_available(
    asset: str, params: Params, attempts: Mapping[str, Callable[[], T]]
) -> tuple[str, T]:
    """Return the first source that has the asset, and what it gave.

    Args:
        asset: Its name, for the messages.
        params: Say by `assets.source` which sources may be asked.
        attempts: How to obtain the asset, by source.

    Raises:
        UserError: If the source that is demanded, or every one, has not got the asset.
    """
    demanded = params.assets.source
    sources = [name for name in SOURCES if demanded in ("auto", name) and name in attempts]
    reasons = []
    for place, source in enumerate(sources):
        try:
            return source, attempts[source]()
        except Unavailable as error:
            reasons.append(f"not from {NAMES[source]} ({error})")
            if place + 1 < len(sources):
                notice(f"{asset}: {reasons[-1]}; trying {NAMES[sources[place + 1]]}.")
    tried = ", ".join(reasons) or f"there is none under assets.source: {demanded}"
    remedy = (
        "Mend that, or set assets.source: auto in params.yaml to have the others tried."
        if demanded != "auto"
        else "Mend one of these."
    )
    raise UserError(f"The {asset} cannot be had: {tried}. {remedy}")
