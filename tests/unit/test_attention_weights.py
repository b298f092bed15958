"""Attention weights are those that the model computes, and their tables are what counting gives."""

from collections import defaultdict

import numpy as np
import pytest
import small_models
import torch

from ggsa.evaluation import attention_maps
from ggsa.model import attention, attention_weights, classifier
from ggsa.workspace.vocabulary import TAGS


@pytest.fixture(scope="module")
def hard(tmp_path_factory):
    return classifier.load(small_models.run(tmp_path_factory.mktemp("hard")))


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return classifier.load(small_models.run(tmp_path_factory.mktemp("full"), small_models.FULL))


@pytest.fixture(scope="module")
def sentences(hard):
    return hard.aligned(small_models.WORDS, small_models.TAGGED)


def one_by_one(model):
    """The weights of every sentence on its own, `[layer, head, query, key]`."""
    pairs = zip(small_models.WORDS, small_models.TAGGED, strict=True)
    return [model.attention(words, tags) for words, tags in pairs]


def test_weights_in_batches_are_those_of_each_sentence_alone(hard, sentences):
    single, seen = one_by_one(hard), []
    for batch, weights in attention_weights.attention_weights(hard.model, hard.mask, sentences):
        for i, row in enumerate(batch.rows.tolist()):
            size = single[row].shape[-1]
            assert torch.allclose(weights[i, :, :, :size, :size], single[row], atol=1e-6)
            assert not weights[i, :, :, :size, size:].any()  # padding gets no attention
            seen.append(row)
    assert sorted(seen) == list(range(len(small_models.WORDS)))


def test_a_model_computes_attention_as_before_once_its_weights_are_read(hard, sentences):
    before = hard.logits(small_models.WORDS, small_models.TAGGED)
    stream = attention_weights.attention_weights(hard.model, hard.mask, sentences)
    next(stream)
    stream.close()  # not read to its end
    assert hard.model.config._attn_implementation == attention.NAME
    assert (hard.logits(small_models.WORDS, small_models.TAGGED) == before).all()


def test_the_mean_weight_of_a_tag_pair_is_what_counting_pair_by_pair_gives(full, sentences):
    weights = defaultdict(list)
    for row, values in enumerate(one_by_one(full)):
        tags = [TAGS[tag] for tag in sentences.tags[row]]
        for (query, key), weight in np.ndenumerate(values.mean(dim=(0, 1)).numpy()):
            weights[tags[query], tags[key]].append(weight)
    table = attention_weights.mean_attention_by_tag_pair(full.model, full.mask, sentences)
    assert list(table.columns) == ["query_tag", "key_tag", "weight_per_pair"]
    pairs = list(zip(table["query_tag"], table["key_tag"], strict=True))
    assert len(pairs) == len(set(pairs)) and set(pairs) == set(weights)
    expected = [np.mean(weights[pair]) for pair in pairs]
    assert table["weight_per_pair"].to_numpy() == pytest.approx(expected, abs=1e-6)


def test_the_weight_per_pair_of_uniform_attention_is_the_same_for_every_pair_of_a_length():
    queries = np.array([[2, 3], [1, 4]])  # two sentences of five tokens
    mass = np.einsum("sq,sk->sqk", queries, queries) / 5
    assert attention_weights.weight_per_pair(mass, queries) == pytest.approx(np.full((2, 2), 0.2))


def test_what_a_tag_gives_to_all_tags_is_all_of_its_attention(hard, sentences):
    table = attention_maps.weights_by_tag(hard, sentences)
    sums = table.groupby(["layer", "query_tag"])["weight_mean"].sum()
    assert sums.to_numpy() == pytest.approx(np.ones(len(sums)), abs=1e-5)
    counts = np.bincount(np.concatenate(sentences.tags), minlength=len(TAGS))
    assert (table["count"] == [counts[TAGS.index(tag)] for tag in table["query_tag"]]).all()


def test_an_example_has_every_weight_and_a_blocked_pair_has_none(hard, sentences):
    table = attention_maps.example_weights(hard, sentences)
    single = one_by_one(hard)
    assert len(table) == sum(weights.numel() for weights in single)
    places = table[["layer", "head", "query", "key"]].to_numpy()
    expected = [
        float(single[sentence][tuple(place)])
        for sentence, place in zip(table["sentence"], places, strict=True)
    ]
    assert table["weight"].to_numpy() == pytest.approx(expected, abs=1e-6)
    assert not table.loc[~table["allowed"], "weight"].any()
    assert not table["allowed"].all()
