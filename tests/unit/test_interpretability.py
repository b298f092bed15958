"""What is read off attention: entropy, mass, relations, erasure, and the intervals over it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ggsa.assets import probe
from ggsa.evaluation.interpretability import attention, deciding, dependency, erasure, resampling

SHARES = st.sampled_from((0.1, 0.2, 0.25, 0.5, 1.0))


def softmax_rows(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).softmax(-1)


# Entropy and mass.


@given(st.integers(2, 40))
def test_uniform_attention_has_entropy_one_and_a_single_key_none(keys):
    even = torch.full((1, keys), 1 / keys)
    single = torch.eye(keys)[:1]
    allowed = torch.tensor([keys])
    assert float(attention.normalized_entropy(even, allowed)) == pytest.approx(1, abs=1e-5)
    assert float(attention.normalized_entropy(single, allowed)) == 0


@given(st.integers(0, 1000), st.integers(2, 12))
def test_entropy_lies_between_none_and_uniform(seed, keys):
    found = attention.normalized_entropy(softmax_rows(seed, 3, keys), torch.full((3,), keys))
    assert ((found > 0) & (found < 1 + 1e-6)).all()


def test_a_query_with_one_key_has_no_entropy():
    assert float(attention.normalized_entropy(torch.tensor([[1.0]]), torch.tensor([1]))) == 0


@given(st.integers(0, 1000))
def test_attention_between_words_keeps_what_words_give_to_words(seed):
    weights = softmax_rows(seed, 1, 5, 5)
    member = torch.zeros(1, 5, 3)
    for piece, word in enumerate((0, 0, 1, 2, 2)):  # no special tokens: nothing is lost
        member[0, piece, word] = 1
    words = attention.between_words(weights, member)
    assert torch.allclose(words.sum(-1), torch.ones(1, 3), atol=1e-6)
    assert float(words[0, 1, 0]) == pytest.approx(float(weights[0, 2, :2].sum()), abs=1e-6)


def test_the_weight_per_pair_of_uniform_attention_is_the_same_for_every_pair_of_a_length():
    queries = np.array([[2, 3], [1, 4]])  # two sentences of five tokens
    mass = np.einsum("sq,sk->sqk", queries, queries) / 5
    assert attention.per_pair(mass, queries) == pytest.approx(np.full((2, 2), 0.2))


# Dependency relations.


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 4))
def test_offsets_hit_what_counting_word_by_word_hits(seed, size, offsets):
    table = np.random.default_rng(seed).random((size, size)) < 0.4
    found = dependency.offset_hits([table], offsets)[0]
    for step, hits in zip(dependency.offset_steps(offsets), found, strict=True):
        inside = [i for i in range(size) if 0 <= i + step < size]
        assert hits == sum(table[i, i + step] for i in inside)


@given(st.integers(0, 1000), st.integers(2, 30), st.integers(1, 5))
def test_the_best_choice_is_read_only_where_it_was_not_chosen(seed, sentences, choices):
    found = np.random.default_rng(seed).integers(0, 9, (sentences, choices))
    best, (on_even, on_odd) = dependency.chosen_elsewhere(found)
    assert on_even == found[1::2].sum(0).argmax()
    assert on_odd == found[0::2].sum(0).argmax()
    assert (best[0::2] == found[0::2, on_even]).all()
    assert (best[1::2] == found[1::2, on_odd]).all()


# Erasure.


@given(st.integers(1, 60), SHARES)
def test_at_least_one_word_and_never_more_than_all_are_erased(length, share):
    assert 1 <= erasure.erased_words(length, share) <= length


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), SHARES)
def test_no_word_that_is_kept_was_attended_more_than_one_that_is_erased(row, share):
    row = np.array(row)
    (gone,) = erasure.top_words([row], share)
    kept = np.setdiff1d(np.arange(len(row)), gone)
    assert len(gone) == erasure.erased_words(len(row), share)
    assert not len(kept) or row[gone].min() >= row[kept].max()


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), SHARES, st.integers(0, 99))
def test_random_words_are_as_many_without_repetition_and_follow_from_the_seed(lengths, share, seed):
    drawn = erasure.random_words(lengths, share, seed)
    for length, words in zip(lengths, drawn, strict=True):
        assert len(set(words)) == len(words) == erasure.erased_words(length, share)
        assert set(words) <= set(range(length))
    again = erasure.random_words(lengths, share, seed)
    assert all((one == two).all() for one, two in zip(drawn, again, strict=True))


# The deciding word.


def test_the_deciding_word_gives_the_label_of_every_sentence_of_the_probe():
    for sentences in probe.generate(2605).values():
        for sentence in sentences:
            place, label = deciding.reading(sentence.words, sentence.tags)
            assert label == sentence.label
            assert place in deciding.polar_words(sentence.words, sentence.tags)


def test_a_sentence_of_another_grammar_is_refused():
    with pytest.raises(ValueError, match="one was expected"):
        deciding.reading(("the", "plot"), ("DET", "NOUN"))


# Ratios and their intervals.


def ratio(seed: int, seeds: int = 3, sentences: int = 40) -> resampling.Ratio:
    stream = np.random.default_rng(seed)
    bottom = stream.integers(1, 9, sentences).astype(float)
    return resampling.Ratio(stream.random((seeds, sentences)) * bottom, bottom)


@given(st.integers(0, 1000))
def test_a_ratio_is_never_told_from_itself(seed):
    value = ratio(seed)
    low, high = resampling.draws(3, 40, 50, seed).interval(value, value)
    assert low == high == 0
    assert resampling.verdict(low, high) == "cannot tell"


@given(st.integers(0, 1000), st.floats(0.5, 2.0))
def test_a_constant_shift_is_told_with_certainty(seed, shift):
    value = ratio(seed)
    moved = resampling.Ratio(value.top + shift * value.bottom, value.bottom)
    low, high = resampling.draws(3, 40, 50, seed).interval(moved, value)
    assert low == pytest.approx(shift, abs=1e-4)
    assert high == pytest.approx(shift, abs=1e-4)
    assert resampling.verdict(low, high) == "yes"
    assert resampling.verdict(-high, -low) == "no"


def test_one_seed_has_no_interval_and_no_verdict():
    one, other = ratio(1, seeds=1), ratio(2, seeds=1)
    low, high = resampling.draws(1, 40, 50, 0).interval(one, other)
    assert np.isnan([low, high]).all()
    assert resampling.verdict(low, high) == "cannot tell"


def test_a_resampling_draws_as_many_seeds_and_sentences_as_there_are():
    drawn = resampling.draws(3, 40, 50, 0)
    assert (drawn.of_seeds.sum(1) == 3).all()
    assert (drawn.of_sentences.sum(1) == 40).all()
