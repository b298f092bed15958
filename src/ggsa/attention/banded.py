"""The plan of patterns that go by place: windows and separators.

Controls must not lose the comparison of time because nobody skipped their blocked pairs. Tokens
keep their order; the queries of a sentence are cut into blocks, and each block computes the band of
keys that any of its queries may attend, under a mask of its own. What a block computes in vain is
the corners of its band, so that the work stays close to the allowed pairs. `random` has no such
structure: no plan can skip its pairs, and it is computed densely.
"""

import numpy as np
import torch
from torch import Tensor

from ggsa import positional
from ggsa.attention.plan import Block, Plan
from ggsa.patterns import Pattern
from ggsa.positional import FIRST_TOKENS, Positional
from ggsa.vocabulary import CLS, TAGS

QUERIES = 64
"""Queries in a block: more compute wider corners in vain, fewer mean more calls."""

_CLS, _PUNCTUATION = TAGS.index(CLS), TAGS.index("PUNCT")


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


def plan(pattern: Pattern, tags: Tensor, is_padding: Tensor, identities: Tensor) -> Plan:
    """Return the blocks of a batch.

    Args:
        pattern: One that `can_plan` accepts.
        tags: Tag of every token, int64 `[batch, token]`; any valid index at padding.
        is_padding: Bool `[batch, token]`, at the end of sentences.
        identities: Checksum of every sentence, int64 `[batch]`.
    """
    tags, is_padding = tags.cpu().numpy(), is_padding.cpu().numpy()
    width = tags.shape[1]
    blocks: list[Block] = []
    open_row = bool(pattern.allowed[_CLS].all())
    for sentence, identity in enumerate(identities.tolist()):
        length = int((~is_padding[sentence]).sum())
        base = sentence * width
        if open_row:
            blocks.append(Block(base, base + 1, ((base, base + length),)))
        row = tags[sentence, :length]
        if pattern.positional.kind == "window":
            blocks += _window(pattern.positional, row, identity, base, open_row)
        else:
            blocks += _separator(pattern.positional, row, base, open_row)
    order = torch.arange(width).expand(len(tags), width)
    return Plan(order, torch.from_numpy(np.where(is_padding, len(TAGS), tags)), tuple(blocks))


def _window(
    window: Positional, tags: np.ndarray, identity: int, base: int, open_row: bool
) -> list[Block]:
    """Return the blocks of one sentence: whole rings, and of the next those pairs that rank first."""
    length, first = len(tags), int(open_row)
    counts = np.bincount(tags, minlength=len(TAGS))
    target = int(counts @ window.match @ counts + (counts * ~np.diag(window.match)).sum())
    rings = np.arange(1, length)
    sizes = 2 * (length - rings) - (1 if open_row else 0)  # pairs at each distance, [ring]
    beside = length * open_row + (length - first)  # [CLS]'s row, and every other token itself
    ends = beside + sizes.cumsum()
    reach = int(np.searchsorted(ends, target, side="right"))
    wanted = target - (ends[reach - 1] if reach else beside)
    ring = np.zeros((2, length), bool)  # [side, query]: the partial ring's pairs, before and after
    if reach + 1 < length and wanted > 0:
        ring = _partial_ring(window.seed, identity, length, reach + 1, int(wanted), first)
    blocks = []
    for start in range(first, length, QUERIES):
        stop = min(start + QUERIES, length)
        low, high = max(0, start - reach - 1), min(length, stop + reach + 1)
        queries, keys = np.arange(start, stop)[:, None], np.arange(low, high)[None, :]
        offset = keys - queries
        allowed = np.abs(offset) <= reach
        allowed |= (offset == -reach - 1) & ring[0, start:stop, None]
        allowed |= (offset == reach + 1) & ring[1, start:stop, None]
        blocks.append(
            Block(base + start, base + stop, ((base + low, base + high),), mask=_additive(allowed))
        )
    return blocks


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


def _separator(separator: Positional, tags: np.ndarray, base: int, open_row: bool) -> list[Block]:
    """Return the blocks of one sentence: neighbours, and gathered the keys that all may attend."""
    length, reach = len(tags), int(separator.reach or 0)
    special = tags == _PUNCTUATION
    special[:FIRST_TOKENS] = True
    gathered = np.flatnonzero(special)
    blocks = []
    for start in range(int(open_row), length, QUERIES):
        stop = min(start + QUERIES, length)
        low, high = max(0, start - reach), min(length, stop + reach)
        near = np.arange(low, high)
        near = near[~special[low:high]]
        queries = np.arange(start, stop)[:, None]
        allowed = np.concatenate(
            (
                np.ones((stop - start, len(gathered)), bool),
                np.abs(near[None, :] - queries) <= reach,
            ),
            axis=1,
        )
        keys = torch.from_numpy(base + np.concatenate((gathered, near)))
        blocks.append(Block(base + start, base + stop, keys, mask=_additive(allowed)))
    return blocks


def _additive(allowed: np.ndarray) -> Tensor | None:
    if allowed.all():
        return None
    mask = torch.zeros(allowed.shape)
    return mask.masked_fill_(torch.from_numpy(~allowed), -torch.inf)
