"""Reading, verifying and splitting sentences."""

import hashlib
import os
from pathlib import Path

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggsa.assets import corpus
from ggsa.assets.corpora import sst2
from ggsa.assets.corpus import Sentence
from ggsa.workspace import checksums
from ggsa.workspace.errors import UserError

MIRROR = Path(os.environ.get("GGSA_MIRROR") or Path(__file__).parents[2] / "../shared/mirror")


def file(tmp_path, content, name="some.tsv"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# Reading.


def test_quotation_marks_are_words_and_the_trailing_space_is_none(tmp_path):
    path = file(tmp_path, 'sentence\tlabel\na " bare quote \t1\n"film\t0\n')
    assert sst2.read_labeled_tsv(path) == [
        Sentence(("a", '"', "bare", "quote"), 1),
        Sentence(('"film',), 0),
    ]


def test_only_a_line_feed_ends_a_row_and_only_a_space_splits_words(tmp_path):
    path = file(tmp_path, "sentence\tlabel\na\u2028b c\u00a0d\u0085e\t1\n")
    assert sst2.read_labeled_tsv(path) == [Sentence(("a\u2028b", "c\u00a0d\u0085e"), 1)]


def test_the_unlabeled_test_file_gives_the_label_minus_one(tmp_path):
    path = file(tmp_path, "index\tsentence\n0\tone film\n1\ttwo films \n")
    assert sst2.read_unlabeled_tsv(path) == [
        Sentence(("one", "film"), -1),
        Sentence(("two", "films"), -1),
    ]


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ("sentence\tlabel\ngood\t1\nbad film\n", 3, "got 1"),
        ("sentence\tlabel\ngood\t1\t0\n", 2, "got 3"),
        ("sentence\tlabel\ngood\t1\n\n", 3, "got 1"),
        ("sentence\tlabel\ngood\t\n", 2, "label is missing"),
        ("sentence\tlabel\ngood\t2\n", 2, "got the label '2'"),
        ("sentence\tlabel\ngood\tpositive\n", 2, "0 or 1"),
        ("sentence\tlabel\n \t1\n", 2, "sentence is empty"),
        ("text\tlabel\ngood\t1\n", 1, "header"),
        ("", 1, "header"),
    ],
)
def test_a_malformed_row_is_refused_with_file_and_line(tmp_path, content, line, problem):
    path = file(tmp_path, content)
    with pytest.raises(UserError) as error:
        sst2.read_labeled_tsv(path)
    assert f"{path}, line {line}:" in str(error.value)
    assert problem in str(error.value)


def test_a_file_without_rows_is_refused(tmp_path):
    with pytest.raises(UserError, match="no rows"):
        sst2.read_labeled_tsv(file(tmp_path, "sentence\tlabel\n"))


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"absent\.tsv cannot be read"):
        sst2.read_labeled_tsv(tmp_path / "absent.tsv")
    with pytest.raises(UserError, match="UTF-8"):
        sst2.read_labeled_tsv(file(tmp_path, b"sentence\tlabel\n\xff\t1\n"))


def test_labels_must_count_from_zero_so_that_none_is_lost(tmp_path):
    assert sst2.read_labels_tsv(file(tmp_path, "index\tlabel\n0\t1\n1\t0\n")) == [1, 0]
    with pytest.raises(UserError, match="line 3: expected the index 1, got '2'"):
        sst2.read_labels_tsv(file(tmp_path, "index\tlabel\n0\t1\n2\t0\n"))


# Verifying.


def test_the_canonical_checksum_is_taken_over_label_tab_words_newline():
    rows = [Sentence(("a", "film"), 1), Sentence(("é",), -1)]
    expected = hashlib.sha256("1\ta film\n-1\té\n".encode()).hexdigest()
    assert corpus.canonical_sha256(rows) == expected


def test_a_wrong_checksum_is_refused_with_both_values():
    checksums.verify("train.tsv", "md5", "aa", "aa")
    with pytest.raises(UserError, match=r"train\.tsv .* expected the md5 aa, got bb"):
        checksums.verify("train.tsv", "md5", "aa", "bb")


# Labels from another copy.


@given(st.data())
def test_labels_follow_the_words_whatever_the_order_of_the_copy(data):
    words = st.tuples(st.sampled_from("abc"), st.sampled_from("abc"))
    labeled = data.draw(
        st.lists(st.builds(Sentence, words, st.integers(0, 1)), unique_by=lambda row: row.words)
    )
    labeled += [Sentence(("x", str(row)), row % 2) for row in range(4)]
    copy = data.draw(st.permutations(labeled))
    hidden = [Sentence(row.words, -1) for row in labeled]
    assert sst2.align_labels(hidden, copy) == labeled


def test_repeated_sentences_take_their_labels_in_the_order_of_the_copy():
    hidden = [Sentence(("a",), -1), Sentence(("b",), -1), Sentence(("a",), -1)]
    copy = [Sentence(("b",), 1), Sentence(("a",), 0), Sentence(("a",), 1)]
    assert [row.label for row in sst2.align_labels(hidden, copy)] == [0, 1, 1]


def test_a_copy_with_other_sentences_gives_no_labels():
    hidden = [Sentence(("a",), -1), Sentence(("b",), -1)]
    assert sst2.align_labels(hidden, [Sentence(("a",), 1)]) is None
    assert sst2.align_labels(hidden, [Sentence(("a",), 1), Sentence(("c",), 1)]) is None
    extra = [Sentence(("a",), 1), Sentence(("b",), 1), Sentence(("b",), 1)]
    assert sst2.align_labels(hidden, extra) is None


