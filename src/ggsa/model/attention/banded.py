"""The plan of patterns that depend on position: windows and separators.

Controls must not be slower only because their blocked pairs are computed. Tokens keep their order.
The queries of a sentence are cut into blocks, and each block computes the band of keys that any of
its queries may attend to, under its own mask. Only the corners of a band are computed needlessly, so
the work stays close to the allowed pairs. A mask takes one byte per pair of its band, so memory grows
with the pairs; the rectangles of a table need no masks. `random` has no such structure: no plan can
skip its pairs, and it uses the dense mask.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ggsa.model.attention.plan import Block, Plan
from ggsa.patterns import positional
from ggsa.patterns.pattern import Pattern
from ggsa.patterns.positional import FIRST_TOKENS
from ggsa.workspace.vocabulary import CLS, TAGS

QUERIES = 64
"""Queries in a block: more queries waste more work in the corners, fewer need more calls."""

_CLS, _PUNCTUATION = TAGS.index(CLS), TAGS.index("PUNCT")


class Band(NamedTuple):
    """Which positions of a batch may attend to which, in memory that is linear in its tokens.

    Query q may attend to key k if they are at most `reach` apart, if `special` is true at k, if q is
    the first token and `open_row` is true, or if they are `reach + 1` apart and `ring` is true at q on
    the side of k. No pair leaves its sentence.

    Attributes:
        lengths: Tokens of every sentence, int64 `[batch]`.
        reach: Largest distance of every sentence, int64 `[batch]`.
        ring: Whether a query attends to the key one position beyond its reach, before and after it,
            bool `[batch, side, token]`.
        special: Keys that every query attends to, bool `[batch, token]`.
        open_row: Whether the first token attends to everything.
    """

    lengths: Tensor
    reach: Tensor
    ring: Tensor
    special: Tensor
    open_row: bool


def can_plan(pattern: Pattern) -> bool:
    """Return whether a pattern is a window or separators, its table empty except for `[CLS]`'s row."""
    rest = np.delete(pattern.allowed, _CLS, axis=0)
    return (
        pattern.positional is not None
        and pattern.positional.kind in ("window", "separator")
        and not rest.any()
        and bool(pattern.allowed[_CLS].all() or pattern.allowed[_CLS].sum() == 0)
        and not pattern.bias[pattern.allowed].any()
    )


def band_of(pattern: Pattern, tags: Tensor, is_padding: Tensor, identities: Tensor) -> Band:
    """Return the band of a batch; see `plan` for the arguments."""
    kind, open_row = pattern.positional, bool(pattern.allowed[_CLS].all())
    lengths = (~is_padding).sum(1)
    reach = torch.full_like(lengths, int(kind.reach or 0))
    ring = torch.zeros(len(tags), 2, tags.shape[1], dtype=torch.bool)
    special = torch.zeros_like(is_padding)
    if kind.kind == "separator":
        special = (tags == _PUNCTUATION) & ~is_padding
        special[:, :FIRST_TOKENS] = ~is_padding[:, :FIRST_TOKENS]
        return Band(lengths, reach, ring, special, open_row)
    rows = tags.numpy()
    for sentence, (length, identity) in enumerate(
        zip(lengths.tolist(), identities.tolist(), strict=True)
    ):
        whole, sides = _rings(pattern, rows[sentence, :length], identity, open_row)
        reach[sentence] = whole
        ring[sentence, :, :length] = torch.from_numpy(sides)
    return Band(lengths, reach, ring, special, open_row)


def allowed(band: Band) -> Tensor:
    """Return which pairs are allowed, bool `[batch, query, key]`: the dense mask of a band.

    The pairs are those of `positional.allowed_pairs`, without ranking all of them.
    """
    lengths, reach, ring, special, open_row = band
    token = torch.arange(special.shape[1])
    apart = (token[None, :] - token[:, None])[None]  # [1, query, key]
    reach = reach[:, None, None]
    pairs = (apart.abs() <= reach) | special[:, None, :]
    pairs |= (apart == -reach - 1) & ring[:, 0, :, None]
    pairs |= (apart == reach + 1) & ring[:, 1, :, None]
    if open_row:
        pairs[:, 0] = True
    inside = token[None] < lengths[:, None]
    return pairs & inside[:, :, None] & inside[:, None, :]


