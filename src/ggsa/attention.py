"""Attention under a pattern, registered with transformers as `ggsa`.

The pattern becomes one additive bias per batch, shared by every layer and head, and is handed to
PyTorch's scaled-dot-product attention (the *dense* implementation). Importing this module is enough
for `attn_implementation="ggsa"` to work on a stock BERT or DistilBERT.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from ggsa import positional
from ggsa.batches import Batch
from ggsa.patterns import Pattern

NAME = "ggsa"


class Mask:
    """A pattern on a device, ready to be laid over batches."""

    def __init__(self, pattern: Pattern, device: torch.device) -> None:
        """Put the pattern's table on the device."""
        self.pattern = pattern
        self.device = device
        self.table = torch.from_numpy(pattern.bias).to(device)  # [tag, tag]

    def bias(self, batch: Batch) -> Tensor:
        """Return what is added to every attention score, `[batch, 1, query, key]`.

        Args:
            batch: On any device.
        """
        tags, is_padding = batch.tags.to(self.device), batch.is_padding.to(self.device)
        bias = pattern_bias(self.table, tags, is_padding)
        if self.pattern.positional is None:
            return bias
        # Ranked on the CPU, in whole numbers and double precision: the same on every device.
        arrays = (np.asarray(x.cpu()) for x in (batch.tags, batch.is_padding, batch.identities))
        allowed = positional.allowed_pairs(self.pattern.positional, self.pattern.allowed, *arrays)
        allowed = torch.from_numpy(allowed).to(self.device)[:, None]
        return torch.where(allowed & ~torch.isfinite(bias), torch.zeros_like(bias), bias)


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
    bias = table[tags[:, :, None], tags[:, None, :]]  # [batch, query, key]
    bias = bias.masked_fill(is_padding[:, None, :], -torch.inf)
    itself = torch.eye(tags.shape[1], dtype=torch.bool, device=tags.device)
    bias = torch.where(itself & ~torch.isfinite(bias), torch.zeros_like(bias), bias)
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
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Return attention's output under an additive bias; the form that transformers calls.

    Args:
        module: The attention layer that asks; its training flag switches dropout.
        query: `[batch, head, query, dim]`; key and value likewise over keys.
        key: See query.
        value: See query.
        attention_mask: Additive or boolean, `[batch, 1, query, key]`, or None.
        dropout: Share of attention weights that are dropped in training.
        scaling: Factor of the scores; None is 1 / sqrt(dim).

    Returns:
        `[batch, query, head, dim]`, and None in place of the weights.
    """
    if attention_mask is not None and attention_mask.is_floating_point():
        attention_mask = attention_mask.to(query.dtype)  # half precision wants both alike
    output = scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=attention_mask,
        dropout_p=dropout if module.training else 0.0,
        scale=scaling,
    )
    return output.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, dense_attention)
# Without a mask function of the same name, transformers drops the padding mask (its issue 45811).
AttentionMaskInterface.register(NAME, sdpa_mask)
