from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from ggsa.tagging import alignment
from ggsa.tagging.alignment import Ragged
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import TAGS


def tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "fil", "##m", "##ing", "fun", "."]
    wordpiece = Tokenizer(
        models.WordPiece({w: i for i, w in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    wordpiece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    wordpiece.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=wordpiece, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]",
    )  # fmt: skip


def test_every_piece_takes_the_tag_of_its_word() -> None:
    words, tags = [["a", "filming", "."]], [["DET", "NOUN", "PUNCT"]]
    aligned = alignment.align(tokenizer(), words, tags, max_pieces=20)
    names = [TAGS[i] for i in aligned.tags[0]]
    assert names == ["[CLS]", "DET", "NOUN", "NOUN", "NOUN", "PUNCT", "[SEP]"]


def test_a_word_with_inner_punctuation_keeps_one_tag() -> None:
    aligned = alignment.align(tokenizer(), [["a.fun"]], [["X"]], max_pieces=20)
    assert [TAGS[i] for i in aligned.tags[0]] == ["[CLS]", "X", "X", "X", "[SEP]"]


def test_a_long_sentence_is_cut_and_keeps_its_separator() -> None:
    aligned = alignment.align(tokenizer(), [["fun"] * 30], [["NOUN"] * 30], max_pieces=8)
    assert len(aligned.pieces[0]) == 8
    assert TAGS[aligned.tags[0][-1]] == "[SEP]"


def test_counts_are_those_of_the_aligned_tags() -> None:
    words, tags = [["a", "fun"], ["film"]], [["DET", "ADJ"], ["NOUN"]]
    counts = alignment.align(tokenizer(), words, tags, max_pieces=9).tag_counts()
    assert counts.sum(axis=1).tolist() == [4, 4]
    assert counts[1][TAGS.index("NOUN")] == 2


def test_a_missing_tag_raises_an_error() -> None:
    with pytest.raises(UserError, match="2 words but 1 tags"):
        alignment.align(tokenizer(), [["a", "fun"]], [["DET"]], max_pieces=9)


def test_a_tag_that_is_not_universal_raises_an_error_that_names_it() -> None:
    with pytest.raises(UserError, match="'JJ'"):
        alignment.align(tokenizer(), [["fun"]], [["JJ"]], max_pieces=9)


def test_an_error_numbers_the_sentence_from_the_first_of_its_part() -> None:
    with pytest.raises(UserError, match="Sentence 70 has the unknown tag 'JJ'"):
        alignment.align(tokenizer(), [["fun"]], [["JJ"]], max_pieces=9, first=70)


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 2**16 - 1), max_size=5), max_size=9), st.integers(1, 7))
def test_rows_of_a_flat_array_are_the_rows_that_it_was_made_of(
    rows: list[list[int]], block: int
) -> None:
    flat = Ragged.of(rows, np.uint16)
    assert [row.tolist() for row in flat] == rows
    assert flat.lengths.tolist() == [len(row) for row in rows]
    assert all(row.dtype == np.int64 for row in flat) and flat.values.dtype == np.uint16
    with pytest.raises(IndexError):
        flat[len(rows)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment, "BLOCK", block)
        halves = flat.map(lambda values: values // 2)
        assert np.concatenate([np.empty(0), *flat.blocks()]).tolist() == flat.values.tolist()
    assert [row.tolist() for row in halves] == [[value // 2 for value in row] for row in rows]
    assert halves.values.dtype == np.uint16


def test_an_id_that_does_not_fit_is_never_cut() -> None:
    with pytest.raises(OverflowError):
        Ragged.of([[2**16]], np.uint16)


@pytest.mark.parametrize(("size", "smallest"), [(2**16, np.uint16), (2**16 + 1, np.uint32)])
def test_ids_take_the_smallest_type_that_holds_the_vocabulary(size: int, smallest: type) -> None:
    assert alignment.piece_type(range(size)) is smallest


def test_parts_in_memory_mapped_files_are_the_sentences_in_their_order(tmp_path: Path) -> None:
    words = [["a", "fun"], ["filming"], ["a"], ["fun", "film", "."]]
    tags = [["DET", "ADJ"], ["NOUN"], ["DET"], ["ADJ", "NOUN", "PUNCT"]]
    whole = alignment.align(tokenizer(), words, tags, max_pieces=6)
    parts = (
        alignment.align(tokenizer(), words[i : i + 3], tags[i : i + 3], max_pieces=6)
        for i in range(0, 4, 3)
    )
    mapped = alignment.joined(parts, tmp_path / "new")
    for name in ("pieces", "tags"):
        flat, expected = getattr(mapped, name), getattr(whole, name)
        assert np.array_equal(flat.values, expected.values)
        assert flat.values.dtype == expected.values.dtype
        assert np.array_equal(flat.offsets, expected.offsets)
        assert isinstance(flat.values.base, np.memmap) and not flat.values.flags.writeable
    assert mapped.identities.tolist() == whole.identities.tolist()
    assert np.array_equal(mapped.tag_counts(), whole.tag_counts())
    assert not [*(tmp_path / "new").iterdir()]  # nothing is left of a killed process


def test_identities_do_not_depend_on_the_type_of_the_ids() -> None:
    row = np.array([2, 4, 65535, 3])
    assert len({alignment.identity(row.astype(t)) for t in (np.uint16, np.int32, np.int64)}) == 1


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, len(TAGS) - 1), max_size=9), max_size=30))
def test_tag_counts_do_not_depend_on_the_size_of_a_block(rows: list[list[int]]) -> None:
    flat = Ragged.of(rows, np.uint8)
    sentences = alignment.TaggedPieces(flat, flat, np.arange(len(rows)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment, "BLOCK", 64)
        counts = sentences.tag_counts()
    assert counts.shape == (len(rows), len(TAGS)) and counts.dtype == np.int64
    assert counts.tolist() == [[row.count(tag) for tag in range(len(TAGS))] for row in rows]
