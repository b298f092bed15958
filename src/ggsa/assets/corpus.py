"""Sentences with labels: reading, verifying, splitting off what checkpoints are chosen on, writing.

First in the data flow, and free of network and parameters: `ggsa.assets` brings the rows here,
whatever source they come from, and every later stage reads the Parquet files that are written here.
"""

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import write_table

UNKNOWN = -1
"""The label of a sentence whose label is not known."""

WHOLE_SENTENCE_WORDS = 8
"""Shorter rows of SST-2's train split are never taken for whole sentences."""


class Sentence(NamedTuple):
    """The words of a row and its label: 1 positive, 0 negative (or more classes), -1 unknown."""

    words: tuple[str, ...]
    label: int


Corpus = dict[str, list[Sentence]]


@dataclass(frozen=True)
class Checksums:
    """By which a corpus is recognized.

    Attributes:
        rows: Canonical sha256 of the train, validation and (unlabeled) test split.
        labeled_test: Canonical sha256 of the test split with its labels.
        files: md5 of the published files, by name.
    """

    rows: Mapping[str, str]
    labeled_test: str
    files: Mapping[str, str] = field(default_factory=dict)


SST2 = Checksums(
    rows={
        "train": "d6d6db63b0850e9de8afa74e4a044a056185b1f6b3939e4ac29bb6fd438c7478",
        "validation": "671af978780e8f3c0fc0352ca77fe594b29b0b96b0dc4f9595b602be49f3707f",
        "test": "cfdec60584d39e2f47bc286dc039c2e99e45bd6d02f4025b3c827a406dbb3811",
    },
    labeled_test="24fe0334c0525377de39e44f63938c217305c94954d3175d84260f3d0baef710",
    files={
        "train.tsv": "da409a0a939379ed32a470bc0f7fe99a",
        "dev.tsv": "268856b487b2a31a28c0a93daaff7288",
        "test.tsv": "3230e4efec76488b87877a56ae49675a",
    },
)


# Reading.


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a text that is split by spaces already; the trailing space goes."""
    return tuple(word for word in text.split(" ") if word)


def sentence(text: str, label: object, place: str, labels: Sequence[int]) -> Sentence:
    """Return one checked row.

    Args:
        text: Words split by spaces.
        label: A label as a number or as its decimal digits.
        place: File and line, or repository and row, for the message.
        labels: The labels that may stand here.

    Raises:
        UserError: If there is no word in it or no label that may stand here.
    """
    words = words_of(text) if isinstance(text, str) else ()
    if not words:
        raise UserError(f"{place}: the sentence is empty. Obtain the corpus again.")
    allowed = " or ".join(str(known) for known in labels)
    if label is None or label == "":
        raise UserError(f"{place}: the label is missing; {allowed} was expected.")
    known = {str(number): number for number in labels}
    if str(label) not in known:
        raise UserError(f"{place}: the label is {label!r}; {allowed} was expected.")
    return Sentence(words, known[str(label)])


def read_labeled_tsv(path: Path) -> list[Sentence]:
    """Return the rows of a GLUE file with the columns `sentence` and `label`.

    Raises:
        UserError: If the file is missing or empty, or a row is malformed; names file and line.
    """
    return [
        sentence(text, label, f"{path}, line {line}", (0, 1))
        for line, (text, label) in _tsv_rows(path, ("sentence", "label"))
    ]


def read_unlabeled_tsv(path: Path) -> list[Sentence]:
    """Return the rows of a GLUE file with the columns `index` and `sentence`, labels unknown."""
    return [
        sentence(text, UNKNOWN, f"{path}, line {line}", (UNKNOWN,))
        for line, text in _indexed(path, "sentence")
    ]


def read_labels_tsv(path: Path) -> list[int]:
    """Return the labels of a file with the columns `index` and `label`, in order."""
    return [
        sentence("-", label, f"{path}, line {line}", (0, 1)).label
        for line, label in _indexed(path, "label")
    ]


def _indexed(path: Path, column: str) -> Iterator[tuple[int, str]]:
    """Yield line number and value of each row, whose index must count from 0."""
    for row, (line, (index, value)) in enumerate(_tsv_rows(path, ("index", column))):
        if index != str(row):
            raise UserError(
                f"{path}, line {line}: the index is {index!r}; {row} was expected. "
                f"Rows are missing or out of order: obtain the file again."
            )
        yield line, value


def _tsv_rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and fields of each row below the heading.

    Quotation marks mean nothing here, and only a line feed ends a line: sentences hold bare
    quotation marks and may hold other characters that Unicode counts as line ends.
    """
    try:
        content = Path(path).read_bytes().decode("utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}). Obtain it again.") from error
    lines = content.split("\n")
    if lines[-1] == "":
        lines.pop()
    if not lines or lines[0].rstrip("\r").split("\t") != list(columns):
        found = repr(lines[0]) if lines else "nothing"
        raise UserError(
            f"{path}, line 1: {found} stands there; the heading {' TAB '.join(columns)} was "
            f"expected."
        )
    if len(lines) == 1:
        raise UserError(f"{path} has a heading and no rows. Obtain it again.")
    for number, line in enumerate(lines[1:], start=2):
        fields = line.removesuffix("\r").split("\t")
        if len(fields) != len(columns):
            raise UserError(
                f"{path}, line {number}: {len(fields)} fields stand there; {len(columns)} "
                f"({', '.join(columns)}) were expected. Obtain the file again."
            )
        yield number, fields


# Verifying.


def md5(path: Path) -> str:
    """Return the md5 of a file in hexadecimal digits."""
    return _digest(path, "md5")


