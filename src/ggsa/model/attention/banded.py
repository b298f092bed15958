"""The plan of patterns that go by place: windows and separators.

Controls must not lose the comparison of time because nobody skipped their blocked pairs. Tokens
keep their order; the queries of a sentence are cut into blocks, and each block computes the band of
keys that any of its queries may attend, under a mask of its own. What a block computes in vain is
the corners of its band, so that the work stays close to the allowed pairs. The masks hold a byte for
each pair of a band: unlike a table's rectangles, which need none, they grow with the pairs. `random` has no such
structure: no plan can skip its pairs, and it is computed densely.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ggsa.model.attention.plan import Block, Plan
from ggsa.patterns import positional
from ggsa.patterns.pattern import Pattern
from ggsa.patterns.positional import FIRST_TOKENS, Positional
from ggsa.workspace.vocabulary import CLS, TAGS

QUERIES = 64
"""Queries in a block: more compute wider corners in vain, fewer mean more calls."""

_CLS, _PUNCTUATION = TAGS.index(CLS), TAGS.index("PUNCT")


class Places(NamedTuple):
    """Who may attend whom in a batch, by place: what a mask of any size follows from.

    Query q may attend key k if they stand at most `reach` apart, if `special` holds at k, if q is the
    first token and the first row is open, if k is q itself, or if they stand `reach + 1` apart and
    `ring` holds at q on the side of k. No pair reaches beyond a sentence's length.

    Attributes:
        lengths: Tokens of every sentence, int64 `[batch]`.
        reach: Of every sentence, int64 `[batch]`.
        ring: For every query whether it attends the key one beyond its reach, before and after it,
            bool `[batch, side, token]`.
        special: Keys that every query attends, bool `[batch, token]`.
        open_row: Whether the first token attends everything.
    """

    lengths: Tensor
    reach: Tensor
    ring: Tensor
    special: Tensor
    open_row: bool


def can_plan(pattern: Pattern) -> bool:
    """Return whether a pattern is a window or separators, and its table no more than `[CLS]`'s row."""
    rest = np.delete(pattern.allowed, _CLS, axis=0)
    return (
        pattern.positional is not None
        and pattern.positional.kind in ("window", "separator")
        and not rest.any()
        and bool(pattern.allowed[_CLS].all() or pattern.allowed[_CLS].sum() == 0)
        and not pattern.bias[pattern.allowed].any()
    )


def places(pattern: Pattern, tags: Tensor, is_padding: Tensor, identities: Tensor) -> Places:
    """Return who may attend whom in a batch; see `plan` for the arguments."""
    kind, open_row = pattern.positional, bool(pattern.allowed[_CLS].all())
    lengths = (~is_padding).sum(1)
    reach = torch.full_like(lengths, int(kind.reach or 0))
    ring = torch.zeros(len(tags), 2, tags.shape[1], dtype=torch.bool)
    special = torch.zeros_like(is_padding)
    if kind.kind == "separator":
        special = (tags == _PUNCTUATION) & ~is_padding
        special[:, :FIRST_TOKENS] = ~is_padding[:, :FIRST_TOKENS]
        return Places(lengths, reach, ring, special, open_row)
    rows = tags.numpy()
    for sentence, (length, identity) in enumerate(
        zip(lengths.tolist(), identities.tolist(), strict=True)
    ):
        whole, sides = _rings(kind, rows[sentence, :length], identity, open_row)
        reach[sentence] = whole
        ring[sentence, :, :length] = torch.from_numpy(sides)
    return Places(lengths, reach, ring, special, open_row)


def allowed(places: Places) -> Tensor:
    """Return who may attend whom, bool `[batch, query, key]`: the mask that the blocks skip.

    The pairs are those of `positional.allowed_pairs`, found without ranking all of them.
    """
    lengths, reach, ring, special, open_row = places
    token = torch.arange(special.shape[1])
    apart = (token[None, :] - token[:, None])[None]  # [1, query, key]
    reach = reach[:, None, None]
    seen = (apart.abs() <= reach) | special[:, None, :]
    seen |= (apart == -reach - 1) & ring[:, 0, :, None]
    seen |= (apart == reach + 1) & ring[:, 1, :, None]
    if open_row:
        seen[:, 0] = True
    there = token[None] < lengths[:, None]
    return seen & there[:, :, None] & there[:, None, :]


