"""Attention that computes only the pairs of a plan, exactly, on a CPU.

Every block of a plan is a dense rectangle. A large one is one call of PyTorch's fused attention; a
small one keeps its attention weights, which spares its gradients a product. Only where a token
attends itself besides its keys is one more score folded in. Outputs and gradients are those of
dense attention under the same mask; under a table, memory grows with the number of tokens, not with
its square.
"""

import math
from typing import Any

import torch
from torch import Tensor

from ggsa.model.attention.plan import Block, Plan

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward

KEPT_KEYS = 512
"""Most keys of a query, unless it is a block's only one, whose weights are kept: a bound on memory."""

KEPT_BYTES = 2**22
"""Most that a block's weights of all heads may take to be kept: beyond, the fused call is faster."""


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
    """Forward and backward over the blocks, without one autograd node per block.

    Tensors are `[1, head, row, dim]`, views of memory that lies `[row, head, dim]`: a range of rows
    is one stretch of it.
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, plan: Plan, scaling: float
    ) -> Tensor:
        batch, heads, tokens, dim = query.shape
        q, k, v = _rows(query), _rows(key), _rows(value)
        output = _like(q, plan)
        kept: list[Tensor | None] = []  # for the backward pass, of every block
        by_block = (_by_block(x, plan) for x in (q, output))
        for block, asked, answer in zip(plan.blocks, *by_block, strict=True):
            if block.key_count == 1:
                part, weights = _only_value(v, block), None
            elif _is_small(block, q):
                scores = (asked * scaling) @ _take(k, block).mT
                if block.mask is not None:
                    scores += _bias(block, q.dtype)
                weights = torch.softmax(scores, -1)
                part = weights @ _take(v, block)
            else:
                part, weights = _forward(
                    asked,
                    _take(k, block),
                    _take(v, block),
                    attn_mask=_bias(block, q.dtype),
                    scale=scaling,
                )
                if block.itself:
                    part, weights = _with_itself(part, weights, asked, k, v, block, scaling)
            answer.copy_(part)
            kept.append(weights)
        ctx.save_for_backward(q, k, v, output, *kept)
        ctx.plan, ctx.scaling, ctx.shape = plan, scaling, (batch, tokens, heads, dim)
        return _sentences(output, ctx.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, output, *kept = ctx.saved_tensors
        plan, scaling = ctx.plan, ctx.scaling
        g, dq = _rows(gradient), _like(q, plan)
        dk, dv = torch.zeros_like(k), torch.zeros_like(v)
        by_block = (_by_block(x, plan) for x in (q, g, output, dq))
        for block, weights, asked, slope, answer, change in zip(
            plan.blocks, kept, *by_block, strict=True
        ):
            if block.key_count == 1:
                change.zero_()
                _add_to_only(dv, block, slope)
            elif _is_small(block, q):
                rise = torch._softmax_backward_data(
                    slope @ _take(v, block).mT, weights, -1, q.dtype
                )
                torch.mul(rise @ _take(k, block), scaling, out=change)
                _add_product(dk, block, rise.mT, asked * scaling)
                _add_product(dv, block, weights.mT, slope)
            else:
                of_queries, of_keys, of_values = _backward(
                    slope,
                    asked,
                    _take(k, block),
                    _take(v, block),
                    answer,
                    weights,
                    0.0,
                    False,
                    attn_mask=_bias(block, q.dtype),
                    scale=scaling,
                )
                change.copy_(of_queries)
                _add(dk, block, of_keys)
                _add(dv, block, of_values)
                if block.itself:
                    share = torch.exp(_own_score(asked, k, block, scaling) - weights)
                    share = share.to(q.dtype)[..., None]
                    rise = (
                        (slope * (_own(v, block) - answer)).sum(-1, keepdim=True) * share * scaling
                    )
                    change.addcmul_(rise, _own(k, block))
                    _own(dk, block).addcmul_(rise, asked)
                    _own(dv, block).addcmul_(share, slope)
        return (*(_sentences(x, ctx.shape) for x in (dq, dk, dv)), None, None)


def _is_small(block: Block, q: Tensor) -> bool:
    """Return whether a block keeps its attention weights for the backward pass.

    Its gradients then take four products of matrices and not five. In half precision the fused call
    is more exact.
    """
    if block.itself or q.dtype not in (torch.float32, torch.float64):
        return False
    queries, keys = block.stop - block.start, block.key_count
    few = queries == 1 or keys <= KEPT_KEYS
    return few and q.shape[1] * queries * keys * q.element_size() <= KEPT_BYTES


def _rows(x: Tensor) -> Tensor:
    """Return `[batch, head, token, dim]` as `[1, head, batch * token, dim]`, without a copy if may be."""
    batch, heads, tokens, dim = x.shape
    return x.transpose(1, 2).reshape(1, batch * tokens, heads, dim).transpose(1, 2)


def _sentences(rows: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    """Return `[1, head, batch * token, dim]` as `[batch, head, token, dim]`; a view."""
    return rows.transpose(1, 2).view(shape).transpose(1, 2)


def _like(rows: Tensor, plan: Plan) -> Tensor:
    """Return room for what every query gets, zeros where there is padding."""
    filled = sum(block.stop - block.start for block in plan.blocks) == rows.shape[2]
    return torch.empty_like(rows) if filled else torch.zeros_like(rows)


def _by_block(rows: Tensor, plan: Plan) -> tuple[Tensor, ...]:
    """Return the rows of every block's queries; views, made at once."""
    sizes, done = [], 0
    for block in plan.blocks:
        sizes += [block.start - done, block.stop - block.start]
        done = block.stop
    return rows.split_with_sizes([*sizes, rows.shape[2] - done], 2)[1::2]


