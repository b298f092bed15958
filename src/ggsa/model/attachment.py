"""Any pattern on any BERT, DistilBERT or ModernBERT of transformers.

`attach` leaves the model's class, weights and heads as they are. It hooks the encoder under the
head: tags come in with the other inputs, and the pattern's mask replaces the padding mask.
ModernBERT's local layers keep their window: there a pair must be allowed by both.
"""

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ggsa.model import attention, batches
from ggsa.model.attention import Mask
from ggsa.model.batches import Batch
from ggsa.model.carried import CONFIGURATIONS, architecture, carried, carry, register
from ggsa.model.classifier import Tags, Texts
from ggsa.patterns import paper
from ggsa.patterns.pattern import Pattern
from ggsa.tagging.alignment import align, identity, require_short
from ggsa.tagging.texts import tags_of_texts, words_of_texts
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import TAGS

LOCAL = "sliding_attention"
LONGEST = 2**30
"""Longest text of a tokenizer without a limit of its own, in word pieces."""

MASKED = (attention.NAME, "eager", "sdpa")
"""Implementations of attention in transformers that take a mask for each pair of tokens."""

FIRST_TOKEN_HEADS = ("ForSequenceClassification", "ForMultipleChoice")
"""Heads that read the first token from the encoder's output, unless it has a pooler."""


def attach(
    model: PreTrainedModel,
    pattern: Pattern | str | None = None,
    implementation: str = "dense",
) -> PreTrainedModel:
    """Put a pattern on a model, in place, and return it; the model then also takes `tags`.

    The pattern goes into the model's configuration and is saved with it. It replaces one that was
    attached before.

    Args:
        model: A BERT, DistilBERT or ModernBERT with any head, or none; an encoder, not a decoder.
        pattern: Which tokens may attend to which; `full`, `hard` or `soft` is the paper's; None
            takes the one that the model carries, as runs and exports do.
        implementation: `dense`, `grouped` or `auto`; the last two may sort the tokens, and restore
            their order before the head sees them. Under `dense`, a model that was loaded with
            transformers' eager attention keeps it, and its weights.

    Raises:
        UserError: If the architecture is not supported, there is no pattern, or the implementation
            cannot compute it there.
    """
    kind = architecture(model.config)
    if kind not in CONFIGURATIONS:
        raise UserError(
            f"model: unsupported architecture {kind}. ggsa.attach supports "
            f"{', '.join(CONFIGURATIONS)}."
        )
    for name in ("is_decoder", "add_cross_attention"):
        if getattr(model.config, name, False):
            raise UserError(
                f"model: {name} is true in its configuration. A pattern replaces the mask of an "
                f"encoder, and would drop that of a decoder. Set {name} to false."
            )
    if isinstance(pattern, str):
        pattern = paper.pattern(pattern)
    pattern = pattern or carried(model.config)
    if pattern is None:
        raise UserError(
            "model: its config.json has no ggsa_pattern. Pass a pattern: "
            'ggsa.attach(model, "hard").'
        )
    local = LOCAL in (getattr(model.config, "layer_types", None) or ())
    if local and implementation != "dense":
        raise UserError(
            f"implementation: {implementation} cannot keep the local layers of {kind}. Use dense."
        )
    encoder = model.base_model
    hook = _MaskHook(model, pattern, implementation, local)
    carry(model, pattern)
    is_chosen = model.config._attn_implementation == "eager"  # never the default of these models
    if not (is_chosen and implementation == "dense"):
        model.set_attn_implementation(attention.NAME)
    if not hasattr(encoder, "_ggsa"):
        encoder.register_forward_pre_hook(_before, with_kwargs=True)
        encoder.register_forward_hook(_after, with_kwargs=True)
    encoder._ggsa = hook
    return model


