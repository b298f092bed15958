"""The one reader of a split: its words, their tags, and the word pieces that they align to."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from ggsa.tagging.alignment import TaggedPieces, align, tokenizer
from ggsa.tagging.corruption import corrupted as corrupted_tags
from ggsa.workspace import paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.provenance import class_names, read_provenance
from ggsa.workspace.tables import CORPUS_COLUMNS, TAG_COLUMNS, read_table

MEASURED_SPLITS = ("train", "selection", "validation", "test")
"""Splits on which rules, density and cost are measured."""

LABELED_SPLITS = ("train", "selection")
"""Splits of which every sentence must have a label."""

CACHED_READS = 8

Rows = Literal["all", "without_leaks"]
"""`without_leaks` drops the sentences of train that share phrases with the selection split."""


@dataclass(frozen=True)
class Split:
    """The sentences of a split as words and as word pieces, with their tags and labels."""

    name: str
    ids: np.ndarray  # [sentence] of str
    words: list[list[str]]
    word_tags: list[list[str]]
    sentences: TaggedPieces
    labels: np.ndarray  # int64 [sentence]; -1 is unknown
    class_names: tuple[str, ...]  # in the order of the labels

    @property
    def lengths(self) -> np.ndarray:
        """The number of pieces of every sentence, `[sentence]`."""
        return np.array([len(pieces) for pieces in self.sentences.pieces])


def read_words(name: str, rows: Rows = "all") -> pd.DataFrame:
    """Return the words of a split with their tags: columns `id, words, label, tags` and more.

    Raises:
        UserError: If corpus and tags do not belong together, or a label is missing that is needed.
    """
    drops_leaks = name == "train" and rows == "without_leaks"  # no other split has leaks
    columns = (*CORPUS_COLUMNS, *(("leaks_selection",) if drops_leaks else ()))
    corpus_file, tags_file = paths.corpus_split(name), paths.tags_split(name)
    corpus, tags = read_table(corpus_file, columns), read_table(tags_file, TAG_COLUMNS)
    if list(corpus["id"]) != list(tags["id"]):
        raise UserError(
            f"{tags_file} does not hold the tags of the sentences in {corpus_file}: their ids "
            f"differ. Run `dvc repro`."
        )
    table = corpus.assign(tags=tags["tags"].to_numpy())
    for row in table.itertuples():
        if len(row.words) != len(row.tags):
            raise UserError(
                f"{tags_file}: sentence {row.id} has {len(row.words)} words but {len(row.tags)} "
                f"tags. Expected one tag per word. Run `dvc repro -f tag`."
            )
    if drops_leaks:
        table = table[~table["leaks_selection"].to_numpy(bool)]
    classes = class_names(read_provenance())
    if name in LABELED_SPLITS and not table["label"].isin(range(len(classes))).all():
        raise UserError(
            f"{corpus_file} has labels outside 0 to {len(classes) - 1} ({', '.join(classes)}). "
            f"Fix the source and run `dvc repro -f download`."
        )
    return table


def read_split(
    name: str, max_pieces: int, *, rows: Rows = "all", corrupted: float = 0.0, seed: int = 0
) -> Split:
    """Return a split with its tags aligned to word pieces.

    The last few splits are kept in memory and read again only if a file has changed.

    Args:
        name: One of `paths.SPLITS`.
        max_pieces: Longer sentences are truncated to this many pieces.
        rows: Which sentences to return.
        corrupted: Share of the tags that are replaced by others; see `ggsa.tagging.corruption`.
        seed: Determines which tags are replaced, and by what.

    Raises:
        UserError: If a file is missing or damaged; see `read_words`.
    """
    files = (
        paths.corpus_split(name),
        paths.tags_split(name),
        paths.provenance(),
        paths.ENCODER / "tokenizer.json",
    )
    versions = tuple(_version(file) for file in files)
    rows = rows if name == "train" else "all"
    return _read_split(versions, name, max_pieces, rows, corrupted, seed if corrupted else 0)


def _version(path: Path) -> tuple[Path, int, int] | None:
    """Return what changes whenever a file is written; None if the file does not exist."""
    if not path.exists():
        return None
    status = path.stat()
    return path.resolve(), status.st_ino, status.st_mtime_ns


@functools.lru_cache(maxsize=CACHED_READS)
def _read_split(
    versions: tuple[object, ...],  # of the files: part of the cache's key
    name: str,
    max_pieces: int,
    rows: Rows,
    corrupted: float,
    seed: int,
) -> Split:
    table = read_words(name, rows)
    words = [list(row) for row in table["words"]]
    word_tags = [list(row) for row in table["tags"]]
    if corrupted:
        word_tags = corrupted_tags(word_tags, corrupted, name, seed)
    return Split(
        name=name,
        ids=table["id"].to_numpy(),
        words=words,
        word_tags=word_tags,
        sentences=align(tokenizer(paths.ENCODER), words, word_tags, max_pieces),
        labels=table["label"].to_numpy(np.int64),
        class_names=class_names(read_provenance()),
    )


def tag_counts(split: Split) -> np.ndarray:
    """Return how many pieces of each tag every sentence has, int64 `[sentence, tag]`."""
    return split.sentences.tag_counts()


def tagged_splits(max_pieces: int) -> dict[str, TaggedPieces]:
    """Return the pieces and tags of every measured split."""
    return {name: read_split(name, max_pieces).sentences for name in MEASURED_SPLITS}


def split_counts(max_pieces: int) -> dict[str, np.ndarray]:
    """Return the tag counts of every measured split, each int64 `[sentence, tag]`."""
    return {name: tag_counts(read_split(name, max_pieces)) for name in MEASURED_SPLITS}