def _own(rows: Tensor, block: Block) -> Tensor:
    """Return the rows of a block's queries themselves, as keys; a view."""
    return rows.narrow(2, block.start, block.stop - block.start)


def _take(rows: Tensor, block: Block) -> Tensor:
    """Return the rows of a block's keys; a view where they are one range."""
    if isinstance(block.keys, Tensor):
        return rows.index_select(2, block.keys)
    ranges = [rows.narrow(2, start, stop - start) for start, stop in block.keys]
    if len(ranges) == 1:
        return ranges[0]
    return torch.cat([part.transpose(1, 2) for part in ranges], 1).transpose(1, 2)


def _add(total: Tensor, block: Block, part: Tensor) -> None:
    """Add the gradients of a block's keys to those of all keys, in place."""
    if isinstance(block.keys, Tensor):
        total.index_add_(2, block.keys, part)
        return
    done = 0
    for start, stop in block.keys:
        total.narrow(2, start, stop - start).add_(part.narrow(2, done, stop - start))
        done += stop - start


def _add_product(total: Tensor, block: Block, left: Tensor, right: Tensor) -> None:
    """Add `[1, head, key, query]` times `[1, head, query, dim]` likewise.

    One query's product has the size of its keys, which may be all of a sentence: it is added as it
    is made.
    """
    if isinstance(block.keys, Tensor) or right.shape[2] > 1:
        _add(total, block, left @ right)
        return
    done = 0
    for start, stop in block.keys:
        total.narrow(2, start, stop - start).addcmul_(left.narrow(2, done, stop - start), right)
        done += stop - start


def _only_value(v: Tensor, block: Block) -> Tensor:
    """Return the value of the one key that each query of a block sees, a row per query."""
    if block.itself:
        return _own(v, block)
    return _take(v, block).expand(-1, -1, block.stop - block.start, -1)


def _add_to_only(dv: Tensor, block: Block, slope: Tensor) -> None:
    """Add the gradient of that value."""
    if block.itself:
        _own(dv, block).add_(slope)
    else:
        _add(dv, block, slope.sum(2, keepdim=True))


def _with_itself(
    output: Tensor,
    weights: Tensor,
    asked: Tensor,
    k: Tensor,
    v: Tensor,
    block: Block,
    scaling: float,
) -> tuple[Tensor, Tensor]:
    """Return output and logarithm of the sum of exponentials, each query seeing itself besides."""
    own = _own_score(asked, k, block, scaling).to(weights.dtype)
    both = torch.logaddexp(weights, own)
    others = torch.exp(weights - both)[..., None]
    whole = output.to(own.dtype) * others + _own(v, block).to(own.dtype) * (1 - others)
    return whole.to(output.dtype), both


def _bias(block: Block, dtype: torch.dtype) -> Tensor | None:
    """Return a block's mask as it is added to scores, `[1, 1, query, key]`."""
    if block.mask is None:
        return None
    bias = torch.zeros(block.mask.shape, dtype=dtype)
    return bias.masked_fill_(~block.mask, -torch.inf)[None, None]


def _own_score(asked: Tensor, k: Tensor, block: Block, scaling: float) -> Tensor:
    """Return every query's score of itself, `[1, head, query]`."""
    return (asked * _own(k, block)).sum(-1) * scaling
