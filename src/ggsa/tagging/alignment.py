"""From the tags of words to the tags of word pieces.

Sentences are split into words before tagging and tokenization, so every piece belongs to exactly one
word and takes its tag. `[CLS]` and `[SEP]` are tags of their own. No piece is without a tag, which
the paper's released code does not guarantee (defect D2).

Pieces and tags of many sentences are flat arrays with offsets, as in Arrow's lists, in the smallest
types that hold them. Those of a corpus are memory-mapped files.
"""

import itertools
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import CLS, SEP, TAGS

BLOCK = 2**20
"""Values of a flat array that are computed with at a time."""


@dataclass(frozen=True, eq=False)
class Ragged(Sequence[np.ndarray]):
    """Arrays of integers of different lengths, one after the other in a flat array."""

    values: np.ndarray  # [value], of the smallest type that holds them
    offsets: np.ndarray  # int64 [row + 1]: where each row starts, and where the last one ends

    @classmethod
    def of(cls, rows: Sequence[Sequence[int] | np.ndarray], dtype: type = np.int64) -> "Ragged":
        """Return arrays that are in memory; `dtype` is the type of the flat array.

        Raises:
            OverflowError: If a number does not fit the type.
        """
        values = np.fromiter(itertools.chain.from_iterable(rows), dtype)
        return cls(values, offsets_of([len(row) for row in rows]))

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        """Return a row as int64 `[value]`: sums and products of small types would overflow."""
        row = range(len(self))[row]
        return self.values[self.offsets[row] : self.offsets[row + 1]].astype(np.int64)

    @property
    def lengths(self) -> np.ndarray:
        """Values of every row, int64 `[row]`."""
        return np.diff(self.offsets)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the flat array, some values at a time."""
        return (self.values[i : i + BLOCK] for i in range(0, len(self.values), BLOCK))

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> "Ragged":
        """Return rows of new values of the same type, `function` of some values at a time."""
        changed = np.empty(self.values.shape, self.values.dtype)
        for start, block in zip(range(0, len(changed), BLOCK), self.blocks(), strict=True):
            changed[start : start + BLOCK] = function(block)
        return Ragged(changed, self.offsets)


def offsets_of(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return where each row starts, and where the last one ends, int64 `[row + 1]`."""
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))


