"""Texts of any length to time attention on: sentences of the corpus, joined."""

import numpy as np
import torch

from ggsa.model.batches import Batch
from ggsa.tagging.alignment import TaggedPieces
from ggsa.tagging.splits import read_split
from ggsa.workspace import paths
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import CLS, SEP, TAGS

REAL, INDEPENDENT = "joined sentences", "independent tags"


def require_tags(split: str) -> None:
    """Refuse to go on where a split is not tagged yet.

    Raises:
        UserError: Names the stages to run first.
    """
    if not paths.tags_split(split).is_file() or not paths.rule_table("hard").is_file():
        raise UserError(
            f"{paths.tags_split(split)} or {paths.rule_table('hard')} is not there, and without tags "
            f"and rules there is no mask to time. Run `dvc repro rules` first; it trains nothing."
        )


def sentences(params: Params, split: str = "train") -> TaggedPieces:
    """Return the sentences of a split of the corpus.

    Raises:
        UserError: If the corpus is not tagged yet.
    """
    require_tags(split)
    return read_split(split, params.train.max_pieces).sentences


def joined(source: TaggedPieces, batch: int, length: int, kind: str, seed: int = 13) -> Batch:
    """Return texts of one length: `[CLS]`, words of as many sentences as it takes, `[SEP]`.

    Args:
        source: Whose sentences of eight pieces and more are joined, at random.
        batch: Texts.
        length: Of each, in pieces.
        kind: `REAL` keeps the tags as they follow one another; `INDEPENDENT` shuffles all of them.
        seed: Draws sentences, and shuffles.
    """
    random = np.random.default_rng(seed)
    long_enough = np.flatnonzero([len(tags) >= 8 for tags in source.tags])
    rows = []
    for _ in range(batch):
        text: list[int] = []
        while len(text) < length - 2:
            text += source.tags[random.choice(long_enough)][1:-1].tolist()
        tags = np.array(text[: length - 2])
        if kind == INDEPENDENT:
            tags = random.permutation(tags)
        rows.append(np.concatenate(([TAGS.index(CLS)], tags, [TAGS.index(SEP)])))
    tags = torch.from_numpy(np.stack(rows))
    return Batch(
        pieces=torch.from_numpy(random.integers(5, 100, (batch, length))),
        tags=tags,
        is_padding=torch.zeros(batch, length, dtype=torch.bool),
        labels=torch.zeros(batch, dtype=torch.int64),
        identities=torch.arange(batch) + seed,
        rows=torch.arange(batch),
    )
