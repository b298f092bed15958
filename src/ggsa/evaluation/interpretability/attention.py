"""What is read off attention weights, sentence by sentence.

Beside the weights stand two attentions that no model has learned. *Uniform* gives the same weight
to every key that a query may look at. *Bias alone* is softmax over the pattern's bias, that is,
attention whose scores are all zero: the same as uniform where a pattern only blocks (`full`,
`hard`), but far from it where it favors pairs (`soft`: a bias of 5 makes a pair 148 times as
heavy). What a mode owes to its training is what it does beyond the second.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot
from transformers import PreTrainedModel

from ggsa.evaluation.interpretability.sentences import Sentences
from ggsa.model import batches
from ggsa.model.attention import Mask
from ggsa.model.batches import Batch
from ggsa.training.loop import Split
from ggsa.workspace.vocabulary import TAGS

BATCH = 64


@dataclass(frozen=True)
class Baselines:
    """What a pattern alone does to every sentence."""

    uniform: np.ndarray  # [sentence, tag, tag]: mass that queries of a tag give to keys of a tag
    bias_alone: np.ndarray  # the same
    queries: np.ndarray  # int64 [sentence, tag]: tokens of each tag
    choosers: np.ndarray  # int64 [sentence]: queries that may look at two keys or more
    spread: np.ndarray  # [sentence]: normalized entropy of bias alone, summed over choosers


@dataclass(frozen=True)
class Weights:
    """What one model does on every sentence."""

    mass: np.ndarray  # [sentence, tag, tag]: layers and heads averaged
    spread: np.ndarray  # [sentence, layer, head]: normalized entropy, summed over choosers
    from_cls: list[np.ndarray]  # [sentence] of [word]: attention of [CLS], layers, heads averaged


def looks(model: PreTrainedModel, mask: Mask, split: Split) -> Iterator[tuple[Batch, Tensor]]:
    """Yield batches with their attention weights, `[batch, layer, head, query, key]`."""
    with torch.inference_mode():
        for rows in batches.evaluation_order(split.lengths, BATCH):
            batch = batches.collate(split.sentences, split.labels, rows)
            output = model(
                input_ids=batch.pieces, attention_mask=mask.bias(batch), output_attentions=True
            )
            yield batch, torch.stack(output.attentions, dim=1)


def unlearned(mask: Mask, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return uniform attention and that of the bias alone, each `[batch, query, key]`.

    Rows of padding queries are meaningless.
    """
    bias = mask.bias(batch)[:, 0]
    allowed = torch.isfinite(bias).float()
    return allowed / allowed.sum(-1, keepdim=True), bias.softmax(-1)


def baselines(mask: Mask, split: Split) -> Baselines:
    """Return what a pattern alone does; see `unlearned`."""
    size, count = len(TAGS), len(split.ids)
    uniform, bias_alone = np.zeros((2, count, size, size))
    queries, choosers = np.zeros((count, size), np.int64), np.zeros(count, np.int64)
    spread = np.zeros(count)
    for rows in batches.evaluation_order(split.lengths, BATCH):
        batch = batches.collate(split.sentences, split.labels, rows)
        even, biased = unlearned(mask, batch)
        allowed, chooses = _choice(mask, batch)
        uniform[rows], bias_alone[rows] = tag_mass(even, batch), tag_mass(biased, batch)
        queries[rows] = _tags(batch).sum(1).numpy()
        choosers[rows] = chooses.sum(-1).numpy()
        spread[rows] = (normalized_entropy(biased, allowed) * chooses).sum(-1).numpy()
    return Baselines(uniform, bias_alone, queries, choosers, spread)


