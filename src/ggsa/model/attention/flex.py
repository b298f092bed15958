"""FlexAttention over tiles: the implementation for GPUs.

A GPU computes tiles, not rows, and in a sentence as it is written no tile is ever empty. Sorted by
tag, most are: the tiles that hold an allowed pair follow from which tags a tile of queries and a
tile of keys hold. Windows and separators keep their order, and their tiles follow from places. Either way
the block mask is built from counts, without a length x length tensor.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from ggsa.model.attention.banded import Places
from ggsa.model.attention.plan import Plan

TILE = 128
"""Side of a tile, in tokens."""


class Flex(NamedTuple):
    """What FlexAttention needs for a batch.

    Attributes:
        block_mask: Which tiles are computed, and which of them in part.
        score: What is added to scores where a table favors pairs, or None.
    """

    block_mask: BlockMask
    score: Any = None


def of_table(plan: Plan, bias: Tensor, tile: int = TILE) -> Flex:
    """Return what a table's pattern needs, tokens in the plan's order.

    Args:
        plan: Whose order the tokens are in; its ranks say which tag each has.
        bias: Bias over ranks, `[rank, rank]`, minus infinity where blocked; on the device.
        tile: Side of a tile.
    """
    ranks, allowed = plan.ranks.to(bias.device), torch.isfinite(bias)
    favored = bool((allowed & (bias != 0)).any())
    return Flex(block_mask(ranks, allowed, tile), _favor(ranks, bias) if favored else None)


def of_places(places: Places, device: torch.device, tile: int = TILE) -> Flex:
    """Return what a window or separators need, tokens in their own order.

    Args:
        places: Who may attend whom.
        device: Where the tokens are.
        tile: Side of a tile.
    """
    lengths, reach, ring, special = (x.to(device) for x in places[:4])
    open_row, tokens = places.open_row, special.shape[1]
    tiles = -(-tokens // tile)
    apart = torch.arange(tiles, device=device)
    apart = (apart[:, None] - apart[None, :]).abs()  # [tile, tile]
    nearest, furthest = ((apart - 1) * tile + 1).clamp(min=0), (apart + 1) * tile - 1
    some = nearest[None] <= reach[:, None, None] + 1
    holds = _padded(special, tiles * tile).view(len(lengths), 1, tiles, tile)
    some = some | holds.any(-1)
    some[:, 0] |= open_row
    starts = torch.arange(tiles, device=device) * tile
    present = starts[None] < lengths[:, None]  # a tile of padding alone sees nothing but itself
    inside = starts[None] + tile <= lengths[:, None]
    some = some & present[:, :, None] & present[:, None, :]
    some = some | torch.eye(tiles, dtype=torch.bool, device=device)
    whole = (furthest[None] <= reach[:, None, None]) & inside[:, :, None] & inside[:, None, :]

    def may_attend(b: Tensor, _h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        apart = k - q
        seen = (apart.abs() <= reach[b]) | special[b, k]
        seen = seen | ((apart == -reach[b] - 1) & ring[b, 0, q])
        seen = seen | ((apart == reach[b] + 1) & ring[b, 1, q])
        seen = seen | ((q == 0) & open_row)
        return (seen & (q < lengths[b]) & (k < lengths[b])) | (q == k)

    return Flex(_of_tiles(some, whole, tile, tokens, may_attend))


def _padded(x: Tensor, length: int) -> Tensor:
    padded = x.new_zeros(x.shape[0], length)
    padded[:, : x.shape[1]] = x
    return padded


def block_mask(ranks: Tensor, allowed: Tensor, tile: int = TILE) -> BlockMask:
    """Return which tiles hold an allowed pair, and which hold no other.

    Args:
        ranks: Rank of every token, int64 `[batch, token]`; `len(allowed)` at padding.
        allowed: Which rank may attend which, bool `[rank, rank]`; a token sees itself besides.
        tile: Side of a tile, in tokens.
    """
    batch, tokens = ranks.shape
    kinds = len(allowed)
    tiles = -(-tokens // tile)
    padded = ranks.new_full((batch, tiles * tile), kinds)
    padded[:, :tokens] = ranks
    holds = torch.zeros(batch, tiles, kinds + 1, device=ranks.device)
    index = padded.view(batch, tiles, tile)
    holds.scatter_(2, index, torch.ones_like(index, dtype=holds.dtype))  # [batch, tile, rank + 1]
    table = torch.zeros(kinds + 1, kinds + 1, device=ranks.device)
    table[:kinds, :kinds] = allowed.to(table.dtype)
    some = torch.einsum("biq,qk,bjk->bij", holds, table, holds) > 0
    none = torch.einsum("biq,qk,bjk->bij", holds, 1 - table, holds) > 0
    some = some | torch.eye(tiles, dtype=torch.bool, device=ranks.device)
    whole = some & ~none

    def may_attend(b: Tensor, _h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        query, key = ranks[b, q], ranks[b, k]
        real = (query < kinds) & (key < kinds)
        pair = allowed[query.clamp(max=kinds - 1), key.clamp(max=kinds - 1)]
        return (real & pair) | (q == k)

    return _of_tiles(some, whole, tile, tokens, may_attend)


def _of_tiles(
    some: Tensor, whole: Tensor, tile: int, tokens: int, may_attend: Callable[..., Tensor]
) -> BlockMask:
    """Return the block mask of tiles that hold a pair, and of those that hold no other."""
    return BlockMask.from_kv_blocks(
        *_listed(some & ~whole),
        *_listed(some & whole),
        BLOCK_SIZE=tile,
        mask_mod=may_attend,
        seq_lengths=(tokens, tokens),
    )


def _listed(tiles: Tensor) -> tuple[Tensor, Tensor]:
    """Return, for every row of tiles, how many are chosen, and those first, `[batch, 1, ...]`."""
    chosen = tiles.to(torch.int32)
    order = torch.argsort(chosen, dim=-1, descending=True, stable=True).to(torch.int32)
    return chosen.sum(-1).to(torch.int32)[:, None].contiguous(), order[:, None].contiguous()


def _favor(ranks: Tensor, bias: Tensor) -> Any:
    finite = torch.where(torch.isfinite(bias), bias, torch.zeros_like(bias))
    last = len(bias) - 1

    def score(value: Tensor, b: Tensor, _h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return value + finite[ranks[b, q].clamp(max=last), ranks[b, k].clamp(max=last)]

    return score


@functools.cache
def _compiled(device: str) -> Any:
    # For a CPU, PyTorch 2.13 generates code of dynamic shapes that does not compile.
    return torch.compile(flex_attention, dynamic=device != "cpu")


def flexible_attention(
    query: Tensor, key: Tensor, value: Tensor, flex: Flex, scaling: float | None = None
) -> Tensor:
    """Return attention's output, `[batch, head, token, dim]`, tokens in the plan's order.

    On a CPU it has no backward and is for inference alone.

    Raises:
        ValueError: If a gradient is asked for on a CPU.
    """
    if query.device.type == "cpu" and torch.is_grad_enabled() and query.requires_grad:
        raise ValueError("FlexAttention has no backward on a CPU; choose grouped or dense")
    return _compiled(query.device.type)(
        query, key, value, score_mod=flex.score, block_mask=flex.block_mask, scale=scaling
    )
