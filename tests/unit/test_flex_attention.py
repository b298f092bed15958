"""FlexAttention's tiles against the dense mask: the same pairs, and every tile said rightly."""

import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tagged_batches import sentences
from torch.nn.attention.flex_attention import flex_attention

from ggsa.model import attention
from ggsa.model.attention.dense import dense_attention
from ggsa.model.attention.flex import Flex, flexible_attention, of_places, of_table
from ggsa.model.batches import Batch
from ggsa.patterns.pattern import Pattern
from ggsa.patterns.positional import Positional
from ggsa.patterns.tag_tables import blocked_outside
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import CLS, TAGS

SIZE = len(TAGS)
CPU = torch.device("cpu")


def pattern_of(random: np.random.Generator, kind: str, density: float, reach: int) -> Pattern:
    match = random.random((SIZE, SIZE)) < density
    table = np.zeros((SIZE, SIZE), bool)
    table[TAGS.index(CLS)] = bool(random.integers(2))
    if kind == "window":
        extra = Positional("window", int(random.integers(1000)), match)
        return Pattern("window", TAGS, blocked_outside(table), extra)
    if kind == "separator":
        return Pattern("separator", TAGS, blocked_outside(table), Positional(kind, reach=reach))
    if kind == "soft":
        return Pattern("soft", TAGS, np.where(match, 3.0, 0.0).astype(np.float32))
    return Pattern("hard", TAGS, blocked_outside(match))


def laid(pattern: Pattern, batch: Batch, tile: int) -> tuple[Flex, torch.Tensor]:
    """What FlexAttention gets, and in which order tokens stand."""
    mask = attention.Mask(pattern, CPU, "flex")
    inputs = mask.inputs(batch)
    if pattern.positional is not None:
        places = attention.interface.banded.places(
            pattern, batch.tags, batch.is_padding, batch.identities
        )
        return of_places(places, CPU, tile), inputs["position_ids"]
    return of_table(mask.plan(batch), mask._ranked_bias(), tile), inputs["position_ids"]


CASES = {
    "seed": st.integers(0, 2**32 - 1),
    "kind": st.sampled_from(["hard", "soft", "window", "separator"]),
    "density": st.floats(0, 1),
    "length": st.integers(2, 70),
    "reach": st.integers(0, 6),
}


