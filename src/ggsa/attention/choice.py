"""Which implementation a batch gets under `attention.implementation: auto`.

Times are predicted by a model with four numbers, measured on one CPU thread by
`python -m benchmarks.attention --fit`: a call costs a fixed time and its products theirs. The numbers
decide nothing but speed, and are constants so that a run takes the same path on every machine.
"""

from typing import NamedTuple

import numpy as np

from ggsa.attention.plan import CompiledTable, counts_by_rank

FLEX_TOKENS = 512
"""Shortest sentences, in tokens, for which tiles are tried on a GPU."""

BAND_TOKENS = 384
"""Shortest sentences, in tokens, for which a band is faster than a mask, on a CPU."""

IMPLEMENTATIONS = ("auto", "dense", "grouped", "flex")


class Costs(NamedTuple):
    """Seconds, forward and backward of one layer."""

    call: float  # one rectangle: calls, slices, gathering
    grouped_product: float  # a pair of a rectangle, per head and dimension
    dense_product: float  # a pair under a mask, per head and dimension
    batch: float  # planning, shared by the layers


COSTS = Costs(call=1.3e-4, grouped_product=2.0e-10, dense_product=2.1e-10, batch=4.0e-4)


def band_is_faster(is_padding: np.ndarray) -> bool:
    """Return whether bands are predicted to be faster than a mask for a batch."""
    return is_padding.shape[1] >= BAND_TOKENS


def grouped_is_faster(
    table: CompiledTable, tags: np.ndarray, is_padding: np.ndarray, width: int, layers: int
) -> bool:
    """Return whether rectangles are predicted to be faster than a mask for a batch.

    Args:
        table: The compiled table.
        tags: Tag of every token, int64 `[batch, token]`.
        is_padding: Bool `[batch, token]`.
        width: Heads times their dimension.
        layers: Over which the planning is shared.
    """
    counts = counts_by_rank(table, tags, is_padding)[:, :-1]  # [batch, rank]
    pairs = int(np.einsum("bq,qk,bk->", counts, table.allowed.astype(np.int64), counts))
    pairs += int(counts.sum(axis=0) @ ~np.diag(table.allowed))
    merged = np.zeros_like(counts)
    np.add.at(merged, (slice(None), table.merged), counts)
    calls = int((merged > 0).sum())
    grouped = COSTS.call * calls + COSTS.grouped_product * width * pairs + COSTS.batch / layers
    dense = COSTS.dense_product * width * tags.shape[0] * tags.shape[1] ** 2
    return grouped < dense
