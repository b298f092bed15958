"""FlexAttention over a plan: the implementation for GPUs.

A GPU computes tiles, not rows, and in a sentence as it is written no tile is ever empty. Sorted by
tag, most are: the tiles that hold an allowed pair follow from which tags a tile of queries and a
tile of keys hold, so that the block mask is built from counts, without a length x length tensor.
"""

import functools
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from ggsa.attention.plan import Plan

TILE = 128
"""Side of a tile, in tokens."""


class Flex:
    """What FlexAttention needs for a batch: a block mask and, where a table favours, its bias."""

    def __init__(self, plan: Plan, bias: Tensor, tile: int = TILE) -> None:
        """Build the block mask.

        Args:
            plan: Whose order the tokens are in; its ranks say which tag each has.
            bias: Bias over ranks, `[rank, rank]`, minus infinity where blocked.
            tile: Side of a tile.
        """
        device = bias.device
        ranks = plan.ranks.to(device)
        self.allowed = torch.isfinite(bias)
        self.block_mask = block_mask(ranks, self.allowed, tile)
        favoured = self.allowed & (bias != 0)
        self.score = _favour(ranks, bias) if bool(favoured.any()) else None


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

    return BlockMask.from_kv_blocks(
        *_listed(some & ~whole),
        *_listed(whole),
        BLOCK_SIZE=tile,
        mask_mod=may_attend,
        seq_lengths=(tokens, tokens),
    )


def _listed(tiles: Tensor) -> tuple[Tensor, Tensor]:
    """Return, for every row of tiles, how many are chosen, and those first, `[batch, 1, ...]`."""
    chosen = tiles.to(torch.int32)
    order = torch.argsort(chosen, dim=-1, descending=True, stable=True).to(torch.int32)
    return chosen.sum(-1).to(torch.int32)[:, None].contiguous(), order[:, None].contiguous()


def _favour(ranks: Tensor, bias: Tensor) -> Any:
    finite = torch.where(torch.isfinite(bias), bias, torch.zeros_like(bias))
    last = len(bias) - 1

    def score(value: Tensor, b: Tensor, _h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return value + finite[ranks[b, q].clamp(max=last), ranks[b, k].clamp(max=last)]

    return score


@functools.cache
def _compiled() -> Any:
    return torch.compile(flex_attention, dynamic=True)


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
    return _compiled()(
        query, key, value, score_mod=flex.score, block_mask=flex.block_mask, scale=scaling
    )
