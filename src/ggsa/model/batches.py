"""Sentences as tensors: how they are grouped into batches and padded."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ggsa.tagging.alignment import TaggedPieces
from ggsa.workspace.vocabulary import CLS, SEP, TAGS

SPECIAL = torch.tensor([TAGS.index(CLS), TAGS.index(SEP)])
BUCKET_BATCHES = 64
"""Batches that are sorted by length together; more of them need less padding and shuffle less."""
EVALUATION_TOKENS = 32_768
"""Most tokens of an evaluation batch, padding included; a longer document is a batch by itself."""


@dataclass(frozen=True)
class Batch:
    """Padded sentences of similar length."""

    pieces: Tensor  # int64 [batch, token]
    tags: Tensor  # int64 [batch, token]
    is_padding: Tensor  # bool [batch, token]
    labels: Tensor  # int64 [batch]; -1 where unknown
    identities: Tensor  # int64 [batch]: seed of each sentence's random pairs
    rows: Tensor  # int64 [batch]: which sentences these are

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def collate(sentences: TaggedPieces, labels: np.ndarray, rows: Sequence[int]) -> Batch:
    """Return the sentences of the given rows, padded to the longest."""
    found = [(sentences.pieces[row], sentences.tags[row]) for row in rows]
    shape = (len(rows), max(len(row) for row, _ in found))
    pieces, tags = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    is_padding = np.ones(shape, bool)
    for i, (row, row_tags) in enumerate(found):
        pieces[i, : len(row)] = row
        tags[i, : len(row)] = row_tags
        is_padding[i, : len(row)] = False
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
    """Return the batches of one epoch: shuffled, with similar lengths within a batch.

    Every row is in exactly one batch. The order depends only on seed and epoch, so a resumed run
    sees the same batches as an uninterrupted one.
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
        batch_size: Most sentences of a batch; long sentences make smaller ones.
    """
    order = np.argsort(lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        rows = order[start : start + batch_size]
        padded = lengths[rows] * np.arange(1, len(rows) + 1)  # size if the batch ended here
        fitting = max(1, int(np.searchsorted(padded, EVALUATION_TOKENS, side="right")))
        batches.append(rows[:fitting])
        start += fitting
    return batches
