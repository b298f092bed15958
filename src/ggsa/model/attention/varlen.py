"""Attention over the segments of a batch, exactly, by PyTorch's flash kernels on a GPU.

The calls are those of `torch.nn.attention.varlen.varlen_attn`. They are made here because its backward
pass neither takes gradients through the log-sum-exp, which a token that attends to itself in addition
to its keys needs, nor gathers keys again instead of keeping the gathered ones. The gradient of a key
is the sum over its copies in a fixed order, so that trainings are bit-identical under
`torch.use_deterministic_algorithms(True)`.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from ggsa.model.attention.segments import Segments
from ggsa.workspace.errors import UserError

DTYPES = (torch.float16, torch.bfloat16)
"""What the flash kernels compute in."""

WIDEST_HEAD = 256


class Kernel(NamedTuple):
    """Attention of segments, on tensors `[row or key, head, dim]`.

    Attributes:
        forward: Takes queries, gathered keys and values, segments and the factor of the scores.
            Returns the output and its log-sum-exp, `[head, row]`, then what `backward` needs. A query
            without keys gets zeros, and an infinite log-sum-exp of either sign.
        backward: Takes the gradient of the output, what `forward` took, and what it returned; returns
            the gradients of queries, keys and values. The output and the log-sum-exp may be those of
            a softmax over more keys.
    """

    forward: Callable[..., tuple[Tensor, ...]]
    backward: Callable[..., tuple[Tensor, Tensor, Tensor]]


def can_compute(dtype: torch.dtype | None, dim: int, device: torch.device) -> bool:
    """Return whether the flash kernels take a data type and a head's dimension on a GPU."""
    return (
        dtype in DTYPES
        and dim % 8 == 0
        and dim <= WIDEST_HEAD
        and torch.cuda.get_device_capability(device) >= (8, 0)
    )


def _flash_forward(
    q: Tensor, k: Tensor, v: Tensor, segments: Segments, scaling: float
) -> tuple[Tensor, ...]:
    if not can_compute(q.dtype, q.shape[-1], q.device):
        raise UserError(
            f"attention.implementation: grouped got heads of {q.shape[-1]} {q.dtype} numbers on "
            f"{torch.cuda.get_device_name(q.device)}. On a GPU it expects float16 or bfloat16, a "
            f"multiple of 8 up to {WIDEST_HEAD}, and compute capability 8.0. Use bfloat16 or "
            f"autocast, or set the implementation to auto or dense."
        )
    if not segments.most_keys:  # the kernels require a key
        lse = q.new_full((q.shape[1], q.shape[0]), -torch.inf, dtype=torch.float32)
        return torch.zeros_like(q), lse
    output, lse, *state, _ = torch.ops.aten._flash_attention_forward(
        q, k, v, *_sizes(segments), 0.0, False, False, scale=scaling
    )
    return output, lse, *state


def _flash_backward(
    gradient: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    segments: Segments,
    scaling: float,
    output: Tensor,
    lse: Tensor,
    *state: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    if not segments.most_keys:
        return torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
    return torch.ops.aten._flash_attention_backward(
        gradient, q, k, v, output, lse, *_sizes(segments), 0.0, False, *state, scale=scaling
    )


def _sizes(segments: Segments) -> tuple[Tensor, Tensor, int, int]:
    return segments.queries, segments.keys, segments.most_queries, segments.most_keys


FLASH = Kernel(_flash_forward, _flash_backward)


def segment_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    segments: Segments,
    scaling: float | None = None,
    kernel: Kernel = FLASH,
) -> Tensor:
    """Return attention's output over the keys of every segment, `[batch, head, token, dim]`.

    Padding gets zeros.

    Args:
        query: `[batch, head, token, dim]`, tokens in the segments' order; key and value have the same
            shape.
        key: See query.
        value: See query.
        segments: Of the batch.
        scaling: Factor of the scores; None is 1 / sqrt(dim).
        kernel: Computes the segments.

    Raises:
        UserError: If the flash kernels do not take the tensors.
    """
    scaling = 1 / math.sqrt(query.shape[-1]) if scaling is None else scaling
    return _Segmented.apply(query, key, value, segments, scaling, kernel)