def plan(pattern: Pattern, tags: Tensor, is_padding: Tensor, identities: Tensor) -> Plan:
    """Return the blocks of a batch.

    Args:
        pattern: One that `can_plan` accepts.
        tags: Tag of every token, int64 `[batch, token]`; any valid index at padding; on the CPU.
        is_padding: Bool `[batch, token]`, at the end of sentences.
        identities: Checksum of every sentence, int64 `[batch]`.
    """
    band = band_of(pattern, tags, is_padding, identities)
    width = tags.shape[1]
    blocks: list[Block] = []
    for sentence, length in enumerate(band.lengths.tolist()):
        base = sentence * width
        if band.open_row:
            blocks.append(Block(base, base + 1, ((base, base + length),)))
        blocks += _blocks(band, sentence, length, base)
    order = torch.arange(width).expand(len(tags), width)
    return Plan(order, tuple(blocks))


def _blocks(band: Band, sentence: int, length: int, base: int) -> list[Block]:
    """Return the blocks of one sentence: keys nearby, and the keys that every query attends to."""
    special, reach = band.special[sentence, :length].numpy(), int(band.reach[sentence])
    gathered, ring = np.flatnonzero(special), band.ring[sentence].numpy()
    blocks = []
    for start in range(int(band.open_row), length, QUERIES):
        stop = min(start + QUERIES, length)
        low, high = max(0, start - reach - 1), min(length, stop + reach + 1)
        near = np.arange(low, high)
        near = near[~special[low:high]]
        offset = near[None, :] - np.arange(start, stop)[:, None]
        pairs = np.abs(offset) <= reach
        pairs |= (offset == -reach - 1) & ring[0, start:stop, None]
        pairs |= (offset == reach + 1) & ring[1, start:stop, None]
        allowed = np.concatenate((np.ones((stop - start, len(gathered)), bool), pairs), axis=1)
        keys = (
            torch.from_numpy(base + np.concatenate((gathered, near)))
            if len(gathered)
            else ((base + low, base + high),)
        )
        blocks.append(Block(base + start, base + stop, keys, mask=_partial(allowed)))
    return blocks


def _rings(
    pattern: Pattern, tags: np.ndarray, identity: int, open_row: bool
) -> tuple[int, np.ndarray]:
    """Return a window's full reach, and the allowed pairs at the next distance, bool `[side, query]`."""
    length, first, window = len(tags), int(open_row), pattern.positional
    if window.match_positional is None:
        counts = np.bincount(tags, minlength=len(TAGS))
        target = int(counts @ window.match @ counts + (counts * ~np.diag(window.match)).sum())
    else:
        nothing = np.zeros((1, length), bool)
        target = int(
            positional.allowed_pairs(
                window.match_positional, window.match, tags[None], nothing, np.array([identity])
            ).sum()
        )
    rings = np.arange(1, length)
    sizes = 2 * (length - rings) - (1 if open_row else 0)  # pairs at each distance, [ring]
    fixed = length * open_row + (length - first)  # [CLS]'s row, and every other token itself
    ends = fixed + sizes.cumsum()
    reach = int(np.searchsorted(ends, target, side="right"))
    missing = target - (ends[reach - 1] if reach else fixed)
    if reach + 1 < length and missing > 0:
        return reach, _partial_ring(window.seed, identity, length, reach + 1, int(missing), first)
    return reach, np.zeros((2, length), bool)


def _partial_ring(
    seed: int, identity: int, length: int, distance: int, count: int, first: int
) -> np.ndarray:
    """Return the pairs at a distance with the lowest draws, `count` of them, bool `[side, query]`."""
    queries = np.arange(first, length)
    before, after = queries[queries >= distance], queries[queries < length - distance]
    pairs = np.concatenate(
        (
            np.stack((before, before - distance), axis=1),
            np.stack((after, after + distance), axis=1),
        )
    )
    # Ranked as `positional.allowed_pairs` ranks: by distance and draw, ties by query, then by key.
    drawn = positional.uniform_at(seed, identity, pairs[:, 0], pairs[:, 1]) + distance
    chosen = pairs[np.lexsort((pairs[:, 1], pairs[:, 0], drawn))[:count]]
    ring = np.zeros((2, length), bool)
    ring[(chosen[:, 1] > chosen[:, 0]).astype(int), chosen[:, 0]] = True
    return ring


def _partial(allowed: np.ndarray) -> Tensor | None:
    """Return a block's mask, or None if every pair is allowed."""
    return None if allowed.all() else torch.from_numpy(allowed)