@settings(max_examples=80, deadline=None)
@given(**CASES, tile=st.sampled_from([8, 16]))
def test_every_pair_is_allowed_as_under_the_dense_mask_and_lies_in_a_tile_that_says_so(
    seed, kind, density, length, reach, tile
) -> None:
    random = np.random.default_rng(seed)
    pattern = pattern_of(random, kind, density, reach)
    batch = sentences(random, 2, length, 9)
    flex, order = laid(pattern, batch, tile)
    places = torch.arange(length)
    b, q, k = (torch.arange(2)[:, None, None], places[None, :, None], places[None, None, :])
    may = flex.block_mask.mask_mod(b, torch.tensor(0), q, k).expand(2, length, length)

    bias = attention.Mask(pattern, CPU).bias(batch)[:, 0]
    moved = bias.gather(1, order[:, :, None].expand(-1, -1, length))
    moved = torch.isfinite(moved.gather(2, order[:, None, :].expand(-1, length, -1)))
    real = ~batch.is_padding.gather(1, order)[:, :, None]  # what padding looks at matters to nobody
    assert torch.equal(may & real, moved & real)

    tiles = -(-length // tile)
    padded = torch.zeros(2, tiles * tile, tiles * tile, dtype=torch.bool)
    padded[:, :length, :length] = may
    by_tile = padded.view(2, tiles, tile, tiles, tile).permute(0, 1, 3, 2, 4).flatten(3)
    inside = torch.zeros_like(padded)
    inside[:, :length, :length] = True
    inside = inside.view(2, tiles, tile, tiles, tile).permute(0, 1, 3, 2, 4).flatten(3)
    some, whole = listed(flex, tiles, full=False), listed(flex, tiles, full=True)
    assert not (some & whole).any()
    assert (by_tile.any(-1) <= (some | whole)).all()
    assert (whole <= (by_tile | ~inside).all(-1)).all()


def listed(flex: Flex, tiles: int, full: bool) -> torch.Tensor:
    """Which tiles a block mask lists, bool `[batch, tile, tile]`."""
    mask = flex.block_mask
    count = (mask.full_kv_num_blocks if full else mask.kv_num_blocks)[:, 0]
    index = (mask.full_kv_indices if full else mask.kv_indices)[:, 0]
    chosen = torch.zeros(count.shape[0], tiles, tiles, dtype=torch.bool)
    kept = torch.arange(tiles) < count[:, :, None]
    return chosen.scatter(2, index.long(), kept)


@settings(max_examples=40, deadline=None)
@given(**CASES)
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_attention_equals_dense_attention(seed, kind, density, length, reach) -> None:
    random = np.random.default_rng(seed)
    pattern = pattern_of(random, kind, density, reach)
    batch = sentences(random, 2, length, 9)
    flex, order = laid(pattern, batch, 128)
    dense, moved = dense_and_moved(pattern, batch, order, length)
    found = flex_attention(*moved, score_mod=flex.score, block_mask=flex.block_mask)
    compare(dense, found, order, batch)


def dense_and_moved(pattern, batch, order, length):
    torch.manual_seed(1)
    inputs = [torch.randn(2, 2, length, 16) for _ in range(3)]
    index = order[:, None, :, None].expand(2, 2, length, 16)
    dense = dense_attention(*inputs, attention.Mask(pattern, CPU).bias(batch))
    return dense, [x.gather(2, index) for x in inputs]


def compare(dense, found, order, batch) -> None:
    index = order[:, None, :, None].expand_as(dense)
    back = torch.zeros_like(dense).scatter(2, index, found)
    real = ~batch.is_padding[:, None, :, None]
    torch.testing.assert_close(back * real, dense * real, rtol=0, atol=1e-5)


@pytest.mark.skipif(not shutil.which("g++"), reason="compiling FlexAttention wants g++")
@pytest.mark.parametrize("kind", ["hard", "window"])
def test_compiled_flex_attention_equals_dense_attention(kind) -> None:
    random = np.random.default_rng(4)
    pattern = pattern_of(random, kind, 0.3, 2)
    batch = sentences(random, 2, 300, 9)
    flex, order = laid(pattern, batch, 128)
    dense, moved = dense_and_moved(pattern, batch, order, 300)
    with torch.no_grad():
        compare(dense, flexible_attention(*moved, flex), order, batch)


def test_sorting_by_tag_empties_tiles_that_a_sentence_as_written_fills() -> None:
    random = np.random.default_rng(6)
    batch = sentences(random, 1, 1024, 15)
    pattern = pattern_of(random, "hard", 0.25, 0)
    flex, _ = laid(pattern, batch, 64)
    tiles = 1024 // 64
    computed = listed(flex, tiles, False).sum() + listed(flex, tiles, True).sum()
    tags = batch.tags.view(1, tiles, 64)
    assert computed < 0.75 * tiles**2
    allowed = torch.from_numpy(pattern.allowed)
    as_written = [
        allowed[tags[0, i][:, None], tags[0, j][None]].any()
        for i in range(tiles)
        for j in range(tiles)
    ]
    assert all(as_written)


def test_flex_refuses_what_has_no_tiles_and_a_backward_on_a_cpu() -> None:
    extra = Positional("random", 1, np.ones((SIZE, SIZE), bool))
    with pytest.raises(UserError, match="no tile of it is ever empty"):
        attention.Mask(
            Pattern("random", TAGS, blocked_outside(np.eye(SIZE) > 0), extra), CPU, "flex"
        )
    x = torch.randn(1, 1, 4, 8, requires_grad=True)
    with pytest.raises(ValueError, match="no backward on a CPU"):
        flexible_attention(x, x, x, None)
