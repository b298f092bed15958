"""Attention that computes only the pairs of a plan, exactly.

On a GPU a plan is segments, which `varlen.py` computes; the rest of this file is for a CPU. Every block of a plan is a dense rectangle. A large one is one call of PyTorch's fused attention; a
small one keeps its attention weights, which saves a matrix product in the backward pass. If a token
attends to itself in addition to its keys, one more score is folded in. Outputs and gradients equal
those of dense attention under the same mask. Under a table, memory grows linearly with the number of
tokens.
"""

import math
from typing import Any

import torch
from torch import Tensor

from ggsa.model.attention.plan import Block, Plan
from ggsa.model.attention.segments import Segments
from ggsa.model.attention.varlen import segment_attention

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward

KEPT_KEYS = 512
"""Most keys of a block whose weights are kept, unless it has one query: a bound on memory."""

KEPT_BYTES = 2**22
"""Largest size of the weights that a block keeps, over all heads; beyond it the fused call is faster."""


def grouped_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    plan: Plan | Segments,
    scaling: float | None = None,
) -> Tensor:
    """Return attention's output over the pairs of a plan, `[batch, head, token, dim]`.

    Padding gets zeros.

    Args:
        query: `[batch, head, token, dim]`, tokens in the plan's order; key and value have the same
            shape.
        key: See query.
        value: See query.
        plan: The blocks of the batch on a CPU, its segments on a GPU.
        scaling: Factor of the scores; None is 1 / sqrt(dim).

    Raises:
        ValueError: If blocks are to be computed elsewhere; their fused call exists only on a CPU.
        UserError: If a GPU cannot compute segments of this data type or head dimension.
    """
    if isinstance(plan, Segments):
        return segment_attention(query, key, value, plan, scaling)
    if query.device.type != "cpu":
        raise ValueError(f"blocks are computed on a CPU, not on {query.device}; use dense")
    scaling = 1 / math.sqrt(query.shape[-1]) if scaling is None else scaling
    return _Grouped.apply(query, key, value, plan, scaling)


class _Grouped(torch.autograd.Function):
    """Forward and backward over the blocks, without one autograd node per block.

    Tensors are `[1, head, row, dim]`, views of memory laid out as `[row, head, dim]`: a range of rows
    is contiguous.
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
        for block, queries, outputs in zip(plan.blocks, *by_block, strict=True):
            if block.key_count == 1:
                part, weights = _only_value(v, block), None
            elif _is_small(block, q):
                scores = (queries * scaling) @ _take(k, block).mT
                if block.mask is not None:
                    scores += _bias(block, q.dtype)
                weights = torch.softmax(scores, -1)
                part = weights @ _take(v, block)
            else:
                part, weights = _forward(
                    queries,
                    _take(k, block),
                    _take(v, block),
                    attn_mask=_bias(block, q.dtype),
                    scale=scaling,
                )
                if block.itself:
                    part, weights = _with_itself(part, weights, queries, k, v, block, scaling)
            outputs.copy_(part)
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
        for block, weights, queries, gradients, outputs, query_gradients in zip(
            plan.blocks, kept, *by_block, strict=True
        ):
            if block.key_count == 1:
                query_gradients.zero_()
                _add_to_only(dv, block, gradients)
            elif _is_small(block, q):
                score_gradients = torch._softmax_backward_data(
                    gradients @ _take(v, block).mT, weights, -1, q.dtype
                )
                torch.mul(score_gradients @ _take(k, block), scaling, out=query_gradients)
                _add_product(dk, block, score_gradients.mT, queries * scaling)
                _add_product(dv, block, weights.mT, gradients)
            else:
                of_queries, of_keys, of_values = _backward(
                    gradients,
                    queries,
                    _take(k, block),
                    _take(v, block),
                    outputs,
                    weights,
                    0.0,
                    False,
                    attn_mask=_bias(block, q.dtype),
                    scale=scaling,
                )
                query_gradients.copy_(of_queries)
                _add(dk, block, of_keys)
                _add(dv, block, of_values)
                if block.itself:
                    share = torch.exp(_own_score(queries, k, block, scaling) - weights)
                    share = share.to(q.dtype)[..., None]
                    score_gradients = (
                        (gradients * (_own(v, block) - outputs)).sum(-1, keepdim=True)
                        * share
                        * scaling
                    )
                    query_gradients.addcmul_(score_gradients, _own(k, block))
                    _own(dk, block).addcmul_(score_gradients, queries)
                    _own(dv, block).addcmul_(share, gradients)
        return (*(_sentences(x, ctx.shape) for x in (dq, dk, dv)), None, None)


def _is_small(block: Block, q: Tensor) -> bool:
    """Return whether a block keeps its attention weights for the backward pass.

    Its gradients then take four matrix products instead of five. In half precision the fused call
    is more accurate.
    """
    if block.itself or q.dtype not in (torch.float32, torch.float64):
        return False
    rows, keys = block.stop - block.start, block.key_count
    few = rows == 1 or keys <= KEPT_KEYS
    return few and q.shape[1] * rows * keys * q.element_size() <= KEPT_BYTES


def _rows(x: Tensor) -> Tensor:
    """Return `[batch, head, token, dim]` as `[1, head, batch * token, dim]`, a view if possible."""
    batch, heads, tokens, dim = x.shape
    return x.transpose(1, 2).reshape(1, batch * tokens, heads, dim).transpose(1, 2)


def _sentences(rows: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    """Return `[1, head, batch * token, dim]` as `[batch, head, token, dim]`; a view."""
    return rows.transpose(1, 2).view(shape).transpose(1, 2)


def _like(rows: Tensor, plan: Plan) -> Tensor:
    """Return a tensor for one row per query; padding is zero."""
    filled = sum(block.stop - block.start for block in plan.blocks) == rows.shape[2]
    return torch.empty_like(rows) if filled else torch.zeros_like(rows)


def _by_block(rows: Tensor, plan: Plan) -> tuple[Tensor, ...]:
    """Return the rows of every block's queries, as views."""
    sizes, done = [], 0
    for block in plan.blocks:
        sizes += [block.start - done, block.stop - block.start]
        done = block.stop
    return rows.split_with_sizes([*sizes, rows.shape[2] - done], 2)[1::2]


