"""Tables over tag pairs, as rules spell them: which tag may attend which, bool `[tag, tag]`.

The alphabet of `ggsa.patterns.rules`, which makes the hard table of them, and of `ggsa.patterns.modes`, which makes
a pattern of that table.
"""

from typing import TYPE_CHECKING

import numpy as np

from ggsa.workspace.vocabulary import CLS, TAGS

if TYPE_CHECKING:  # ggsa.workspace.blocks asks ggsa.patterns.modes which modes there are
    from ggsa.workspace.blocks import Rules

INDEX = {tag: i for i, tag in enumerate(TAGS)}
"""The row and the column of every tag."""


def own_tags() -> np.ndarray:
    """Return the table in which every tag may attend its own, bool `[tag, tag]`."""
    return np.eye(len(TAGS), dtype=bool)


def open_cls(rules: "Rules") -> np.ndarray:
    """Return the row of `[CLS]` alone, where it may attend everything, bool `[tag, tag]`."""
    table = np.zeros((len(TAGS), len(TAGS)), bool)
    table[INDEX[CLS]] = rules.cls_attends_all
    return table


def pairs(table: dict[str, tuple[str, ...]]) -> np.ndarray:
    """Return a table of `query: keys` as bool `[tag, tag]`."""
    allowed = np.zeros((len(TAGS), len(TAGS)), bool)
    for query, keys in table.items():
        for key in keys:
            allowed[INDEX[query], INDEX[key]] = True
    return allowed


def blocked_outside(allowed: np.ndarray) -> np.ndarray:
    """Return the bias of a table that allows some pairs and blocks the rest, `[tag, tag]`."""
    return np.where(allowed, 0.0, -np.inf).astype(np.float32)


def favored(table: np.ndarray, strength: float) -> np.ndarray:
    """Return the bias of a table that favors some pairs and blocks nothing, `[tag, tag]`."""
    return np.where(table, strength, 0.0).astype(np.float32)
