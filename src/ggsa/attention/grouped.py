"""Attention that computes only the pairs of a plan, exactly, on a CPU.

Every block of a plan is one call of PyTorch's fused attention on a dense rectangle; only where a
token attends itself besides its keys is one more score folded in. Outputs and gradients are those
of dense attention under the same mask; under a table, memory grows with the number of tokens, not with its square.
"""

import math
from typing import Any

import torch
from torch import Tensor

from ggsa.attention.plan import Block, Plan

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def grouped_attention(
    query: Tensor, key: Tensor, value: Tensor, plan: Plan, scaling: float | None = None
) -> Tensor:
    """Return attention's output over the pairs of a plan, `[batch, head, token, dim]`.

    Padding gets zeros.

    Args:
        query: `[batch, head, token, dim]`, tokens in the plan's order; key and value likewise.
        key: See query.
        value: See query.
        plan: The blocks of the batch.
        scaling: Factor of the scores; None is 1 / sqrt(dim).

    Raises:
        ValueError: If the tensors are not on a CPU, where alone the fused call exists.
    """
    if query.device.type != "cpu":
        raise ValueError(f"grouped attention runs on a CPU, not on {query.device}; choose flex")
    scaling = 1 / math.sqrt(query.shape[-1]) if scaling is None else scaling
    return _Grouped.apply(query, key, value, plan, scaling)


class _Grouped(torch.autograd.Function):
    """Forward and backward over the blocks, without one autograd node per block."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, plan: Plan, scaling: float
    ) -> Tensor:
        batch, heads, tokens, dim = query.shape
        q, k, v = _rows(query), _rows(key), _rows(value)
        output = q.new_zeros(batch * tokens, heads, dim)
        kind = q.dtype if q.dtype in (torch.float32, torch.float64) else torch.float32
        weight = torch.empty(batch * tokens, heads, dtype=kind)  # log of the sum of exponentials
        for block in plan.blocks:
            rows = slice(block.start, block.stop)
            if not block.key_count - block.itself:  # each query sees itself alone
                output[rows] = v[rows]
                weight[rows] = _own_score(q, k, rows, scaling).to(kind)
                continue
            part, logsum = _forward(
                _heads_first(q[rows]),
                _heads_first(_take(k, block)),
                _heads_first(_take(v, block)),
                attn_mask=_mask(block, q.dtype),
                scale=scaling,
            )
            part, logsum = part[0].transpose(0, 1), logsum[0].transpose(0, 1)
            if block.itself:
                own = _own_score(q, k, rows, scaling).to(kind)
                both = torch.logaddexp(logsum, own)
                kept = torch.exp(logsum - both)[..., None]
                part, logsum = part.to(kind) * kept + v[rows].to(kind) * (1 - kept), both
            output[rows], weight[rows] = part, logsum
        ctx.save_for_backward(q, k, v, output, weight)
        ctx.plan, ctx.scaling, ctx.shape = plan, scaling, (batch, tokens, heads, dim)
        return output.view(batch, tokens, heads, dim).transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, output, weight = ctx.saved_tensors
        g = _rows(gradient)
        dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for block in ctx.plan.blocks:
            rows = slice(block.start, block.stop)
            if block.key_count - block.itself:
                part = _backward(
                    _heads_first(g[rows]),
                    _heads_first(q[rows]),
                    _heads_first(_take(k, block)),
                    _heads_first(_take(v, block)),
                    _heads_first(output[rows]),
                    weight[rows].transpose(0, 1)[None],
                    0.0,
                    False,
                    attn_mask=_mask(block, q.dtype),
                    scale=ctx.scaling,
                )
                dq[rows] = part[0][0].transpose(0, 1)
                _add(dk, block, part[1][0].transpose(0, 1))
                _add(dv, block, part[2][0].transpose(0, 1))
            if block.itself:
                share = torch.exp(_own_score(q, k, rows, ctx.scaling) - weight[rows]).to(q.dtype)
                dv[rows] += share[..., None] * g[rows]
                slope = share * ((g[rows] * (v[rows] - output[rows])).sum(-1)) * ctx.scaling
                dq[rows] += slope[..., None] * k[rows]
                dk[rows] += slope[..., None] * q[rows]
        batch, tokens, heads, dim = ctx.shape
        back = (x.view(batch, tokens, heads, dim).transpose(1, 2) for x in (dq, dk, dv))
        return (*back, None, None)


def _rows(x: Tensor) -> Tensor:
    """Return `[batch, head, token, dim]` as `[batch * token, head, dim]`, without a copy if may be."""
    batch, heads, tokens, dim = x.shape
    return x.transpose(1, 2).reshape(batch * tokens, heads, dim)


def _heads_first(x: Tensor) -> Tensor:
    """Return `[token, head, dim]` as `[1, head, token, dim]`."""
    return x.transpose(0, 1)[None]


def _take(x: Tensor, block: Block) -> Tensor:
    """Return the rows of a block's keys, `[key, head, dim]`; a view where they are one range."""
    if isinstance(block.keys, Tensor):
        return x.index_select(0, block.keys)
    if len(block.keys) == 1:
        return x[block.keys[0][0] : block.keys[0][1]]
    return torch.cat([x[start:stop] for start, stop in block.keys])


def _add(total: Tensor, block: Block, part: Tensor) -> None:
    """Add the gradients of a block's keys to those of all keys, in place."""
    if isinstance(block.keys, Tensor):
        total.index_add_(0, block.keys, part)
        return
    done = 0
    for start, stop in block.keys:
        total[start:stop] += part[done : done + stop - start]
        done += stop - start


def _mask(block: Block, dtype: torch.dtype) -> Tensor | None:
    """Return a block's mask as it is added to scores, `[1, 1, query, key]`."""
    if block.mask is None:
        return None
    bias = torch.zeros(block.mask.shape, dtype=dtype)
    return bias.masked_fill_(~block.mask, -torch.inf)[None, None]


def _own_score(q: Tensor, k: Tensor, rows: slice, scaling: float) -> Tensor:
    """Return every query's score of itself, `[query, head]`."""
    return (q[rows] * k[rows]).sum(-1) * scaling
