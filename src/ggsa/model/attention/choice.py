"""Which implementation a batch gets under `attention.implementation: auto`.

Times are predicted by a model with five numbers, measured on one CPU thread by
`python -m benchmarks.attention --fit`: a call costs a fixed time and its products theirs. The numbers
decide nothing but speed, and are constants so that a run takes the same path on every machine.
"""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from ggsa.model.attention.plan import CompiledTable, counts_by_rank

FLEX_TOKENS = 512
"""Shortest sentences, in tokens, for which tiles are tried on a GPU."""

BAND_TOKENS = 384
"""Shortest sentences, in tokens, for which a band is faster than a mask, on a CPU."""

FELT_SECONDS = 3.8e-3
"""Predicted time of the mask, over all layers, below which counting rectangles would be felt.

Counting takes about 0.15 ms. So short a batch is computed under the mask, whatever its tags.
"""


class Work(NamedTuple):
    """What rectangles do for a batch in one layer, apart from its width.

    Attributes:
        calls: Rectangles.
        rows: Queries and keys that are sliced or gathered, over all rectangles.
        pairs: Query-key pairs.
    """

    calls: int
    rows: int
    pairs: int


class Costs(NamedTuple):
    """Seconds, forward and backward of one layer on one thread.

    Attributes:
        call: Of one rectangle.
        row: Of a query or key of a rectangle, per head and dimension.
        pair: Of a pair of a rectangle, per head and dimension.
        masked_pair: Of a pair under a mask, per head and dimension.
        batch: Of planning, shared by the layers.
    """

    call: float
    row: float
    pair: float
    masked_pair: float
    batch: float


COSTS = Costs(call=1.2e-4, row=2.5e-9, pair=1.7e-10, masked_pair=2.1e-10, batch=4.3e-4)

CAUTION = 0.9
"""Share of the mask's predicted time below which rectangles are taken: predictions are off."""


def band_is_faster(tokens: int) -> bool:
    """Return whether bands are predicted to be faster than a mask for sentences of a length."""
    return tokens >= BAND_TOKENS


def grouped_is_faster(
    table: CompiledTable, tags: Tensor, is_padding: Tensor, width: int, layers: int
) -> bool:
    """Return whether rectangles are predicted to be faster than a mask for a batch.

    Args:
        table: The compiled table.
        tags: Tag of every token, int64 `[batch, token]`.
        is_padding: Bool `[batch, token]`.
        width: Heads times their dimension.
        layers: Over which the planning is shared.
    """
    dense = COSTS.masked_pair * width * tags.shape[0] * tags.shape[1] ** 2
    if dense * layers < FELT_SECONDS:
        return False
    counts = counts_by_rank(table, tags.numpy(), is_padding.numpy())
    found = work(table, counts[:, :-1])
    grouped = COSTS.call * found.calls + COSTS.batch / layers
    grouped += width * (COSTS.row * found.rows + COSTS.pair * found.pairs)
    return grouped < CAUTION * dense


def work(table: CompiledTable, counts: np.ndarray) -> Work:
    """Return what the rectangles of a batch do.

    Args:
        table: The compiled table.
        counts: Tokens of each rank, int64 `[batch, rank]`.
    """
    keys = counts @ table.allowed.T.astype(
        np.int64
    )  # that a query of each rank sees, [batch, rank]
    keys += ~np.diag(table.allowed) * (counts > 0)
    queries = np.zeros_like(counts)
    np.add.at(queries, (slice(None), table.merged), counts)
    there = queries > 0
    rows = int((there * (queries + keys)).sum())
    return Work(int(there.sum()), rows, int((queries * keys).sum()))
