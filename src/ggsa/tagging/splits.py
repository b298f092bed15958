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
from ggsa.workspace.blocks import Train
from ggsa.workspace.errors import UserError
from ggsa.workspace.provenance import class_names, read_provenance
from ggsa.workspace.tables import CORPUS_COLUMNS, TAG_COLUMNS, read_table
from ggsa.workspace.vocabulary import FRESH

MEASURED_SPLITS = ("train", "selection", "validation", "test")
"""Splits on which rules, density and cost are measured."""

LABELED_SPLITS = ("train", "selection")
"""Splits of which every sentence must have a label."""

CACHED_READS = 8

FRESH_SENTENCES = 1000
FRESH_SEED = 24518
"""Of the draw of `fresh`: it is part of a study's design, so no parameter changes it."""

Rows = Literal["all", "without_leaks", "sentences"]
"""Of train. `without_leaks` drops the sentences that share phrases with the selection split, and
`sentences` also drops the phrases of other sentences, and the split `fresh`."""


def trained_rows(settings: Train) -> Rows:
    """Return the rows of train that a cell is trained on."""
    if settings.rows == "all" and not settings.use_leaking_rows:
        return "without_leaks"
    return settings.rows


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
    stored = "train" if name == FRESH else name
    rows = "sentences" if name == FRESH else rows if name == "train" else "all"
    marks = {"all": (), "without_leaks": ("leaks_selection",)}
    columns = (*CORPUS_COLUMNS, *marks.get(rows, ("leaks_selection", "whole_sentence")))
    corpus_file, tags_file = paths.corpus_split(stored), paths.tags_split(stored)
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
    if rows != "all":
        table = table[~table["leaks_selection"].to_numpy(bool)]
    if rows == "sentences":
        table = table[table["whole_sentence"].to_numpy(bool)]
        fresh = _drawn_for_fresh(len(table), corpus_file)
        table = table[fresh if name == FRESH else ~fresh]
    classes = class_names(read_provenance())
    if stored in LABELED_SPLITS and not table["label"].isin(range(len(classes))).all():
        raise UserError(
            f"{corpus_file} has labels outside 0 to {len(classes) - 1} ({', '.join(classes)}). "
            f"Fix the source and run `dvc repro -f download`."
        )
    return table


def _drawn_for_fresh(sentences: int, corpus_file: Path) -> np.ndarray:
    """Return which of the whole sentences of train form the split `fresh`, bool `[sentence]`.

    Raises:
        UserError: If at most half of the sentences would be left.
    """
    if sentences < 2 * FRESH_SENTENCES:
        raise UserError(
            f"train.rows: sentences holds {FRESH_SENTENCES:,} whole sentences out as the split "
            f"fresh, but {corpus_file} has only {sentences:,}. Set train.rows to all."
        )
    chosen = np.random.default_rng(FRESH_SEED).choice(sentences, FRESH_SENTENCES, replace=False)
    drawn = np.zeros(sentences, bool)
    drawn[chosen] = True
    return drawn


def read_split(
    name: str, max_pieces: int, *, rows: Rows = "all", corrupted: float = 0.0, seed: int = 0
) -> Split:
    """Return a split with its tags aligned to word pieces.

    The last few splits are kept in memory and read again only if a file has changed.

    Args:
        name: One of `paths.SPLITS`, or `fresh`.
        max_pieces: Longer sentences are truncated to this many pieces.
        rows: Which sentences of train to return; `fresh` exists only beside `sentences`.
        corrupted: Share of the tags that are replaced by others; see `ggsa.tagging.corruption`.
        seed: Determines which tags are replaced, and by what.

    Raises:
        UserError: If a file is missing or damaged; see `read_words`.
    """
    stored = "train" if name == FRESH else name
    files = (
        paths.corpus_split(stored),
        paths.tags_split(stored),
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


def tagged_splits(max_pieces: int, rows: Rows = "all") -> dict[str, TaggedPieces]:
    """Return the pieces and tags of every measured split, and of `fresh` where it exists."""
    names = (*MEASURED_SPLITS, FRESH) if rows == "sentences" else MEASURED_SPLITS
    return {name: read_split(name, max_pieces, rows=rows).sentences for name in names}


def split_counts(max_pieces: int, rows: Rows = "all") -> dict[str, np.ndarray]:
    """Return the tag counts of every measured split, each int64 `[sentence, tag]`."""
    splits = tagged_splits(max_pieces, rows)
    return {name: sentences.tag_counts() for name, sentences in splits.items()}
