"""Documents that are timed: as many as asked for, each as long."""

import sys

import numpy as np
import pytest

from benchmarks import documents as times
from benchmarks.timing import peak_mib
from ggsa.tagging.alignment import TaggedPieces
from ggsa.tagging.splits import Split
from ggsa.workspace import config
from ggsa.workspace.errors import UserError


def split_of(lengths: list[int]) -> Split:
    rows = [np.arange(length) % 19 for length in lengths]
    sentences = TaggedPieces(rows, rows, np.arange(len(rows)) + 100)
    ids = np.array([f"train-{row}" for row in range(len(rows))])
    labels = np.arange(len(rows)) % 2
    return Split("train", ids, [], [], sentences, labels, ("negative", "positive"))


def test_the_batch_holds_the_first_pieces_of_documents_that_are_long_enough() -> None:
    split = split_of([10, 2100, 1500, 2048, 3000, 40, 2500])
    batch = times.documents(split, 2048)
    assert batch.pieces.shape == (times.TOKENS // 2048, 2048)
    assert not batch.is_padding.any()
    assert batch.identities.tolist() == [101, 103, 104, 106]
    assert batch.labels.tolist() == [1, 1, 0, 0]


def test_a_corpus_without_long_documents_is_refused() -> None:
    with pytest.raises(UserError, match="Only 1 documents have 2048 pieces, and 4 are timed"):
        times.documents(split_of([10, 2100]), 2048)


def test_a_whole_run_is_told_from_batches_of_every_length() -> None:
    lengths = np.random.default_rng(2).integers(10, 900, 2000)
    params = config.load().model_copy(deep=True)
    train = params.train.model_copy(update={"recipe": "pretrained"})
    made = times.typical(split_of(lengths.tolist()), params.model_copy(update={"train": train}))
    assert len(made) == times.WHOLE_BATCHES
    pieces = [int((~batch.is_padding).sum()) / len(batch.rows) for batch in made]
    assert pieces == sorted(pieces)
    assert np.mean(pieces) == pytest.approx(lengths.mean(), rel=0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's high-water mark is Linux's")
def test_the_peak_of_a_call_is_what_it_held_and_let_go() -> None:
    assert 60 < peak_mib(lambda: np.ones(8 * 2**20).sum()) < 90  # 64 MiB
    assert peak_mib(lambda: None) < 8  # an earlier peak does not count
