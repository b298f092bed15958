"""From the tags of words to the tags of word pieces.

Sentences are split into words before tagging and tokenization, so every piece belongs to exactly one
word and takes its tag. `[CLS]` and `[SEP]` are tags of their own. No piece is without a tag, which
the paper's released code does not guarantee (defect D2).
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import CLS, SEP, TAGS


@dataclass(frozen=True)
class TaggedPieces:
    """Word pieces and their tags, one array per sentence, special tokens included."""

    pieces: list[np.ndarray]  # [sentence] of int64 [token]: ids in the encoder's vocabulary
    tags: list[np.ndarray]  # [sentence] of int64 [token]: indices into `vocabulary.TAGS`
    identities: np.ndarray  # int64 [sentence]: checksums of the pieces, which seed random masks

    def tag_counts(self) -> np.ndarray:
        """Return how many pieces of each tag every sentence has, int64 `[sentence, tag]`.

        These counts determine the number of pairs that a table of tag pairs allows.
        """
        return np.stack([np.bincount(row, minlength=len(TAGS)) for row in self.tags])


def tokenizer(folder: Path) -> Any:
    """Return the fast tokenizer of the encoder in a directory."""
    # Imported here because it takes seconds, and the registry of modes needs only `TaggedPieces`.
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def piece_tags(word_ids: Sequence[int | None], word_tags: Sequence[str]) -> list[str]:
    """Return the tag of every piece of one sentence.

    Args:
        word_ids: The index of each piece's word; None for the two special tokens.
        word_tags: The tag of every word.

    Raises:
        ValueError: If there is a special token anywhere but at the ends, or a word has no tag.
    """
    if len(word_ids) < 2 or word_ids[0] is not None or word_ids[-1] is not None:
        raise ValueError("expected the pieces of a sentence to begin with [CLS] and end with [SEP]")
    inner = word_ids[1:-1]
    if any(word is None for word in inner) or (inner and max(inner) >= len(word_tags)):
        raise ValueError("a piece belongs to no tagged word")
    return [CLS, *(word_tags[word] for word in inner), SEP]


def align(
    tokenizer: Any, words: Sequence[Sequence[str]], tags: Sequence[Sequence[str]], max_pieces: int
) -> TaggedPieces:
    """Return the pieces, and their tags, of sentences that are split into words.

    Args:
        tokenizer: A fast tokenizer of transformers.
        words: The words of every sentence.
        tags: The tag of every word of every sentence.
        max_pieces: Longer sentences are truncated to this many pieces, `[SEP]` included.

    Raises:
        UserError: If a sentence has more or fewer tags than words, or a tag is unknown.
    """
    index = {tag: i for i, tag in enumerate(TAGS)}
    for i, (sentence, row) in enumerate(zip(words, tags, strict=True)):
        if len(sentence) != len(row):
            raise UserError(
                f"Sentence {i} has {len(sentence)} words but {len(row)} tags. Expected one tag per "
                f"word."
            )
    encoded = tokenizer(
        [list(sentence) for sentence in words],
        is_split_into_words=True,
        truncation=True,
        max_length=max_pieces,
    )
    tag_rows = []
    for i, row in enumerate(tags):
        try:
            tag_rows.append([index[tag] for tag in piece_tags(encoded.word_ids(i), row)])
        except KeyError as error:
            raise UserError(
                f"Sentence {i} has the unknown tag {error}. Expected a universal tag: map it under "
                f"tagger.mapping, or use a tagger trained on Universal Dependencies."
            ) from error
    pieces = [np.asarray(ids, dtype=np.int64) for ids in encoded["input_ids"]]
    return TaggedPieces(
        pieces=pieces,
        tags=[np.asarray(row, dtype=np.int64) for row in tag_rows],
        identities=np.array([identity(row) for row in pieces], dtype=np.int64),
    )


def identity(pieces: np.ndarray) -> int:
    """Return the checksum of a sentence's pieces, `[token]`, which seeds its random masks.

    It is that of int64, whatever the type of the integers.
    """
    return zlib.crc32(pieces.astype(np.int64).tobytes())
