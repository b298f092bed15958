"""Whatever is passed to a model with a pattern is computed right or raises an error."""

import copy

import numpy as np
import pytest
import torch
from small_models import FULL, PIECES, TAGGED, WORDS, enlarged, table, tokenizer
from transformers import (
    BertConfig,
    BertForMultipleChoice,
    BertForSequenceClassification,
    BertLMHeadModel,
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertModel,
    ModernBertConfig,
    ModernBertModel,
)

import ggsa
from ggsa.patterns import modes
from ggsa.patterns.pattern import Pattern
from ggsa.patterns.positional import Positional
from ggsa.workspace import config
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import TAGS

BERT = BertConfig(
    vocab_size=len(PIECES), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
    intermediate_size=32, max_position_embeddings=48,
)  # fmt: skip
DISTIL = DistilBertConfig(
    vocab_size=len(PIECES), dim=16, n_layers=2, n_heads=2, hidden_dim=32, max_position_embeddings=48
)
MODERN = ModernBertConfig(
    vocab_size=len(PIECES), hidden_size=16, num_hidden_layers=4, num_attention_heads=2,
    intermediate_size=32, local_attention=4,
    **{f"{name}_token_id": 0 for name in ("pad", "bos", "eos", "cls", "sep")},
)  # fmt: skip
ENCODERS = {BertModel: BERT, DistilBertModel: DISTIL, ModernBertModel: MODERN}
HARD = table()
DIAGONAL = np.full((len(TAGS), len(TAGS)), -np.inf, np.float32)
DIAGONAL[TAGS.index("[CLS]")] = 0
PATTERNS = {
    "table": HARD,
    "window": Pattern("window", TAGS, DIAGONAL, Positional("window", 5, HARD.allowed)),
    "random": Pattern("random", TAGS, DIAGONAL, Positional("random", 5, HARD.allowed)),
    "separator": Pattern("separator", TAGS, DIAGONAL, Positional("separator", reach=1)),
}
CASES = [(name, "dense") for name in PATTERNS]
CASES += [(name, "grouped") for name in PATTERNS if name != "random"]  # no plan can compute it


def new(kind=BertModel, configuration=None):
    torch.manual_seed(7)
    return enlarged(kind(copy.deepcopy(configuration or ENCODERS[kind])))


@pytest.fixture
def inputs(tmp_path):
    return ggsa.inputs(tokenizer(tmp_path), WORDS, TAGGED)


def states(model, inputs):
    """The last hidden states of the real tokens, text after text."""
    with torch.inference_mode():
        return model(**inputs).last_hidden_state[inputs["attention_mask"].bool()]


def rolled(inputs):
    """The inputs with their padding on the left, every token with its position in the text."""
    shift = (inputs["attention_mask"] == 0).sum(1).tolist()
    place = torch.arange(inputs["input_ids"].shape[1]).expand_as(inputs["input_ids"])
    every = {**inputs, "position_ids": place}
    return {
        name: torch.stack([row.roll(n) for row, n in zip(x, shift, strict=True)])
        for name, x in every.items()
    }


@pytest.mark.parametrize(
    ("kind", "name", "implementation"),
    [
        (kind, *case)
        for kind in ENCODERS
        for case in CASES
        if kind is not ModernBertModel or case[1] == "dense"  # attach refuses to sort its tokens
    ],
)
def test_padding_on_the_left_leaves_every_pattern_as_it_is(
    kind, name, implementation, inputs
) -> None:
    model = ggsa.attach(new(kind), PATTERNS[name], implementation)
    moved = rolled(inputs)
    assert torch.allclose(states(model, moved), states(model, inputs), atol=1e-5)
    del moved["position_ids"]  # then a token has its place in the text
    assert torch.allclose(states(model, moved), states(model, inputs), atol=1e-5)


def test_inputs_are_padded_on_the_side_of_the_tokenizer(inputs, tmp_path) -> None:
    left = tokenizer(tmp_path)
    left.padding_side = "left"
    expected = rolled(inputs)
    for name, values in ggsa.inputs(left, WORDS, TAGGED).items():
        assert torch.equal(values, expected[name]), name


@pytest.mark.parametrize("implementation", ["dense", "grouped"])
def test_the_pooler_reads_the_first_token_wherever_it_is(implementation, inputs) -> None:
    inputs["tags"][:, 0] = TAGS.index("VERB")  # sorted, another token would come first
    model = ggsa.attach(new(), HARD, "dense")
    with torch.inference_mode():
        expected = model(**inputs).pooler_output
        ggsa.attach(model, HARD, implementation)
        for given in (inputs, rolled(inputs)):
            assert torch.allclose(model(**given).pooler_output, expected, atol=1e-5)


