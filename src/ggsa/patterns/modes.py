"""The registry of modes: what each allows, its name and color in the report, and how it is built.

A mode turns the rules into a pattern. Each is one function below, and is mentioned nowhere else:
`grid.modes` and the arms of studies may name what is registered here, `pattern_for` builds its
pattern, and the report takes its label, color and marker. docs/extending.md adds one.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from ggsa.patterns import controls
from ggsa.patterns.pattern import Pattern
from ggsa.patterns.positional import Positional
from ggsa.patterns.rules import hard_table
from ggsa.patterns.tag_pairs import tag_pairs
from ggsa.patterns.tag_tables import (
    INDEX,
    blocked_outside,
    favored,
    open_cls,
    own_tags,
    pairs,
    sinks,
)
from ggsa.tagging.alignment import TaggedPieces
from ggsa.tagging.splits import read_split, split_counts, tagged_splits
from ggsa.workspace.blocks import Rules
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError, unknown
from ggsa.workspace.vocabulary import CLS, TAGS

Bias = np.ndarray
"""float32 `[tag, tag]`, query tag by key tag: 0 is allowed, a number favored, -inf blocked."""

Need = Literal["counts", "sentences", "attention"]
"""Data that a mode is built from in addition to the rules.

`counts`: how many pieces of each tag every sentence has. `sentences`: the tags in their order.
`attention`: the attention weights of a trained full model.
"""


@dataclass(frozen=True)
class PatternData:
    """Data that patterns are built from in addition to the rules; the corpus is read on first use.

    Attributes:
        params: Of the run or study: `train.max_pieces` truncates the sentences, `train.rows` chooses
            those of train.
        attention: The mean attention weight of full attention trained with the pattern's seed:
            columns `query_tag, key_tag, weight_per_pair`. None if no mode needs it.
    """

    params: Params
    attention: pd.DataFrame | None = None

    @functools.cached_property
    def counts(self) -> dict[str, np.ndarray]:
        """Pieces per tag of every measured split, each int64 `[sentence, tag]`."""
        return split_counts(self.params.train.max_pieces, self.params.train.rows)

    @functools.cached_property
    def sentences(self) -> dict[str, TaggedPieces]:
        """The sentences of every measured split."""
        return tagged_splits(self.params.train.max_pieces, self.params.train.rows)

    @functools.cached_property
    def tag_pairs(self) -> pd.DataFrame:
        """Statistics of the tag pairs of train; see `ggsa.patterns.tag_pairs.tag_pairs`."""
        settings = self.params.train
        train = read_split("train", settings.max_pieces, rows=settings.rows)
        return tag_pairs(train.word_tags, self.counts["train"])

    def hard_table(self, rules: Rules) -> np.ndarray:
        """Return the tag pairs that the hard table of some rules allows, bool `[tag, tag]`."""
        if rules.source == "paper":
            return hard_table(rules)
        return hard_table(rules, self.tag_pairs, self.counts["train"])


@dataclass(frozen=True)
class ModeInputs:
    """What a mode is built from.

    Attributes:
        rules: The block `rules`.
        hard: The tag pairs that the hard table allows, bool `[tag, tag]`.
        seed: For what is drawn at random.
        data: Everything else that the mode needs; see `Mode.needs`.
    """

    rules: Rules
    hard: np.ndarray
    seed: int
    data: PatternData


Build = Callable[[ModeInputs], Bias | tuple[Bias, Positional]]
"""Returns the bias of a mode; with a `Positional` if the pattern also depends on position."""


@dataclass(frozen=True)
class Mode:
    """A registered mode.

    Attributes:
        name: In `grid.modes` and in studies.
        allows: In one clause, which pairs may attend; every token may also attend to itself.
        label: In figures and tables.
        color: In figures, as `#rrggbb`.
        marker: In figures; one of Matplotlib's.
        countable: Whether the tags of a sentence, without their order, decide its number of pairs.
        needs: What `build` uses of `PatternData`. A mode that needs `attention` is built after the
            arm `full` of the same study and seed has been trained.
        build: Returns its bias.
    """

    name: str
    allows: str
    label: str
    color: str
    marker: str
    countable: bool
    needs: tuple[Need, ...]
    build: Build


MODES: dict[str, Mode] = {}
"""Every mode by its name, in the order in which the report lists them."""


def mode(
    name: str,
    allows: str,
    *,
    label: str | None = None,
    color: str = "#8a8a8a",
    marker: str = "h",
    countable: bool = True,
    needs: tuple[Need, ...] = (),
) -> Callable[[Build], Build]:
    """Return the decorator that registers a function as a mode; see `Mode` for the arguments.

    Raises:
        ValueError: If the name is taken.
    """
    if name in MODES:
        raise ValueError(f"the mode {name} is registered twice")

    def register(build: Build) -> Build:
        MODES[name] = Mode(name, allows, label or name, color, marker, countable, needs, build)
        return build

    return register


def names() -> tuple[str, ...]:
    """Return the modes that `grid.modes` may name.

    Others take a study: `learned` is fitted to another cell, and the costs of the grid are computed
    from tag counts, without the order of the words.
    """
    return tuple(
        name for name, known in MODES.items() if known.countable and set(known.needs) <= {"counts"}
    )


def get(name: str) -> Mode:
    """Return the mode of a name.

    Raises:
        UserError: If it is not registered.
    """
    if name not in MODES:
        raise UserError(f"No pattern can be built: {unknown(name, 'mode', list(MODES))}")
    return MODES[name]


def pattern_for(name: str, rules: Rules, seed: int, data: PatternData) -> Pattern:
    """Return the pattern of a mode.

    Args:
        name: Of the mode.
        rules: The block `rules`.
        seed: Draws the pairs of `random`, `complement` and `shuffled`, and the outermost neighbors
            of windows.
        data: Read only where the mode needs it, or `rules.source` is `corpus`.

    Raises:
        UserError: If the mode is unknown, or something that it needs is missing.
    """
    known = get(name)
    if "attention" in known.needs and data.attention is None:
        raise UserError(
            f"The mode {name} is fitted to the attention weights of full attention, which were not "
            f"given. Train the mode full with seed {seed} first; a study with both does so."
        )
    built = known.build(ModeInputs(rules, data.hard_table(rules), seed, data))
    bias, extra = built if isinstance(built, tuple) else (built, None)
    return Pattern(mode=name, tags=TAGS, bias=bias, positional=extra)


# Colors are based on those of Okabe and Ito, which color-blind readers can tell apart.


@mode("full", "every pair is allowed", color="#3a3a3a", marker="o")
def full(inputs: ModeInputs) -> Bias:
    """Return the bias of ordinary attention."""
    return np.zeros(inputs.hard.shape, np.float32)


@mode("hard", "only the pairs of the hard table are allowed", color="#0072b2", marker="s")
def hard(inputs: ModeInputs) -> Bias:
    """Return the bias of the hard table."""
    return blocked_outside(inputs.hard)


@mode(
    "soft",
    "the pairs of the hard table are favored, as in the abstract, and none is blocked",
    color="#d55e00",
    marker="^",
)
def soft(inputs: ModeInputs) -> Bias:
    """Return the bias that favors the pairs of the hard table."""
    return favored(inputs.hard, inputs.rules.soft_strength)


@mode(
    "soft_released",
    "the pairs that the released code favors (defect D4) are favored, and none is blocked",
    label="soft (released code)",
    color="#cc79a7",
    marker="v",
)
def soft_released(inputs: ModeInputs) -> Bias:
    """Return the bias of the released code, in which pairs of the hard table are not favored."""
    table = pairs(inputs.rules.soft_released) & ~inputs.hard
    return favored(table, inputs.rules.soft_strength)


@mode(
    "hard_closed",
    "only the pairs of the hard table are allowed, and [CLS] attends only to itself",
    label="hard, [CLS] closed",
    color="#003f6b",
    marker="p",
)
def hard_closed(inputs: ModeInputs) -> Bias:
    """Return the bias of the hard table with the row of `[CLS]` closed."""
    closed = inputs.hard.copy()
    closed[INDEX[CLS]] = False
    return blocked_outside(closed)


@mode(
    "self",
    "tokens attend to tokens with the same tag, [CLS] to every token",
    label="own tag",
    color="#b3a100",
    marker="d",
)
def own_tag(inputs: ModeInputs) -> Bias:
    """Return the bias of the table without any rule between different tags."""
    return blocked_outside(own_tags() | open_cls(inputs.rules))


@mode(
    "diagonal",
    "tokens attend only to themselves, [CLS] to every token",
    color="#a50f46",
    marker="*",
)
def diagonal(inputs: ModeInputs) -> Bias:
    """Return the bias without attention between words."""
    return blocked_outside(open_cls(inputs.rules))


@mode(
    "hard_sinks",
    "only the pairs of the hard table are allowed, and every token may attend to [CLS] and [SEP]",
    label="hard, with sinks",
    color="#2a9ad6",
    marker="H",
)
def hard_sinks(inputs: ModeInputs) -> Bias:
    """Return the bias of the hard table with the columns of `[CLS]` and `[SEP]` open."""
    return blocked_outside(inputs.hard | sinks())


@mode(
    "diagonal_sinks",
    "tokens attend only to themselves, [CLS] and [SEP]; [CLS] to every token",
    label="diagonal, with sinks",
    color="#d9718f",
    marker="$D$",
)
def diagonal_sinks(inputs: ModeInputs) -> Bias:
    """Return the bias of `diagonal` with the columns of `[CLS]` and `[SEP]` open."""
    return blocked_outside(open_cls(inputs.rules) | sinks())


@mode(
    "hard_neighbors",
    "the pairs of the hard table and adjacent tokens are allowed",
    label="hard, with neighbors",
    color="#00507d",
    marker="$N$",
    countable=False,
)
def hard_neighbors(inputs: ModeInputs) -> tuple[Bias, Positional]:
    """Return the bias of the hard table, and the tokens next to each token."""
    return hard(inputs), Positional("neighbors", reach=1)


@mode(
    "random",
    "random pairs, in every sentence as many as the hard table allows",
    color="#56b4e9",
    marker="P",
)
def random(inputs: ModeInputs) -> tuple[Bias, Positional]:
    """Return the bias of `diagonal` and random pairs."""
    return diagonal(inputs), Positional("random", inputs.seed, match=inputs.hard)


@mode(
    "window",
    "the nearest neighbors, in every sentence as many pairs as the hard table allows",
    color="#e69f00",
    marker="X",
)
def window(inputs: ModeInputs) -> tuple[Bias, Positional]:
    """Return the bias of `diagonal` and neighbors; the seed draws those of the outermost ring."""
    return diagonal(inputs), Positional("window", inputs.seed, match=inputs.hard)


@mode(
    "window_matched",
    "the nearest neighbors, in every sentence as many pairs as hard_neighbors allows",
    label="window, matched",
    color="#b87700",
    marker="$W$",
    countable=False,
)
def window_matched(inputs: ModeInputs) -> tuple[Bias, Positional]:
    """Return the bias of `diagonal` and neighbors, at the density of `hard_neighbors`."""
    _, neighbors = hard_neighbors(inputs)
    match = {"match": inputs.hard, "match_positional": neighbors}
    return diagonal(inputs), Positional("window", inputs.seed, **match)


@mode(
    "complement",
    "random pairs that the hard table blocks, in every sentence as many as it allows",
    color="#8dc63f",
    marker="$C$",
)
def complement(inputs: ModeInputs) -> tuple[Bias, Positional]:
    """Return the bias of `diagonal` and random pairs that the hard table blocks."""
    return diagonal(inputs), Positional("complement", inputs.seed, match=inputs.hard)


@mode(
    "separator",
    "neighbors, the first tokens and punctuation, at the density of the hard table",
    color="#7a6000",
    marker="<",
    needs=("sentences",),
    countable=False,
)
def separator(inputs: ModeInputs) -> tuple[Bias, Positional]:
    """Return the bias of `diagonal` and the neighborhood that comes closest to hard's density."""
    train = inputs.data.sentences["train"]
    return diagonal(inputs), controls.separator(inputs.rules, inputs.hard, train)


@mode(
    "shuffled",
    "random tag pairs, at the density of the hard table",
    color="#009e73",
    marker="D",
    needs=("counts",),
)
def shuffled(inputs: ModeInputs) -> Bias:
    """Return the bias of a random table of tag pairs."""
    counts = inputs.data.counts
    return blocked_outside(controls.shuffled(inputs.rules, inputs.hard, counts, inputs.seed))


@mode(
    "learned",
    "the tag pairs that trained full attention uses most, at the density of the hard table",
    color="#6a3d9a",
    marker=">",
    needs=("counts", "attention"),
)
def learned(inputs: ModeInputs) -> Bias:
    """Return the bias of the tag pairs with the largest attention weights."""
    counts, attention = inputs.data.counts["train"], inputs.data.attention
    return blocked_outside(controls.learned(inputs.rules, inputs.hard, counts, attention))
