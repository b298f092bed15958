"""Sentences as tensors: which go together in a batch, and how they are padded."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ggsa.tagging.alignment import TaggedPieces
from ggsa.workspace.vocabulary import CLS, SEP, TAGS

SPECIAL = torch.tensor([TAGS.index(CLS), TAGS.index(SEP)])
BUCKET_BATCHES = 64
"""Batches that are sorted by length together; larger wastes less padding and shuffles less."""
EVALUATION_TOKENS = 32_768
"""Tokens of an evaluation batch at most, padding included; a longer document stands alone."""


@dataclass(frozen=True)
class Batch:
    """Padded sentences of about one length."""

    pieces: Tensor  # int64 [batch, token]
    tags: Tensor  # int64 [batch, token]
    is_padding: Tensor  # bool [batch, token]
    labels: Tensor  # int64 [batch]; -1 where unknown
    identities: Tensor  # int64 [batch]: from which a sentence's random pairs are drawn
    rows: Tensor  # int64 [batch]: which sentences these are

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def collate(sentences: TaggedPieces, labels: np.ndarray, rows: Sequence[int]) -> Batch:
    """Return chosen sentences, padded to the longest of them."""
    longest = max(len(sentences.pieces[row]) for row in rows)
    shape = (len(rows), longest)
    pieces, tags = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    is_padding = np.ones(shape, bool)
    for i, row in enumerate(rows):
        length = len(sentences.pieces[row])
        pieces[i, :length] = sentences.pieces[row]
        tags[i, :length] = sentences.tags[row]
        is_padding[i, :length] = False
    chosen = np.asarray(rows)
    identities = sentences.identities[chosen]
    arrays = (pieces, tags, is_padding, labels[chosen], identities, chosen)
    return Batch(*map(torch.from_numpy, arrays))


def with_masked_tokens(batch: Batch, probability: float, mask_piece: int) -> Batch:
    """Return the batch with pieces replaced by `[MASK]`, drawn from PyTorch's random numbers.

    Tags stay, and so do `[CLS]`, `[SEP]` and padding (arXiv 2505.11746).
    """
    drawn = torch.rand(batch.pieces.shape) < probability
    drawn &= ~batch.is_padding & ~torch.isin(batch.tags, SPECIAL)
    return replace(batch, pieces=batch.pieces.masked_fill(drawn, mask_piece))


def training_order(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Return the batches of one epoch: shuffled, yet alike in length within a batch.

    Every row stands in exactly one batch. The order depends on seed and epoch alone, so a resumed
    run sees what an undisturbed one would have seen.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    bucket = batch_size * BUCKET_BATCHES
    batches = []
    for start in range(0, len(order), bucket):
        rows = order[start : start + bucket]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    return [batches[i] for i in random.permutation(len(batches))]


def evaluation_order(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Return the batches for a pass without training: sorted by length, shortest first.

    Args:
        lengths: Pieces of every sentence.
        batch_size: Sentences of a batch at most; fewer where they are long.
    """
    order = np.argsort(lengths, kind="stable")
    found, start = [], 0
    while start < len(order):
        rows = order[start : start + batch_size]
        padded = lengths[rows] * np.arange(1, len(rows) + 1)  # if the batch ended there
        fitting = max(1, int(np.searchsorted(padded, EVALUATION_TOKENS, side="right")))
        found.append(rows[:fitting])
        start += fitting
    return found
