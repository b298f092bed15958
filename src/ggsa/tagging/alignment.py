"""From the tags of words to the tags of word pieces.

SST-2 comes split into words and the tagger keeps that split, so every piece belongs to exactly one
word and takes its tag; `[CLS]` and `[SEP]` are tags of their own. No piece is ever without a tag,
which the paper's released code could not promise (defect D2).
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import CLS, SEP, TAGS


@dataclass(frozen=True)
class TaggedPieces:
    """Word pieces and their tags, one array per sentence, special tokens included."""

    pieces: list[np.ndarray]  # [sentence] of int64 [token]: ids in the encoder's vocabulary
    tags: list[np.ndarray]  # [sentence] of int64 [token]: indices into `vocabulary.TAGS`
    identities: np.ndarray  # int64 [sentence]: a checksum of the pieces, from which masks are drawn


def piece_tags(word_ids: Sequence[int | None], word_tags: Sequence[str]) -> list[str]:
    """Return the tag of every piece of one sentence.

    Args:
        word_ids: For every piece the index of its word; None for the two special tokens.
        word_tags: The tag of every word.

    Raises:
        ValueError: If a special token stands anywhere but at the ends, or a word has no tag.
    """
    if len(word_ids) < 2 or word_ids[0] is not None or word_ids[-1] is not None:
        raise ValueError("a sentence of pieces must begin with [CLS] and end with [SEP]")
    inner = word_ids[1:-1]
    if any(word is None for word in inner) or (inner and max(inner) >= len(word_tags)):
        raise ValueError("a piece belongs to no tagged word")
    return [CLS, *(word_tags[word] for word in inner), SEP]


def align(
    tokenizer: Any, words: Sequence[Sequence[str]], tags: Sequence[Sequence[str]], max_pieces: int
) -> TaggedPieces:
    """Return pieces and piece tags of sentences that are split into words.

    Args:
        tokenizer: A fast tokenizer of transformers.
        words: The words of every sentence.
        tags: The tag of every word of every sentence.
        max_pieces: What a sentence has beyond this many pieces is cut off, `[SEP]` kept.

    Raises:
        UserError: If a sentence has another number of tags than of words, or a tag is unknown.
    """
    index = {tag: i for i, tag in enumerate(TAGS)}
    for i, (sentence, row) in enumerate(zip(words, tags, strict=True)):
        if len(sentence) != len(row):
            raise UserError(
                f"data/tags: sentence {i} has {len(sentence)} words but {len(row)} tags. The tags "
                f"belong to another corpus: run `dvc repro -f tag`."
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
                f"data/tags: the tagger gave {error}, which is no universal tag. Use a tagger "
                f"trained on Universal Dependencies (tagger.package in params.yaml)."
            ) from error
    pieces = [np.asarray(ids, dtype=np.int64) for ids in encoded["input_ids"]]
    return TaggedPieces(
        pieces=pieces,
        tags=[np.asarray(row, dtype=np.int64) for row in tag_rows],
        identities=np.array([identity(row) for row in pieces], dtype=np.int64),
    )


def identity(pieces: np.ndarray) -> int:
    """Return the checksum of a sentence's pieces, int64 `[token]`, from which its masks are drawn."""
    return zlib.crc32(pieces.tobytes())


def tag_counts(
    tokenizer: Any,
    words: Sequence[Sequence[str]],
    tags: Sequence[Sequence[str]],
    max_pieces: int,
    tag_names: Sequence[str] = TAGS,
) -> np.ndarray:
    """Return how many pieces of each tag every sentence has, `[sentence, tag]`.

    For a pattern that is a table, these counts decide how many pairs are allowed.
    """
    if tuple(tag_names) != TAGS:
        raise ValueError("a pattern's tags must be vocabulary.TAGS, in that order")
    aligned = align(tokenizer, words, tags, max_pieces)
    return np.stack([np.bincount(row, minlength=len(TAGS)) for row in aligned.tags])