def plan(pattern: Pattern, tags: Tensor, is_padding: Tensor, identities: Tensor) -> Plan:
    """Return the blocks of a batch.

    Args:
        pattern: One that `can_plan` accepts.
        tags: Tag of every token, int64 `[batch, token]`; any valid index at padding; on the CPU.
        is_padding: Bool `[batch, token]`, at the end of sentences.
        identities: Checksum of every sentence, int64 `[batch]`.
    """
    found = places(pattern, tags, is_padding, identities)
    width = tags.shape[1]
    blocks: list[Block] = []
    for sentence, length in enumerate(found.lengths.tolist()):
        base = sentence * width
        if found.open_row:
            blocks.append(Block(base, base + 1, ((base, base + length),)))
        blocks += _blocks(found, sentence, length, base)
    order = torch.arange(width).expand(len(tags), width)
    return Plan(order, tags.masked_fill(is_padding, len(TAGS)), tuple(blocks))


def _blocks(places: Places, sentence: int, length: int, base: int) -> list[Block]:
    """Return the blocks of one sentence: a band, and gathered the keys that every query attends."""
    special, reach = places.special[sentence, :length].numpy(), int(places.reach[sentence])
    gathered, ring = np.flatnonzero(special), places.ring[sentence].numpy()
    blocks = []
    for start in range(int(places.open_row), length, QUERIES):
        stop = min(start + QUERIES, length)
        low, high = max(0, start - reach - 1), min(length, stop + reach + 1)
        near = np.arange(low, high)
        near = near[~special[low:high]]
        offset = near[None, :] - np.arange(start, stop)[:, None]
        band = np.abs(offset) <= reach
        band |= (offset == -reach - 1) & ring[0, start:stop, None]
        band |= (offset == reach + 1) & ring[1, start:stop, None]
        allowed = np.concatenate((np.ones((stop - start, len(gathered)), bool), band), axis=1)
        keys = (
            torch.from_numpy(base + np.concatenate((gathered, near)))
            if len(gathered)
            else ((base + low, base + high),)
        )
        blocks.append(Block(base + start, base + stop, keys, mask=_partial(allowed)))
    return blocks


def _rings(
    window: Positional, tags: np.ndarray, identity: int, open_row: bool
) -> tuple[int, np.ndarray]:
    """Return a window's whole rings, and which pairs of the next one rank first, bool `[side, query]`."""
    length, first = len(tags), int(open_row)
    counts = np.bincount(tags, minlength=len(TAGS))
    target = int(counts @ window.match @ counts + (counts * ~np.diag(window.match)).sum())
    rings = np.arange(1, length)
    sizes = 2 * (length - rings) - (1 if open_row else 0)  # pairs at each distance, [ring]
    beside = length * open_row + (length - first)  # [CLS]'s row, and every other token itself
    ends = beside + sizes.cumsum()
    reach = int(np.searchsorted(ends, target, side="right"))
    wanted = target - (ends[reach - 1] if reach else beside)
    if reach + 1 < length and wanted > 0:
        return reach, _partial_ring(window.seed, identity, length, reach + 1, int(wanted), first)
    return reach, np.zeros((2, length), bool)


def _partial_ring(
    seed: int, identity: int, length: int, distance: int, wanted: int, first: int
) -> np.ndarray:
    """Return which pairs at a distance are allowed, bool `[side, query]`: the lowest draws."""
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
    chosen = pairs[np.lexsort((pairs[:, 1], pairs[:, 0], drawn))[:wanted]]
    ring = np.zeros((2, length), bool)
    ring[(chosen[:, 1] > chosen[:, 0]).astype(int), chosen[:, 0]] = True
    return ring


def _partial(allowed: np.ndarray) -> Tensor | None:
    """Return a block's mask, or None where every pair of it is allowed."""
    return None if allowed.all() else torch.from_numpy(allowed)
