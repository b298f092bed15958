"""Any pattern on any BERT, DistilBERT or ModernBERT of transformers.

`attach` leaves the model's class, weights and heads as they are. It hooks the encoder under the
head: tags come in with the other inputs, and the pattern's mask replaces the padding mask.
ModernBERT's local layers keep their window: there a pair must be allowed by both.
"""

import inspect
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ggsa.model import attention, batches, classifier
from ggsa.model.attention import Mask
from ggsa.model.batches import Batch
from ggsa.model.classifier import Tags, Texts
from ggsa.patterns.pattern import Pattern
from ggsa.tagging.alignment import align, identity
from ggsa.tagging.texts import tags_of_texts, words_of_texts
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import TAGS

ARCHITECTURES = ("bert", "distilbert", "modernbert")
LOCAL = "sliding_attention"
UNSORTED = "last_hidden_state"


def attach(
    model: PreTrainedModel, pattern: Pattern | None = None, implementation: str = "dense"
) -> PreTrainedModel:
    """Put a pattern on a model, in place, and return it; the model then also takes `tags`.

    Args:
        model: A BERT, DistilBERT or ModernBERT with any head, or none.
        pattern: Which tokens may attend to which; None takes the one that the model carries, as
            runs and exports do.
        implementation: `dense`, `grouped` or `auto`; the last two may sort the tokens, and restore
            their order before the head sees them.

    Raises:
        UserError: If the architecture is not supported, there is no pattern, the model already has
            one, or the implementation cannot compute it there.
    """
    kind = model.config.model_type
    if kind not in ARCHITECTURES:
        raise UserError(
            f"model: unsupported architecture {kind}. ggsa.attach supports "
            f"{', '.join(ARCHITECTURES)}."
        )
    pattern = pattern or classifier.carried(model)
    if pattern is None:
        raise UserError(
            "model: its config.json has no ggsa_pattern. Pass a pattern: "
            "ggsa.attach(model, pattern)."
        )
    local = LOCAL in (getattr(model.config, "layer_types", None) or ())
    if local and implementation != "dense":
        raise UserError(
            f"implementation: {implementation} cannot keep the local layers of {kind}. Use dense."
        )
    encoder = model.base_model
    if getattr(encoder, "_ggsa_pattern", None) is not None:
        raise UserError("model: it already has a pattern. Load it again to attach another.")
    hook = _MaskHook(encoder, pattern, implementation, local)
    model.set_attn_implementation(attention.NAME)
    encoder._ggsa_pattern = pattern
    encoder.register_forward_pre_hook(hook, with_kwargs=True)
    encoder.register_forward_hook(_restore, with_kwargs=True)
    return model


def inputs(
    tokenizer: PreTrainedTokenizerBase,
    texts: Texts,
    tags: Tags | None = None,
    max_pieces: int | None = None,
) -> dict[str, Tensor]:
    """Return the inputs of an attached model: `input_ids`, `attention_mask` and `tags`.

    All are int64 `[batch, token]`, padded to the longest text.

    Args:
        tokenizer: The model's; a fast one that begins and ends a text with a special token.
        texts: Strings, which are split into words, or lists of words.
        tags: One universal tag per word; None has the project's tagger tag the words.
        max_pieces: Longest text, in word pieces; None is the tokenizer's own.

    Raises:
        UserError: If there are no texts, one has no words, its tags do not fit them, or there is
            no tagger.
    """
    words = words_of_texts(texts)
    if not words:
        raise UserError("texts: expected at least one text, got none.")
    limit = max_pieces or tokenizer.model_max_length
    aligned = align(tokenizer, words, tags_of_texts(words, tags), limit)
    batch = batches.collate(aligned, np.full(len(words), -1), range(len(words)))
    return {
        "input_ids": batch.pieces.masked_fill(batch.is_padding, tokenizer.pad_token_id),
        "attention_mask": (~batch.is_padding).long(),
        "tags": batch.tags,
    }


class _MaskHook:
    """The hook that turns tags into a mask, or into sorted tokens with their plan."""

    def __init__(
        self, encoder: PreTrainedModel, pattern: Pattern, implementation: str, local: bool
    ) -> None:
        self.signature = inspect.signature(encoder.forward)
        self.pattern, self.implementation, self.local = pattern, implementation, local
        self.masks: dict[torch.device, Mask] = {}
        self._mask(
            encoder, encoder.device
        )  # raises at once if the implementation cannot compute the pattern

    def __call__(self, encoder: PreTrainedModel, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        tags = kwargs.pop("tags", None)
        given = self.signature.bind_partial(*args, **kwargs)
        given = {**given.arguments.pop("kwargs", {}), **given.arguments}
        pieces = given.get("input_ids")
        if tags is None or pieces is None:
            raise UserError(
                "A model with a pattern must be called with input_ids and tags, both int64 "
                "[batch, token]. ggsa.inputs makes both."
            )
        if tags.shape != pieces.shape or not ((tags >= 0) & (tags < len(TAGS))).all():
            raise UserError(
                f"tags: expected shape {list(pieces.shape)}, that of input_ids, and values from 0 "
                f"to {len(TAGS) - 1} (indices into ggsa.TAGS); got shape {list(tags.shape)} and "
                f"values from {int(tags.min())} to {int(tags.max())}. ggsa.inputs makes them."
            )
        batch = _batch(pieces, tags, given.get("attention_mask"))
        return (), {**given, **self._masked(encoder, pieces.device, batch)}

    def _mask(self, encoder: PreTrainedModel, device: torch.device) -> Mask:
        """Return the mask on a device, made once for each."""
        if device not in self.masks:
            self.masks[device] = Mask(self.pattern, device, self.implementation, encoder.config)
        return self.masks[device]

    def _masked(
        self, encoder: PreTrainedModel, device: torch.device, batch: Batch
    ) -> dict[str, Any]:
        """Return the inputs that replace those of the encoder."""
        mask = self._mask(encoder, device)
        if self.implementation != "dense":
            return {"attention_mask": None, **mask.inputs(batch)}
        bias = mask.bias(batch).to(encoder.dtype)  # [batch, 1, query, key]
        if not self.local:
            return {"attention_mask": bias}
        position = torch.arange(bias.shape[-1], device=device)
        near = (position[:, None] - position[None, :]).abs() <= encoder.config.sliding_window
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
    """Restore the order of tokens that were sorted."""
    if kwargs.get("plan") is None:
        return output
    index = kwargs["position_ids"].argsort(dim=1)[..., None]  # [batch, token, 1]

    def restored(states: Tensor) -> Tensor:
        return states.gather(1, index.expand_as(states))

    output[UNSORTED] = restored(output[UNSORTED])
    if output.get("hidden_states") is not None:
        output["hidden_states"] = tuple(map(restored, output["hidden_states"]))
    return output
