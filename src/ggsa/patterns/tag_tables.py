"""Tables of tag pairs: which query tags may attend to which key tags, bool `[tag, tag]`.

The parts from which `ggsa.patterns.rules` builds the hard table and `ggsa.patterns.modes` builds
patterns.
"""

import numpy as np

from ggsa.workspace.blocks import Rules
from ggsa.workspace.vocabulary import CLS, SEP, TAGS

INDEX = {tag: i for i, tag in enumerate(TAGS)}
"""The row and the column of every tag."""


def own_tags() -> np.ndarray:
    """Return the table in which every tag may attend to itself, bool `[tag, tag]`."""
    return np.eye(len(TAGS), dtype=bool)


def open_cls(rules: Rules) -> np.ndarray:
    """Return the table with only the row of `[CLS]`, open if the rules say so, bool `[tag, tag]`."""
    table = np.zeros((len(TAGS), len(TAGS)), bool)
    table[INDEX[CLS]] = rules.cls_attends_all
    return table


def sinks() -> np.ndarray:
    """Return the table in which every tag may attend to `[CLS]` and `[SEP]`, bool `[tag, tag]`.

    Pretrained heads that have nothing to attend to put their weight there.
    """
    table = np.zeros((len(TAGS), len(TAGS)), bool)
    table[:, [INDEX[CLS], INDEX[SEP]]] = True
    return table


def pairs(table: dict[str, tuple[str, ...]]) -> np.ndarray:
    """Return a table given as `query: keys`, bool `[tag, tag]`."""
    allowed = np.zeros((len(TAGS), len(TAGS)), bool)
    for query, keys in table.items():
        for key in keys:
            allowed[INDEX[query], INDEX[key]] = True
    return allowed


def blocked_outside(allowed: np.ndarray) -> np.ndarray:
    """Return the bias that allows the pairs of a table and blocks all others, `[tag, tag]`."""
    return np.where(allowed, 0.0, -np.inf).astype(np.float32)


def favored(table: np.ndarray, strength: float) -> np.ndarray:
    """Return the bias that favors the pairs of a table and blocks none, `[tag, tag]`."""
    return np.where(table, strength, 0.0).astype(np.float32)
