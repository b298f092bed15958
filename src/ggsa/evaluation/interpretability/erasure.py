"""What deleting the words that `[CLS]` attends most does (ERASER; DeYoung et al., 2020).

*Comprehensiveness* is how much the probability of the predicted class drops when these words are
deleted with their tags; *sufficiency*, when all others are. High and low are good. As many random
words tell what any deletion does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from ggsa.evaluation.interpretability.attention import BATCH
from ggsa.evaluation.interpretability.sentences import Sentences, prepared
from ggsa.evaluation.interpretability.settings import Erasure
from ggsa.model import batches
from ggsa.model.attention import Mask
from ggsa.training.loop import Split

MEASURES = ("comprehensiveness", "sufficiency", "flips")
"""Drop of probability without, and with nothing but, the words; share of predictions that change
without them."""


@dataclass(frozen=True)
class Variants:
    """Sentences without some words, and with these words alone."""

    without: Sentences
    alone: Sentences


@dataclass(frozen=True)
class Erased:
    """What deletions do, for every mode, seed, sentence and measure."""

    top: Mapping[str, np.ndarray]  # [seed, sentence, measure]
    random: Mapping[str, np.ndarray]  # the same, averaged over the draws


def probabilities(model: PreTrainedModel, mask: Mask, split: Split) -> np.ndarray:
    """Return the probability of each class, `[sentence, 2]`."""
    found = np.empty((len(split.ids), model.config.num_labels))
    with torch.inference_mode():
        for rows in batches.evaluation_order(split.lengths, BATCH):
            batch = batches.collate(split.sentences, split.labels, rows)
            logits = model(input_ids=batch.pieces, attention_mask=mask.bias(batch)).logits
            found[rows] = logits.double().softmax(-1).numpy()
    return found


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


def variants(
    sentences: Sentences, words: list[np.ndarray], tokenizer: Any, max_pieces: int
) -> Variants:
    """Return the sentences without the words, and with nothing else; tags go with their words."""
    kept = [
        np.setdiff1d(np.arange(len(row)), gone)
        for row, gone in zip(sentences.words, words, strict=True)
    ]

    def only(places: list[np.ndarray]) -> Sentences:
        return prepared(
            tokenizer,
            [[row[i] for i in at] for row, at in zip(sentences.words, places, strict=True)],
            [[row[i] for i in at] for row, at in zip(sentences.tags, places, strict=True)],
            max_pieces,
        )

    return Variants(without=only(kept), alone=only(words))


def effects(model: PreTrainedModel, mask: Mask, whole: np.ndarray, changed: Variants) -> np.ndarray:
    """Return what deletion does to every sentence, `[sentence, measure]`, as in `MEASURES`.

    Args:
        model: The classifier.
        mask: Of its mode.
        whole: Probabilities of the whole sentences, `[sentence, 2]`.
        changed: The same sentences with words deleted.
    """
    predicted = whole.argmax(1)
    row = np.arange(len(whole))
    without = probabilities(model, mask, changed.without.split)
    alone = probabilities(model, mask, changed.alone.split)
    return np.stack(
        [
            whole[row, predicted] - without[row, predicted],
            whole[row, predicted] - alone[row, predicted],
            without.argmax(1) != predicted,
        ],
        axis=1,
    )


def random_variants(
    sentences: Sentences, settings: Erasure, tokenizer: Any, max_pieces: int, seed: int
) -> list[Variants]:
    """Return the draws of random words, the same for every model."""
    lengths = [len(row) for row in sentences.words]
    return [
        variants(
            sentences,
            random_words(lengths, settings.share, seed + draw),
            tokenizer,
            max_pieces,
        )
        for draw in range(settings.draws)
    ]
