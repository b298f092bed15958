"""The cost formula against counted operations, and pair counts against plain loops."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)

from ggsa.evaluation import cost
from ggsa.patterns.modes import PatternData, pattern_for
from ggsa.patterns.pattern import Pattern
from ggsa.patterns.positional import Positional
from ggsa.workspace import config
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import TAGS

PARAMS = config.load(Path(__file__).resolve().parents[2] / "params.yaml")
SMALL = cost.Architecture(layers=2, hidden=16, feed_forward=48)
tables = npst.arrays(np.bool_, (len(TAGS), len(TAGS)))
sentences = st.lists(st.integers(0, len(TAGS) - 3), min_size=1, max_size=12)  # inner tags


def pattern(allowed):
    bias = np.where(allowed, 0, -np.inf).astype(np.float32)
    return Pattern(mode="some", tags=TAGS, bias=bias)


def tags_of(inner):
    return [TAGS.index("[CLS]"), *inner, TAGS.index("[SEP]")]


def counts_of(*rows):
    return np.stack([np.bincount(tags_of(row), minlength=len(TAGS)) for row in rows])


def pairs_by_loops(tags, allowed):
    found = 0
    for query in range(len(tags)):
        for key in range(len(tags)):
            if query == key or allowed[tags[query], tags[key]]:
                found += 1
    return found


@given(tables, st.lists(sentences, min_size=1, max_size=4))
def test_allowed_pairs_equal_a_count_of_every_pair(allowed, rows):
    expected = sum(pairs_by_loops(tags_of(row), allowed) for row in rows)
    row = cost.split_cost(counts_of(*rows), pattern(allowed), SMALL)
    assert row["allowed_pairs"] == expected
    assert row["pairs"] == sum((len(inner) + 2) ** 2 for inner in rows)
    assert row["density"] == pytest.approx(expected / row["pairs"])


@given(st.lists(sentences, min_size=1, max_size=4))
def test_an_all_allowed_table_costs_what_full_attention_costs(rows):
    row = cost.split_cost(counts_of(*rows), pattern(np.ones((len(TAGS),) * 2, bool)), SMALL)
    assert row["attention_flops"] == row["full_attention_flops"]
    assert row["attention_flops"] == sum(2 * 4 * 16 * (len(inner) + 2) ** 2 for inner in rows)
    assert row["model_flops"] == row["full_model_flops"]
    assert (row["density"], row["saving_attention"], row["saving_model"]) == (1, 0, 0)


def test_a_bias_that_blocks_nothing_saves_nothing():
    soft = Pattern(mode="soft", tags=TAGS, bias=np.full((len(TAGS),) * 2, 5, np.float32))
    row = cost.split_cost(counts_of([0, 1, 2], [3]), soft, SMALL)
    assert (row["density"], row["saving_attention"]) == (1, 0)


@given(tables, st.lists(sentences, min_size=1, max_size=4))
def test_the_model_saves_the_share_of_attention_times_what_attention_saves(allowed, rows):
    row = cost.split_cost(counts_of(*rows), pattern(allowed), SMALL)
    assert row["saving_model"] == pytest.approx(row["attention_share"] * row["saving_attention"])
    assert row["saving_attention"] == pytest.approx(1 - row["density"])


def counted_flops(model, length, batch):
    pieces = torch.zeros(batch, length, dtype=torch.long)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        model.eval()(input_ids=pieces, attention_mask=torch.ones_like(pieces))
    return counter.get_total_flops(), counter.get_flop_counts()["Global"]


@pytest.mark.parametrize(("length", "batch"), [(2, 1), (19, 1), (64, 3)])
@pytest.mark.parametrize("heads", [1, 4])
def test_the_formula_equals_the_counted_operations_of_bert(length, batch, heads):
    configuration = BertConfig(
        vocab_size=30,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=heads,
        intermediate_size=80,
        attn_implementation="sdpa",
    )
    sizes = cost.architecture(configuration.to_dict())
    counted, by_operation = counted_flops(
        BertForSequenceClassification(configuration), length, batch
    )
    pairs = batch * length**2
    assert cost.model_flops(batch * length, batch, pairs, sizes) == counted
    products_of_batches = by_operation[torch.ops.aten.bmm]  # scores and weighted values
    assert cost.attention_flops(pairs, sizes) == products_of_batches


def test_the_formula_equals_the_counted_operations_of_distilbert():
    configuration = DistilBertConfig(
        vocab_size=30, dim=32, n_layers=2, n_heads=2, hidden_dim=80, attn_implementation="sdpa"
    )
    counted, _ = counted_flops(DistilBertForSequenceClassification(configuration), 17, 2)
    sizes = cost.architecture(configuration.to_dict())
    assert cost.model_flops(2 * 17, 2, 2 * 17**2, sizes) == counted


def test_a_checkpoint_of_another_family_is_refused_by_name():
    with pytest.raises(UserError, match="'gpt2'"):
        cost.architecture({"model_type": "gpt2", "n_layer": 2})


def test_scores_and_values_make_up_the_attention_of_every_layer():
    layer = cost.score_flops(10, SMALL) + cost.value_flops(10, SMALL)
    assert cost.attention_flops(10, SMALL) == SMALL.layers * layer


def test_a_pair_reads_one_key_and_one_value_in_every_layer():
    assert cost.key_value_bytes(1, SMALL) == 2 * (16 + 16) * 4


def test_expected_pairs_of_an_all_allowed_table_are_all_pairs():
    everything = pattern(np.ones((len(TAGS),) * 2, bool))
    for length in (3, 25, 8192):
        expected = cost.expected_pairs(length, counts_of([0, 1, 5]), everything)
        assert expected == pytest.approx(length**2)


def test_expected_pairs_equal_the_mean_over_sentences_of_drawn_tags():
    generator = np.random.default_rng(2)
    some = pattern(generator.random((len(TAGS),) * 2) < 0.4)
    seen = counts_of(generator.integers(0, 17, 400))
    shares = seen[0, :17] / 400
    drawn = np.ones((4000, len(TAGS)), dtype=np.int64)  # [CLS] and [SEP] once each
    drawn[:, :17] = generator.multinomial(28, shares, 4000)
    mean = some.allowed_pairs(drawn).mean()
    assert cost.expected_pairs(30, seen, some) == pytest.approx(mean, rel=0.005)


def test_a_control_at_hards_density_costs_at_every_length_what_hard_costs():
    counts = counts_of([0, 1, 2], [5, 5, 7, 9])
    for mode in ("random", "window", "complement"):
        control = pattern_for(mode, PARAMS.rules, 13, PatternData(PARAMS))
        hard = pattern_for("hard", PARAMS.rules, 13, PatternData(PARAMS))
        for length in (25, 512):
            expected = cost.expected_pairs(length, counts, hard)
            assert cost.expected_pairs(length, counts, control) == pytest.approx(expected)


def test_a_pattern_that_matches_no_table_has_no_cost_by_length():
    places = dataclasses.replace(
        pattern(np.eye(len(TAGS), dtype=bool)), positional=Positional("separator", reach=2)
    )
    with pytest.raises(UserError, match="mode some is not defined"):
        cost.expected_pairs(25, counts_of([0, 1]), places)


def test_the_share_of_attention_grows_with_length():
    everything = pattern(np.ones((len(TAGS),) * 2, bool))
    shares = [
        cost.length_cost(length, counts_of([0]), everything, cost.BERT_BASE)["attention_share"]
        for length in (25, 128, 512, 2048, 8192)
    ]
    assert shares == sorted(shares)
    # Attention over attention, projections and feed-forward of one layer: n / (n + 6 d) at f = 4 d.
    assert shares[-1] == pytest.approx(8192 / (8192 + 6 * 768), rel=1e-4)


def test_a_length_without_room_for_a_word_is_refused_with_its_key():
    with pytest.raises(UserError, match=r"evaluate\.cost_lengths holds 2"):
        cost.expected_pairs(2, counts_of([0]), pattern(np.ones((len(TAGS),) * 2, bool)))
