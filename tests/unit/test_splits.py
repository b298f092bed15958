"""The one reader of a split: what it joins, what it checks, and that it reads once."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_corpus import CLASSES, SENTENCES, write_split

from ggsa.tagging import splits
from ggsa.tagging.corruption import corrupted, stream_of
from ggsa.tagging.splits import read_split, read_words
from ggsa.training.vocabulary_subset import VocabularySubset
from ggsa.workspace import paths, tables
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import CORPUS_COLUMNS, read_table
from ggsa.workspace.vocabulary import CLS, SEP, TAGS

PIECES = 12


@pytest.mark.parametrize("name", paths.SPLITS)
def test_every_piece_has_the_tag_of_its_word_in_the_order_of_the_files(
    name: str, small_corpus: Path
) -> None:
    split = read_split(name, PIECES)
    corpus = read_table(paths.corpus_split(name), CORPUS_COLUMNS)
    assert (split.name, list(split.ids)) == (name, list(corpus["id"]))
    assert split.words == [list(row) for row in corpus["words"]]
    assert split.labels.dtype == np.int64 and split.labels.tolist() == corpus["label"].tolist()
    assert split.class_names == tuple(CLASSES)
    assert split.lengths.max() == PIECES  # longer sentences are truncated
    for tags, word_tags in zip(split.sentences.tags, split.word_tags, strict=True):
        names = [TAGS[tag] for tag in tags]
        assert names == [CLS, *word_tags[: PIECES - 2], SEP]  # every word is one piece here


def test_words_are_read_only_if_they_are_asked_for(small_corpus: Path) -> None:
    split = read_split("train", PIECES, rows="without_leaks")
    assert splits.sentence_count("train", "without_leaks") == len(split.ids) == len(split.labels)
    assert not {"words", "word_tags"} & {*vars(split)}
    assert split.sentences.pieces.values.dtype == np.uint16
    assert split.sentences.tags.values.dtype == np.uint8
    table = read_words("train", "without_leaks")
    assert split.words == [list(row) for row in table["words"]]
    assert split.word_tags == [list(row) for row in table["tags"]]


@pytest.mark.parametrize("rows", [1, 7, 59, 1000])
def test_a_split_does_not_depend_on_the_rows_that_are_read_at_a_time(
    rows: int, small_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "FRESH_SENTENCES", 10)
    for name, chosen in (("train", "sentences"), ("fresh", "sentences"), ("test", "all")):
        whole = read_split(name, PIECES, rows=chosen, corrupted=0.4, seed=5)
        splits._read_split.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(tables, "BATCH_ROWS", rows)
            split = read_split(name, PIECES, rows=chosen, corrupted=0.4, seed=5)
            assert split is not whole
            assert (split.words, split.word_tags) == (whole.words, whole.word_tags)
        assert split.ids.tolist() == whole.ids.tolist()
        assert split.labels.tolist() == whole.labels.tolist()
        for one, other in zip(
            (split.sentences.pieces, split.sentences.tags),
            (whole.sentences.pieces, whole.sentences.tags),
            strict=True,
        ):
            assert np.array_equal(one.values, other.values)
            assert np.array_equal(one.offsets, other.offsets)
        assert np.array_equal(split.sentences.identities, whole.sentences.identities)


def test_tag_counts_are_those_of_the_pieces(small_corpus: Path) -> None:
    counts = splits.split_counts(PIECES)
    assert list(counts) == list(splits.MEASURED_SPLITS)
    for name, rows in counts.items():
        split = read_split(name, PIECES)
        assert np.array_equal(rows, split.sentences.tag_counts()) and rows.dtype == np.int64
        assert rows.sum(axis=1).tolist() == split.lengths.tolist()
        for row, tags in zip(rows, split.sentences.tags, strict=True):
            assert row.tolist() == [int((tags == tag).sum()) for tag in range(len(TAGS))]


def test_without_leaks_train_has_no_row_that_shares_phrases_with_selection(
    small_corpus: Path,
) -> None:
    corpus = read_table(paths.corpus_split("train"), ("leaks_selection",))
    kept = read_split("train", PIECES, rows="without_leaks")
    assert list(kept.ids) == list(corpus.loc[~corpus["leaks_selection"], "id"])
    assert 0 < len(kept.ids) < SENTENCES == len(read_split("train", PIECES).ids)
    assert len(read_split("test", PIECES, rows="without_leaks").ids) == SENTENCES


def test_whole_sentences_are_trained_on_or_held_out_and_never_both(
    small_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "FRESH_SENTENCES", 10)
    corpus = read_table(paths.corpus_split("train"), ("leaks_selection", "whole_sentence"))
    trained = read_split("train", PIECES, rows="sentences")
    fresh = read_split("fresh", PIECES)
    wanted = corpus.loc[~corpus["leaks_selection"] & corpus["whole_sentence"], "id"]
    assert sorted([*trained.ids, *fresh.ids]) == sorted(wanted)
    assert len(fresh.ids) == 10 and not set(trained.ids) & set(fresh.ids)
    everything = read_split("train", PIECES)
    place = {name: row for row, name in enumerate(everything.ids)}
    for split in (trained, fresh):
        for row, name in enumerate(split.ids):
            assert split.words[row] == everything.words[place[name]]
            assert split.labels[row] == everything.labels[place[name]]
    assert read_split("test", PIECES, rows="sentences").ids.tolist() == [
        f"test-{row}" for row in range(SENTENCES)
    ]
    assert list(splits.tagged_splits(PIECES, "sentences")) == [*splits.MEASURED_SPLITS, "fresh"]
    assert list(splits.tagged_splits(PIECES)) == [*splits.MEASURED_SPLITS]


def test_the_split_fresh_is_one_draw_and_no_parameter_changes_it(
    small_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "FRESH_SENTENCES", 10)
    drawn = read_words("fresh")
    assert drawn["id"].tolist() == read_words("fresh", "all")["id"].tolist()
    corrupted_draw = read_split("fresh", PIECES, corrupted=0.4, seed=5)
    assert list(corrupted_draw.ids) == drawn["id"].tolist()


def test_too_few_whole_sentences_to_hold_some_out_are_refused(small_corpus: Path) -> None:
    with pytest.raises(UserError, match=r"holds 1,000 whole sentences out.*train\.rows to all"):
        read_split("train", PIECES, rows="sentences")


def test_corrupted_tags_are_those_of_the_seed_and_reach_the_pieces(small_corpus: Path) -> None:
    clean = read_split("test", PIECES)
    split = read_split("test", PIECES, corrupted=0.4, seed=5)
    assert (
        split.word_tags == corrupted(clean.word_tags, 0.4, stream_of("test", 5)) != clean.word_tags
    )
    assert [TAGS[tag] for tag in split.sentences.tags[0][1:-1]] == split.word_tags[0][: PIECES - 2]
    assert np.array_equal(split.sentences.identities, clean.sentences.identities)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tags_id": [f"test-{i}" for i in range(SENTENCES)]}, "their ids differ"),
        ({"tags_tags": [["NOUN"] * 40] * SENTENCES}, r"sentence train-0 has \d+ words but 40 tags"),
        ({"corpus_label": [-1] * SENTENCES}, r"labels outside 0 to 1 \(negative, positive\)"),
        ({"corpus_label": [2] * SENTENCES}, "labels outside 0 to 1"),
    ],
)
def test_files_that_do_not_belong_together_raise_an_error_that_names_them(
    small_corpus: Path, changes: dict, message: str
) -> None:
    write_split("train", **changes)
    for read in (lambda: read_split("train", PIECES), lambda: read_words("train")):
        with pytest.raises(UserError, match=rf"train\.parquet.*{message}.*dvc repro"):
            read()


def test_only_splits_that_are_trained_or_selected_on_need_labels(small_corpus: Path) -> None:
    for name in ("validation", "test", "examples"):
        write_split(name, corpus_label=[-1] * SENTENCES)
        assert set(read_split(name, PIECES).labels) == {-1}


def test_a_split_is_read_once_until_a_file_changes(
    small_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    original = splits.read_batches

    def counted(path: Path, columns: tuple[str, ...]) -> Iterator[pd.DataFrame]:
        reads.extend([path] if "id" in columns else [])
        return original(path, columns)

    monkeypatch.setattr(splits, "read_batches", counted)
    first = read_split("train", PIECES)
    assert read_split("train", PIECES, seed=9) is first  # without corruption a seed draws nothing
    splits.split_counts(PIECES)
    splits.tagged_splits(PIECES)
    assert len(reads) == len(set(reads)) == 2 * len(splits.MEASURED_SPLITS)
    write_split("train", tags_tags=[["X"] * len(row) for row in first.words])
    assert set(read_split("train", PIECES).word_tags[0]) == {"X"}


def test_a_split_is_renumbered_as_a_subset_of_the_vocabulary(small_corpus: Path) -> None:
    split = read_split("test", PIECES)
    subset = VocabularySubset(split.sentences.pieces, padding=0)
    renumbered = subset.renumber_split(split)
    for before, after in zip(split.sentences.pieces, renumbered.sentences.pieces, strict=True):
        assert np.array_equal(subset.pieces.numpy()[after], before)
    assert renumbered.sentences.tags is split.sentences.tags
    assert renumbered.sentences.identities is split.sentences.identities
