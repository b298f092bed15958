"""The attention that transformers calls by the name `ggsa`."""

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from ggsa.model.attention.dense import dense_attention
from ggsa.model.attention.grouped import grouped_attention
from ggsa.model.attention.plan import Plan
from ggsa.model.attention.segments import Segments

NAME = "ggsa"


def attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    plan: Plan | Segments | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Return attention's output in the form that transformers expects.

    Args:
        module: The attention layer; its training flag switches dropout.
        query: `[batch, head, token, dim]`; key and value have the same shape.
        key: See query.
        value: See query.
        attention_mask: Additive or boolean, `[batch, 1, query, key]`, or None; dense.
        dropout: Share of attention weights that are dropped in training.
        scaling: Factor of the scores; None is 1 / sqrt(dim).
        plan: Blocks or segments of the batch; grouped.

    Returns:
        `[batch, token, head, dim]`, and None in place of the weights.

    Raises:
        ValueError: If grouped attention is called with dropout.
    """
    dropped = dropout if module.training else 0.0
    if plan is None:
        output = dense_attention(query, key, value, attention_mask, dropped, scaling)
    elif dropped:
        raise ValueError(
            "grouped attention has no dropout; set attention_dropout to 0 in the recipe, or "
            "attention.implementation to dense"
        )
    else:
        output = grouped_attention(query, key, value, plan, scaling)
    return output.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, attention)
# Without a mask function of the same name, transformers drops the padding mask (its issue 45811).
AttentionMaskInterface.register(NAME, sdpa_mask)
