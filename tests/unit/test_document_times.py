"""The documents whose processing is timed, and how their memory is measured."""

import sys

import numpy as np
import pytest

from benchmarks import curves
from benchmarks import documents as times
from benchmarks.timing import peak_mib
from ggsa.patterns.pattern import pattern_from_json
from ggsa.tagging.alignment import Ragged, TaggedPieces
from ggsa.tagging.splits import Split
from ggsa.training import studies
from ggsa.workspace import artifacts, config
from ggsa.workspace.errors import UserError


def split_of(lengths: list[int]) -> Split:
    rows = Ragged.of([np.arange(length) % 19 for length in lengths])
    sentences = TaggedPieces(rows, rows, np.arange(len(rows)) + 100)
    ids = np.array([f"train-{row}" for row in range(len(rows))])
    labels = np.arange(len(rows)) % 2
    return Split("train", ids, sentences, labels, ("negative", "positive"), lambda: iter(()))


def test_a_batch_holds_the_first_pieces_of_documents_that_are_long_enough() -> None:
    split = split_of([10, 2100, 1500, 2048, 3000, 40, 2500])
    batch = times.documents(split, 2048)
    assert batch.pieces.shape == (times.TOKENS // 2048, 2048)
    assert not batch.is_padding.any()
    assert batch.identities.tolist() == [101, 103, 104, 106]
    assert batch.labels.tolist() == [1, 1, 0, 0]


def test_too_few_long_documents_raise_an_error() -> None:
    with pytest.raises(UserError, match="Only 1 documents have 2048 pieces, and 4 are timed"):
        times.documents(split_of([10, 2100]), 2048)


def test_a_whole_epoch_is_estimated_from_batches_of_every_length() -> None:
    lengths = np.random.default_rng(2).integers(10, 900, 2000)
    params = config.load().model_copy(deep=True)
    train = params.train.model_copy(update={"recipe": "pretrained"})
    made = times.typical(split_of(lengths.tolist()), params.model_copy(update={"train": train}))
    assert len(made) == times.WHOLE_BATCHES
    pieces = [int((~batch.is_padding).sum()) / len(batch.rows) for batch in made]
    assert pieces == sorted(pieces)
    assert np.mean(pieces) == pytest.approx(lengths.mean(), rel=0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports a high-water mark")
def test_peak_memory_is_what_a_call_allocates_even_if_it_is_freed() -> None:
    freed = [np.ones(2**13) for _ in range(4096)]  # 256 MiB of heap
    last = np.ones(2**13)  # above them, so that they stay resident when they are free
    del freed
    assert 60 < peak_mib(lambda: np.ones(8 * 2**20).sum()) < 90  # 64 MiB
    assert peak_mib(lambda: None) < 8  # an earlier peak does not count
    assert last.all()


def test_the_archived_study_declares_what_is_timed() -> None:
    study = studies.load(times.STUDY)
    assert times.PEER in study.arms
    assert max(times.LENGTHS) <= study.params(times.PEER).train.max_pieces
    planned = studies.plan_file(curves.STUDY, curves.CORPUS, curves.ARM, curves.SEED)
    assert pattern_from_json(artifacts.read_json(planned)["pattern"], planned).mode == curves.ARM