def inputs(
    tokenizer: PreTrainedTokenizerBase,
    texts: str | Texts,
    tags: Sequence[str] | Tags | None = None,
    max_pieces: int | None = None,
    cut: bool = False,
) -> dict[str, Tensor]:
    """Return the inputs of an attached model: `input_ids`, `attention_mask` and `tags`.

    All are int64 `[batch, token]`, padded to the longest text on the tokenizer's side.

    Args:
        tokenizer: The model's; a fast one that begins and ends a text with a special token.
        texts: Strings, which are split into words, or lists of words; or one string.
        tags: One universal tag per word; None has the project's tagger tag the words.
        max_pieces: Longest text, in word pieces; None is the tokenizer's own.
        cut: Cut longer texts, instead of raising an error.

    Raises:
        UserError: If there are no texts; if one has no words, or is too long and may not be cut; if
            its tags do not fit its words; or if there is no tagger.
    """
    if isinstance(texts, str):
        texts, tags = [texts], None if tags is None else [tags]
    words = words_of_texts(texts)
    if not words:
        raise UserError("texts: expected at least one text, got none.")
    limit = min(max_pieces or tokenizer.model_max_length, LONGEST)
    if not cut:
        require_short(tokenizer, words, limit)
    aligned = align(tokenizer, words, tags_of_texts(words, tags), limit)
    batch = batches.collate(aligned, np.full(len(words), -1), range(len(words)))
    made = {
        "input_ids": batch.pieces.masked_fill(batch.is_padding, tokenizer.pad_token_id),
        "attention_mask": (~batch.is_padding).long(),
        "tags": batch.tags,
    }
    if tokenizer.padding_side == "left":
        order = made["attention_mask"].argsort(dim=1, stable=True)  # padding first
        made = {name: values.gather(1, order) for name, values in made.items()}
    return made


class _Restoring(NamedTuple):
    """How the encoder's output is put in the form that the caller expects.

    Attributes:
        place: Position in the encoder of every token, int64 `[batch, token]`; None if they kept it.
        first: Position of the first real token of every sentence, int64 `[batch]`; None if it is 0.
        as_tuple: The caller asked for a tuple.
    """

    place: Tensor | None
    first: Tensor | None
    as_tuple: bool


