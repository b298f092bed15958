"""A pattern on models of transformers: what the model computes is what the pattern says."""

import copy

import pytest
import torch
from small_models import FULL, PIECES, TAGGED, WORDS, enlarged, run, table, tokenizer
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForTokenClassification,
    GPT2Config,
    GPT2Model,
    ModernBertConfig,
    ModernBertForMaskedLM,
    ModernBertForSequenceClassification,
)

import ggsa
from ggsa.model.carried import CONFIGURATIONS, carried
from ggsa.patterns import positional
from ggsa.patterns.pattern import Pattern
from ggsa.workspace.errors import UserError

SPECIAL_IDS = {f"{name}_token_id": 0 for name in ("pad", "bos", "eos", "cls", "sep")}
MODERN = ModernBertConfig(
    vocab_size=len(PIECES), hidden_size=16, num_hidden_layers=4, num_attention_heads=2,
    intermediate_size=32, local_attention=4, classifier_pooling="mean", **SPECIAL_IDS,
)  # fmt: skip
MODELS = {
    BertForSequenceClassification: BertConfig(
        vocab_size=len(PIECES), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32,
    ),
    DistilBertForTokenClassification: DistilBertConfig(
        vocab_size=len(PIECES), dim=16, n_layers=2, n_heads=2, hidden_dim=32
    ),
    ModernBertForSequenceClassification: MODERN,
    ModernBertForMaskedLM: MODERN,
}  # fmt: skip


@pytest.fixture
def inputs(tmp_path):
    return ggsa.inputs(tokenizer(tmp_path), WORDS, TAGGED)


@pytest.fixture(params=MODELS, ids=lambda kind: kind.__name__)
def model(request):
    torch.manual_seed(7)
    return enlarged(request.param(MODELS[request.param]))


def logits(model, inputs):
    """What comes out, padding left away."""
    with torch.inference_mode():
        found = model(**inputs).logits
    return found[inputs["attention_mask"].bool()] if found.dim() == 3 else found


def plain(inputs):
    return {name: x for name, x in inputs.items() if name != "tags"}


def test_an_all_allowed_pattern_leaves_every_architecture_as_it_is(model, inputs) -> None:
    expected = logits(copy.deepcopy(model), plain(inputs))
    assert torch.allclose(logits(ggsa.attach(model, FULL), inputs), expected, atol=1e-5)


def test_a_blocked_pair_changes_what_comes_out(model, inputs) -> None:
    expected = logits(copy.deepcopy(model), plain(inputs))
    assert not torch.allclose(logits(ggsa.attach(model, table()), inputs), expected, atol=1e-3)


def test_attention_weights_are_nothing_where_the_pattern_or_the_local_window_blocks(
    model, inputs
) -> None:
    pattern = table()
    attached = ggsa.attach(model, pattern)
    attached.set_attn_implementation("eager")
    with torch.inference_mode():
        weights = attached(**inputs, output_attentions=True).attentions
    tags = inputs["tags"]
    allowed = torch.from_numpy(pattern.allowed)[tags[:, :, None], tags[:, None, :]]
    length = tags.shape[1]
    allowed |= torch.eye(length, dtype=torch.bool)
    place = torch.arange(length)
    near = (place[:, None] - place[None]).abs() <= getattr(model.config, "sliding_window", length)
    kinds = getattr(model.config, "layer_types", None) or ["full_attention"] * len(weights)
    rows = inputs["attention_mask"].bool()
    for kind, layer in zip(kinds, weights, strict=True):
        open_pairs = allowed & near if kind == "sliding_attention" else allowed
        found = (layer > 0).any(dim=1) & rows[:, :, None]
        assert not (found & ~open_pairs).any()
        assert not (found & ~rows[:, None, :]).any()
        assert (found | ~rows[:, :, None]).any(dim=-1).all()


def test_grouped_attention_gives_tokens_back_in_their_places(model, inputs) -> None:
    if model.config.model_type == "modernbert":
        with pytest.raises(UserError, match=r"cannot keep the local layers of modernbert"):
            ggsa.attach(model, table(), "grouped")
        return
    dense = logits(ggsa.attach(copy.deepcopy(model), table()), inputs)
    grouped = logits(ggsa.attach(model, table(), "grouped"), inputs)
    assert torch.allclose(dense, grouped, atol=1e-5)


def test_padding_changes_nothing(model, inputs) -> None:
    attached = ggsa.attach(model, table())
    alone = {name: x[1:2, :4] for name, x in inputs.items()}  # [CLS] not bad [SEP]
    with torch.inference_mode():
        together, single = attached(**inputs).logits[1], attached(**alone).logits[0]
    together = together[:4] if together.dim() == 2 else together
    assert torch.allclose(together, single, atol=1e-5)


def test_a_control_that_depends_on_position_can_be_attached(model, inputs) -> None:
    hard = table()
    window = positional.Positional(kind="window", seed=5, match=hard.allowed)
    pattern = Pattern("window", hard.tags, hard.bias, window)
    assert torch.isfinite(logits(ggsa.attach(model, pattern), inputs)).all()


def test_a_pattern_that_is_attached_replaces_the_one_before(model, inputs) -> None:
    expected = logits(ggsa.attach(copy.deepcopy(model), table(seed=9)), inputs)
    twice = ggsa.attach(ggsa.attach(model, table()), table(seed=9))
    assert torch.equal(logits(twice, inputs), expected)
    assert (carried(twice.config).bias == table(seed=9).bias).all()


def test_a_pattern_stays_with_its_model(model) -> None:
    other = type(model)(model.config)
    ggsa.attach(model, table())
    assert carried(other.config) is None
    assert other.config.model_type in CONFIGURATIONS


def test_an_export_is_a_stock_model_that_predicts_as_the_loaded_run(tmp_path) -> None:
    folder = run(tmp_path / "run")
    loaded = ggsa.load(folder)
    stock = ggsa.attach(AutoModelForSequenceClassification.from_pretrained(folder))
    found = logits(stock, ggsa.inputs(loaded.tokenizer, WORDS, TAGGED))
    assert torch.allclose(found, torch.from_numpy(loaded.logits(WORDS, TAGGED)), atol=1e-5)


def test_what_cannot_be_attached_raises_an_error_that_names_it(inputs) -> None:
    with pytest.raises(UserError, match=r"architecture gpt2.*bert, distilbert, modernbert"):
        ggsa.attach(GPT2Model(GPT2Config(n_embd=8, n_layer=1, n_head=1)), FULL)
    kind = BertForSequenceClassification
    with pytest.raises(UserError, match=r"has no ggsa_pattern"):
        ggsa.attach(kind(MODELS[kind]))
    attached = ggsa.attach(kind(MODELS[kind]), FULL)
    with pytest.raises(UserError, match=r"called with input_ids and tags"):
        attached(**plain(inputs))
    with pytest.raises(UserError, match=r"from 0 to 99"):
        attached(**{**inputs, "tags": inputs["tags"].clone().index_fill_(1, torch.tensor(1), 99)})
    with pytest.raises(UserError, match=r"unknown implementation sparse"):
        ggsa.attach(kind(MODELS[kind]), FULL, "sparse")