class _Segmented(torch.autograd.Function):
    """Forward and backward over rows, `[row, head, dim]`."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        segments: Segments,
        scaling: float,
        kernel: Kernel,
    ) -> Tensor:
        q, k, v = _rows(query), _rows(key), _rows(value)
        gathered = _gather(k, segments), _gather(v, segments)
        output, lse, *state = kernel.forward(q, *gathered, segments, scaling)
        if segments.itself is not None:
            output, lse = _with_itself(output, lse, q, k, v, segments.itself, scaling)
        ctx.save_for_backward(q, k, v, output, lse, *state)
        ctx.segments, ctx.scaling, ctx.kernel = segments, scaling, kernel
        return _sentences(output, query)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, output, lse, *state = ctx.saved_tensors
        segments, scaling, g = ctx.segments, ctx.scaling, _rows(gradient)
        gathered = _gather(k, segments), _gather(v, segments)
        dq, *of_copies = ctx.kernel.backward(
            g, q, *gathered, segments, scaling, output, lse, *state
        )
        dk, dv = (_sum_of_copies(x, segments) for x in of_copies)
        if segments.itself is not None:
            share = _own_share(lse, q, k, segments.itself, scaling)
            score_gradients = (g.to(lse.dtype) * (v - output)).sum(-1, keepdim=True) * share
            score_gradients = (score_gradients * scaling).to(q.dtype)
            share = share.to(q.dtype)
            dq, dk, dv = dq + score_gradients * k, dk + score_gradients * q, dv + share * g
        return (*(_sentences(x, gradient) for x in (dq, dk, dv)), None, None, None)


def _rows(x: Tensor) -> Tensor:
    """Return `[batch, head, token, dim]` as `[row, head, dim]`, a view if possible."""
    return x.transpose(1, 2).flatten(0, 1)


def _sentences(rows: Tensor, like: Tensor) -> Tensor:
    """Return `[row, head, dim]` as `[batch, head, token, dim]`, the shape of another tensor; a view."""
    return rows.unflatten(0, (like.shape[0], like.shape[2])).transpose(1, 2)


def _gather(rows: Tensor, segments: Segments) -> Tensor:
    """Return the rows of all segments' keys, `[key, head, dim]`."""
    return rows.flatten(1).index_select(0, segments.gathered).unflatten(1, rows.shape[1:])


def _sum_of_copies(gathered: Tensor, segments: Segments) -> Tensor:
    """Return the sum over the copies of every row, `[row, head, dim]`, always in the same order."""
    summed = embedding_bag(
        segments.copies,
        gathered.flatten(1),
        segments.copied,
        mode="sum",
        include_last_offset=True,
    )
    return summed.unflatten(1, gathered.shape[1:])


def _own_score(q: Tensor, k: Tensor, dtype: torch.dtype, scaling: float) -> Tensor:
    """Return the score of every query with its own key, `[head, row]`."""
    return (q.to(dtype) * k.to(dtype)).sum(-1).mT * scaling


def _own_share(lse: Tensor, q: Tensor, k: Tensor, itself: Tensor, scaling: float) -> Tensor:
    """Return the attention weight of every query's additional own key, `[row, head, 1]`."""
    share = torch.exp(_own_score(q, k, lse.dtype, scaling) - lse)
    return share.masked_fill(~itself, 0).mT[..., None]


def _with_itself(
    output: Tensor,
    lse: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    itself: Tensor,
    scaling: float,
) -> tuple[Tensor, Tensor]:
    """Return output and log-sum-exp where some queries also attend to themselves."""
    lse = lse.masked_fill(lse.isinf(), -torch.inf)  # no keys
    both = torch.logaddexp(lse, _own_score(q, k, lse.dtype, scaling))
    lse = torch.where(itself, both, lse)
    share = _own_share(lse, q, k, itself, scaling)
    merged = output + (v.to(lse.dtype) - output) * share
    return merged.to(output.dtype), lse
