"""Attention under one additive bias per batch, shared by every layer and head."""

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def pattern_bias(table: Tensor, tags: Tensor, is_padding: Tensor) -> Tensor:
    """Return what is added to every attention score of a batch, `[batch, 1, query, key]`.

    A token may always attend itself, whatever the table says: in a sentence that holds none of the
    tags it may look at, it would otherwise look at nothing. Padding is attended by nothing but
    itself, so it never changes a sentence.

    Args:
        table: Bias over tag pairs, `[tag, tag]`, query by key; minus infinity blocks.
        tags: Tag of every piece, `[batch, token]`; any valid index at padding.
        is_padding: Where a sentence has ended, bool `[batch, token]`.
    """
    keys = tags[:, None, :].expand(-1, tags.shape[1], -1)
    bias = table[tags].gather(2, keys)  # [batch, query, key]; faster than by index
    bias.masked_fill_(is_padding[:, None, :], -torch.inf)
    itself = bias.diagonal(dim1=1, dim2=2)
    itself.masked_fill_(itself == -torch.inf, 0)
    return bias[:, None]  # the same for every head


def require_open_rows(bias: Tensor) -> None:
    """Refuse a bias under which some query may look at nothing.

    Softmax ignores a constant, so such a row would silently look everywhere when it is filled with
    a finite number (defect D2), and give NaN when it is filled with minus infinity.

    Args:
        bias: `[..., query, key]`.

    Raises:
        ValueError: If a row holds no finite entry; names the first such row.
    """
    blind = ~torch.isfinite(bias).any(dim=-1)
    if blind.any():
        place = tuple(blind.nonzero()[0].tolist())
        raise ValueError(f"the query at {place} may look at nothing; check the rule table")


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
        query: `[batch, head, token, dim]`; key and value likewise.
        key: See query.
        value: See query.
        bias: Additive or boolean, `[batch, 1, query, key]`, or None.
        dropout: Share of attention weights that are dropped.
        scaling: Factor of the scores; None is 1 / sqrt(dim).
    """
    if bias is not None and bias.is_floating_point():
        bias = bias.to(query.dtype)  # half precision wants both alike
    return scaled_dot_product_attention(
        query, key, value, attn_mask=bias, dropout_p=dropout, scale=scaling
    )
