"""The exception for anything that the user can fix, and the wording for an unknown name.

A wrong parameter, an unreadable file or an unavailable asset raises `UserError` with one paragraph:
what is wrong, what was expected, what to do. The stages print it without a traceback; any other
exception is a bug in this project and keeps its traceback.
"""

import difflib
from collections.abc import Collection


class UserError(Exception):
    """An error that the user can fix; the message says how."""


def closest(name: str, known: Collection[str]) -> str | None:
    """Return the known name that is most like a name, or None.

    A name that goes on after a known one, or is cut off from one, is like it.
    """
    by_lowercase = {item.lower(): item for item in known}
    lower = name.lower() or " "
    parts = [item for item in by_lowercase if lower.startswith(item) or item.startswith(lower)]
    close = parts or difflib.get_close_matches(lower, by_lowercase, n=1)
    return by_lowercase[close[0]] if close else None


def unknown(name: str, kind: str, known: Collection[str]) -> str:
    """Return a sentence that rejects an unknown name and suggests the closest known one.

    Args:
        name: The name that was given.
        kind: What it should name, in the singular: `mode`, `tag`, `column`.
        known: Every valid name.
    """
    like = closest(name, known)
    hint = f" Did you mean {like}?" if like else ""
    return f"unknown {kind} {name}.{hint} Expected one of: {', '.join(known)}."
