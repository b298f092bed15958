"""Do heads look at the syntactic head or at a dependent of a word?

For every word, the other word that it attends most is right if it is the word's head or one of its
dependents (Clark et al., 2019; Htut et al., 2019). A word that may look at no other one counts as
wrong, so that the number of words is the same in every mode.

Three baselines: the best fixed offset ("the word before"); uniform attention under the same mask,
whose most attended word is any of the words that the mask leaves; and the most attended word of
the bias alone. In the last, ties are shared out evenly.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from ggsa.evaluation.interpretability.attention import (
    BATCH,
    between_words,
    looks,
    unlearned,
    word_membership,
)
from ggsa.evaluation.interpretability.sentences import Sentences
from ggsa.model import batches
from ggsa.model.attention import Mask

TIE = 1e-5


@dataclass(frozen=True)
class Expected:
    """How many words a pattern alone would get right in every sentence, `[sentence]`."""

    uniform: np.ndarray
    bias_alone: np.ndarray
    sighted: np.ndarray  # words that may look at another one


@dataclass(frozen=True)
class Agreement:
    """Hits on dependency relations; `words` and offsets do not depend on mode or seed."""

    hits: Mapping[str, np.ndarray]  # [seed, sentence, layer, head]
    expected: Mapping[str, Expected]
    offsets: np.ndarray  # [sentence, offset]
    words: np.ndarray  # [sentence]


def hits(
    model: PreTrainedModel, mask: Mask, sentences: Sentences, related: list[np.ndarray]
) -> np.ndarray:
    """Return how many words look most at a related one, int64 `[sentence, layer, head]`.

    Args:
        model: With attention weights (`attn_implementation="eager"`).
        mask: Of its mode.
        sentences: With trees.
        related: Of every sentence, bool `[word, word]`; see `Tree.related`.
    """
    config = model.config
    found = np.zeros(
        (len(sentences), config.num_hidden_layers, config.num_attention_heads), np.int64
    )
    for batch, values in looks(model, mask, sentences.split):
        member = word_membership(sentences, batch)
        words = _others(between_words(values, member))
        best = words.max(dim=-1)
        right = _related(related, batch.rows, words.shape[-1])[:, None, None].expand_as(words)
        right = right.gather(-1, best.indices[..., None])[..., 0] & (best.values > 0)
        found[batch.rows.numpy()] = right.sum(-1).numpy()
    return found


def expected(mask: Mask, sentences: Sentences, related: list[np.ndarray]) -> Expected:
    """Return what a pattern alone would get right."""
    uniform, bias_alone, sighted = np.zeros((3, len(sentences)))
    split = sentences.split
    for rows in batches.evaluation_order(split.lengths, BATCH):
        batch = batches.collate(split.sentences, split.labels, rows)
        member = word_membership(sentences, batch)
        biased = _others(between_words(unlearned(mask, batch)[1], member))
        right = _related(related, batch.rows, biased.shape[-1])
        allowed = biased > 0
        largest = biased.max(-1, keepdim=True).values
        most = allowed & (biased >= largest * (1 - TIE))
        uniform[rows] = _share(right, allowed).sum(-1).numpy()
        bias_alone[rows] = _share(right, most).sum(-1).numpy()
        sighted[rows] = allowed.any(-1).sum(-1).numpy()
    return Expected(uniform, bias_alone, sighted)


def offset_hits(related: list[np.ndarray], offsets: int) -> np.ndarray:
    """Return how many words are related to the one at each offset, int64 `[sentence, offset]`.

    Offsets run from -offsets to offsets without 0; an offset that leaves the sentence is wrong.
    """
    steps = offset_steps(offsets)
    return np.array([[int(np.trace(table, step)) for step in steps] for table in related])


def offset_steps(offsets: int) -> list[int]:
    """Return the offsets that are tried."""
    return [step for step in range(-offsets, offsets + 1) if step]


def chosen_elsewhere(found: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Return the hits of the best choice, never on the sentences that it was chosen on.

    The best column over the even sentences is read on the odd ones, and the other way round, so
    that all sentences are used and none is used twice.

    Args:
        found: `[sentence, choice]`.

    Returns:
        Hits `[sentence]`, and the choices made on the odd and on the even sentences.
    """
    best = np.empty(len(found), found.dtype)
    choices = []
    for start in (0, 1):
        choice = int(found[1 - start :: 2].sum(0).argmax())
        best[start::2] = found[start::2, choice]
        choices.append(choice)
    return best, choices


def _others(words: Tensor) -> Tensor:
    """Return attention between words with nothing for a word itself."""
    itself = torch.eye(words.shape[-1], dtype=torch.bool)
    return words.masked_fill(itself, 0.0)


def _related(related: list[np.ndarray], rows: Tensor, longest: int) -> Tensor:
    table = torch.zeros(len(rows), longest, longest, dtype=torch.bool)
    for i, row in enumerate(rows.tolist()):
        size = len(related[row])
        table[i, :size, :size] = torch.from_numpy(related[row])
    return table


def _share(right: Tensor, chosen: Tensor) -> Tensor:
    """Return the chance that a random one of the chosen words is right, `[batch, query]`."""
    return (right & chosen).sum(-1) / chosen.sum(-1).clamp(min=1)
