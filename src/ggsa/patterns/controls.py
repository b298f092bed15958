"""Control patterns that are drawn or fitted, each at the density of the hard table.

Each keeps one property of a grammatical table and removes the rest. `shuffled` keeps the form (a
table of tag pairs) without the linguistics, `separator` depends on position and punctuation as in
SepLLM, and `learned` takes the tag pairs that a trained model uses. `random` and `window` follow from
the rules and need no fitting (`ggsa.patterns.positional`).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ggsa.patterns.density import density
from ggsa.patterns.pattern import Pattern
from ggsa.patterns.positional import Positional
from ggsa.patterns.tag_tables import INDEX, blocked_outside, open_cls, own_tags
from ggsa.tagging.alignment import TaggedPieces
from ggsa.workspace.blocks import Rules
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import TAGS

TOLERANCE = 0.02
"""Largest relative difference between the density of a control and that of the hard table."""

DRAWS = 200
LARGEST_REACH = 12


def shuffled(
    rules: Rules, hard: np.ndarray, counts: Mapping[str, np.ndarray], seed: int
) -> np.ndarray:
    """Return a random table of tag pairs with the density of the hard table, bool `[tag, tag]`.

    Own tags and the open row of `[CLS]` are those of the hard table. Pairs of different tags are
    drawn one by one until the density on train is reached. A table outside the tolerance on any
    split is discarded and drawn again.

    Args:
        rules: The block `rules`.
        hard: The tag pairs that the hard table allows, bool `[tag, tag]`.
        counts: Pieces per tag of the sentences of every split, `[sentence, tag]`.
        seed: Of the draw.

    Raises:
        UserError: If no draw is within the tolerance.
    """
    own = own_tags()
    kept = (own & hard) | open_cls(rules)
    candidates = np.argwhere(~kept & ~own)
    together = np.einsum("sq,sk->qk", counts["train"], counts["train"])  # pairs, [tag, tag]
    target = _pairs(hard, together, counts["train"])
    densities = {split: _density(hard, rows) for split, rows in counts.items()}
    stream = np.random.default_rng(seed)
    for _ in range(DRAWS):
        table, reached = kept.copy(), _pairs(kept, together, counts["train"])
        for query, key in stream.permutation(candidates):
            gained = together[query, key]
            if reached + gained <= target * (1 + TOLERANCE / 2):
                table[query, key] = True
                reached += gained
            if reached >= target:
                break
        if all(
            abs(_density(table, rows) / densities[split] - 1) <= TOLERANCE
            for split, rows in counts.items()
        ):
            return table
    raise UserError(
        f"shuffled: none of {DRAWS} random tables with seed {seed} is within {TOLERANCE:.0%} of the "
        f"hard table's density on every split. Choose another seed."
    )


def separator(rules: Rules, hard: np.ndarray, train: TaggedPieces) -> Positional:
    """Return the separator pattern's neighborhood whose density is closest to the hard table's.

    Args:
        rules: The block `rules`.
        hard: The tag pairs that the hard table allows, bool `[tag, tag]`.
        train: The training sentences.
    """
    base = blocked_outside(open_cls(rules))
    target = _density(hard, train.tag_counts())
    return min(
        (Positional("separator", reach=reach) for reach in range(LARGEST_REACH)),
        key=lambda extra: abs(density(Pattern("separator", TAGS, base, extra), train) - target),
    )


def learned(
    rules: Rules, hard: np.ndarray, counts: np.ndarray, attention: pd.DataFrame
) -> np.ndarray:
    """Return the tag pairs that a trained full model uses most, at hard's density, `[tag, tag]`.

    Pairs are added in decreasing order of attention per pair of pieces, averaged over layers and
    heads (dynamic attention mask, arXiv 2506.11104).

    Args:
        rules: The block `rules`.
        hard: The tag pairs that the hard table allows, bool `[tag, tag]`.
        counts: Pieces per tag of the training sentences, `[sentence, tag]`.
        attention: Columns `query_tag, key_tag, weight_per_pair`.
    """
    together = np.einsum("sq,sk->qk", counts, counts)
    target = _pairs(hard, together, counts)
    allowed = (own_tags() & hard) | open_cls(rules)
    reached = _pairs(allowed, together, counts)
    # What a pair adds: a token attends to itself in any case.
    together = together - np.diag(counts.sum(axis=0))
    for row in attention.sort_values(
        "weight_per_pair", ascending=False, kind="stable"
    ).itertuples():
        query, key = INDEX[row.query_tag], INDEX[row.key_tag]
        gained = together[query, key]
        if allowed[query, key] or reached + gained > target * (1 + TOLERANCE / 2):
            continue
        allowed[query, key] = True
        reached += gained
    return allowed


def _pairs(table: np.ndarray, together: np.ndarray, counts: np.ndarray) -> int:
    """Return the pairs of pieces that a table allows over all sentences."""
    itself = counts.sum(axis=0) * ~np.diag(table)
    return int((together * table).sum() + itself.sum())


def _density(allowed: np.ndarray, counts: np.ndarray) -> float:
    return Pattern("", TAGS, blocked_outside(allowed)).density(counts)
