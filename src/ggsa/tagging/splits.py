"""The one reader of a split: its words, their tags, and the word pieces that they align to."""

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from ggsa.tagging.alignment import TaggedPieces, align, joined, tokenizer
from ggsa.tagging.corruption import corrupted, stream_of
from ggsa.workspace import paths
from ggsa.workspace.blocks import Train
from ggsa.workspace.errors import UserError
from ggsa.workspace.provenance import class_names, read_provenance
from ggsa.workspace.tables import CORPUS_COLUMNS, TAG_COLUMNS, read_batches
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
    return rows_under(settings.rows, settings.use_leaking_rows)


def rows_under(rows: Literal["all", "sentences"], use_leaking_rows: bool) -> Rows:
    """Return the rows of train under the settings of these names, which cell.json records."""
    return "without_leaks" if rows == "all" and not use_leaking_rows else rows


@dataclass(frozen=True)
class Split:
    """The sentences of a split as word pieces with their tags, and their labels.

    Their words are read again if somebody asks for them: training does not.
    """

    name: str
    ids: np.ndarray  # [sentence] of str
    sentences: TaggedPieces
    labels: np.ndarray  # int64 [sentence]; -1 is unknown
    class_names: tuple[str, ...]  # in the order of the labels
    read: Callable[[], Iterator[pd.DataFrame]]  # yields `words` and `tags`, some rows at a time

    @functools.cached_property
    def words(self) -> list[list[str]]:
        """The words of every sentence."""
        return [list(row) for table in self.read() for row in table["words"]]

    @functools.cached_property
    def word_tags(self) -> list[list[str]]:
        """The tag of every word of every sentence."""
        return [list(row) for table in self.read() for row in table["tags"]]

    @property
    def lengths(self) -> np.ndarray:
        """The number of pieces of every sentence, `[sentence]`."""
        return self.sentences.lengths


def read_words(name: str, rows: Rows = "all") -> pd.DataFrame:
    """Return the words of a split with their tags: columns `id, words, label, tags`.

    Raises:
        UserError: See `word_batches`.
    """
    return pd.concat(word_batches(name, rows), ignore_index=True)


def word_batches(name: str, rows: Rows = "all") -> Iterator[pd.DataFrame]:
    """Yield the words of a split with their tags, some rows at a time; see `read_words`.

    Raises:
        UserError: If corpus and tags do not belong together, or a label is missing that is needed.
    """
    corpus_file, tags_file = paths.corpus_split(_stored(name)), paths.tags_split(_stored(name))
    chosen = chosen_rows(name, rows)
    classes = class_names(read_provenance())
    start = 0
    for corpus, tags in itertools.zip_longest(
        read_batches(corpus_file, CORPUS_COLUMNS), read_batches(tags_file, TAG_COLUMNS)
    ):
        if corpus is None or tags is None or list(corpus["id"]) != list(tags["id"]):
            raise UserError(
                f"{tags_file} does not hold the tags of the sentences in {corpus_file}: their ids "
                f"differ. Run `dvc repro`."
            )
        table = corpus.assign(tags=tags["tags"])
        for row in table.itertuples():
            if len(row.words) != len(row.tags):
                raise UserError(
                    f"{tags_file}: sentence {row.id} has {len(row.words)} words but "
                    f"{len(row.tags)} tags. Expected one tag per word. Run `dvc repro -f tag`."
                )
        kept = table[chosen[start : start + len(table)]]
        start += len(table)
        if _stored(name) in LABELED_SPLITS and not kept["label"].isin(range(len(classes))).all():
            raise UserError(
                f"{corpus_file} has labels outside 0 to {len(classes) - 1} ({', '.join(classes)}). "
                f"Fix the source and run `dvc repro -f download`."
            )
        yield kept


def sentence_count(name: str, rows: Rows = "all") -> int:
    """Return the number of sentences of a split; see `read_split` for the arguments."""
    return int(chosen_rows(name, rows).sum())


def _stored(name: str) -> str:
    """Return the split whose files hold a split."""
    return "train" if name == FRESH else name


def chosen_rows(name: str, rows: Rows) -> np.ndarray:
    """Return which rows of the files belong to a split, bool `[row]`."""
    file = paths.corpus_split(_stored(name))
    rows = "sentences" if name == FRESH else rows if name == "train" else "all"
    if rows == "all":
        return np.ones(len(_marks(file, "label")), bool)
    chosen = ~_marks(file, "leaks_selection")
    if rows == "sentences":
        chosen &= _marks(file, "whole_sentence")
        fresh = _drawn_for_fresh(int(chosen.sum()), file)
        chosen[chosen] = fresh if name == FRESH else ~fresh
    return chosen


def _marks(file: Path, name: str) -> np.ndarray:
    """Return whether a column is not 0, bool `[row]`."""
    return np.concatenate([table[name].to_numpy(bool) for table in read_batches(file, (name,))])


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
    files = (
        paths.corpus_split(_stored(name)),
        paths.tags_split(_stored(name)),
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
    fast, ids, labels = tokenizer(paths.ENCODER), [], []

    def parts() -> Iterator[TaggedPieces]:
        first = 0
        for table in _with_errors(name, rows, corrupted, seed):
            if len(table):
                ids.append(table["id"].to_numpy())
                labels.append(table["label"].to_numpy(np.int64))
                yield align(fast, list(table["words"]), list(table["tags"]), max_pieces, first)
            first += len(table)

    sentences = joined(parts(), paths.PIECES)
    return Split(
        name=name,
        ids=np.concatenate(ids),
        sentences=sentences,
        labels=np.concatenate(labels),
        class_names=class_names(read_provenance()),
        read=functools.partial(_with_errors, name, rows, corrupted, seed),
    )


def _with_errors(name: str, rows: Rows, share: float, seed: int) -> Iterator[pd.DataFrame]:
    """Yield the words of a split with tags of which a share is replaced."""
    stream = stream_of(name, seed)
    for table in word_batches(name, rows):
        yield table.assign(tags=corrupted(table["tags"], share, stream)) if share else table


def tagged_splits(max_pieces: int, rows: Rows = "all") -> dict[str, TaggedPieces]:
    """Return the pieces and tags of every measured split, and of `fresh` where it exists."""
    names = (*MEASURED_SPLITS, FRESH) if rows == "sentences" else MEASURED_SPLITS
    return {name: read_split(name, max_pieces, rows=rows).sentences for name in names}


def split_counts(max_pieces: int, rows: Rows = "all") -> dict[str, np.ndarray]:
    """Return the tag counts of every measured split, each int64 `[sentence, tag]`."""
    splits = tagged_splits(max_pieces, rows)
    return {name: sentences.tag_counts() for name, sentences in splits.items()}
