"""Patterns that a table of tag pairs cannot express: windows, random pairs, separators.

These controls test whether grammar matters or only sparsity, so they must block exactly as many pairs
as the table that they are compared with. Pairs are therefore *ranked* (by distance or at random), and
the first are allowed until a sentence has as many as the matched table allows in it. Random ranks
depend only on the seed, the sentence and the position of the pair, so a sentence has the same pattern
in every epoch, batch and process.
"""

from dataclasses import dataclass

import numpy as np

from ggsa.workspace.vocabulary import TAGS

KINDS = ("random", "window", "separator", "neighbors", "complement")
FIRST_TOKENS = 2
"""Tokens at the start that every token attends to under `separator`: `[CLS]` and the first piece."""

_PUNCTUATION = TAGS.index("PUNCT")
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@dataclass(frozen=True)
class Positional:
    """The part of a pattern that depends on the positions of tokens.

    Attributes:
        kind: `random`; `window` (nearest first; the outermost ring is filled in random order);
            `complement` (random, only pairs that `match` blocks); `neighbors` (those within
            `reach`); `separator` (`neighbors`, the first tokens, punctuation; SepLLM).
        seed: Of the random order.
        match: The table whose number of pairs is matched in every sentence, bool `[tag, tag]`;
            None for `neighbors` and `separator`, which match nothing. Where `complement` has too
            few pairs to draw from, it takes all of them.
        reach: Number of neighbors on either side, for `neighbors` and `separator`.
        match_positional: The positional part of the pattern whose number of pairs is matched, if
            `match` alone is not that pattern.
    """

    kind: str
    seed: int = 0
    match: np.ndarray | None = None
    reach: int | None = None
    match_positional: "Positional | None" = None

    @property
    def countable(self) -> bool:
        """Whether the tags of a sentence, without their order, decide its number of pairs."""
        return self.match is not None and self.match_positional is None


def allowed_pairs(
    positional: Positional,
    table: np.ndarray,
    tags: np.ndarray,
    is_padding: np.ndarray,
    identities: np.ndarray,
) -> np.ndarray:
    """Return which tokens may attend to which, bool `[batch, query, key]`; False at padding.

    Args:
        positional: What is allowed in addition to the table.
        table: The tag pairs that are always allowed, bool `[tag, tag]`.
        tags: Tag of every piece, `[batch, token]`; any valid index at padding.
        is_padding: Bool `[batch, token]`.
        identities: Checksum of every sentence, int64 `[batch]`.
    """
    present = ~(is_padding[:, :, None] | is_padding[:, None, :])  # [batch, query, key]
    base = pairs_of_table(table, tags) & present
    length = tags.shape[1]
    distance = np.abs(np.arange(length)[:, None] - np.arange(length)[None, :])
    if positional.kind in ("neighbors", "separator"):
        near = distance <= positional.reach
    if positional.kind == "neighbors":
        return (base | near[None]) & present
    if positional.kind == "separator":
        first = np.arange(length) < FIRST_TOKENS
        keys = first[None, :] | (tags == _PUNCTUATION)  # [batch, key]
        return (base | near[None] | keys[:, None, :]) & present
    matched = pairs_of_table(positional.match, tags) & present
    if positional.match_positional is not None:
        matched = allowed_pairs(
            positional.match_positional, positional.match, tags, is_padding, identities
        )
    candidates = base | ~matched & present if positional.kind == "complement" else present
    rank = uniform(positional.seed, identities, length)
    if positional.kind == "window":
        rank = rank + distance
    rank = np.where(candidates, np.where(base, -1.0, rank), np.inf).reshape(len(tags), -1)
    order = np.argsort(rank, axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(order.shape[1])[None, :], axis=1)
    allowed = np.maximum(matched.sum((1, 2)), base.sum((1, 2)))  # pairs of each sentence, [batch]
    allowed = np.minimum(allowed, candidates.sum((1, 2)))
    return (places < allowed[:, None]).reshape(base.shape)


def pairs_of_table(table: np.ndarray, tags: np.ndarray) -> np.ndarray:
    """Return the pairs that a table allows, and each token with itself, `[batch, query, key]`."""
    return table[tags[:, :, None], tags[:, None, :]] | np.eye(tags.shape[1], dtype=bool)


def uniform(seed: int, identities: np.ndarray, length: int) -> np.ndarray:
    """Return a number in [0, 1) for every pair of every sentence, `[batch, query, key]`.

    The finalizer of SplitMix64 over seed, sentence and pair (Steele, Lea and Flood, 2014).
    """
    place = np.arange(length, dtype=np.uint64)
    pair = (place[:, None] << np.uint64(20)) | place[None, :]  # [query, key]
    with np.errstate(over="ignore"):
        start = _mixed(identities.astype(np.uint64) + _mixed(np.array([seed], np.uint64)))
        mixed = _mixed(start[:, None, None] ^ (pair[None] * _MIX[0]))
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def uniform_at(seed: int, identity: int, queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return the numbers of `uniform` for some pairs of one sentence, `[pair]`."""
    pair = (queries.astype(np.uint64) << np.uint64(20)) | keys.astype(np.uint64)
    with np.errstate(over="ignore"):
        start = _mixed(np.array([identity]).astype(np.uint64) + _mixed(np.array([seed], np.uint64)))
        mixed = _mixed(start ^ (pair * _MIX[0]))
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        x = x + _MIX[0]
        x = (x ^ (x >> np.uint64(30))) * _MIX[1]
        x = (x ^ (x >> np.uint64(27))) * _MIX[2]
        return x ^ (x >> np.uint64(31))
