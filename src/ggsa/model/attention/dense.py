"""Attention under one additive bias per batch, shared by every layer and head."""

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def dense_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
) -> Tensor:
    """Return attention's output under an additive bias, `[batch, head, token, dim]`.

    Args:
        query: `[batch, head, token, dim]`; key and value have the same shape.
        key: See query.
        value: See query.
        bias: Additive or boolean, `[batch, 1, query, key]`, or None.
        dropout: Share of attention weights that are dropped.
        scaling: Factor of the scores; None is 1 / sqrt(dim).
    """
    if bias is not None and bias.is_floating_point():
        bias = bias.to(query.dtype)  # half precision requires one dtype
    return scaled_dot_product_attention(
        query, key, value, attn_mask=bias, dropout_p=dropout, scale=scaling
    )