def sha256(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal digits."""
    return _digest(path, "sha256")


def _digest(path: Path, algorithm: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def canonical_sha256(sentences: Iterable[Sentence]) -> str:
    """Return the sha256 of rows, whatever container they came in.

    It is taken over one line per row, `label TAB words-joined-by-one-space NEWLINE`, in file order.
    """
    digest = hashlib.sha256()
    for words, label in sentences:
        digest.update(f"{label}\t{' '.join(words)}\n".encode())
    return digest.hexdigest()


def verify(what: str, kind: str, expected: str, found: str) -> None:
    """Refuse what does not match its checksum.

    Args:
        what: The file, or the repository and split.
        kind: Name of the checksum, for the message.
        expected: The value it must have.
        found: The value it has.

    Raises:
        UserError: With both values, if they differ.
    """
    if expected != found:
        raise UserError(
            f"{what} is not what was asked for: its {kind} is {found}, but {expected} was "
            f"expected. It is damaged or another version: replace it, or choose another source."
        )


# Labels of the test split.


def align_labels(test: Sequence[Sentence], labeled: Iterable[Sentence]) -> list[Sentence] | None:
    """Return the test split with the labels of a copy in any order, or None if they do not fit.

    Rows are matched by their words. Rows with the same words take their labels in the order of the
    copy; where that order is not the published one, the checksum of the result tells.
    """
    labels: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for words, label in labeled:
        labels[words].append(label)
    for waiting in labels.values():
        waiting.reverse()
    aligned = []
    for words, _ in test:
        if not labels.get(words):
            return None
        aligned.append(Sentence(words, labels[words].pop()))
    return aligned if not any(labels.values()) else None


# The selection split.


@dataclass(frozen=True)
class Selection:
    """What is set aside of train, as positions in it.

    Attributes:
        whole: Rows that are whole sentences.
        chosen: The whole sentences on which checkpoints are chosen.
        leaking: Rows that occur in a chosen sentence and in no other whole sentence, the chosen
            ones included.
    """

    whole: tuple[int, ...]
    chosen: tuple[int, ...]
    leaking: frozenset[int]


def select(train: Sequence[Sentence], count: int, seed: int) -> Selection:
    """Return about `count` whole sentences of train, as many of each label, and what leaks them.

    The rows of SST-2's train split are phrases of the same sentences, so a random split of rows
    would put parts of a held-out sentence into training.

    Raises:
        UserError: If there are fewer whole sentences of a label than are wanted.
    """
    rows = [row.words for row in train]
    whole = whole_sentences(rows)
    chosen = balanced(train, whole, count, seed, "selection_sentences", "whole sentences")
    return Selection(tuple(whole), tuple(chosen), leaking_rows(rows, whole, chosen))


def select_documents(train: Sequence[Sentence], count: int, seed: int) -> Selection:
    """Return `count` documents of train, as many of each label; those of equal words leak them.

    Raises:
        UserError: If there are fewer documents of a label than are wanted.
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
    """Return as many of the candidates, in ascending order, equally many of each label.

    Args:
        train: The rows.
        candidates: Positions to draw from.
        count: How many to draw.
        seed: Draws them.
        key: Of params.yaml's block `corpus`, that asks for so many; for the message.
        kind: What a row is called there.

    Raises:
        UserError: If there are fewer of a label than are wanted.
    """
    stream = random.Random(seed)
    chosen: list[int] = []
    labels = sorted({row.label for row in train})
    for place, label in enumerate(labels):
        share = (place + 1) * count // len(labels) - place * count // len(labels)
        known = [row for row in candidates if train[row].label == label]
        if share > len(known):
            raise UserError(
                f"corpus.{key}: {count} need {share} {kind} with the label {label}, but train has "
                f"{len(known)}. Lower it."
            )
        chosen += stream.sample(known, share)
    return sorted(chosen)


def whole_sentences(rows: Sequence[tuple[str, ...]]) -> list[int]:
    """Return the positions of the rows of eight words or more that are no part of another row.

    A row is part of another when its words stand there one after the other. Every row is looked up
    by its first eight words wherever these occur, which takes time linear in the corpus. Of rows
    with the same words the first stands for all.
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
    """Yield every run of words that stand one after the other, up to a length."""
    for start in range(len(words)):
        end = len(words) if longest is None else min(len(words), start + longest)
        for stop in range(start + 1, end + 1):
            yield words[start:stop]


# Writing.


def tables(
    splits: Mapping[str, Sequence[Sentence]], selection: Selection | None
) -> dict[str, pd.DataFrame]:
    """Return one table per split, ready to be written.

    Args:
        splits: Sentences by split. With a `selection`, `train` is there and `selection` is not.
        selection: What is set aside of train; its rows keep their ids of train. None where the
            corpus comes with a selection split of its own, and nothing leaks.
    """
    made = {split: table(split, sentences) for split, sentences in splits.items()}
    leaking = selection.leaking if selection else frozenset()
    made["train"]["leaks_selection"] = [row in leaking for row in range(len(splits["train"]))]
    if selection:
        chosen = made["train"].iloc[list(selection.chosen)]
        made["selection"] = chosen.drop(columns="leaks_selection").reset_index(drop=True)
    return made


def table(split: str, sentences: Sequence[Sentence]) -> pd.DataFrame:
    """Return a split as a table with the columns `id`, `words` and `label`.

    Raises:
        UserError: If the split is empty.
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
    """Write every split to `<folder>/<split>.parquet`, byte-stable for equal rows."""
    for split, rows in made.items():
        write_table(Path(folder) / f"{split}.parquet", rows)


def rows_of(made: pd.DataFrame) -> list[Sentence]:
    """Return the rows of a table that `table` made."""
    return [
        Sentence(tuple(words), int(label))
        for words, label in zip(made["words"], made["label"], strict=True)
    ]
