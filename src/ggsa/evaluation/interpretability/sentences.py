"""What is measured: the settings of the study, and sentences as words with tags and as pieces."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field, ValidationError
from transformers import PreTrainedTokenizerBase

from ggsa.tagging import alignment, splits
from ggsa.tagging.alignment import TaggedPieces
from ggsa.workspace import config, paths
from ggsa.workspace.config import Block
from ggsa.workspace.errors import UserError

Count = Annotated[int, Field(ge=1)]
SPECIAL = -1
"""The word of a special token."""


class Treebank(Block):
    """Which sentences of the treebank are used, and how far a fixed offset may reach."""

    sentences: Count
    shortest: Count
    longest: Count
    offsets: Count


class Erasure(Block):
    """How many words are deleted."""

    share: Annotated[float, Field(gt=0, lt=1)]
    shortest: Annotated[int, Field(ge=2)]
    draws: Count


class Settings(Block):
    """The content of settings.yaml."""

    sentences: Count | None
    treebank: Treebank
    erasure: Erasure


def load_settings() -> Settings:
    """Return the content of `studies/interpretability/settings.yaml`.

    Raises:
        UserError: If the file is missing or wrong.
    """
    path = paths.STUDIES / "interpretability" / "settings.yaml"
    try:
        return Settings.model_validate(config.read_yaml(path, "Restore it from Git."))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}, got {problem['input']!r}"
            for problem in error.errors()
        )
        raise UserError(f"{path}: {problems}. Fix the file and run the stage again.") from error


@dataclass(frozen=True)
class Sentences:
    """Sentences as words with tags and, aligned with these, as pieces."""

    words: Sequence[Sequence[str]]
    tags: Sequence[Sequence[str]]
    pieces: TaggedPieces
    word_of_piece: list[np.ndarray]  # [sentence] of int64 [token]; `SPECIAL` at special tokens

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.words)


def from_words(
    tokenizer: PreTrainedTokenizerBase,
    words: Sequence[Sequence[str]],
    tags: Sequence[Sequence[str]],
    max_pieces: int,
) -> Sentences:
    """Return sentences ready for a model, with the word that every piece belongs to.

    Raises:
        UserError: If words and tags do not belong together.
    """
    encoded = tokenizer(
        [list(row) for row in words],
        is_split_into_words=True,
        truncation=True,
        max_length=max_pieces,
    )
    word_of_piece = [
        np.array([SPECIAL if word is None else word for word in encoded.word_ids(i)], np.int64)
        for i in range(len(words))
    ]
    pieces = alignment.align(tokenizer, words, tags, max_pieces)
    return Sentences(words, tags, pieces, word_of_piece)


def read_split(
    name: str, tokenizer: PreTrainedTokenizerBase, max_pieces: int, limit: int | None
) -> Sentences:
    """Return a split of the corpus.

    Args:
        name: Of the split.
        tokenizer: Of the encoder.
        max_pieces: Longer sentences are truncated.
        limit: Only so many sentences, the first ones; None is all.

    Raises:
        UserError: If corpus and tags do not belong together.
    """
    split = splits.read_split(name, max_pieces)
    return from_words(tokenizer, split.words[:limit], split.word_tags[:limit], max_pieces)
