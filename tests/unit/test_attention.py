"""The pattern's bias and the attention under it, against loops and against transformers' own."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertForSequenceClassification

from ggsa.model import attention
from ggsa.model.attention.dense import dense_attention
from ggsa.patterns.pattern import Pattern
from ggsa.workspace.vocabulary import TAGS

SIZE = len(TAGS)


@st.composite
def cases(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    table = np.where(random.random((SIZE, SIZE)) < draw(st.floats(0, 1)), 0.0, -np.inf)
    table += np.where(random.random((SIZE, SIZE)) < 0.2, 3.0, 0.0)
    batch, length = draw(st.integers(1, 3)), draw(st.integers(1, 9))
    tags = random.integers(0, SIZE, (batch, length))
    ends = random.integers(1, length + 1, batch)
    is_padding = np.arange(length)[None] >= ends[:, None]
    return (
        torch.tensor(table, dtype=torch.float32),
        torch.from_numpy(tags),
        torch.from_numpy(is_padding),
    )


def reference_bias(
    table: torch.Tensor, tags: torch.Tensor, is_padding: torch.Tensor
) -> torch.Tensor:
    batch, length = tags.shape
    bias = torch.empty(batch, 1, length, length)
    for b in range(batch):
        for q in range(length):
            for k in range(length):
                value = table[tags[b, q], tags[b, k]].item()
                if is_padding[b, k]:
                    value = -np.inf
                if q == k and not np.isfinite(value):
                    value = 0.0
                bias[b, 0, q, k] = value
    return bias


def model(implementation: str, dropout: float = 0.0) -> BertForSequenceClassification:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    config._attn_implementation = implementation
    return BertForSequenceClassification(config).eval()


@given(cases())
@settings(deadline=None, max_examples=60)
def test_the_bias_equals_a_three_loop_reference(case: tuple) -> None:
    assert torch.equal(attention.pattern_bias(*case), reference_bias(*case))


@given(cases())
@settings(deadline=None, max_examples=60)
def test_every_query_may_attend_to_something(case: tuple) -> None:
    attention.require_open_rows(attention.pattern_bias(*case))


def test_a_row_that_may_attend_to_nothing_raises_an_error() -> None:
    bias = torch.zeros(1, 1, 3, 3)
    bias[0, 0, 1] = -torch.inf
    with pytest.raises(ValueError, match=r"\(0, 0, 1\) may attend to nothing"):
        attention.require_open_rows(bias)


def test_an_all_allowed_table_equals_full_attention_of_transformers() -> None:
    pieces = torch.randint(1, 50, (3, 7))
    is_padding = torch.arange(7)[None] >= torch.tensor([7, 4, 2])[:, None]
    tags = torch.randint(0, SIZE, (3, 7))
    ours, stock = model(attention.NAME), model("eager")
    stock.load_state_dict(ours.state_dict())
    bias = attention.pattern_bias(torch.zeros(SIZE, SIZE), tags, is_padding)
    with torch.no_grad():
        expected = stock(input_ids=pieces, attention_mask=(~is_padding).long()).logits
        torch.testing.assert_close(
            ours(input_ids=pieces, attention_mask=bias).logits, expected, atol=1e-5, rtol=0
        )
        # The same model used elsewhere, with an ordinary padding mask, must not see padding.
        torch.testing.assert_close(
            ours(input_ids=pieces, attention_mask=(~is_padding).long()).logits,
            expected,
            atol=1e-5,
            rtol=0,
        )


@given(cases())
@settings(deadline=None, max_examples=20)
def test_padding_never_changes_a_sentence(case: tuple) -> None:
    table, tags, is_padding = case
    network = model(attention.NAME)
    pieces = torch.randint(1, 50, tags.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        together = network(
            input_ids=pieces, attention_mask=attention.pattern_bias(table, tags, is_padding)
        ).logits
        for row in range(len(tags)):
            end = int((~is_padding[row]).sum())
            alone = network(
                input_ids=pieces[row : row + 1, :end],
                attention_mask=attention.pattern_bias(
                    table, tags[row : row + 1, :end], is_padding[row : row + 1, :end]
                ),
            ).logits
            torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=0)


def test_a_blocked_piece_has_no_influence_on_a_query_that_sees_only_itself() -> None:
    table = torch.full((SIZE, SIZE), -torch.inf)
    bias = attention.pattern_bias(
        table, torch.zeros(1, 4, dtype=torch.long), torch.zeros(1, 4, dtype=torch.bool)
    )
    query, key, value = (torch.randn(1, 2, 4, 8) for _ in range(3))
    output = dense_attention(query, key, value, bias)
    torch.testing.assert_close(output, value)


@given(cases())
@settings(deadline=None, max_examples=40)
def test_allowed_pairs_counted_from_tags_equal_the_pairs_that_are_open(case: tuple) -> None:
    table, tags, is_padding = case
    pattern = Pattern("hard", TAGS, table.numpy())
    counts = np.stack(
        [
            np.bincount(row[~padded], minlength=SIZE)
            for row, padded in zip(tags.numpy(), is_padding.numpy(), strict=True)
        ]
    )
    is_open = torch.isfinite(attention.pattern_bias(table, tags, is_padding))[:, 0]
    is_open &= ~is_padding[:, :, None] & ~is_padding[:, None, :]
    assert pattern.allowed_pairs(counts).tolist() == is_open.sum((1, 2)).tolist()