@pytest.mark.parametrize("kind", [BertModel, DistilBertModel])
@pytest.mark.parametrize("name", ["table", "window", "separator"])
def test_sorted_tokens_keep_what_the_caller_says_of_each(kind, name, inputs) -> None:
    shape = inputs["input_ids"].shape
    inputs["position_ids"] = torch.arange(shape[1]).flip(0)[None]
    if kind is BertModel:
        inputs["token_type_ids"] = torch.arange(inputs["input_ids"].numel()).reshape(shape) % 2
    dense = ggsa.attach(new(kind), PATTERNS[name])
    grouped = ggsa.attach(new(kind), PATTERNS[name], "grouped")
    assert torch.allclose(states(grouped, inputs), states(dense, inputs), atol=1e-5)
    without = {k: x for k, x in inputs.items() if k != "position_ids"}
    assert not torch.allclose(states(grouped, without), states(grouped, inputs), atol=1e-3)


@pytest.mark.parametrize("name", PATTERNS)
def test_ids_in_32_bits_give_the_same_pattern(name, inputs) -> None:
    model = ggsa.attach(new(), PATTERNS[name])
    narrow = {key: x.int() for key, x in inputs.items()}
    assert torch.equal(states(model, narrow), states(model, inputs))


def test_decoders_raise_an_error_because_a_pattern_would_drop_their_mask() -> None:
    causal = BertConfig(**{**BERT.to_dict(), "is_decoder": True})
    with pytest.raises(UserError, match=r"is_decoder is true"):
        ggsa.attach(BertLMHeadModel(causal), FULL)
    crossing = BertConfig(**{**BERT.to_dict(), "is_decoder": True, "add_cross_attention": True})
    with pytest.raises(UserError, match=r"is_decoder is true"):
        ggsa.attach(BertModel(crossing), FULL)


@pytest.mark.parametrize("implementation", ["dense", "grouped", "auto"])
@pytest.mark.parametrize("used", ["eager", "sdpa"])
def test_another_attention_of_transformers_keeps_the_pattern(implementation, used, inputs) -> None:
    expected = states(ggsa.attach(new(), HARD), inputs)
    model = ggsa.attach(new(), HARD, implementation)
    model.set_attn_implementation(used)
    assert torch.allclose(states(model, inputs), expected, atol=1e-5)


def test_attention_without_a_mask_for_each_pair_raises_an_error(inputs) -> None:
    model = ggsa.attach(new(), HARD)
    model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(UserError, match=r"attention is flash_attention_2.*eager, sdpa"):
        model(**inputs)


@pytest.mark.parametrize("implementation", ["dense", "grouped"])
def test_a_tuple_holds_what_the_output_holds(implementation, inputs) -> None:
    model = ggsa.attach(new(), HARD, implementation)
    with torch.inference_mode():
        output = model(**inputs, output_hidden_states=True)
        values = model(**inputs, output_hidden_states=True, return_dict=False)
    assert isinstance(values, tuple)
    assert torch.equal(values[0], output.last_hidden_state)
    assert torch.equal(values[1], output.pooler_output)
    assert all(map(torch.equal, values[2], output.hidden_states))


def test_attention_weights_are_returned_or_refused(inputs) -> None:
    model = ggsa.attach(new(), HARD, "grouped")
    with pytest.raises(UserError, match=r"keeps no weights.*set_attn_implementation\('eager'\)"):
        model(**inputs, output_attentions=True)
    model.set_attn_implementation("eager")
    weights = model(**inputs, output_attentions=True).attentions
    assert len(weights) == BERT.num_hidden_layers
    assert weights[0].shape[-2:] == inputs["input_ids"].shape[1:] * 2


def test_attention_dropout_is_computed_dense_or_raises_an_error_at_once(
    inputs, monkeypatch
) -> None:
    monkeypatch.setattr("ggsa.model.attention.choice.SHORT_SECONDS", 0.0)
    monkeypatch.setattr("ggsa.model.attention.choice.CAUTION", 1e9)  # auto always groups
    auto = ggsa.attach(new(), HARD, "auto").train()
    torch.manual_seed(1)
    assert torch.isfinite(auto(**inputs).last_hidden_state).all()
    grouped = ggsa.attach(new(), HARD, "grouped").train()
    with pytest.raises(UserError, match=r"grouped has no attention dropout.*0\.1"):
        grouped(**inputs)
    assert torch.isfinite(states(grouped.eval(), inputs)).all()


