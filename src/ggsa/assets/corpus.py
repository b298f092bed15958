"""Labeled sentences: their checksum, the selection split, and the Parquet files of all splits.

`ggsa.assets.corpora` obtains the rows, and every later stage reads the files that are written here.
"""

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd

from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import write_table

UNKNOWN = -1
"""The label of a sentence whose label is unknown."""

SELECTION_SENTENCES = 500
"""Size of the selection split under `auto`, unless a tenth of train is smaller."""

WHOLE_SENTENCE_WORDS = 8
"""The shortest whole sentence, in words. SST-2 does not mark them, and short rows are phrases."""


class Sentence(NamedTuple):
    """The words of a row and its label: the number of its class, or -1 if unknown."""

    words: tuple[str, ...]
    label: int


Corpus = dict[str, list[Sentence]]


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a text that separates them by spaces."""
    return tuple(word for word in text.split(" ") if word)


def canonical_sha256(sentences: Iterable[Sentence]) -> str:
    """Return the SHA256 of rows, which does not depend on the file format they came in.

    It is the checksum of one line per row, `label TAB words-joined-by-one-space NEWLINE`, in order.
    """
    digest = hashlib.sha256()
    for words, label in sentences:
        digest.update(f"{label}\t{' '.join(words)}\n".encode())
    return digest.hexdigest()


# The selection split.


@dataclass(frozen=True)
class Selection:
    """The selection split, as positions of rows in train.

    Attributes:
        whole: Rows that are whole sentences.
        chosen: Whole sentences that form the selection split.
        leaking: Rows that occur in a chosen sentence and in no other whole sentence, including the
            chosen sentences.
    """

    whole: tuple[int, ...]
    chosen: tuple[int, ...]
    leaking: frozenset[int]


def selection_size(sentences: int | Literal["auto"], rows: int) -> int:
    """Return the size of the selection split, at least 1.

    Args:
        sentences: The parameter `corpus.selection_sentences`.
        rows: Of train, before it is cut.
    """
    if sentences != "auto":
        return sentences
    return max(1, min(SELECTION_SENTENCES, rows // 10))


def select(train: Sequence[Sentence], count: int, seed: int) -> Selection:
    """Return `count` whole sentences of train, as many of each label, and the rows that leak them.

    Rows of SST-2's train split are phrases of the same sentences, so a random split of rows would
    leave parts of a held-out sentence in training.

    Raises:
        UserError: If a label has too few whole sentences.
    """
    rows = [row.words for row in train]
    whole = whole_sentences(rows)
    chosen = balanced(train, whole, count, seed, "selection_sentences", "whole sentences")
    return Selection(tuple(whole), tuple(chosen), leaking_rows(rows, whole, chosen))


def select_documents(train: Sequence[Sentence], count: int, seed: int) -> Selection:
    """Return `count` rows of train, as many of each label; rows with the same words leak them.

    Every row counts as a whole sentence.

    Raises:
        UserError: If a label has too few rows.
    """
    everything = range(len(train))
    chosen = balanced(train, everything, count, seed, "selection_sentences", "rows")
    words = {train[row].words for row in chosen}
    leaking = frozenset(row for row, (same, _) in enumerate(train) if same in words)
    return Selection(tuple(range(len(train))), tuple(chosen), leaking)


def balanced(
    train: Sequence[Sentence],
    candidates: Sequence[int],
    count: int,
    seed: int,
    key: str,
    kind: str,
) -> list[int]:
    """Return positions drawn from the candidates, in ascending order, as many of each label.

    Args:
        train: The rows.
        candidates: Positions to draw from.
        count: Number of positions.
        seed: Seed of the draw.
        key: Parameter of the block `corpus` that sets `count`, for the message.
        kind: What a candidate is called in the message.

    Raises:
        UserError: If a label has too few candidates.
    """
    stream = random.Random(seed)
    chosen: list[int] = []
    labels = sorted({row.label for row in train})
    for place, label in enumerate(labels):
        share = (place + 1) * count // len(labels) - place * count // len(labels)
        known = [row for row in candidates if train[row].label == label]
        if share > len(known):
            raise UserError(
                f"corpus.{key}: {count} requires {share} {kind} with the label {label}, but train "
                f"has {len(known)}. Lower it."
            )
        chosen += stream.sample(known, share)
    return sorted(chosen)


def whole_sentences(rows: Sequence[tuple[str, ...]]) -> list[int]:
    """Return the positions of whole sentences: rows that are not part of another row.

    A row is part of another row if its words occur there one after the other. Rows of fewer than
    eight words never count as whole sentences, and of rows with the same words only the first does.
    Every row is looked up by its first eight words, which takes time linear in the corpus.
    """
    starts: dict[tuple[str, ...], list[int]] = defaultdict(list)
    known: set[tuple[str, ...]] = set()
    for position, words in enumerate(rows):
        if len(words) >= WHOLE_SENTENCE_WORDS and words not in known:
            known.add(words)
            starts[words[:WHOLE_SENTENCE_WORDS]].append(position)
    parts: set[int] = set()
    for words in known:
        for start in range(len(words) - WHOLE_SENTENCE_WORDS + 1):
            for other in starts.get(words[start : start + WHOLE_SENTENCE_WORDS], ()):
                part = rows[other]
                if len(part) < len(words) and words[start : start + len(part)] == part:
                    parts.add(other)
    return sorted(row for same in starts.values() for row in same if row not in parts)


def leaking_rows(
    rows: Sequence[tuple[str, ...]], whole: Iterable[int], chosen: Iterable[int]
) -> frozenset[int]:
    """Return the rows that occur in a chosen whole sentence and in no other whole sentence."""
    chosen = set(chosen)
    occurring = {part for row in chosen for part in _parts(rows[row])} & set(rows)
    longest = max((len(part) for part in occurring), default=0)
    for row in whole:
        if row not in chosen:
            occurring.difference_update(_parts(rows[row], longest))
    return frozenset(position for position, words in enumerate(rows) if words in occurring)


def _parts(words: tuple[str, ...], longest: int | None = None) -> Iterator[tuple[str, ...]]:
    """Yield every sequence of adjacent words, up to a length."""
    for start in range(len(words)):
        end = len(words) if longest is None else min(len(words), start + longest)
        for stop in range(start + 1, end + 1):
            yield words[start:stop]


# Writing.


def tables(
    splits: Mapping[str, Sequence[Sentence]], selection: Selection | None
) -> dict[str, pd.DataFrame]:
    """Return one table per split, ready to be written.

    The table of train marks the rows that share phrases with the selection split
    (`leaks_selection`) and the whole sentences (`whole_sentence`; see `whole_sentences`).

    Args:
        splits: Rows by split. With a `selection`, `train` is among them and `selection` is not.
        selection: Rows of train that form the selection split; they keep their ids. None where the
            corpus has its own selection split: then nothing leaks, and every row of train counts
            as a whole sentence.
    """
    made = {split: table(split, sentences) for split, sentences in splits.items()}
    train, rows = made["train"], range(len(splits["train"]))
    chosen = train.iloc[list(selection.chosen)] if selection else None
    leaking = selection.leaking if selection else frozenset()
    whole = frozenset(selection.whole if selection else rows)
    train["leaks_selection"] = [row in leaking for row in rows]
    train["whole_sentence"] = [row in whole for row in rows]
    if chosen is not None:
        made["selection"] = chosen.reset_index(drop=True)
    return made


def table(split: str, sentences: Sequence[Sentence]) -> pd.DataFrame:
    """Return a split as a table with the columns `id`, `words` and `label`.

    Raises:
        UserError: If the split has no rows.
    """
    if not sentences:
        raise UserError(f"The {split} split of the corpus is empty. Obtain the corpus again.")
    return pd.DataFrame(
        {
            "id": [f"{split}-{row:05d}" for row in range(len(sentences))],
            "words": [list(words) for words, _ in sentences],
            "label": pd.Series([label for _, label in sentences], dtype="int64"),
        }
    )


def write(folder: Path, made: Mapping[str, pd.DataFrame]) -> None:
    """Write every split to `<folder>/<split>.parquet`; equal rows give equal bytes."""
    for split, rows in made.items():
        write_table(Path(folder) / f"{split}.parquet", rows)


def rows_of(made: pd.DataFrame) -> list[Sentence]:
    """Return the rows of a table that `table` made."""
    return [
        Sentence(tuple(words), int(label))
        for words, label in zip(made["words"], made["label"], strict=True)
    ]