@dataclass(frozen=True)
class TaggedPieces:
    """Word pieces and their tags, special tokens included."""

    pieces: Ragged  # [sentence][token]: ids in the encoder's vocabulary
    tags: Ragged  # [sentence][token]: indices into `vocabulary.TAGS`; with the offsets of `pieces`
    identities: np.ndarray  # int64 [sentence]: checksums of the pieces, which seed random masks

    @property
    def lengths(self) -> np.ndarray:
        """Pieces of every sentence, int64 `[sentence]`."""
        return self.pieces.lengths

    def tag_counts(self) -> np.ndarray:
        """Return how many pieces of each tag every sentence has, int64 `[sentence, tag]`.

        These counts determine the number of pairs that a table of tag pairs allows.
        """
        counts = np.empty((len(self.tags), len(TAGS)), np.int64)
        for start in range(0, len(counts), BLOCK // 16):
            part = counts[start : start + BLOCK // 16]  # a view
            offsets = self.tags.offsets[start : start + len(part) + 1]
            sentence = np.repeat(np.arange(len(part)), np.diff(offsets))
            codes = sentence * len(TAGS) + self.tags.values[offsets[0] : offsets[-1]]
            part[:] = np.bincount(codes, minlength=part.size).reshape(part.shape)
        return counts


def tokenizer(folder: Path) -> Any:
    """Return the fast tokenizer of the encoder in a directory.

    Raises:
        UserError: If there is no such directory: transformers would look for it on the Hub.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist. Run `dvc repro download`.")
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
    tokenizer: Any,
    words: Sequence[Sequence[str]],
    tags: Sequence[Sequence[str]],
    max_pieces: int,
    first: int = 0,
) -> TaggedPieces:
    """Return the pieces, and their tags, of sentences that are split into words.

    Args:
        tokenizer: A fast tokenizer of transformers.
        words: The words of every sentence.
        tags: The tag of every word of every sentence.
        max_pieces: Longer sentences are truncated to this many pieces, `[SEP]` included.
        first: Number of the first sentence, for messages.

    Raises:
        UserError: If a sentence has more or fewer tags than words, or a tag is unknown.
    """
    index = {tag: i for i, tag in enumerate(TAGS)}
    for i, (sentence, row) in enumerate(zip(words, tags, strict=True), start=first):
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
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    tag_rows = []
    for i, row in enumerate(tags):
        try:
            tag_rows.append([index[tag] for tag in piece_tags(encoded.word_ids(i), row)])
        except KeyError as error:
            raise UserError(
                f"Sentence {first + i} has the unknown tag {error}. Expected a universal tag: map it "
                f"under tagger.mapping, or use a tagger trained on Universal Dependencies."
            ) from error
    pieces = Ragged.of(encoded["input_ids"], piece_type(tokenizer))
    return TaggedPieces(
        pieces=pieces,
        tags=Ragged(Ragged.of(tag_rows, np.uint8).values, pieces.offsets),
        identities=np.array([identity(row) for row in pieces], dtype=np.int64),
    )


def too_long(tokenizer: Any, words: Sequence[Sequence[str]], max_pieces: int) -> dict[int, int]:
    """Return the word pieces of every text, split into words, that has more than `max_pieces`."""
    if not words:
        return {}
    encoded = tokenizer(
        [list(text) for text in words],
        is_split_into_words=True,
        truncation=False,
        padding=False,
        verbose=False,  # transformers would warn of the same
    )
    pieces = enumerate(map(len, encoded["input_ids"]))
    return {index: count for index, count in pieces if count > max_pieces}


def require_short(tokenizer: Any, words: Sequence[Sequence[str]], max_pieces: int) -> None:
    """Check that no text would be cut.

    Raises:
        UserError: If one has more than `max_pieces` word pieces.
    """
    for index, count in too_long(tokenizer, words, max_pieces).items():
        raise UserError(
            f"texts[{index}]: {len(words[index]):,} words are {count:,} word pieces, but the model "
            f"reads at most {max_pieces}. Shorten the text, or cut all such texts, as in training, "
            f"with cut=True."
        )


def piece_type(tokenizer: Any) -> type:
    """Return the smallest type of the ids of a vocabulary."""
    return np.uint16 if len(tokenizer) <= 2**16 else np.uint32


def joined(parts: Iterable[TaggedPieces], folder: Path) -> TaggedPieces:
    """Return the sentences of all parts in order, with pieces and tags in memory-mapped files.

    Args:
        parts: At least one, and one at a time in memory.
        folder: Of the files, which are nameless: they vanish with the process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lengths, identities = [], []
    with (
        tempfile.TemporaryFile(dir=folder) as pieces,
        tempfile.TemporaryFile(dir=folder) as tags,
    ):
        for part in parts:
            pieces.write(part.pieces.values.data)
            tags.write(part.tags.values.data)
            lengths.append(part.lengths)
            identities.append(part.identities)
            types = part.pieces.values.dtype, part.tags.values.dtype
        offsets = offsets_of(np.concatenate(lengths))
        mapped = [
            np.asarray(np.memmap(file, dtype, "r", shape=(offsets[-1],)))
            for file, dtype in zip((pieces, tags), types, strict=True)
        ]
    return TaggedPieces(
        *(Ragged(values, offsets) for values in mapped), identities=np.concatenate(identities)
    )


def identity(pieces: np.ndarray) -> int:
    """Return the checksum of a sentence's pieces, `[token]`, which seeds its random masks.

    It is that of int64, whatever the type of the integers.
    """
    return zlib.crc32(pieces.astype(np.int64).tobytes())
