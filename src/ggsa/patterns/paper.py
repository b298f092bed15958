"""The paper's patterns, which need neither the pipeline nor its parameters."""

from typing import Literal, get_args

import numpy as np

from ggsa.patterns.pattern import Pattern
from ggsa.workspace.errors import UserError, unknown
from ggsa.workspace.vocabulary import CLS, TAGS

Name = Literal["full", "hard", "soft"]

TABLE = {
    "ADJ": ("NOUN", "PROPN"),
    "DET": ("NOUN", "PROPN"),
    "ADP": ("NOUN", "PROPN", "PRON"),
    "NOUN": ("DET", "ADJ", "ADP"),
    "PROPN": ("DET", "ADJ", "ADP"),
    "PRON": ("ADJ", "ADP"),
    "VERB": ("NOUN", "PROPN", "PRON", "ADV"),
    "AUX": ("VERB",),
    "SCONJ": ("VERB",),
}
"""Key tags of every query tag: `rules.hard` of params.yaml, to which a test holds it equal."""

STRENGTH = 5.0
"""What `soft` adds to the score of a pair of the table."""


def pattern(name: str) -> Pattern:
    """Return a pattern of the paper.

    Args:
        name: `full` (every pair), `hard` (only the pairs of the table, every tag with itself, and
            `[CLS]` with every token) or `soft` (every pair, those of `hard` favored).

    Raises:
        UserError: If there is none of that name.
    """
    if name not in get_args(Name):
        raise UserError(
            f"pattern: {unknown(name, 'pattern of the paper', get_args(Name))} Or pass a Pattern: "
            f"ggsa.read_pattern reads one."
        )
    allowed = np.eye(len(TAGS), dtype=bool)
    allowed[TAGS.index(CLS)] = True
    for query, keys in TABLE.items():
        allowed[TAGS.index(query), [TAGS.index(key) for key in keys]] = True
    bias = {
        "full": np.zeros(allowed.shape),
        "hard": np.where(allowed, 0.0, -np.inf),
        "soft": np.where(allowed, STRENGTH, 0.0),
    }
    return Pattern(name, TAGS, bias[name].astype(np.float32))
