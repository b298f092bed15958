"""The index and the gradients of segments, against dense attention under the same mask."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from segment_reference import LOOP
from tagged_batches import sentences

from ggsa.model import attention
from ggsa.model.attention import segments
from ggsa.model.attention.dense import dense_attention
from ggsa.model.attention.varlen import segment_attention
from ggsa.model.batches import Batch
from ggsa.patterns.pattern import Pattern
from ggsa.patterns.tag_tables import blocked_outside
from ggsa.workspace.vocabulary import CLS, TAGS

SIZE = len(TAGS)
CPU = torch.device("cpu")


def table_of(random: np.random.Generator, density: float, kinds_of_rows: int) -> np.ndarray:
    """A random table, whose rows repeat if there are fewer kinds of them than tags."""
    kinds = random.random((kinds_of_rows, SIZE)) < density
    return kinds[random.integers(kinds_of_rows, size=SIZE)]


def planned(allowed: np.ndarray, batch: Batch) -> segments.Segments:
    return segments.plan(segments.compile_groups(allowed, CPU), batch.tags, batch.is_padding)


def with_gradients(output: torch.Tensor, inputs: list, weights: torch.Tensor) -> list:
    return [output * (weights != 0), *torch.autograd.grad((output * weights).sum(), inputs)]


@settings(max_examples=500, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    density=st.floats(0, 1),
    kinds_of_rows=st.integers(1, SIZE),
    batch=st.integers(1, 4),
    length=st.integers(2, 24),
    kinds=st.integers(1, SIZE - 2),
    heads=st.integers(1, 3),
    dim=st.sampled_from([4, 8]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_segments_and_their_gradients_equal_dense_attention(
    seed, density, kinds_of_rows, batch, length, kinds, heads, dim, dtype
) -> None:
    random = np.random.default_rng(seed)
    allowed = table_of(random, density, kinds_of_rows)
    rows = sentences(random, batch, length, kinds)
    torch.manual_seed(seed)
    shape = (batch, heads, length, dim)
    inputs = [torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(3)]
    real = ~rows.is_padding[:, None, :, None]
    weights = torch.randn(shape, dtype=dtype) * real
    mask = attention.Mask(Pattern("hard", TAGS, blocked_outside(allowed)), CPU)
    dense = dense_attention(*inputs, mask.bias(rows).to(dtype))
    laid = planned(allowed, rows)
    order = laid.order[:, None, :, None].expand(shape)
    sorted_ = segment_attention(*(x.gather(2, order) for x in inputs), laid, kernel=LOOP)
    assert not sorted_[(~real).expand(shape).gather(2, order)].any()
    moved = torch.zeros_like(dense).scatter(2, order, sorted_)
    for expected, got in zip(
        with_gradients(dense, inputs, weights), with_gradients(moved, inputs, weights), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), density=st.floats(0, 1), kinds_of_rows=st.integers(1, SIZE))
def test_a_segment_has_the_queries_and_keys_of_one_sentence_that_the_table_allows(
    seed, density, kinds_of_rows
) -> None:
    random = np.random.default_rng(seed)
    allowed = table_of(random, density, kinds_of_rows)
    rows = sentences(random, 3, 20, 9)
    laid = planned(allowed, rows)
    tags = rows.tags.gather(1, laid.order).flatten().numpy()
    padding = rows.is_padding.gather(1, laid.order).flatten().numpy()
    sentence = np.arange(len(tags)) // rows.tags.shape[1]
    queries, keys = laid.queries.tolist(), laid.keys.tolist()
    assert (queries[0], queries[-1]) == (0, len(tags))
    assert (keys[0], keys[-1]) == (0, len(laid.gathered))
    for i in range(len(queries) - 1):
        gathered = laid.gathered[keys[i] : keys[i + 1]].tolist()
        for row in range(*queries[i : i + 2]):
            sees = allowed[tags[row], tags] & (sentence == sentence[row]) & ~padding
            assert gathered == np.flatnonzero(sees & ~padding[row]).tolist()
        assert gathered == [] or queries[i] < queries[i + 1]
    assert laid.most_queries == np.diff(queries).max()
    assert laid.most_keys == np.diff(keys).max()


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), density=st.floats(0, 1))
def test_the_copies_of_a_row_are_the_gathered_keys_that_came_from_it(seed, density) -> None:
    random = np.random.default_rng(seed)
    laid = planned(random.random((SIZE, SIZE)) < density, sentences(random, 3, 20, 9))
    copied = laid.copied.tolist()
    for row in range(laid.order.numel()):
        copies = laid.copies[copied[row] : copied[row + 1]]
        assert copies.tolist() == (laid.gathered == row).nonzero().flatten().tolist()


def test_tags_with_the_same_keys_share_a_segment() -> None:
    rows = sentences(np.random.default_rng(2), 3, 12, 8)
    laid = planned(np.ones((SIZE, SIZE), bool), rows)
    lengths = (~rows.is_padding).sum(1)
    assert laid.queries.diff().view(3, 2)[:, 0].tolist() == lengths.tolist()
    assert laid.gathered.numel() == lengths.sum()


def test_only_rows_whose_own_pair_is_blocked_attend_to_themselves_in_addition() -> None:
    rows = sentences(np.random.default_rng(3), 3, 12, 8)
    assert planned(np.eye(SIZE, dtype=bool), rows).itself is None
    laid = planned(np.zeros((SIZE, SIZE), bool), rows)
    assert torch.equal(laid.itself, ~rows.is_padding.gather(1, laid.order).flatten())


@pytest.mark.parametrize("density", [0.2, 1.0])
def test_the_first_token_stays_first_and_padding_last_in_segments(density) -> None:
    random = np.random.default_rng(1)
    rows = sentences(random, 4, 20, 8)
    allowed = random.random((SIZE, SIZE)) < density
    allowed[TAGS.index(CLS)] = allowed[5]  # shares its group
    order = planned(allowed, rows).order
    assert (order[:, 0] == 0).all()
    assert (order.sort(1).values == torch.arange(20)).all()
    lengths = (~rows.is_padding).sum(1)
    for row, length in zip(order, lengths, strict=True):
        assert (row[length:] >= length).all()
