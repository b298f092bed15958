"""Where tags become a mask: which tokens of a batch may attend to which, under a pattern."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PretrainedConfig

from ggsa.model.attention import banded, choice, plan, segments
from ggsa.model.attention.plan import Plan
from ggsa.model.attention.segments import Segments
from ggsa.model.attention.varlen import can_compute
from ggsa.model.batches import Batch
from ggsa.patterns import positional
from ggsa.patterns.pattern import Pattern
from ggsa.workspace.errors import UserError

IMPLEMENTATIONS = ("auto", "dense", "grouped")


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


class Mask:
    """A pattern on a device, which makes the mask or the plan of every batch."""

    def __init__(
        self,
        pattern: Pattern,
        device: torch.device,
        implementation: str = "dense",
        config: PretrainedConfig | None = None,
    ) -> None:
        """Put the pattern's table on the device.

        Args:
            pattern: Which tokens may attend to which.
            device: The model's.
            implementation: `auto`, `dense` or `grouped`.
            config: The model's; `auto` depends on its sizes, and is `dense` without.

        Raises:
            UserError: If the implementation is unknown, or cannot compute the pattern on this
                device.
        """
        self.pattern = pattern
        self.device = device
        self.implementation = implementation
        self._config = config
        self._on_gpu = device.type == "cuda"
        blocks = not pattern.bias[pattern.allowed].any()  # nothing is favored
        by_table = pattern.positional is None
        self._planned = by_table or banded.can_plan(pattern)
        self._groups = blocks and (by_table or (self._planned and not self._on_gpu))
        if implementation not in IMPLEMENTATIONS:
            raise UserError(
                f"attention.implementation: unknown implementation {implementation}. Expected one "
                f"of {', '.join(IMPLEMENTATIONS)}."
            )
        if implementation == "grouped":
            if device.type not in ("cpu", "cuda"):
                raise UserError(
                    f"attention.implementation: grouped runs on a CPU or with CUDA, and the device is "
                    f"{device.type}. Use auto or dense."
                )
            if not self._groups:
                raise UserError(
                    f"attention.implementation: grouped cannot compute the mode {pattern.mode} on "
                    f"{device.type}, only tables that allow or block and, on a CPU, windows and "
                    f"separators. Use auto or dense."
                )
        self.table = torch.from_numpy(pattern.bias).to(device)  # [tag, tag]
        self._compiled = (
            segments.compile_groups(pattern.allowed, device)
            if self._on_gpu
            else plan.compile_table(pattern.allowed)
        )
        self._full = bool((pattern.bias == 0).all()) and pattern.positional is None

    def inputs(self, batch: Batch, dtype: torch.dtype = torch.float32) -> dict[str, Any]:
        """Return the model's inputs: the pieces, and the mask or the plan of the batch.

        The grouped implementation moves tokens once, here. A sentence's first token stays first,
        where a classification head reads it, and every piece keeps its own position.

        Args:
            batch: On any device.
            dtype: In which the model computes attention.
        """
        if self.choose(batch, dtype) == "dense":
            mask = self._mask(batch, dtype)
            return {"input_ids": batch.pieces.to(self.device), "attention_mask": mask}
        planned = self.plan(batch)
        order = planned.order.to(self.device)
        return {
            "input_ids": batch.pieces.to(self.device).gather(1, order),
            "position_ids": order,
            "plan": planned,
        }

    def plan(self, batch: Batch) -> Plan | Segments:
        """Return the rectangles of a batch: segments on a GPU, blocks elsewhere."""
        if self.pattern.positional is not None:
            return banded.plan(self.pattern, *self._on_cpu(batch))
        build = segments.plan if self._on_gpu else plan.plan
        return build(self._compiled, batch.tags, batch.is_padding)

    def _on_cpu(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        return batch.tags.cpu(), batch.is_padding.cpu(), batch.identities.cpu()

    def choose(self, batch: Batch, dtype: torch.dtype = torch.float32) -> str:
        """Return the implementation for a batch, `dense` or `grouped`; see `inputs`."""
        if self.implementation != "auto":
            return self.implementation
        config, tokens = self._config, batch.tags.shape[1]
        if not self._groups or config is None or self.device.type not in ("cpu", "cuda"):
            return "dense"
        if self._on_gpu:
            dim = config.hidden_size // config.num_attention_heads
            faster = (
                choice.segments_are_faster(tokens)
                and not self._full
                and can_compute(dtype, dim, self.device)
            )
        elif self.pattern.positional is not None:
            faster = choice.band_is_faster(tokens)
        else:
            faster = choice.grouped_is_faster(
                self._compiled,
                batch.tags,
                batch.is_padding,
                config.hidden_size,
                config.num_hidden_layers,
            )
        return "grouped" if faster else "dense"

    def _mask(self, batch: Batch, dtype: torch.dtype) -> Tensor | None:
        """Return the dense mask: the pattern's bias, or for full attention the padding mask.

        Full attention must not pay for a mask that blocks nothing, or comparing with it is unfair.
        """
        if not self._full:
            return self.bias(batch).to(dtype)  # once, not in every layer
        if not batch.is_padding.any():
            return None
        return ~batch.is_padding.to(self.device)[:, None, None, :]  # [batch, 1, 1, key]

    def bias(self, batch: Batch) -> Tensor:
        """Return what is added to every attention score, `[batch, 1, query, key]`.

        Args:
            batch: On any device.
        """
        tags, is_padding = batch.tags.to(self.device), batch.is_padding.to(self.device)
        bias = pattern_bias(self.table, tags, is_padding)
        if self.pattern.positional is None:
            return bias
        # Drawn on the CPU, in integers and double precision: the same on every device.
        arrays = self._on_cpu(batch)
        if self._planned:
            allowed = banded.allowed(banded.band_of(self.pattern, *arrays))
        else:
            extra, table = self.pattern.positional, self.pattern.allowed
            arrays = (np.asarray(x) for x in arrays)
            allowed = torch.from_numpy(positional.allowed_pairs(extra, table, *arrays))
        allowed = allowed.to(self.device)[:, None]
        return torch.where(allowed & ~torch.isfinite(bias), torch.zeros_like(bias), bias)
