"""Which of a user's characters count: what is a word, and what is no text at all."""

import re
import unicodedata

from ggsa.workspace.errors import UserError

NO_PIECE = frozenset(("Cc", "Cf", "Co", "Cs", "Mc", "Me", "Mn", "Zl", "Zp", "Zs"))
"""Unicode categories: control, format and private use, combining marks, and spaces."""
REPLACEMENT = "\ufffd"
SURROGATE = re.compile("[\ud800-\udfff]")


def is_word(text: str) -> bool:
    """Return whether a text has a character that becomes a word piece.

    The tokenizers of the encoders drop the characters of `NO_PIECE` and U+FFFD, so that a zero-width
    space or a variation selector alone has no piece: it counts as an empty word.
    """
    return any(
        character != REPLACEMENT and unicodedata.category(character) not in NO_PIECE
        for character in text
    )


def check_characters(text: str, place: str) -> None:
    """Check that a text has no lone surrogate, which no encoding can hold.

    Args:
        text: Of the user.
        place: Where it is from, for the message.

    Raises:
        UserError: If it has one.
    """
    surrogate = SURROGATE.search(text)
    if surrogate:
        raise UserError(
            f"{place}: invalid surrogate character {surrogate[0]!r} at position "
            f"{surrogate.start()}. Replace or remove it."
        )