def _own(rows: Tensor, block: Block) -> Tensor:
    """Return the rows of a block's queries, as a view."""
    return rows.narrow(2, block.start, block.stop - block.start)


def _take(rows: Tensor, block: Block) -> Tensor:
    """Return the rows of a block's keys; a view if they are one range."""
    if isinstance(block.keys, Tensor):
        return rows.index_select(2, block.keys)
    ranges = [rows.narrow(2, start, stop - start) for start, stop in block.keys]
    if len(ranges) == 1:
        return ranges[0]
    return torch.cat([part.transpose(1, 2) for part in ranges], 1).transpose(1, 2)


def _add(total: Tensor, block: Block, part: Tensor) -> None:
    """Add gradients of a block's keys, or values, to those of all rows, in place."""
    if isinstance(block.keys, Tensor):
        total.index_add_(2, block.keys, part)
        return
    done = 0
    for start, stop in block.keys:
        total.narrow(2, start, stop - start).add_(part.narrow(2, done, stop - start))
        done += stop - start


def _add_product(total: Tensor, block: Block, left: Tensor, right: Tensor) -> None:
    """Add the product of `[1, head, key, query]` and `[1, head, query, dim]`, in place.

    The product of a single query has one row per key, possibly of the whole sentence: it is added
    without being stored.
    """
    if isinstance(block.keys, Tensor) or right.shape[2] > 1:
        _add(total, block, left @ right)
        return
    done = 0
    for start, stop in block.keys:
        total.narrow(2, start, stop - start).addcmul_(left.narrow(2, done, stop - start), right)
        done += stop - start


def _only_value(v: Tensor, block: Block) -> Tensor:
    """Return the value of the only key of each query of a block, one row per query."""
    if block.itself:
        return _own(v, block)
    return _take(v, block).expand(-1, -1, block.stop - block.start, -1)


def _add_to_only(dv: Tensor, block: Block, gradients: Tensor) -> None:
    """Add the gradient of the value that `_only_value` returns."""
    if block.itself:
        _own(dv, block).add_(gradients)
    else:
        _add(dv, block, gradients.sum(2, keepdim=True))


def _with_itself(
    output: Tensor,
    weights: Tensor,
    queries: Tensor,
    k: Tensor,
    v: Tensor,
    block: Block,
    scaling: float,
) -> tuple[Tensor, Tensor]:
    """Return output and log-sum-exp of the scores, each query also attending to itself."""
    own = _own_score(queries, k, block, scaling).to(weights.dtype)
    both = torch.logaddexp(weights, own)
    others = torch.exp(weights - both)[..., None]  # share of the other keys
    whole = output.to(own.dtype) * others + _own(v, block).to(own.dtype) * (1 - others)
    return whole.to(output.dtype), both


def _bias(block: Block, dtype: torch.dtype) -> Tensor | None:
    """Return a block's mask as an additive bias, `[1, 1, query, key]`."""
    if block.mask is None:
        return None
    bias = torch.zeros(block.mask.shape, dtype=dtype)
    return bias.masked_fill_(~block.mask, -torch.inf)[None, None]


def _own_score(queries: Tensor, k: Tensor, block: Block, scaling: float) -> Tensor:
    """Return the score of every query with its own key, `[1, head, query]`."""
    return (queries * _own(k, block)).sum(-1) * scaling