# The selection split.


def contains(row, part):
    return any(row[start : start + len(part)] == part for start in range(len(row) - len(part) + 1))


rows_with_parts = st.lists(
    st.lists(st.sampled_from("ab"), min_size=1, max_size=12).map(tuple), min_size=1, max_size=25
)


@given(rows_with_parts)
def test_whole_sentences_are_the_long_rows_that_are_no_part_of_another(rows):
    expected = {
        row for row in rows if len(row) >= 8 and not any(contains(o, row) for o in rows if o != row)
    }
    found = [rows[position] for position in corpus.whole_sentences(rows)]
    assert set(found) == expected
    assert len(found) == len(expected), "rows with the same words count once"


@given(rows_with_parts, st.data())
def test_leaking_rows_occur_in_a_chosen_sentence_and_in_no_other_whole_one(rows, data):
    whole = corpus.whole_sentences(rows)
    chosen = [row for row in whole if data.draw(st.booleans())]
    others = [row for row in whole if row not in chosen]
    expected = {
        position
        for position, row in enumerate(rows)
        if any(contains(rows[sentence], row) for sentence in chosen)
        and not any(contains(rows[sentence], row) for sentence in others)
    }
    assert corpus.leaking_rows(rows, whole, chosen) == expected


def treebank(count=40):
    whole = [Sentence((*"abcdefg", str(row), "."), row % 2) for row in range(count)]
    return whole + [Sentence(row.words[6:], row.label) for row in whole]


def test_the_selection_is_balanced_and_drawn_from_its_seed():
    train = treebank()
    first = corpus.select(train, 10, seed=1)
    assert sorted(train[row].label for row in first.chosen) == [0] * 5 + [1] * 5
    assert first == corpus.select(train, 10, seed=1)
    assert first.chosen != corpus.select(train, 10, seed=2).chosen
    assert set(first.chosen) <= first.leaking, "a chosen sentence is not trained on"
    assert len(first.leaking) == 20, "nor is the phrase that only it has"


@pytest.mark.parametrize(
    ("rows", "size"), [(1, 1), (9, 1), (243, 24), (4999, 499), (5000, 500), (67349, 500)]
)
def test_the_automatic_size_is_a_tenth_of_a_small_corpus_and_500_of_a_large_one(rows, size):
    assert corpus.selection_size("auto", rows) == size
    assert corpus.selection_size(30, rows) == 30


def test_more_selection_sentences_than_there_are_is_an_error_that_names_the_key():
    with pytest.raises(UserError, match=r"corpus\.selection_sentences: 100 .* train has 20"):
        corpus.select(treebank(), 100, seed=1)


# Writing.


def test_tables_have_the_columns_of_the_contract_and_equal_bytes(tmp_path):
    train = treebank()
    selection = corpus.select(train, 10, seed=1)
    made = corpus.tables({"train": train, "test": train[:3]}, selection)
    for folder in ("one", "two"):
        corpus.write(tmp_path / folder, made)
    for split in ("train", "selection", "test"):
        one, two = (tmp_path / folder / f"{split}.parquet" for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
        schema = pyarrow.parquet.read_schema(one)
        assert str(schema.field("label").type) == "int64"
        assert str(schema.field("words").type).startswith("list<")
        marks = ["leaks_selection", "whole_sentence"] if split == "train" else []
        assert schema.names == ["id", "words", "label", *marks]
        assert all(str(schema.field(mark).type) == "bool" for mark in marks)
    assert made["train"]["leaks_selection"].sum() == len(selection.leaking)
    assert list(made["train"]["whole_sentence"]) == [True] * 40 + [False] * 40
    chosen = made["train"].iloc[list(selection.chosen)]
    assert list(made["selection"]["id"]) == list(chosen["id"])
    assert corpus.rows_of(made["train"]) == train


@given(rows_with_parts)
def test_whole_sentences_are_marked_by_the_rule_that_cuts_the_selection_split(rows):
    train = [Sentence(words, 0) for words in rows]
    selection = corpus.select(train, 0, seed=1)
    marked = corpus.tables({"train": train}, selection)["train"]["whole_sentence"]
    assert [row for row, whole in enumerate(marked) if whole] == corpus.whole_sentences(rows)


@pytest.mark.parametrize("cut", [True, False])
def test_every_row_is_a_whole_sentence_where_rows_stand_alone(cut):
    train = treebank()
    selection = corpus.select_documents(train, 10, seed=1) if cut else None
    assert corpus.tables({"train": train}, selection)["train"]["whole_sentence"].all()


def test_an_empty_split_is_refused():
    with pytest.raises(UserError, match="test split"):
        corpus.table("test", [])


# SST-2 itself, where there is a mirror.


def test_sst2_has_the_published_checksums_and_whole_sentences():
    folder = MIRROR / "sst2"
    if not (folder / "train.tsv").is_file():
        pytest.skip(f"no mirror with SST-2 at {MIRROR}; set GGSA_MIRROR to test with it")
    train = sst2.read_labeled_tsv(folder / "train.tsv")
    assert corpus.canonical_sha256(train) == sst2.CHECKSUMS.rows["train"]
    assert checksums.md5(folder / "train.tsv") == sst2.CHECKSUMS.files["train.tsv"]
    selection = corpus.select(train, 500, seed=2605)
    assert len(selection.whole) == 6224
    assert len(selection.chosen) == 500
    assert 0.06 < len(selection.leaking) / len(train) < 0.08
    table = corpus.tables({"train": train}, selection)["train"]
    assert (table["whole_sentence"] & ~table["leaks_selection"]).sum() == 6224 - 500