def test_a_mask_over_pairs_raises_an_error(inputs) -> None:
    model = ggsa.attach(new(), HARD)
    length = inputs["input_ids"].shape[1]
    inputs["attention_mask"] = torch.ones(3, 1, length, length)
    with pytest.raises(UserError, match=rf"attention_mask: expected \[3, {length}\].*\[3, 1, "):
        model(**inputs)


def test_longer_texts_than_the_model_has_positions_raise_an_error(tmp_path) -> None:
    made = ggsa.inputs(tokenizer(tmp_path), [["not"] * 60], [["PART"] * 60], max_pieces=99)
    with pytest.raises(UserError, match=r"got 62 tokens.*only 48 positions.*max_pieces=48"):
        ggsa.attach(new(), HARD)(**made)


@pytest.mark.parametrize("implementation", ["dense", "grouped"])
def test_choices_are_computed_as_texts(implementation, inputs) -> None:
    model = ggsa.attach(new(BertForMultipleChoice, BERT), HARD, implementation)
    with torch.inference_mode():
        together = model(**{name: x[None] for name, x in inputs.items()}).logits[0]
        alone = [model(**{k: x[i][None, None] for k, x in inputs.items()}).logits for i in range(3)]
    assert torch.allclose(together, torch.cat(alone).flatten(), atol=1e-5)


def test_a_head_that_reads_the_first_token_takes_no_padding_on_the_left(inputs) -> None:
    model = ggsa.attach(new(DistilBertForSequenceClassification, DISTIL), HARD)
    with pytest.raises(UserError, match=r"text 1 begins with padding.*padding_side"):
        model(**rolled(inputs))
    bert = ggsa.attach(new(BertForSequenceClassification, BERT), HARD)
    with torch.inference_mode():  # its pooler reads the first real token
        expected = bert(**inputs).logits
        assert torch.allclose(bert(**rolled(inputs)).logits, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("texts", "tags", "message"),
    [
        ([], [], "expected at least one text, got none"),
        ([[]], [[]], r"texts\[0\]: expected at least one word"),
        ([None], [[]], r"texts\[0\]: expected a string or a list of words, got None"),
        (["not bad", float("nan")], None, r"texts\[1\]: expected a string .* got nan"),
        (None, None, "expected a list of texts, got None"),
        ([("not bad", "at all")], [["PART", "ADV"]], r"texts\[0\]: expected words.*'not bad'"),
        (WORDS, TAGGED[:2], r"one list of tags per text \(3\)"),
        (WORDS[:1], [["DET"]], "one tag for each of the 5 words"),
    ],
)
def test_texts_without_words_or_with_other_tags_raise_an_error(
    texts, tags, message, tmp_path
) -> None:
    with pytest.raises(UserError, match=message):
        ggsa.inputs(tokenizer(tmp_path), texts, tags)


def test_a_tokenizer_without_a_limit_reads_every_piece(tmp_path) -> None:
    unlimited = tokenizer(tmp_path)
    unlimited.model_max_length = int(1e30)  # what transformers sets where a tokenizer has none
    assert ggsa.inputs(unlimited, WORDS, TAGGED)["input_ids"].shape == (3, 7)


def test_a_text_that_would_be_cut_raises_an_error_unless_it_may_be(tmp_path) -> None:
    made = tokenizer(tmp_path)
    with pytest.raises(UserError, match=r"texts\[0\]: 5 words are 7 word pieces.*6\..*cut=True"):
        ggsa.inputs(made, WORDS, TAGGED, max_pieces=6)
    cut = ggsa.inputs(made, WORDS, TAGGED, max_pieces=6, cut=True)
    assert cut["input_ids"].shape == (3, 6)


@pytest.mark.parametrize("name", ["full", "hard", "soft"])
def test_the_patterns_of_the_paper_are_those_of_the_parameters(name, root, inputs) -> None:
    rules = config.load(root / "params.yaml").rules
    built = modes.pattern_for(name, rules, 0, modes.PatternData(None))
    attached = ggsa.attach(new(), name)
    expected = ggsa.attach(new(), built)
    assert (attached._ggsa.pattern.bias == built.bias).all()
    assert torch.equal(states(attached, inputs), states(expected, inputs))
    with pytest.raises(UserError, match=r"unknown pattern of the paper hardd\. Did you mean hard"):
        ggsa.attach(new(), "hardd")