class _MaskHook:
    """Turns tags into a mask, or into sorted tokens with their plan."""

    def __init__(
        self, model: PreTrainedModel, pattern: Pattern, implementation: str, local: bool
    ) -> None:
        encoder = model.base_model
        self.signature = inspect.signature(encoder.forward)
        self.pattern, self.implementation, self.local = pattern, implementation, local
        self.reads_first = _head_that_reads_the_first_token(model)
        self.masks: dict[torch.device, Mask] = {}
        self._mask(encoder)  # raises at once if the implementation cannot compute the pattern

    def inputs(self, encoder: PreTrainedModel, args: tuple, kwargs: dict) -> dict[str, Any]:
        """Return the inputs that replace those of the encoder.

        Raises:
            UserError: If they are of a form that a pattern does not fit.
        """
        tags = kwargs.pop("tags", None)
        given = self.signature.bind_partial(*args, **kwargs)
        given = {**given.arguments.pop("kwargs", {}), **given.arguments}
        pieces = given.get("input_ids")
        if tags is None or pieces is None:
            raise UserError(
                "A model with a pattern must be called with input_ids and tags, both int64 "
                "[batch, token]. ggsa.inputs makes both."
            )
        if tags.dim() == pieces.dim() + 1:  # [batch, choice, token]: a head flattens only its own
            tags = tags.flatten(0, 1)
        _check(encoder, pieces, tags, given)
        is_padding = torch.zeros_like(pieces, dtype=torch.bool)
        if given.get("attention_mask") is not None:
            is_padding = given["attention_mask"].to(pieces.device) == 0
        first = is_padding.int().argmin(dim=1)
        if self.reads_first and first.any():
            raise UserError(
                f"attention_mask: text {int(first.nonzero()[0])} begins with padding, but "
                f"{self.reads_first} reads the first token. Pad on the right: set "
                f"tokenizer.padding_side to 'right'."
            )
        order = is_padding.int().argsort(dim=1, stable=True)  # real tokens first
        moved = bool((order.diff(dim=1) < 0).any())
        tags = tags.to(pieces.device).long()
        batch = _batch(pieces, tags, is_padding, order, self.pattern.positional is not None)
        place = None
        if moved and given.get("position_ids") is None:
            given["position_ids"] = order.argsort(dim=1)  # the place in its text, not in the row
        if self._sorts(encoder, batch):
            plan = self._mask(encoder).plan(batch)
            order = order.gather(1, plan.order.to(order.device))
            place = order.argsort(dim=1)
            given |= _sorted(given, order) | {"attention_mask": None, "plan": plan}
        else:
            given["attention_mask"] = self._dense(encoder, batch, order if moved else None)
        as_tuple = given.pop("return_dict", None)
        as_tuple = not (encoder.config.return_dict if as_tuple is None else as_tuple)
        restoring = _Restoring(place, first if moved or place is not None else None, as_tuple)
        return {**given, "return_dict": True, "restoring": restoring}

    def _mask(self, encoder: PreTrainedModel) -> Mask:
        """Return the mask on the encoder's device, made once for each."""
        device = encoder.device
        if device not in self.masks:
            self.masks[device] = Mask(self.pattern, device, self.implementation, encoder.config)
        return self.masks[device]

    def _sorts(self, encoder: PreTrainedModel, batch: Batch) -> bool:
        """Return whether the tokens of a batch are sorted.

        Only this package's attention reads a plan, and it has no dropout.
        """
        if self.implementation == "dense" or encoder.config._attn_implementation != attention.NAME:
            return False
        if encoder.training and _attention_dropout(encoder):
            if self.implementation == "auto":
                return False
            raise UserError(
                f"implementation: grouped has no attention dropout, and the model trains with "
                f"{_attention_dropout(encoder)}. Set it to 0 in the model's configuration, or "
                f"attach with dense or auto."
            )
        return self._mask(encoder).choose(batch, _dtype(encoder)) == "grouped"

    def _dense(self, encoder: PreTrainedModel, batch: Batch, order: Tensor | None) -> Any:
        """Return the mask of a batch: one for all layers, or one for each kind of layer.

        Args:
            encoder: The encoder.
            batch: Its padding at the end.
            order: Where each of its tokens is in the encoder; None if all are in their place.
        """
        bias = self._mask(encoder).bias(batch).to(encoder.dtype)  # [batch, 1, query, key]
        if order is not None:
            place = order.argsort(dim=1)
            bias = bias.gather(2, place[:, None, :, None].expand_as(bias))
            bias = bias.gather(3, place[:, None, None, :].expand_as(bias))
        if not self.local:
            return bias
        position = torch.arange(bias.shape[-1], device=bias.device)
        near = (position[:, None] - position[None, :]).abs() <= encoder.config.sliding_window
        return {"full_attention": bias, LOCAL: bias.masked_fill(~near, -torch.inf)}


