"""The effect of deleting the words that `[CLS]` attends to most (ERASER; DeYoung et al., 2020).

*Comprehensiveness* is how much the probability of the predicted class drops when these words and
their tags are deleted (high is good); *sufficiency*, when all other words are (low is good);
*flips* is the share of predictions that change without them. As many random words are the baseline.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ggsa.evaluation.interpretability.sentences import Erasure
from ggsa.model.classifier import Classifier

MEASURES = ("comprehensiveness", "sufficiency", "flips")
LOWER_IS_BETTER = ("sufficiency",)

Places = Sequence[np.ndarray]
"""Indices of chosen words of every sentence."""


@dataclass(frozen=True)
class Texts:
    """The words and tags of sentences."""

    words: Sequence[Sequence[str]]
    tags: Sequence[Sequence[str]]

    def only(self, places: Places) -> "Texts":
        """Return the sentences reduced to the chosen words."""

        def chosen(rows: Sequence[Sequence[str]]) -> list[list[str]]:
            return [[row[i] for i in at] for row, at in zip(rows, places, strict=True)]

        return Texts(chosen(self.words), chosen(self.tags))

    def without(self, places: Places) -> "Texts":
        """Return the sentences without the chosen words."""
        return self.only(
            [
                np.setdiff1d(np.arange(len(row)), at)
                for row, at in zip(self.words, places, strict=True)
            ]
        )

    def probabilities(self, model: Classifier) -> np.ndarray:
        """Return the probability of each class, `[sentence, class]`."""
        logits = torch.from_numpy(model.logits(self.words, self.tags, cut=True))
        return logits.double().softmax(-1).numpy()


def erased_words(length: int, share: float) -> int:
    """Return how many words of a sentence are deleted: the share, rounded up."""
    return int(np.ceil(share * length - 1e-9))


def top_words(attention: Sequence[np.ndarray], share: float) -> list[np.ndarray]:
    """Return the indices of the most attended words of every sentence; the first wins a tie."""
    return [
        np.sort(np.argsort(-row, kind="stable")[: erased_words(len(row), share)])
        for row in attention
    ]


def random_words(lengths: Sequence[int], share: float, seed: int) -> list[np.ndarray]:
    """Return as many random words of every sentence."""
    stream = np.random.default_rng(seed)
    return [
        np.sort(stream.choice(length, erased_words(length, share), replace=False))
        for length in lengths
    ]


def effects(
    model: Classifier,
    texts: Texts,
    attention: Sequence[np.ndarray],
    settings: Erasure,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the effect of deleting the most attended words, and of random ones.

    Args:
        model: The trained model.
        texts: The sentences.
        attention: Attention of `[CLS]` to the words of every sentence.
        settings: How many words are deleted, and how often random ones are drawn.
        seed: Draws random words; equal for all models, so that these lose the same words.

    Returns:
        Two arrays `[sentence, measure]`, as in `MEASURES`; the second averaged over the draws.
    """
    whole = texts.probabilities(model)
    predicted = whole.argmax(1)
    row = np.arange(len(whole))

    def effect(places: Places) -> np.ndarray:
        without = texts.without(places).probabilities(model)
        alone = texts.only(places).probabilities(model)
        return np.stack(
            [
                whole[row, predicted] - without[row, predicted],
                whole[row, predicted] - alone[row, predicted],
                without.argmax(1) != predicted,
            ],
            axis=1,
        )

    lengths = [len(words) for words in texts.words]
    draws = [random_words(lengths, settings.share, seed + i) for i in range(settings.draws)]
    return (
        effect(top_words(attention, settings.share)),
        np.mean([effect(places) for places in draws], axis=0),
    )
