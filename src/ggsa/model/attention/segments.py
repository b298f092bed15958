"""Which keys each query of a batch may attend to under a table, as segments for a GPU.

Tokens are sorted by tag, and tags with the same keys are adjacent. A *segment* is the queries of one
sentence that share their keys: a range of rows, and the rows of their keys, which are gathered. The
index is built once per batch, for all layers and heads, by batched tensor operations on the device of
the model: at 65,536 tokens it has some 300,000 entries, which are faster to compute there than to copy.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ggsa.workspace.vocabulary import CLS, TAGS

PADDING = len(TAGS)
"""Rank of padding: the last in every sentence, and a group that attends to nothing."""


class Groups(NamedTuple):
    """A table whose tags are sorted into groups that share their keys, on a device.

    Attributes:
        rank: Position of every tag in that order, int64 `[tag]`; `[CLS]` is first.
        first: First rank of every group, int64 `[group]`; the last group is padding.
        allowed: Which ranks a group attends to, bool `[group, rank]`; padding is a rank.
        itself: Ranks whose own pair is blocked, bool `[rank]`; None if there are none.
    """

    rank: Tensor
    first: Tensor
    allowed: Tensor
    itself: Tensor | None


class Segments(NamedTuple):
    """What attention computes for a batch; a row is a token of the sorted, flattened batch.

    Every row is a query of exactly one segment. Padding forms segments without keys.

    Attributes:
        order: For every position in the model the index of its token, int64 `[batch, token]`.
            Padding stays at the end; a sentence's first token stays first.
        queries: Where the rows of every segment begin, and their number, int32 `[segment + 1]`.
        keys: Where the gathered keys of every segment begin, and their number, int32 `[segment + 1]`.
        gathered: Row of every gathered key, int64 `[key]`.
        copies: Gathered keys, ordered by their row, int64 `[key]`.
        copied: Where the copies of every row begin, and their number, int64 `[row + 1]`.
        itself: Rows that also attend to themselves, and are not among their keys, bool `[row]`; None
            if no tag has such rows.
        most_queries: Rows of the longest segment.
        most_keys: Gathered keys of the longest segment.
    """

    order: Tensor
    queries: Tensor
    keys: Tensor
    gathered: Tensor
    copies: Tensor
    copied: Tensor
    itself: Tensor | None
    most_queries: int
    most_keys: int


def compile_groups(allowed: np.ndarray, device: torch.device) -> Groups:
    """Return a table's groups.

    Args:
        allowed: Which tag may attend to which, bool `[tag, tag]`, over `vocabulary.TAGS`.
        device: The model's.
    """
    tags = sorted(range(len(TAGS)), key=lambda tag: TAGS[tag] != CLS)
    rows = list(dict.fromkeys(allowed[tag].tobytes() for tag in tags))  # distinct ones
    group = {tag: rows.index(allowed[tag].tobytes()) for tag in tags}
    order = np.array(sorted(tags, key=group.__getitem__))
    first = [[group[tag] for tag in order].index(i) for i in range(len(rows))]
    by_group = np.zeros((len(rows) + 1, len(TAGS) + 1), bool)
    by_group[:-1, :-1] = allowed[np.ix_(order[first], order)]
    blocked = np.append(~allowed[order, order], False)
    arrays = (order.argsort(), np.array([*first, PADDING]), by_group, blocked)
    rank, starts, by_group, itself = (torch.from_numpy(array).to(device) for array in arrays)
    return Groups(rank, starts, by_group, itself if blocked.any() else None)


def plan(groups: Groups, tags: Tensor, is_padding: Tensor) -> Segments:
    """Return the segments of a batch, on the device of the groups.

    Args:
        groups: Of the table.
        tags: Tag of every token, int64 `[batch, token]`; any valid index at padding.
        is_padding: Bool `[batch, token]`.
    """
    device = groups.rank.device
    tags, is_padding = tags.to(device), is_padding.to(device)
    (batch, width), ranks = tags.shape, len(TAGS) + 1
    sentence = torch.arange(batch, device=device)[:, None]
    rank = groups.rank[tags].masked_fill(is_padding, PADDING)
    by_row, order = (sentence * ranks + rank).flatten().int().sort(stable=True)

    edges = torch.arange(batch * ranks + 1, device=device, dtype=torch.int32)
    # First row of each rank in each sentence, and the number of rows.
    starts = torch.searchsorted(by_row, edges)
    counts = starts.diff().view(batch, 1, ranks)
    queries = torch.cat((starts[:-1].view(batch, ranks)[:, groups.first].flatten(), starts[-1:]))
    query_counts = queries.diff().view(batch, -1)
    # Keys of each rank in each segment, [batch, group, rank]; groups without queries gather none.
    pieces = counts * groups.allowed * (query_counts > 0)[..., None]
    key_counts = pieces.sum(2).flatten()
    keys = torch.nn.functional.pad(key_counts.cumsum(0), (1, 0))
    # The only wait for the device.
    numbers = torch.stack((keys[-1], query_counts.max(), key_counts.max()))
    total, most_queries, most_keys = numbers.tolist()

    pieces = pieces.flatten()
    offsets = starts[:-1].view(batch, 1, ranks).expand(-1, len(groups.first), -1).flatten()
    offsets = offsets - pieces.cumsum(0) + pieces  # row of a piece's first key, less its place
    gathered = offsets.repeat_interleave(pieces, output_size=total)
    gathered += torch.arange(total, device=device)
    sorted_rows, copies = gathered.int().sort(stable=True)
    rows = torch.arange(batch * width + 1, device=device, dtype=torch.int32)
    return Segments(
        order=order.view(batch, width) - sentence * width,
        queries=queries.int(),
        keys=keys.int(),
        gathered=gathered,
        copies=copies,
        copied=torch.searchsorted(sorted_rows, rows),
        itself=None if groups.itself is None else groups.itself[by_row % ranks],
        most_queries=most_queries,
        most_keys=most_keys,
    )
