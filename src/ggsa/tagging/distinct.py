"""The distinct sentences of a corpus of any size, in one order, sorted outside of memory.

Sentences are collected until their words fill a run, which is sorted and written to a file; the runs
are then merged. What is yielded does not depend on the size of a run.
"""

import heapq
import itertools
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

Words = tuple[str, ...]

RUN_WORDS = 4_000_000
"""Words of the distinct sentences that are in memory at a time."""

BETWEEN_WORDS = "\x1f"
"""Joins the words of a sentence. It is white space, which no word has, as is the end of a line."""


class Distinct:
    """The distinct sentences, shortest first, those of one length in the order of their words.

    They may be iterated over again, but not by two at the same time.
    """

    def __init__(self, sentences: Iterable[Words], folder: Path):
        """Sort the sentences.

        Args:
            sentences: In any order, with repetitions.
            folder: Of the runs, which are nameless files: they vanish with the process.
        """
        self._runs = [_written(run, folder) for run in _runs(sentences)]

    def __iter__(self) -> Iterator[Words]:
        """Yield the sentences."""
        merged = heapq.merge(*map(_read, self._runs), key=_order)
        return (words for words, _ in itertools.groupby(merged))


def _order(words: Words) -> tuple[int, Words]:
    return len(words), words


def _runs(sentences: Iterable[Words]) -> Iterator[list[Words]]:
    """Yield the distinct sentences of every run, sorted."""
    run: set[Words] = set()
    size = 0
    for words in sentences:
        if words not in run:
            run.add(words)
            size += len(words)
        if size >= RUN_WORDS:
            yield sorted(run, key=_order)
            run, size = set(), 0
    if run:
        yield sorted(run, key=_order)


def _written(run: list[Words], folder: Path) -> TextIO:
    """Return a nameless file with a sentence a line."""
    file = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", dir=folder)  # noqa: SIM115 - open while it may be read
    file.writelines(BETWEEN_WORDS.join(words) + "\n" for words in run)
    file.flush()
    return file


def _read(file: TextIO) -> Iterator[Words]:
    file.seek(0)
    for line in file:
        yield tuple(line[:-1].split(BETWEEN_WORDS))
