"""What is measured on attention weights, sentence by sentence.

Two kinds of attention that no model has learned are the baselines. *Uniform* gives the same weight
to every key that a query may attend to. *Bias alone* is the softmax of the pattern's bias, that is,
attention with scores of zero. The two are equal where a pattern only blocks (`full`, `hard`) and
far apart where it favors pairs (`soft`: a bias of 5 makes a pair 148 times as heavy). The effect of
training is what goes beyond the bias alone.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ggsa.evaluation.interpretability.sentences import SPECIAL, Sentences
from ggsa.model.attention import Mask
from ggsa.model.attention_weights import attention_weights, batches_of, mass_by_tag
from ggsa.model.batches import Batch
from ggsa.model.classifier import Classifier
from ggsa.workspace.vocabulary import TAGS


@dataclass(frozen=True)
class PatternAlone:
    """What a pattern does to every sentence without any learning."""

    uniform: np.ndarray  # [sentence, tag, tag]: attention of queries of a tag to keys of a tag
    bias: np.ndarray  # [sentence, tag, tag]: the same of the bias alone
    queries: np.ndarray  # int64 [sentence, tag]: tokens of each tag
    choosers: np.ndarray  # int64 [sentence]: queries that may attend to two keys or more
    entropy: np.ndarray  # [sentence]: normalized entropy of the bias alone, summed over choosers


@dataclass(frozen=True)
class Observed:
    """What one model does on every sentence; layers and heads averaged."""

    mass: np.ndarray  # [sentence, tag, tag]: attention of queries of a tag to keys of a tag
    entropy: np.ndarray  # [sentence]: normalized entropy, summed over choosers
    from_cls: list[np.ndarray]  # [sentence] of [word]: attention of [CLS] to every word


def without_learning(mask: Mask, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return uniform attention and that of the bias alone, each `[batch, query, key]`.

    Rows of padding queries are meaningless.
    """
    bias = mask.bias(batch)[:, 0]
    allowed = torch.isfinite(bias).float()
    return allowed / allowed.sum(-1, keepdim=True), bias.softmax(-1)


def pattern_alone(mask: Mask, sentences: Sentences) -> PatternAlone:
    """Return what a pattern does without any learning."""
    size, count = len(TAGS), len(sentences)
    uniform, bias = np.zeros((2, count, size, size))
    choosers, entropy = np.zeros(count, np.int64), np.zeros(count)
    for batch in batches_of(sentences.pieces):
        rows = batch.rows.numpy()
        even, biased = without_learning(mask, batch)
        allowed, chooses = _choice(mask, batch)
        uniform[rows], bias[rows] = mass_by_tag(even, batch), mass_by_tag(biased, batch)
        choosers[rows] = chooses.sum(-1).numpy()
        entropy[rows] = (normalized_entropy(biased, allowed) * chooses).sum(-1).numpy()
    queries = np.stack([np.bincount(row, minlength=size) for row in sentences.pieces.tags])
    return PatternAlone(uniform, bias, queries, choosers, entropy)


def observe(model: Classifier, sentences: Sentences) -> Observed:
    """Return what a model does on every sentence."""
    size, count = len(TAGS), len(sentences)
    mass, entropy = np.zeros((count, size, size)), np.zeros(count)
    from_cls: list[np.ndarray] = [np.empty(0)] * count
    for batch, weights in attention_weights(model.model, model.mask, sentences.pieces):
        rows = batch.rows.numpy()
        allowed, chooses = _choice(model.mask, batch)
        mean = weights.mean(dim=(1, 2))  # [batch, query, key]
        mass[rows] = mass_by_tag(mean, batch)
        by_head = normalized_entropy(weights, allowed[:, None, None]) * chooses[:, None, None]
        entropy[rows] = by_head.sum(-1).mean(dim=(1, 2)).numpy()
        by_word = torch.einsum("bk,bkw->bw", mean[:, 0], word_membership(sentences, batch))
        for row, of_words in zip(rows, by_word.numpy(), strict=True):
            from_cls[row] = of_words[: len(sentences.words[row])]
    return Observed(mass, entropy, from_cls)


def normalized_entropy(attention: Tensor, allowed: Tensor) -> Tensor:
    """Return entropy / log(number of allowed keys): 1 is uniform, 0 is a single key.

    0 where a query may attend to one key only, since it has no choice; callers leave these out.

    Args:
        attention: `[..., query, key]`; rows sum to one.
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
        word_of_piece = torch.from_numpy(sentences.word_of_piece[row])
        inner = (word_of_piece != SPECIAL).nonzero()[:, 0]
        member[i, inner, word_of_piece[inner]] = 1
    return member


def between_words(attention: Tensor, member: Tensor) -> Tensor:
    """Return attention between words: summed over a key's pieces, averaged over a query's.

    Clark et al. (2019). A word whose pieces were all truncated gives and gets zero.

    Args:
        attention: `[batch, ..., query, key]`.
        member: `[batch, token, word]`; see `word_membership`.

    Returns:
        `[batch, ..., query word, key word]`.
    """
    pieces = member.sum(1).clamp(min=1)  # [batch, word]
    averaged = member / pieces[:, None]
    return torch.einsum("bqv,b...qk,bkw->b...vw", averaged, attention, member)


def _choice(mask: Mask, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the number of allowed keys, and 1 where a query is not padding and has a choice."""
    allowed = torch.isfinite(mask.bias(batch)[:, 0]).sum(-1)  # [batch, query]
    return allowed, ((allowed > 1) & ~batch.is_padding).float()
