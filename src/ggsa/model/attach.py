"""Any pattern on any BERT, DistilBERT or ModernBERT of transformers.

`attach` leaves the model's class, weights and heads as they are. It hooks the encoder beneath the
head: tags come in with the other inputs, and the pattern is laid over every batch in place of the
padding mask. ModernBERT's local layers keep their window: there a pair has to be allowed by both.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ggsa.model import attention, batches, classifier
from ggsa.model.attention import Mask
from ggsa.model.batches import Batch
from ggsa.patterns.pattern import Pattern
from ggsa.tagging.alignment import align, identity
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import TAGS

ARCHITECTURES = ("bert", "distilbert", "modernbert")
LOCAL = "sliding_attention"
UNSORTED = "last_hidden_state"


def attach(
    model: PreTrainedModel, pattern: Pattern | None = None, implementation: str = "dense"
) -> PreTrainedModel:
    """Put a pattern on a model, in place, and return it; it is then called with `tags` besides.

    Args:
        model: A BERT, DistilBERT or ModernBERT with any head, or none.
        pattern: Who may attend whom; None takes the one that the model carries (an export does).
        implementation: `dense`, `grouped`, `flex` or `auto`; all but `dense` sort the tokens, and
            their order is restored before the head sees them.

    Raises:
        UserError: If the architecture is another, there is no pattern, the model has one already, or
            the implementation cannot compute it there.
    """
    kind = model.config.model_type
    if kind not in ARCHITECTURES:
        raise UserError(
            f"A pattern cannot be put on a model of type {kind}: its attention is not known here. "
            f"There are: {', '.join(ARCHITECTURES)}."
        )
    pattern = pattern or classifier.carried(model)
    if pattern is None:
        raise UserError(
            "The model carries no pattern (its config.json holds no ggsa_pattern). Give one: "
            "ggsa.attach(model, pattern)."
        )
    local = LOCAL in (getattr(model.config, "layer_types", None) or ())
    if local and implementation != "dense":
        raise UserError(
            f"attention {implementation} cannot keep the local layers of {kind}. Choose dense."
        )
    encoder = model.base_model
    if getattr(encoder, "_ggsa_pattern", None) is not None:
        raise UserError("The model has a pattern already. Load it anew to put another on it.")
    model.set_attn_implementation(attention.NAME)
    encoder._ggsa_pattern = pattern
    encoder.register_forward_pre_hook(
        _Laying(encoder, pattern, implementation, local), with_kwargs=True
    )
    encoder.register_forward_hook(_restore, with_kwargs=True)
    return model


def inputs(
    tokenizer: PreTrainedTokenizerBase,
    words: Sequence[Sequence[str]],
    tags: Sequence[Sequence[str]],
    max_pieces: int | None = None,
) -> dict[str, Tensor]:
    """Return what an attached model is called with: `input_ids`, `attention_mask` and `tags`.

    All are int64 `[batch, token]`, padded to the longest text.

    Args:
        tokenizer: Of the model; a fast one that begins and ends a text with a special token.
        words: Of every text.
        tags: One universal tag for every word.
        max_pieces: Longest text, in word pieces; None is the tokenizer's own.

    Raises:
        UserError: If a text has another number of tags than of words, or a tag is unknown.
    """
    aligned = align(tokenizer, words, tags, max_pieces or tokenizer.model_max_length)
    batch = batches.collate(aligned, np.full(len(words), -1), range(len(words)))
    return {
        "input_ids": batch.pieces.masked_fill(batch.is_padding, tokenizer.pad_token_id),
        "attention_mask": (~batch.is_padding).long(),
        "tags": batch.tags,
    }


class _Laying:
    """The hook that turns tags into a mask, or into sorted tokens with their plan."""

    def __init__(
        self, encoder: PreTrainedModel, pattern: Pattern, implementation: str, local: bool
    ) -> None:
        self.signature = inspect.signature(encoder.forward)
        self.pattern, self.implementation, self.local = pattern, implementation, local
        self.masks: dict[torch.device, Mask] = {}

    def __call__(self, encoder: PreTrainedModel, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        tags = kwargs.pop("tags", None)
        given = self.signature.bind_partial(*args, **kwargs)
        given = {**given.arguments.pop("kwargs", {}), **given.arguments}
        pieces = given.get("input_ids")
        if tags is None or pieces is None:
            raise UserError(
                "A model with a pattern is called with input_ids and with tags, int64 [batch, "
                "token]; ggsa.inputs makes both."
            )
        if tags.shape != pieces.shape or not ((tags >= 0) & (tags < len(TAGS))).all():
            raise UserError(
                f"tags has the shape {list(tags.shape)} and values from {int(tags.min())} to "
                f"{int(tags.max())}; for every one of the {list(pieces.shape)} input_ids one of "
                f"0 to {len(TAGS) - 1} was wanted (places in ggsa.TAGS)."
            )
        batch = _batch(pieces, tags, given.get("attention_mask"))
        return (), {**given, **self._laid(encoder, pieces.device, batch)}

    def _laid(self, encoder: PreTrainedModel, device: torch.device, batch: Batch) -> dict[str, Any]:
        if device not in self.masks:
            self.masks[device] = Mask(self.pattern, device, self.implementation, encoder.config)
        mask = self.masks[device]
        if self.implementation != "dense":
            return {"attention_mask": None, **mask.inputs(batch)}
        bias = mask.bias(batch).to(encoder.dtype)  # [batch, 1, query, key]
        if not self.local:
            return {"attention_mask": bias}
        place = torch.arange(bias.shape[-1], device=device)
        near = (place[:, None] - place[None, :]).abs() <= encoder.config.sliding_window
        windowed = bias.masked_fill(~near, -torch.inf)
        return {"attention_mask": {"full_attention": bias, LOCAL: windowed}}


def _batch(pieces: Tensor, tags: Tensor, attention_mask: Tensor | None) -> Batch:
    """Return the inputs of a model as a batch."""
    is_padding = torch.zeros_like(pieces, dtype=torch.bool)
    if attention_mask is not None:
        is_padding = attention_mask == 0
    count = len(pieces)
    rows = zip(pieces.cpu().numpy(), is_padding.cpu().numpy(), strict=True)
    identities = [identity(row[~padding]) for row, padding in rows]
    return Batch(
        pieces=pieces,
        tags=tags,
        is_padding=is_padding,
        labels=torch.full((count,), -1),
        identities=torch.tensor(identities),
        rows=torch.arange(count),
    )


def _restore(encoder: PreTrainedModel, args: tuple, kwargs: dict, output: Any) -> Any:
    """Put sorted tokens back in their places."""
    if kwargs.get("plan") is None and kwargs.get("flex") is None:
        return output
    place = kwargs["position_ids"].argsort(dim=1)[..., None]  # [batch, token, 1]

    def restored(states: Tensor) -> Tensor:
        return states.gather(1, place.expand_as(states))

    output[UNSORTED] = restored(output[UNSORTED])
    if output.get("hidden_states") is not None:
        output["hidden_states"] = tuple(map(restored, output["hidden_states"]))
    return output
