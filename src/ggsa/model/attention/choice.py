"""Which implementation computes a batch under `attention.implementation: auto`.

On a GPU the length decides. On a CPU, a cost model of five numbers, measured on one CPU thread by `python -m benchmarks.attention --fit`,
predicts the time: a call has a fixed cost, and its products cost by their size. The numbers affect
only speed, and are constants so that a run takes the same path on every machine.
"""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from ggsa.model.attention.plan import CompiledTable, counts_by_rank

BAND_TOKENS = 384
"""Shortest sentences, in tokens, for which a band is faster than the dense mask."""

GPU_TOKENS = 4096
"""Shortest sentences, in tokens, for which segments are faster than the dense mask on a GPU.

On an H200 (reports/published/benchmark/gpu.csv), forward and backward in bfloat16, segments take 1.32
times as long as the dense mask at 2,048 tokens and 0.80 times as long at 4,096, planning included once
for 12 layers.
"""

SHORT_SECONDS = 3.8e-3
"""Predicted time under the dense mask, over all layers, below which counting rectangles costs too much.

Counting takes about 0.15 ms. Such a short batch is computed under the mask, regardless of its tags.
"""


class Work(NamedTuple):
    """Size of the rectangles of a batch in one layer, apart from its width.

    Attributes:
        calls: Rectangles.
        rows: Queries and keys that are sliced or gathered, over all rectangles.
        pairs: Query-key pairs.
    """

    calls: int
    rows: int
    pairs: int


class Costs(NamedTuple):
    """Seconds of one layer, forward and backward, on one thread.

    Attributes:
        call: Per rectangle.
        row: Per query or key of a rectangle, head and dimension.
        pair: Per pair of a rectangle, head and dimension.
        masked_pair: Per pair under the dense mask, head and dimension.
        batch: Per batch, for planning; shared by the layers.
    """

    call: float
    row: float
    pair: float
    masked_pair: float
    batch: float


COSTS = Costs(call=1.2e-4, row=2.5e-9, pair=1.7e-10, masked_pair=2.1e-10, batch=4.3e-4)

CAUTION = 0.9
"""Share of the mask's predicted time below which rectangles are chosen; predictions have errors."""


def band_is_faster(tokens: int) -> bool:
    """Return whether bands are predicted to be faster than the dense mask for sentences of a length."""
    return tokens >= BAND_TOKENS


def segments_are_faster(tokens: int) -> bool:
    """Return whether segments are faster than the dense mask on a GPU for sentences of a length."""
    return tokens >= GPU_TOKENS


def grouped_is_faster(
    table: CompiledTable, tags: Tensor, is_padding: Tensor, width: int, layers: int
) -> bool:
    """Return whether rectangles are predicted to be faster than the dense mask for a batch.

    Args:
        table: The compiled table.
        tags: Tag of every token, int64 `[batch, token]`.
        is_padding: Bool `[batch, token]`.
        width: Heads times their dimension.
        layers: Number of layers, which share the planning.
    """
    dense = COSTS.masked_pair * width * tags.shape[0] * tags.shape[1] ** 2
    if dense * layers < SHORT_SECONDS:
        return False
    counts = counts_by_rank(table, tags.numpy(), is_padding.numpy())
    size = work(table, counts[:, :-1])
    grouped = COSTS.call * size.calls + COSTS.batch / layers
    grouped += width * (COSTS.row * size.rows + COSTS.pair * size.pairs)
    return grouped < CAUTION * dense


def work(table: CompiledTable, counts: np.ndarray) -> Work:
    """Return the size of a batch's rectangles.

    Args:
        table: The compiled table.
        counts: Tokens of each rank, int64 `[batch, rank]`.
    """
    # Keys of a query of each rank, [batch, rank].
    keys = counts @ table.allowed.T.astype(np.int64)
    keys += ~np.diag(table.allowed) * (counts > 0)
    queries = np.zeros_like(counts)
    np.add.at(queries, (slice(None), table.merged), counts)
    present = queries > 0
    rows = int((present * (queries + keys)).sum())
    return Work(int(present.sum()), rows, int((queries * keys).sum()))
