"""A pattern laid over batches, and the attention that transformers calls by the name `ggsa`."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, PretrainedConfig
from transformers.masking_utils import sdpa_mask

from ggsa.model.attention import banded, choice
from ggsa.model.attention.dense import dense_attention, pattern_bias
from ggsa.model.attention.flex import Flex, flexible_attention, of_places, of_table
from ggsa.model.attention.grouped import grouped_attention
from ggsa.model.attention.plan import Plan, compile_table, plan
from ggsa.model.batches import Batch
from ggsa.patterns import positional
from ggsa.patterns.pattern import Pattern
from ggsa.workspace.errors import UserError

NAME = "ggsa"


class Mask:
    """A pattern on a device, ready to be laid over batches."""

    def __init__(
        self,
        pattern: Pattern,
        device: torch.device,
        implementation: str = "dense",
        config: PretrainedConfig | None = None,
    ) -> None:
        """Put the pattern's table on the device.

        Args:
            pattern: Who may attend whom.
            device: Where the model is.
            implementation: `auto`, `dense`, `grouped` or `flex`.
            config: Of the model, whose width and depth `auto` goes by.

        Raises:
            UserError: If the implementation cannot compute the pattern, or not on this device.
        """
        self.pattern = pattern
        self.device = device
        self.table = torch.from_numpy(pattern.bias).to(device)  # [tag, tag]
        self.implementation = implementation
        self._sizes = None if config is None else (config.hidden_size, config.num_hidden_layers)
        blocks = not pattern.bias[pattern.allowed].any()  # nothing is favored
        self._planned = pattern.positional is None or banded.can_plan(pattern)
        if implementation == "grouped":
            if device.type != "cpu":
                raise UserError(
                    f"params.yaml: attention.implementation is grouped, which runs on a CPU, and "
                    f"the device is {device.type}. Choose auto or dense."
                )
            if not blocks or not self._planned:
                raise UserError(
                    f"params.yaml: attention.implementation is grouped, which cannot compute "
                    f"{pattern.mode}: only tables that allow or block, windows and separators have "
                    f"rectangles. Choose auto or dense."
                )
        if implementation == "flex" and not self._planned:
            raise UserError(
                f"params.yaml: attention.implementation is flex, which cannot compute "
                f"{pattern.mode}: no tile of it is ever empty. Choose auto or dense."
            )
        self._compiled = compile_table(pattern.allowed)
        self._groups = blocks and self._planned
        self._full = bool((pattern.bias == 0).all()) and pattern.positional is None

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """Return what the model is called with: the pieces and the pattern laid over them.

        The plan of a sorted implementation moves tokens once, here; a sentence's first token stays
        first, where a classification head reads it, and every piece keeps its own position.
        """
        chosen = self._choose(batch)
        if chosen == "dense":
            return {"input_ids": batch.pieces.to(self.device), "attention_mask": self._laid(batch)}
        laid = self.plan(batch) if chosen == "grouped" or self.pattern.positional is None else None
        order = torch.arange(batch.tags.shape[1]).expand(batch.tags.shape)
        order = (order if laid is None else laid.order).to(self.device)
        inputs = {
            "input_ids": batch.pieces.to(self.device).gather(1, order),
            "position_ids": order,
        }
        if chosen == "grouped":
            return inputs | {"plan": laid}
        return inputs | {"flex": self.flex(batch, laid)}

    def flex(self, batch: Batch, plan: Plan | None = None) -> Flex:
        """Return the tiles of a batch; its plan, where a table has one, is made if not given."""
        if self.pattern.positional is None:
            return of_table(plan or self.plan(batch), self._ranked_bias())
        return of_places(banded.places(self.pattern, *self._on_cpu(batch)), self.device)

    def plan(self, batch: Batch) -> Plan:
        """Return the rectangles of a batch."""
        if self.pattern.positional is None:
            return plan(self._compiled, batch.tags, batch.is_padding)
        return banded.plan(self.pattern, *self._on_cpu(batch))

    def _on_cpu(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        return batch.tags.cpu(), batch.is_padding.cpu(), batch.identities.cpu()

    def _choose(self, batch: Batch) -> str:
        """Return the implementation for a batch."""
        if self.implementation != "auto":
            return self.implementation
        if self.device.type == "cuda":
            long = batch.tags.shape[1] >= choice.FLEX_TOKENS
            return "flex" if self._planned and long else "dense"
        if self.device.type != "cpu":
            return "dense"
        if not self._groups or self._sizes is None:
            return "dense"
        if self.pattern.positional is not None:
            faster = choice.band_is_faster(batch.tags.shape[1])
        else:
            faster = choice.grouped_is_faster(
                self._compiled, batch.tags, batch.is_padding, *self._sizes
            )
        return "grouped" if faster else "dense"

    def _laid(self, batch: Batch) -> Tensor | None:
        """Return the dense mask: the pattern's bias; of full attention only where a sentence ends.

        Full attention must not pay for a mask that blocks nothing, or a comparison with it is unfair.
        """
        if not self._full:
            return self.bias(batch)
        if not batch.is_padding.any():
            return None
        return ~batch.is_padding.to(self.device)[:, None, None, :]  # [batch, 1, 1, key]

    def _ranked_bias(self) -> Tensor:
        """Return the table in the order of ranks, `[rank, rank]`."""
        order = torch.from_numpy(np.argsort(self._compiled.rank)).to(self.device)
        return self.table[order][:, order]

    def bias(self, batch: Batch) -> Tensor:
        """Return what is added to every attention score, `[batch, 1, query, key]`.

        Args:
            batch: On any device.
        """
        tags, is_padding = batch.tags.to(self.device), batch.is_padding.to(self.device)
        bias = pattern_bias(self.table, tags, is_padding)
        if self.pattern.positional is None:
            return bias
        # Drawn on the CPU, in whole numbers and double precision: the same on every device.
        arrays = self._on_cpu(batch)
        if self._planned:
            allowed = banded.allowed(banded.places(self.pattern, *arrays))
        else:
            extra, table = self.pattern.positional, self.pattern.allowed
            arrays = (np.asarray(x) for x in arrays)
            allowed = torch.from_numpy(positional.allowed_pairs(extra, table, *arrays))
        allowed = allowed.to(self.device)[:, None]
        return torch.where(allowed & ~torch.isfinite(bias), torch.zeros_like(bias), bias)


def attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    plan: Plan | None = None,
    flex: Flex | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Return attention's output in the form that transformers calls.

    Args:
        module: The attention layer that asks; its training flag switches dropout.
        query: `[batch, head, token, dim]`; key and value likewise.
        key: See query.
        value: See query.
        attention_mask: Additive or boolean, `[batch, 1, query, key]`, or None; dense.
        dropout: Share of attention weights that are dropped in training.
        scaling: Factor of the scores; None is 1 / sqrt(dim).
        plan: Of the batch; grouped.
        flex: Of the batch; flex.

    Returns:
        `[batch, token, head, dim]`, and None in place of the weights.

    Raises:
        ValueError: If dropout is asked of an implementation that has none.
    """
    dropped = dropout if module.training else 0.0
    if dropped and not (plan is None and flex is None):
        raise ValueError(
            "grouped and flex attention have no dropout; set attention_dropout to 0 in the recipe, "
            "or attention.implementation to dense"
        )
    if flex is not None:
        output = flexible_attention(query, key, value, flex, scaling)
    elif plan is not None:
        output = grouped_attention(query, key, value, plan, scaling)
    else:
        output = dense_attention(query, key, value, attention_mask, dropped, scaling)
    return output.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, attention)
# Without a mask function of the same name, transformers drops the padding mask (its issue 45811).
AttentionMaskInterface.register(NAME, sdpa_mask)
