"""Which rectangles of the attention matrix a table allows, once per batch.

All queries of one tag share one set of keys. Sorted by tag, the tokens of a sentence make a mask
over tag pairs a few dense rectangles: the queries of one tag by the keys of the tags that it may
attend to. A table is *compiled* once (the tags are ordered so that allowed tags are adjacent and the
keys of a rectangle are few ranges), a batch is *planned* once (for all layers and heads), and nothing
of size length x length is ever allocated. Patterns that depend on position are planned in
`banded.py`.
"""

import functools
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ggsa.workspace.vocabulary import CLS, TAGS

Runs = tuple[tuple[int, int], ...]
"""Half-open ranges of rows."""


class Block(NamedTuple):
    """A rectangle: queries that share their keys, as rows of the flattened `[batch * token]`.

    Attributes:
        start: First query.
        stop: One past the last query.
        keys: Rows of the keys: ranges, or an index tensor where they are scattered.
        itself: Every query also attends to itself, which is not among its keys.
        mask: Which pairs are allowed, bool `[query, key]`; None if all are.
    """

    start: int
    stop: int
    keys: Runs | Tensor
    itself: bool = False
    mask: Tensor | None = None

    @property
    def key_count(self) -> int:
        """Number of keys of every query."""
        if isinstance(self.keys, Tensor):
            return len(self.keys) + self.itself
        return sum(stop - start for start, stop in self.keys) + self.itself


class Plan(NamedTuple):
    """What attention computes for a batch.

    Attributes:
        order: For every position in the model the index of its token, int64 `[batch, token]`.
            Padding stays at the end; a sentence's first token stays first.
        blocks: Every query except padding is in exactly one.
    """

    order: Tensor
    blocks: tuple[Block, ...]

    @property
    def pairs(self) -> int:
        """Number of pairs that are computed."""
        return sum((block.stop - block.start) * block.key_count for block in self.blocks)


class CompiledTable(NamedTuple):
    """A table whose tags are ordered so that keys form few ranges.

    Attributes:
        rank: Position of every tag in that order, int64 `[tag]`; `[CLS]` is first.
        allowed: The table in that order, bool `[rank, rank]`.
        merged: First of the adjacent ranks that have the same keys, `[rank]`: their queries form
            one rectangle.
        runs: For every rank the ranges of ranks that it may attend to.
    """

    rank: np.ndarray
    allowed: np.ndarray
    merged: np.ndarray
    runs: tuple[Runs, ...]


def compile_table(allowed: np.ndarray) -> CompiledTable:
    """Return a table compiled for planning.

    Args:
        allowed: Which tag may attend to which, bool `[tag, tag]`, over `vocabulary.TAGS`.
    """
    return _compiled(np.ascontiguousarray(allowed, dtype=bool).tobytes())


@functools.cache
def _compiled(table: bytes) -> CompiledTable:
    allowed = np.frombuffer(table, dtype=bool).reshape(len(TAGS), len(TAGS))
    order = _ordered(allowed)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    ranked = allowed[np.ix_(order, order)]
    merged = np.arange(len(order))
    for i in range(1, len(order)):
        # A tag whose own pair is blocked needs its own rectangle: each token attends to itself.
        if (ranked[i] == ranked[i - 1]).all() and ranked[i, i] and ranked[i, i - 1]:
            merged[i] = merged[i - 1]
    return CompiledTable(rank, ranked, merged, tuple(_runs(row) for row in ranked))


def _runs(row: np.ndarray) -> Runs:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], row, [False])).astype(np.int8)))
    return tuple((int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True))


def _ordered(allowed: np.ndarray) -> np.ndarray:
    """Return the tags, `[CLS]` first, in an order in which the rows of the table have few runs.

    A local search: it moves stretches of tags, as they are or reversed, until no move helps.
    """
    order = np.array([TAGS.index(CLS), *(i for i in range(len(TAGS)) if TAGS[i] != CLS)])
    fewest = _run_counts(allowed, order[None])[0]
    while True:
        options = order[_moves(len(order))]
        counts = _run_counts(allowed, options)
        best = counts.argmin()
        if counts[best] >= fewest:
            return order
        order, fewest = options[best], counts[best]


@functools.cache
def _moves(count: int) -> np.ndarray:
    """Return every order that moves one stretch of positions, int64 `[move, position]`.

    The first position stays. A stretch is at most half of the positions; longer ones are the same
    as moving the rest.
    """
    moves = set()
    for start in range(1, count):
        for stop in range(start + 1, min(start + count // 2, count) + 1):
            stretch, rest = [*range(start, stop)], [*range(start), *range(stop, count)]
            for target in range(1, len(rest) + 1):
                for moved in (stretch, stretch[::-1]):
                    moves.add((*rest[:target], *moved, *rest[target:]))
    return np.array(sorted(moves))


def _run_counts(allowed: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Return the number of runs of allowed tags, over all rows, under each order, `[order]`."""
    rows = allowed[:, orders]  # [tag, order, position]
    return rows[..., 0].sum(0) + (rows[..., 1:] & ~rows[..., :-1]).sum((0, 2))


def counts_by_rank(table: CompiledTable, tags: np.ndarray, is_padding: np.ndarray) -> np.ndarray:
    """Return the number of tokens of each rank in every sentence, int64 `[batch, rank + 1]`.

    The last column is padding.
    """
    ranks = np.where(is_padding, len(TAGS), table.rank[tags])
    columns = len(TAGS) + 1
    flat = (np.arange(len(ranks))[:, None] * columns + ranks).ravel()
    return np.bincount(flat, minlength=len(ranks) * columns).reshape(len(ranks), columns)


def plan(table: CompiledTable, tags: Tensor, is_padding: Tensor) -> Plan:
    """Return the rectangles of a batch.

    Args:
        table: The compiled table.
        tags: Tag of every token, int64 `[batch, token]`; any valid index at padding.
        is_padding: Bool `[batch, token]`.
    """
    tags, is_padding = tags.cpu().numpy(), is_padding.cpu().numpy()
    ranks = np.where(is_padding, len(TAGS), table.rank[tags])
    order = np.argsort(ranks, axis=1, kind="stable")
    counts = counts_by_rank(table, tags, is_padding)
    ends = counts.cumsum(axis=1) + np.arange(len(counts))[:, None] * tags.shape[1]
    bounds = np.concatenate((ends[:, :1] - counts[:, :1], ends), axis=1)  # [batch, rank + 2]
    blocks = []
    first = np.flatnonzero(np.concatenate(([True], np.diff(table.merged) > 0)))
    last = [*first[1:].tolist(), len(TAGS)]
    for offsets in bounds.tolist():
        for low, high in zip(first.tolist(), last, strict=True):
            start, stop = offsets[low], offsets[high]
            if start == stop:
                continue
            runs: list[tuple[int, int]] = []
            for a, b in table.runs[low]:
                begin, end = offsets[a], offsets[b]
                if begin == end:
                    continue
                if runs and runs[-1][1] == begin:  # adjacent in this sentence
                    runs[-1] = (runs[-1][0], end)
                else:
                    runs.append((begin, end))
            blocks.append(Block(start, stop, tuple(runs), not table.allowed[low, low]))
    return Plan(torch.from_numpy(order), tuple(blocks))