def weights(model: PreTrainedModel, mask: Mask, sentences: Sentences) -> Weights:
    """Return what a model does on every sentence."""
    split, size, count = sentences.split, len(TAGS), len(sentences)
    shape = (count, model.config.num_hidden_layers, model.config.num_attention_heads)
    mass, spread = np.zeros((count, size, size)), np.zeros(shape)
    from_cls: list[np.ndarray] = [np.empty(0)] * count
    for batch, values in looks(model, mask, split):
        rows = batch.rows.numpy()
        allowed, chooses = _choice(mask, batch)
        mean = values.mean(dim=(1, 2))  # [batch, query, key]
        mass[rows] = tag_mass(mean, batch)
        entropy = normalized_entropy(values, allowed[:, None, None])
        spread[rows] = (entropy * chooses[:, None, None]).sum(-1).numpy()
        by_word = torch.einsum("bk,bkw->bw", mean[:, 0], word_membership(sentences, batch))
        for row, of_words in zip(rows, by_word.numpy(), strict=True):
            from_cls[row] = of_words[: len(sentences.words[row])]
    return Weights(mass, spread, from_cls)


def tag_mass(attention: Tensor, batch: Batch) -> np.ndarray:
    """Return how much attention queries of a tag give to keys of a tag, `[batch, tag, tag]`.

    Args:
        attention: `[batch, query, key]`.
        batch: Whose padding is left out.
    """
    tags = _tags(batch)
    return torch.einsum("bqs,bqk,bkt->bst", tags, attention, tags).numpy()


def normalized_entropy(attention: Tensor, allowed: Tensor) -> Tensor:
    """Return entropy / log(number of allowed keys): 1 is uniform, 0 is one key alone.

    0 where a query may look at one key only, since it has no choice; callers leave these out.

    Args:
        attention: `[..., query, key]`, rows sum to one.
        allowed: Number of allowed keys, `[..., query]`.
    """
    entropy = -torch.xlogy(attention, attention).sum(-1)
    return torch.where(allowed > 1, entropy / allowed.clamp(min=2).log(), 0.0)


def word_membership(sentences: Sentences, batch: Batch) -> Tensor:
    """Return which piece belongs to which word, 0 or 1, `[batch, token, word]`."""
    rows = batch.rows.tolist()
    longest = max(len(sentences.words[row]) for row in rows)
    member = torch.zeros(*batch.pieces.shape, longest)
    for i, row in enumerate(rows):
        of_piece = torch.from_numpy(sentences.word_of_piece[row])
        places = (of_piece >= 0).nonzero()[:, 0]
        member[i, places, of_piece[places]] = 1
    return member


def between_words(attention: Tensor, member: Tensor) -> Tensor:
    """Return attention between words: summed over a key's pieces, averaged over a query's.

    Clark et al. (2019). A word of which no piece is left gives and takes nothing.

    Args:
        attention: `[batch, ..., query, key]`.
        member: `[batch, token, word]`.

    Returns:
        `[batch, ..., query word, key word]`.
    """
    pieces = member.sum(1).clamp(min=1)  # [batch, word]
    averaged = member / pieces[:, None]
    return torch.einsum("bqv,b...qk,bkw->b...vw", averaged, attention, member)


def per_pair(weights: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Return the mean weight per pair of pieces, `[tag, tag]`; NaN where there is no pair.

    Args:
        weights: Mass, `[sentence, tag, tag]`, under a pattern that allows every pair.
        queries: Tokens of each tag, `[sentence, tag]`.
    """
    pairs = np.einsum("sq,sk->qk", queries, queries).astype(float)
    return np.divide(weights.sum(0), pairs, out=np.full(pairs.shape, np.nan), where=pairs > 0)


def _tags(batch: Batch) -> Tensor:
    tags = one_hot(batch.tags, len(TAGS)).float()
    tags[batch.is_padding] = 0
    return tags  # [batch, token, tag]


def _choice(mask: Mask, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the number of allowed keys, and whether a query is no padding and has a choice."""
    allowed = torch.isfinite(mask.bias(batch)[:, 0]).sum(-1)  # [batch, query]
    return allowed, ((allowed > 1) & ~batch.is_padding).float()