def _check(encoder: PreTrainedModel, pieces: Tensor, tags: Tensor, given: dict[str, Any]) -> None:
    """Check the inputs of an encoder with a pattern.

    Raises:
        UserError: If they are of a form that a pattern does not fit.
    """
    if tags.shape != pieces.shape or not ((tags >= 0) & (tags < len(TAGS))).all():
        raise UserError(
            f"tags: expected shape {list(pieces.shape)}, that of input_ids, and values from 0 "
            f"to {len(TAGS) - 1} (indices into ggsa.TAGS); got shape {list(tags.shape)} and "
            f"values from {int(tags.min())} to {int(tags.max())}. ggsa.inputs makes them."
        )
    mask = given.get("attention_mask")
    if mask is not None and getattr(mask, "shape", None) != pieces.shape:
        form = list(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
        raise UserError(
            f"attention_mask: expected {list(pieces.shape)}, 1 at tokens and 0 at padding, got "
            f"{form}. The pattern says which pairs may attend; pass the mask of the tokenizer."
        )
    longest = encoder.config.max_position_embeddings
    if pieces.shape[1] > longest and architecture(encoder.config) != "modernbert":
        raise UserError(
            f"input_ids: got {pieces.shape[1]} tokens, but the model has only {longest} positions. "
            f"Cut the texts: ggsa.inputs(tokenizer, texts, max_pieces={longest}, cut=True)."
        )
    used = encoder.config._attn_implementation
    if used not in MASKED:
        raise UserError(
            f"model: its attention is {used}, which takes no mask for each pair of tokens. Call "
            f"model.set_attn_implementation with one of {', '.join(MASKED)}."
        )
    if given.get("output_attentions", encoder.config.output_attentions) and used != "eager":
        raise UserError(
            f"output_attentions: the attention {used} keeps no weights. Call "
            f"model.set_attn_implementation('eager') first."
        )


def _dtype(encoder: PreTrainedModel) -> torch.dtype:
    """Return the data type in which an encoder computes attention."""
    kind = encoder.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else encoder.dtype


def _batch(
    pieces: Tensor, tags: Tensor, is_padding: Tensor, order: Tensor, identified: bool
) -> Batch:
    """Return the inputs of a model as a batch, in an order in which padding is at the end.

    Args:
        pieces: Token ids, int64 `[batch, token]`.
        tags: Of the same shape.
        is_padding: Of the same shape.
        order: Of the same shape: for every position the token that goes there.
        identified: Whether the pattern draws pairs by each text's checksum, which is then computed.
    """
    count = len(pieces)
    identities = [0] * count
    if identified:
        rows = zip(pieces.cpu().numpy(), is_padding.cpu().numpy(), strict=True)
        identities = [identity(row[~padding]) for row, padding in rows]
    return Batch(
        pieces=pieces.gather(1, order),
        tags=tags.gather(1, order),
        is_padding=is_padding.gather(1, order),
        labels=torch.full((count,), -1),
        identities=torch.tensor(identities),
        rows=torch.arange(count),
    )


def _sorted(given: dict[str, Any], order: Tensor) -> dict[str, Tensor]:
    """Return the inputs that the encoder reads token by token, in another order.

    Args:
        given: All inputs of the encoder.
        order: For every position the token that is there, int64 `[batch, token]`.
    """
    by_token = {
        name: given[name].expand_as(order).gather(1, order)
        for name in ("input_ids", "token_type_ids", "position_ids")
        if given.get(name) is not None
    }
    return {"position_ids": order, **by_token}  # every token keeps its own position


def _attention_dropout(encoder: PreTrainedModel) -> float:
    names = ("attention_probs_dropout_prob", "attention_dropout")
    return max(getattr(encoder.config, name, 0.0) for name in names)


def _head_that_reads_the_first_token(model: PreTrainedModel) -> str | None:
    """Return the name of a model's class if its head reads the first token itself, without a pooler."""
    name, encoder = type(model).__name__, model.base_model
    if getattr(encoder, "pooler", None) is not None or not name.endswith(FIRST_TOKEN_HEADS):
        return None
    return None if getattr(model.config, "classifier_pooling", "cls") == "mean" else name


def _before(encoder: PreTrainedModel, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """Replace the inputs of an encoder; a hook of PyTorch."""
    return (), encoder._ggsa.inputs(encoder, args, kwargs)


def _after(encoder: PreTrainedModel, args: tuple, kwargs: dict, output: Any) -> Any:
    """Restore the order of tokens that were moved; a hook of PyTorch."""
    place, first, as_tuple = kwargs["restoring"]
    if place is not None:

        def restored(states: Tensor) -> Tensor:
            return states.gather(1, place[..., None].expand_as(states))

        output["last_hidden_state"] = restored(output["last_hidden_state"])
        if output.get("hidden_states") is not None:
            output["hidden_states"] = tuple(map(restored, output["hidden_states"]))
    if first is not None and output.get("pooler_output") is not None:
        states = output["last_hidden_state"]  # [batch, token, width]
        rows = torch.arange(len(states), device=states.device)
        output["pooler_output"] = encoder.pooler(states[rows, first][:, None])
    return output.to_tuple() if as_tuple else output


register(attach)
