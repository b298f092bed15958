"""Text from and for a terminal, whatever the locale: an ASCII locale must not end in a traceback."""

import io
import os
import sys
from typing import TextIO

from ggsa.workspace.errors import UserError
from ggsa.workspace.words import SURROGATE


def accept_any_character() -> None:
    """Have standard output and error escape what their encoding lacks. Every program calls it first."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def data_stream() -> TextIO:
    """Return standard output for data, which are UTF-8 in every locale."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    return sys.stdout


def text_argument(argument: str) -> str:
    """Return an argument of the command line as text; where the locale is not UTF-8, its bytes are.

    Raises:
        UserError: If its bytes are not UTF-8.
    """
    if not SURROGATE.search(argument):
        return argument
    try:  # Python keeps the bytes that it cannot decode as surrogates
        return os.fsencode(argument).decode("utf-8")
    except UnicodeError as error:
        raise UserError(
            f"{argument!r:.80} is not UTF-8 text. Type it in a UTF-8 terminal, or remove the "
            f"invalid bytes."
        ) from error
