"""Grouped and banded attention against dense attention under the same mask."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tagged_batches import sentences
from transformers import AutoModelForSequenceClassification, BertConfig

from ggsa.model import attention
from ggsa.model.attention import banded, choice, grouped, plan
from ggsa.model.attention.dense import dense_attention
from ggsa.model.attention.grouped import grouped_attention
from ggsa.model.batches import Batch
from ggsa.patterns import positional
from ggsa.patterns.pattern import Pattern
from ggsa.patterns.positional import Positional
from ggsa.patterns.tag_tables import blocked_outside
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import CLS, TAGS

SIZE = len(TAGS)
KEPT = st.sampled_from([0, 2000, grouped.KEPT_BYTES])
"""So that of the blocks none, some or all keep their attention weights."""
CPU = torch.device("cpu")


def both(
    mask: attention.Mask,
    batch: Batch,
    heads: int,
    dim: int,
    dtype: torch.dtype,
    seed: int,
    kept: int = grouped.KEPT_BYTES,
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Outputs and gradients of the dense and the planned implementation, in the sentence's order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouped, "KEPT_BYTES", kept)
        return _both(mask, batch, heads, dim, dtype, seed)


def _both(
    mask: attention.Mask, batch: Batch, heads: int, dim: int, dtype: torch.dtype, seed: int
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    torch.manual_seed(seed)
    shape = (len(batch.tags), heads, batch.tags.shape[1], dim)
    inputs = [torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(3)]
    weights = torch.randn(shape, dtype=dtype) * ~batch.is_padding[:, None, :, None]
    laid = mask.plan(batch)
    order = laid.order[:, None, :, None].expand(shape)
    dense = dense_attention(*inputs, mask.bias(batch).to(dtype))
    moved = grouped_attention(*(x.gather(2, order) for x in inputs), laid)
    planned = torch.zeros_like(dense).scatter(2, order, moved)
    planned_gradients = torch.autograd.grad((planned * weights).sum(), inputs)
    dense_gradients = torch.autograd.grad((dense * weights).sum(), inputs)
    real = ~batch.is_padding[:, None, :, None]
    return [(dense * real, planned * real), *zip(dense_gradients, planned_gradients, strict=True)]


def pattern_of(allowed: np.ndarray, extra: Positional | None = None) -> Pattern:
    return Pattern("hard", TAGS, blocked_outside(allowed), extra)


@settings(max_examples=500, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    density=st.floats(0, 1),
    batch=st.integers(1, 3),
    length=st.integers(2, 24),
    kinds=st.integers(1, SIZE - 2),
    heads=st.integers(1, 3),
    dim=st.sampled_from([4, 8, 64]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    kept=KEPT,
)
def test_grouped_attention_and_its_gradients_equal_dense_attention(
    seed, density, batch, length, kinds, heads, dim, dtype, kept
) -> None:
    random = np.random.default_rng(seed)
    mask = attention.Mask(pattern_of(random.random((SIZE, SIZE)) < density), CPU)
    rows = sentences(random, batch, length, kinds)
    for dense, planned in both(mask, rows, heads, dim, dtype, seed, kept):
        assert torch.isfinite(planned).all()
        torch.testing.assert_close(planned, dense, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_grouped_attention_in_half_precision_is_about_as_far_from_double_as_dense_is(
    dtype,
) -> None:
    random = np.random.default_rng(3)
    mask = attention.Mask(pattern_of(random.random((SIZE, SIZE)) < 0.3), CPU)
    rows = sentences(random, 2, 40, 12)
    exact = both(mask, rows, 2, 16, torch.float64, 5)
    shape = (2, 2, 40, 16)
    torch.manual_seed(5)
    inputs = [torch.randn(shape, dtype=torch.float64).to(dtype) for _ in range(3)]
    laid = mask.plan(rows)
    order = laid.order[:, None, :, None].expand(shape)
    moved = grouped_attention(*(x.gather(2, order) for x in inputs), laid)
    real = ~rows.is_padding[:, None, :, None]
    found = torch.zeros(shape, dtype=dtype).scatter(2, order, moved) * real
    dense = dense_attention(*inputs, mask.bias(rows)) * real
    far = (found.double() - exact[0][0]).abs().max()
    # Twice: a token that sees itself besides is rounded once more.
    assert far <= 2 * (dense.double() - exact[0][0]).abs().max()


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["window", "window of neighbors", "separator"]),
    open_row=st.booleans(),
    density=st.floats(0, 1),
    length=st.integers(2, 150),
    reach=st.integers(0, 5),
    kept=KEPT,
)
def test_bands_and_their_gradients_equal_dense_attention(
    seed, kind, open_row, density, length, reach, kept
) -> None:
    random = np.random.default_rng(seed)
    table = np.zeros((SIZE, SIZE), bool)
    table[TAGS.index(CLS)] = open_row
    match = random.random((SIZE, SIZE)) < density
    near = Positional("neighbors", reach=reach)
    extra = {
        "window": Positional("window", seed % 1000, match),
        "window of neighbors": Positional("window", seed % 1000, match, match_positional=near),
        "separator": Positional("separator", reach=reach),
    }[kind]
    pattern = pattern_of(table, extra)
    assert banded.can_plan(pattern)
    mask = attention.Mask(pattern, CPU)
    rows = sentences(random, 2, length, 9)
    arrays = (rows.tags.numpy(), rows.is_padding.numpy(), rows.identities.numpy())
    ranked = positional.allowed_pairs(pattern.positional, pattern.allowed, *arrays)
    real = ~rows.is_padding[:, :, None]
    seen = torch.isfinite(mask.bias(rows))[:, 0]
    assert torch.equal(seen & real, torch.from_numpy(ranked) & real)
    for dense, planned in both(mask, rows, 1, 8, torch.float64, seed, kept):
        torch.testing.assert_close(planned, dense, rtol=0, atol=1e-9)


def test_a_window_computes_little_more_than_the_pairs_that_it_allows() -> None:
    random = np.random.default_rng(0)
    table = np.zeros((SIZE, SIZE), bool)
    table[TAGS.index(CLS)] = True
    pattern = pattern_of(table, Positional("window", 1, random.random((SIZE, SIZE)) < 0.3))
    rows = sentences(random, 1, 1024, 15)
    arrays = (rows.tags.numpy(), rows.is_padding.numpy(), rows.identities.numpy())
    allowed = positional.allowed_pairs(pattern.positional, pattern.allowed, *arrays).sum()
    assert allowed <= attention.Mask(pattern, CPU).plan(rows).pairs <= 1.25 * allowed


@given(seed=st.integers(0, 2**32 - 1), density=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_a_plan_computes_exactly_the_pairs_that_its_table_allows(seed, density) -> None:
    random = np.random.default_rng(seed)
    allowed = random.random((SIZE, SIZE)) < density
    rows = sentences(random, 3, 30, 10)
    counts = np.stack(
        [
            np.bincount(row[~gone], minlength=SIZE)
            for row, gone in zip(rows.tags.numpy(), rows.is_padding.numpy(), strict=True)
        ]
    )
    pattern = pattern_of(allowed)
    laid = attention.Mask(pattern, CPU).plan(rows)
    assert laid.pairs == pattern.allowed_pairs(counts).sum()
    queries = [row for block in laid.blocks for row in range(block.start, block.stop)]
    assert (
        sorted(queries)
        == np.flatnonzero(~rows.is_padding.gather(1, laid.order).numpy().ravel()).tolist()
    )


def test_the_first_token_of_a_sentence_stays_first_and_padding_last() -> None:
    random = np.random.default_rng(1)
    rows = sentences(random, 4, 20, 8)
    order = attention.Mask(pattern_of(random.random((SIZE, SIZE)) < 0.4), CPU).plan(rows).order
    assert (order[:, 0] == 0).all()
    assert (order.sort(1).values == torch.arange(20)).all()
    lengths = (~rows.is_padding).sum(1)
    for row, length in zip(order, lengths, strict=True):
        assert (row[length:] >= length).all()


def test_a_table_that_allows_all_is_one_rectangle_per_sentence() -> None:
    rows = sentences(np.random.default_rng(2), 3, 12, 8)
    laid = attention.Mask(pattern_of(np.ones((SIZE, SIZE), bool)), CPU).plan(rows)
    assert len(laid.blocks) == 3
    assert laid.pairs == int(((~rows.is_padding).sum(1) ** 2).sum())


def test_a_table_is_compiled_into_fewer_runs_than_its_tags_have_in_their_own_order() -> None:
    from ggsa.patterns.rules import hard_table
    from ggsa.workspace import config

    hard = hard_table(config.load().rules, None, np.zeros((1, SIZE)))
    compiled = plan.compile_table(hard)
    own = sum(len(plan._runs(row)) for row in hard)
    assert sum(map(len, compiled.runs)) <= 0.69 * own


def test_what_is_kept_of_a_block_does_not_grow_with_the_square_of_a_sentences_length() -> None:
    window = Positional("window", 1, np.random.default_rng(4).random((SIZE, SIZE)) < 0.3)
    tables = (np.eye(SIZE, dtype=bool), np.zeros((SIZE, SIZE), bool))
    for table, extra in zip(tables, (None, window), strict=True):
        table[TAGS.index(CLS)] = True
        mask = attention.Mask(pattern_of(table, extra), CPU)
        for length in (2048, 4096):
            rows = sentences(np.random.default_rng(6), 1, length, 12)
            heads = torch.randn(3, 1, 2, length, 4, requires_grad=True)
            saved: list[int] = []
            with torch.autograd.graph.saved_tensors_hooks(
                lambda x, saved=saved: saved.append(x.numel()), lambda x: x
            ):
                grouped_attention(*heads, mask.plan(rows))
            assert 2 * length * 4 * 4 < sum(saved) <= 2 * length * (4 * 4 + grouped.KEPT_KEYS + 1)


def test_what_grouped_attention_cannot_compute_raises_an_error_that_names_it() -> None:
    extra = Positional("random", 1, np.ones((SIZE, SIZE), bool))
    with pytest.raises(UserError, match="only tables that allow or block"):
        attention.Mask(pattern_of(np.eye(SIZE, dtype=bool), extra), CPU, "grouped")
    window = Positional("window", 1, np.ones((SIZE, SIZE), bool))
    with pytest.raises(UserError, match="grouped cannot compute the mode hard on cuda"):
        attention.Mask(
            pattern_of(np.zeros((SIZE, SIZE), bool), window), torch.device("cuda"), "grouped"
        )
    soft = Pattern("soft", TAGS, np.full((SIZE, SIZE), 5.0, np.float32))
    with pytest.raises(UserError, match="grouped cannot compute the mode soft"):
        attention.Mask(soft, CPU, "grouped")
    with pytest.raises(
        UserError, match="grouped runs on a CPU or with CUDA, and the device is meta"
    ):
        attention.Mask(pattern_of(np.eye(SIZE, dtype=bool)), torch.device("meta"), "grouped")
    with pytest.raises(UserError, match=r"unknown implementation sparse.*auto, dense, grouped"):
        attention.Mask(soft, CPU, "sparse")
    attended = torch.nn.Linear(1, 1)  # in training
    with pytest.raises(ValueError, match="grouped attention has no dropout"):
        attention.interface.attention(
            attended, None, None, None, None, 0.1, plan=plan.Plan(None, ())
        )


def test_auto_takes_the_mask_on_a_device_that_is_neither_a_cpu_nor_cuda() -> None:
    sizes = BertConfig(hidden_size=128, num_hidden_layers=2, num_attention_heads=2)
    pattern = pattern_of(np.eye(SIZE, dtype=bool))
    mask = attention.Mask(pattern, torch.device("meta"), "auto", sizes)
    assert "attention_mask" in mask.inputs(sentences(np.random.default_rng(8), 4, 1024, 12))


@given(seed=st.integers(0, 2**32 - 1), density=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_the_work_by_which_auto_chooses_is_the_work_of_the_plan(seed, density) -> None:
    random = np.random.default_rng(seed)
    table = plan.compile_table(random.random((SIZE, SIZE)) < density)
    rows = sentences(random, 3, 30, 10)
    counts = plan.counts_by_rank(table, rows.tags.numpy(), rows.is_padding.numpy())[:, :-1]
    done = choice.work(table, counts)
    laid = plan.plan(table, rows.tags, rows.is_padding)
    assert done.calls == len(laid.blocks)
    assert done.pairs == laid.pairs
    assert done.rows == sum(block.stop - block.start + block.key_count for block in laid.blocks)


def test_auto_takes_the_mask_for_short_sentences_and_rectangles_for_long_ones() -> None:
    random = np.random.default_rng(8)
    sizes = BertConfig(hidden_size=128, num_hidden_layers=2, num_attention_heads=2)
    mask = attention.Mask(pattern_of(random.random((SIZE, SIZE)) < 0.3), CPU, "auto", sizes)
    assert "attention_mask" in mask.inputs(sentences(random, 32, 25, 12))
    assert "plan" in mask.inputs(sentences(random, 4, 1024, 12))


def test_auto_counts_nothing_for_a_batch_so_short_that_counting_costs_too_much(monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("counted")

    monkeypatch.setattr(choice, "work", refuse)
    table = plan.compile_table(np.eye(SIZE, dtype=bool))
    short, long = (sentences(np.random.default_rng(8), 1, length, 12) for length in (128, 1024))
    assert not choice.grouped_is_faster(table, short.tags, short.is_padding, 768, 1)
    with pytest.raises(AssertionError, match="counted"):
        choice.grouped_is_faster(table, long.tags, long.is_padding, 768, 1)


def test_a_model_learns_the_same_under_grouped_and_under_dense_attention() -> None:
    random = np.random.default_rng(5)
    pattern = pattern_of(random.random((SIZE, SIZE)) < 0.3)
    batches = [sentences(random, 8, int(random.integers(60, 120)), 12) for _ in range(25)]
    curves = {name: loss_curve(pattern, batches, name) for name in ("dense", "grouped")}
    assert curves["dense"][-1] < 0.8 * curves["dense"][0]
    np.testing.assert_allclose(curves["grouped"], curves["dense"], rtol=0, atol=1e-4)


def loss_curve(pattern: Pattern, batches: list[Batch], implementation: str) -> list[float]:
    """Losses of a small BERT that learns whether a sentence holds more of one tag than of another."""
    torch.manual_seed(11)
    sizes = BertConfig(
        vocab_size=SIZE, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    model = AutoModelForSequenceClassification.from_config(
        sizes, attn_implementation=attention.NAME
    )
    mask = attention.Mask(pattern, CPU, implementation, sizes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    for batch in batches:
        tags = batch.tags.masked_fill(batch.is_padding, -1)
        labels = ((tags < SIZE // 2).sum(1) > (tags >= SIZE // 2).sum(1)).long()
        loss = torch.nn.functional.cross_entropy(model(**mask.inputs(batch)).logits, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def test_full_attention_pays_for_no_mask_and_gives_what_it_gave_under_one() -> None:
    random = np.random.default_rng(9)
    full = Pattern("full", TAGS, np.zeros((SIZE, SIZE), np.float32))
    mask = attention.Mask(full, CPU)
    torch.manual_seed(2)
    for rows in (sentences(random, 3, 12, 8), sentences(random, 1, 12, 8)):
        length = rows.tags.shape[1]
        inputs = [torch.randn(len(rows.tags), 2, length, 8) for _ in range(3)]
        laid = mask.inputs(rows)["attention_mask"]
        assert laid is None or laid.shape == (len(rows.tags), 1, 1, length)
        assert (laid is None) == (not rows.is_padding.any())
        real = ~rows.is_padding[:, None, :, None]
        found, wanted = (dense_attention(*inputs, bias) * real for bias in (laid, mask.bias(rows)))
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
