import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from ggsa.tagging import alignment
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
