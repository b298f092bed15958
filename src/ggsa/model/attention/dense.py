"""Attention under one additive bias per batch, shared by every layer and head."""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def pattern_bias(table: Tensor, tags: Tensor, is_padding: Tensor) -> Tensor:
    """Return what is added to every attention score of a batch, `[batch, 1, query, key]`.

    A token may always attend to itself, regardless of the table: in a sentence with none of the tags
    that it may attend to, its row would otherwise be empty. Only padding attends to padding, each
    token to itself, so padding never changes a sentence.

    Args:
        table: Bias over tag pairs, `[tag, tag]`, query by key; minus infinity blocks.
        tags: Tag of every piece, `[batch, token]`; any valid index at padding.
        is_padding: Where a sentence has ended, bool `[batch, token]`.
    """
    keys = tags[:, None, :].expand(-1, tags.shape[1], -1)
    bias = table[tags].gather(2, keys)  # [batch, query, key]; faster than by index
    bias.masked_fill_(is_padding[:, None, :], -torch.inf)
    diagonal = bias.diagonal(dim1=1, dim2=2)
    diagonal.masked_fill_(diagonal == -torch.inf, 0)
    return bias[:, None]  # the same for every head


def require_open_rows(bias: Tensor) -> None:
    """Raise an error if some query may attend to nothing.

    Softmax ignores a constant, so such a query would silently attend to everything if its row held
    a finite number (defect D2), and give NaN if it held minus infinity.

    Args:
        bias: `[..., query, key]`.

    Raises:
        ValueError: If a row has no finite entry; names the first such row.
    """
    empty = ~torch.isfinite(bias).any(dim=-1)
    if empty.any():
        index = tuple(empty.nonzero()[0].tolist())
        raise ValueError(f"the query at {index} may attend to nothing; check the rule table")


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
