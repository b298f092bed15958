"""Do heads attend to the syntactic head or to a dependent of a word?

For every word, the other word that it attends to most counts as a hit if it is the word's head or
one of its dependents (Clark et al., 2019; Htut et al., 2019). A word that may attend to no other
one counts as a miss, so the number of words is the same in every mode.

There are three baselines: the best fixed offset ("the previous word"); uniform attention under the
same mask, where any word that the mask leaves may be the most attended one; and the most attended
word of the bias alone. Ties are shared evenly.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from stanza.utils.conll import CoNLL, CoNLLError
from torch import Tensor

from ggsa.evaluation.interpretability.attention import (
    between_words,
    without_learning,
    word_membership,
)
from ggsa.evaluation.interpretability.sentences import Sentences, Treebank
from ggsa.model.attention import Mask
from ggsa.model.attention_weights import attention_weights, batches_of
from ggsa.model.classifier import Classifier
from ggsa.workspace.errors import UserError

TIE = 1e-5


@dataclass(frozen=True)
class Tree:
    """A sentence of a treebank."""

    words: tuple[str, ...]
    tags: tuple[str, ...]  # gold
    heads: tuple[int, ...]  # [word]: index of each word's head, -1 at the root

    def related(self) -> np.ndarray:
        """Return whether one word is the head or a dependent of another, bool `[word, word]`."""
        table = np.zeros((len(self.words), len(self.words)), bool)
        for word, head in enumerate(self.heads):
            if head >= 0:
                table[word, head] = table[head, word] = True
        return table


@dataclass(frozen=True)
class Expected:
    """Hits that a pattern alone would give in every sentence, `[sentence]`."""

    uniform: np.ndarray
    bias: np.ndarray


def read_trees(path: Path, settings: Treebank) -> list[Tree]:
    """Return the first sentences of a CoNLL-U file within the chosen lengths, in lower case.

    Raises:
        UserError: If the file is not CoNLL-U, or has no sentence of these lengths.
    """
    try:
        document = CoNLL.conll2doc(path)
    except (CoNLLError, OSError, UnicodeDecodeError, IndexError) as error:
        raise UserError(
            f"{path}: expected a treebank in CoNLL-U format ({error.__cause__ or error}). Restore "
            f"the file from Universal Dependencies."
        ) from error
    trees = [
        Tree(
            words=tuple(word.text.lower() for word in sentence.words),
            tags=tuple(word.upos for word in sentence.words),
            heads=tuple(word.head - 1 for word in sentence.words),
        )
        for sentence in document.sentences
        if settings.shortest <= len(sentence.words) <= settings.longest
    ]
    if not trees:
        raise UserError(
            f"{path}: expected sentences of {settings.shortest} to {settings.longest} words, got "
            f"none. Restore the file from Universal Dependencies."
        )
    return trees[: settings.sentences]


def hits(model: Classifier, sentences: Sentences, related: list[np.ndarray]) -> np.ndarray:
    """Return how many words attend most to a related one, int64 `[sentence, layer, head]`.

    Args:
        model: The trained model.
        sentences: The sentences of the trees.
        related: For every sentence, bool `[word, word]`; see `Tree.related`.
    """
    config = model.model.config
    shape = (len(sentences), config.num_hidden_layers, config.num_attention_heads)
    count = np.zeros(shape, np.int64)
    for batch, weights in attention_weights(model.model, model.mask, sentences.pieces):
        words = _others(between_words(weights, word_membership(sentences, batch)))
        best = words.max(dim=-1)
        hit = _padded(related, batch.rows, words.shape[-1])[:, None, None].expand_as(words)
        hit = hit.gather(-1, best.indices[..., None])[..., 0] & (best.values > 0)
        count[batch.rows.numpy()] = hit.sum(-1).numpy()
    return count


def expected(mask: Mask, sentences: Sentences, related: list[np.ndarray]) -> Expected:
    """Return the hits that a pattern alone would give."""
    uniform, bias = np.zeros((2, len(sentences)))
    for batch in batches_of(sentences.pieces):
        rows, member = batch.rows.numpy(), word_membership(sentences, batch)
        biased = _others(between_words(without_learning(mask, batch)[1], member))
        table = _padded(related, batch.rows, biased.shape[-1])
        allowed = biased > 0
        largest = biased.max(-1, keepdim=True).values
        most = allowed & (biased >= largest * (1 - TIE))
        uniform[rows] = _share(table, allowed).sum(-1).numpy()
        bias[rows] = _share(table, most).sum(-1).numpy()
    return Expected(uniform, bias)


def offset_hits(related: list[np.ndarray], offsets: int) -> np.ndarray:
    """Return how many words are related to the one at each offset, int64 `[sentence, offset]`.

    An offset that leaves the sentence is a miss.
    """
    steps = offset_steps(offsets)
    return np.array([[int(np.trace(table, step)) for step in steps] for table in related])


def offset_steps(offsets: int) -> list[int]:
    """Return the offsets that are tried: -offsets to offsets without 0."""
    return [step for step in range(-offsets, offsets + 1) if step]


def best_on_other_half(count: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Return the hits of the best choice, never on the sentences that it was chosen on.

    The best column over the odd sentences is read on the even ones and the other way round, so all
    sentences are used and none is used twice.

    Args:
        count: `[sentence, choice]`.

    Returns:
        Hits `[sentence]`, and the choices that are read on the even and on the odd sentences.
    """
    best = np.empty(len(count), count.dtype)
    choices = []
    for start in (0, 1):
        choice = int(count[1 - start :: 2].sum(0).argmax())
        best[start::2] = count[start::2, choice]
        choices.append(choice)
    return best, choices


def _others(words: Tensor) -> Tensor:
    """Return attention between words without that of a word to itself."""
    itself = torch.eye(words.shape[-1], dtype=torch.bool)
    return words.masked_fill(itself, 0.0)


def _padded(related: list[np.ndarray], rows: Tensor, longest: int) -> Tensor:
    """Return which words of a batch are related, bool `[batch, word, word]`."""
    table = torch.zeros(len(rows), longest, longest, dtype=torch.bool)
    for i, row in enumerate(rows.tolist()):
        size = len(related[row])
        table[i, :size, :size] = torch.from_numpy(related[row])
    return table


def _share(related: Tensor, chosen: Tensor) -> Tensor:
    """Return the chance that a random chosen word is a related one, `[batch, query]`."""
    return (related & chosen).sum(-1) / chosen.sum(-1).clamp(min=1)
