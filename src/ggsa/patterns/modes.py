"""The modes, one function each, registered here and nowhere else.

Between the rules and the patterns: a mode turns the hard table into what is added to the score of
every pair of tags. `ggsa.workspace.blocks` accepts in `grid.modes` what is registered here, `ggsa.patterns.rules` asks
the function of a mode for its pattern, and the report prints the sentence beside it.
docs/extending.md adds one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ggsa.patterns.positional import Positional
from ggsa.patterns.tag_tables import INDEX, blocked_outside, favored, open_cls, own_tags, pairs
from ggsa.workspace.vocabulary import CLS

if TYPE_CHECKING:  # ggsa.workspace.blocks asks which modes there are
    from ggsa.workspace.blocks import Rules

Bias = np.ndarray
"""float32 `[tag, tag]`, query tag by key tag; 0 is allowed, a number favored, -inf blocked."""

Table = Callable[["Rules", np.ndarray, int], Bias | tuple[Bias, Positional]]
"""From the rules block, the hard table (bool `[tag, tag]`) and a seed to a bias.

A mode that depends on places returns a `Positional` beside the bias.
"""


@dataclass(frozen=True)
class Mode:
    """What a mode lets a token look at.

    Attributes:
        allows: In one sentence, for the report. Beyond it every token sees itself.
        table: Gives the bias; None where a study has to draw or fit it (`ggsa.patterns.controls`).
    """

    allows: str
    table: Table | None = None


MODES: dict[str, Mode] = {}
"""Every mode by its name, in the order in which the report lists them."""


def mode(name: str, allows: str) -> Callable[[Table], Table]:
    """Return the decorator that registers a function as the mode of that name.

    Raises:
        ValueError: If there is a mode of that name already.
    """
    if name in MODES:
        raise ValueError(f"the mode {name} is registered twice")

    def register(table: Table) -> Table:
        MODES[name] = Mode(allows, table)
        return table

    return register


def names() -> tuple[str, ...]:
    """Return the modes that follow from the rules alone, which `grid.modes` may name."""
    return tuple(name for name, known in MODES.items() if known.table is not None)


@mode("full", "every pair is allowed")
def full(rules: "Rules", hard: np.ndarray, seed: int) -> Bias:
    """Return the bias of ordinary attention."""
    return np.zeros(hard.shape, np.float32)


@mode("hard", "the pairs of the hard table, and no other")
def hard(rules: "Rules", hard: np.ndarray, seed: int) -> Bias:
    """Return the bias of the hard table."""
    return blocked_outside(hard)


@mode("soft", "the pairs of the hard table are favored, as the abstract says; nothing is blocked")
def soft(rules: "Rules", hard: np.ndarray, seed: int) -> Bias:
    """Return the bias that favors what the hard table allows."""
    return favored(hard, rules.soft_strength)


@mode(
    "soft_released",
    "the pairs that the released code favors (defect D4); nothing is blocked",
)
def soft_released(rules: "Rules", hard: np.ndarray, seed: int) -> Bias:
    """Return the bias of the released code, where the hard table wins if both name a pair."""
    return favored(pairs(rules.soft_released) & ~hard, rules.soft_strength)


@mode("hard_closed", "the hard table without the open row of [CLS]")
def hard_closed(rules: "Rules", hard: np.ndarray, seed: int) -> Bias:
    """Return the bias of the hard table in which `[CLS]` sees itself alone."""
    closed = hard.copy()
    closed[INDEX[CLS]] = False
    return blocked_outside(closed)


@mode("self", "every token its own tag; [CLS] everything")
def own_tag(rules: "Rules", hard: np.ndarray, seed: int) -> Bias:
    """Return the bias of the table without a single rule."""
    return blocked_outside(own_tags() | open_cls(rules))


@mode("diagonal", "every token itself alone; [CLS] everything")
def diagonal(rules: "Rules", hard: np.ndarray, seed: int) -> Bias:
    """Return the bias under which no word sees another."""
    return blocked_outside(open_cls(rules))


@mode("random", "random pairs, in every sentence as many as hard allows")
def random(rules: "Rules", hard: np.ndarray, seed: int) -> tuple[Bias, Positional]:
    """Return the bias of `diagonal`, and random pairs besides."""
    return diagonal(rules, hard, seed), Positional("random", seed, match=hard)


@mode("window", "the nearest neighbors, in every sentence as many pairs as hard allows")
def window(rules: "Rules", hard: np.ndarray, seed: int) -> tuple[Bias, Positional]:
    """Return the bias of `diagonal`, and neighbors besides; the seed fills the outermost ring."""
    return diagonal(rules, hard, seed), Positional("window", seed, match=hard)


# Drawn or fitted by a study that says from what.
MODES["separator"] = Mode("neighbors, the first tokens and punctuation")
MODES["shuffled"] = Mode("tag pairs drawn at random until the density is hard's")
MODES["learned"] = Mode(
    "the tag pairs that trained full attention uses most, cut at hard's density"
)
