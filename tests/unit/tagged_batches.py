"""Batches of generated tags, for the tests of attention."""

import numpy as np
import torch

from ggsa.model.batches import Batch
from ggsa.workspace.vocabulary import CLS, SEP, TAGS

SIZE = len(TAGS)


def batch_of(tags: np.ndarray, is_padding: np.ndarray) -> Batch:
    labels = torch.zeros(len(tags), dtype=torch.int64)
    identities = torch.arange(len(tags)) * 7919 + 13
    arrays = (torch.from_numpy(tags), torch.from_numpy(is_padding))
    return Batch(torch.from_numpy(tags), *arrays, labels, identities, labels)


def sentences(random: np.random.Generator, batch: int, length: int, kinds: int) -> Batch:
    """Sentences of few or many tags, `[CLS]` first and `[SEP]` last, padded to one length."""
    some = random.choice(SIZE - 2, size=kinds, replace=False)
    tags = random.choice(some, size=(batch, length))
    ends = random.integers(2, length + 1, batch)
    ends[random.integers(batch)] = length
    tags[:, 0] = TAGS.index(CLS)
    tags[np.arange(batch), ends - 1] = TAGS.index(SEP)
    return batch_of(tags, np.arange(length)[None] >= ends[:, None])
