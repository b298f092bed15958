"""Patterns that go by places: as many pairs as the matched table, and the same for a sentence."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ggsa.model import attention
from ggsa.model.batches import Batch
from ggsa.patterns import positional
from ggsa.patterns.pattern import Pattern, pattern_as_json, read_pattern, write_pattern
from ggsa.patterns.positional import Positional
from ggsa.workspace.vocabulary import TAGS

SIZE = len(TAGS)
PUNCT = TAGS.index("PUNCT")
BITS = 2**64 - 1


@st.composite
def cases(
    draw: st.DrawFn, kinds: tuple[str, ...] = (*positional.KINDS, "window of neighbors")
) -> tuple[Pattern, np.ndarray, np.ndarray, np.ndarray]:
    """A pattern and a batch for it: tags and padding `[batch, token]`, identities `[batch]`."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(kinds))
    base = random.random((SIZE, SIZE)) < draw(st.sampled_from([0.0, 0.1, 0.5]))
    bias = np.where(base, 3.0 * (random.random((SIZE, SIZE)) < 0.2), -np.inf).astype(np.float32)
    match = random.random((SIZE, SIZE)) < draw(st.floats(0, 1))
    near = kind in ("separator", "neighbors")
    by_place = Positional(
        kind.removesuffix(" of neighbors"),
        seed=draw(st.integers(0, 2**32 - 1)),
        match=None if near else match,
        reach=draw(st.integers(0, 4)) if near else None,
        match_positional=(
            Positional("neighbors", reach=draw(st.integers(0, 3)))
            if kind.endswith(" of neighbors")
            else None
        ),
    )
    batch, length = draw(st.integers(1, 4)), draw(st.integers(1, 10))
    tags = random.integers(0, SIZE, (batch, length))
    is_padding = np.arange(length)[None] >= random.integers(1, length + 1, batch)[:, None]
    identities = random.integers(0, 2**32, batch)
    return Pattern(kind, TAGS, bias, by_place), tags, is_padding, identities


def allowed(case: tuple) -> np.ndarray:
    pattern, tags, is_padding, identities = case
    return positional.allowed_pairs(
        pattern.positional, pattern.allowed, tags, is_padding, identities
    )


def present(is_padding: np.ndarray) -> np.ndarray:
    return ~(is_padding[:, :, None] | is_padding[:, None, :])


def base_pairs(case: tuple) -> np.ndarray:
    """What the table allows in any case, and every token itself."""
    pattern, tags, is_padding, _ = case
    return positional.pairs_of_table(pattern.allowed, tags) & present(is_padding)


def mixed(x: int) -> int:
    """SplitMix64's finaliser in whole numbers of any size."""
    x = (x + 0x9E3779B97F4A7C15) & BITS
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & BITS
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & BITS
    return x ^ (x >> 31)


def drawn(seed: int, identity: int, query: int, key: int) -> float:
    start = mixed((identity + mixed(seed)) & BITS)
    return (mixed(start ^ ((((query << 20) | key) * 0x9E3779B97F4A7C15) & BITS)) >> 11) * 2.0**-53


def reference_pairs(pattern: Pattern, tags: list[int], identity: int) -> set[tuple[int, int]]:
    """The allowed pairs of one sentence, one by one."""
    extra = pattern.positional
    pairs = [(q, k) for q in range(len(tags)) for k in range(len(tags))]
    base = {(q, k) for q, k in pairs if q == k or pattern.allowed[tags[q], tags[k]]}
    near = {(q, k) for q, k in pairs if abs(q - k) <= (extra.reach or 0)}
    if extra.kind == "neighbors":
        return base | near
    if extra.kind == "separator":
        return base | near | {(q, k) for q, k in pairs if k < 2 or tags[k] == PUNCT}
    matched = {(q, k) for q, k in pairs if q == k or extra.match[tags[q], tags[k]]}
    if extra.match_positional:
        reach = extra.match_positional.reach
        matched |= {(q, k) for q, k in pairs if abs(q - k) <= reach}
    rest = [
        (drawn(extra.seed, identity, q, k) + (abs(q - k) if extra.kind == "window" else 0), q, k)
        for q, k in pairs
        if (q, k) not in base and not (extra.kind == "complement" and (q, k) in matched)
    ]
    return base | {(q, k) for _, q, k in sorted(rest)[: max(0, len(matched) - len(base))]}


@given(cases(kinds=("complement",)))
@settings(deadline=None, max_examples=150)
def test_a_complement_has_the_pairs_of_its_table_or_all_that_the_table_blocks(case: tuple) -> None:
    pattern, tags, is_padding, _ = case
    pairs, base = allowed(case), base_pairs(case)
    matched = positional.pairs_of_table(pattern.positional.match, tags) & present(is_padding)
    assert not (pairs & matched & ~base).any()
    for row in range(len(pairs)):
        blocked = present(is_padding)[row] & ~matched[row] & ~base[row]
        wanted = max(matched[row].sum(), base[row].sum())
        assert pairs[row].sum() == min(wanted, base[row].sum() + blocked.sum())


@given(cases(kinds=("window of neighbors",)))
@settings(deadline=None, max_examples=100)
def test_a_window_can_match_the_pairs_of_a_table_and_neighbors(case: tuple) -> None:
    pattern, tags, is_padding, identities = case
    extra = pattern.positional
    matched = positional.allowed_pairs(
        extra.match_positional, extra.match, tags, is_padding, identities
    )
    wanted = np.maximum(matched.sum((1, 2)), base_pairs(case).sum((1, 2)))
    assert allowed(case).sum((1, 2)).tolist() == wanted.tolist()


@given(cases(kinds=("random", "window")))
@settings(deadline=None, max_examples=150)
def test_every_sentence_has_the_pairs_of_the_denser_of_its_two_tables(case: tuple) -> None:
    pattern, tags, is_padding, _ = case
    matched = positional.pairs_of_table(pattern.positional.match, tags) & present(is_padding)
    wanted = np.maximum(matched.sum((1, 2)), base_pairs(case).sum((1, 2)))
    assert allowed(case).sum((1, 2)).tolist() == wanted.tolist()


@given(cases())
@settings(deadline=None, max_examples=100)
def test_every_token_sees_itself_and_what_its_table_allows_and_padding_sees_nothing(
    case: tuple,
) -> None:
    pairs, is_padding = allowed(case), case[2]
    assert pairs[base_pairs(case)].all()
    assert np.array_equal(np.einsum("bqq->bq", pairs), ~is_padding)
    assert not pairs[~present(is_padding)].any()


@given(cases(kinds=("window",)))
@settings(deadline=None, max_examples=100)
def test_a_window_takes_every_nearer_pair_before_a_farther_one(case: tuple) -> None:
    pairs, free = allowed(case), present(case[2]) & ~base_pairs(case)
    places = np.arange(pairs.shape[1])
    distance = np.abs(places[:, None] - places[None, :])
    for row in range(len(pairs)):
        taken = distance[pairs[row] & free[row]]
        left = distance[~pairs[row] & free[row]]
        assert not len(taken) or not len(left) or taken.max() <= left.min()


@given(cases(), st.integers(0, 5), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=100)
def test_a_sentence_has_one_mask_whatever_batch_padding_or_order_it_stands_in(
    case: tuple, more_padding: int, shuffle: int
) -> None:
    pattern, tags, is_padding, identities = case
    order = np.random.default_rng(shuffle).permutation(len(tags))
    width = [(0, 0), (0, more_padding)]
    together = allowed(
        (
            pattern,
            np.pad(tags[order], width, constant_values=shuffle % SIZE),
            np.pad(is_padding[order], width, constant_values=True),
            identities[order],
        )
    )
    for place, row in enumerate(order):
        end = int((~is_padding[row]).sum())
        one = slice(row, row + 1)
        alone = allowed((pattern, tags[one, :end], is_padding[one, :end], identities[one]))
        assert np.array_equal(together[place, :end, :end], alone[0])
        assert together[place].sum() == alone[0].sum()


@given(
    kind=st.sampled_from(["random", "window"]),
    seeds=st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=2, unique=True),
    draw=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=30)
def test_another_seed_gives_another_mask_and_so_does_another_sentence_of_the_same_tags(
    kind: str, seeds: list[int], draw: int
) -> None:
    random = np.random.default_rng(draw)
    base, match = np.zeros((SIZE, SIZE), bool), random.random((SIZE, SIZE)) < 0.5
    tags = random.integers(0, SIZE, (20, 14))  # 20, since the rings of one may all be full
    is_padding, sentences = np.zeros(tags.shape, bool), np.arange(20)
    one, other, elsewhere = (
        positional.allowed_pairs(Positional(kind, seed, match), base, tags, is_padding, identities)
        for seed, identities in (
            (seeds[0], sentences),
            (seeds[1], sentences),
            (seeds[0], sentences + 20),
        )
    )
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, elsewhere)


@given(cases(kinds=("random", "window", "complement")))
@settings(deadline=None, max_examples=100)
def test_density_counted_from_tags_equals_density_counted_from_masks(case: tuple) -> None:
    pattern, tags, is_padding, _ = case
    counts = np.stack(
        [np.bincount(row[~end], minlength=SIZE) for row, end in zip(tags, is_padding, strict=True)]
    )
    pairs = allowed(case)
    assert pattern.allowed_pairs(counts).tolist() == pairs.sum((1, 2)).tolist()
    assert pattern.density(counts) == pytest.approx(pairs.sum() / present(is_padding).sum())


NEAR = Positional("neighbors", reach=1)
EVERY = np.ones((SIZE, SIZE), bool)


@pytest.mark.parametrize(
    "extra",
    [
        NEAR,
        Positional("separator", reach=1),
        Positional("window", match=EVERY, match_positional=NEAR),
    ],
    ids=lambda extra: extra.kind,
)
def test_pairs_that_depend_on_order_cannot_be_counted_from_tags_and_say_so(
    extra: Positional,
) -> None:
    pattern = Pattern("ordered", TAGS, np.zeros((SIZE, SIZE), np.float32), extra)
    with pytest.raises(ValueError, match="ordered: its pairs cannot be counted"):
        pattern.density(np.ones((2, SIZE), np.int64))


@given(cases())
@settings(deadline=None, max_examples=100)
def test_the_bias_of_a_mask_equals_a_reference_that_ranks_pair_by_pair(case: tuple) -> None:
    pattern, tags, is_padding, identities = case
    length = tags.shape[1]
    expected = np.full((len(tags), 1, length, length), -np.inf, np.float32)
    for row in range(len(tags)):
        end = int((~is_padding[row]).sum())
        pairs = reference_pairs(pattern, tags[row, :end].tolist(), int(identities[row]))
        for query in range(length):
            for key in range(length):
                favor = pattern.bias[tags[row, query], tags[row, key]]
                if np.isfinite(favor) and not is_padding[row, key]:
                    expected[row, 0, query, key] = favor
                elif query == key or (query, key) in pairs:
                    expected[row, 0, query, key] = 0.0
    batch = Batch(
        pieces=torch.zeros(tags.shape, dtype=torch.int64),
        tags=torch.from_numpy(tags),
        is_padding=torch.from_numpy(is_padding),
        labels=torch.zeros(len(tags), dtype=torch.int64),
        identities=torch.from_numpy(identities),
        rows=torch.arange(len(tags)),
    )
    bias = attention.Mask(pattern, torch.device("cpu")).bias(batch)
    assert np.array_equal(bias.numpy(), expected)
    attention.require_open_rows(bias)


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3),
       st.integers(1, 20))  # fmt: skip
@settings(deadline=None)
def test_random_numbers_lie_in_the_unit_interval_and_know_no_batch_or_length(
    seed: int, identities: list[int], length: int
) -> None:
    numbers = positional.uniform(seed, np.array(identities), length)
    assert numbers.shape == (len(identities), length, length)
    assert ((numbers >= 0) & (numbers < 1)).all()
    longer = positional.uniform(seed, np.array(identities[-1:]), length + 7)
    assert np.array_equal(longer[0, :length, :length], numbers[-1])
    assert numbers[-1, -1, -1] == drawn(seed, identities[-1], length - 1, length - 1)


@pytest.mark.parametrize("seed", [0, 13, 42, 71])
def test_random_numbers_are_uniform_and_independent_of_place_sentence_and_seed(seed: int) -> None:
    numbers = positional.uniform(seed, np.arange(40), 32)  # 40,960 numbers
    assert stats.kstest(numbers.ravel(), "uniform").pvalue > 1e-3
    assert stats.chisquare(np.histogram(numbers, 64, (0, 1))[0]).pvalue > 1e-3
    upper, lower = np.triu_indices(32, 1), np.tril_indices(32, -1)
    neighbors = {
        "sentence": (numbers[1:], numbers[:-1]),
        "query": (numbers[:, 1:], numbers[:, :-1]),
        "key": (numbers[:, :, 1:], numbers[:, :, :-1]),
        "direction": (numbers[:, *upper], numbers.transpose(0, 2, 1)[:, *upper]),
        "half": (numbers[:, *upper], numbers[:, *lower]),
        "seed": (numbers, positional.uniform(seed + 1, np.arange(40), 32)),
    }
    for name, (one, other) in neighbors.items():
        # Five standard errors of the correlation of independent numbers.
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 5 / one.size**0.5, name


@given(case=cases())
@settings(deadline=None, max_examples=30)
def test_a_pattern_with_a_positional_part_survives_being_written_and_read(
    case: tuple, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pattern = case[0]
    path: Path = tmp_path_factory.mktemp("patterns") / "pattern.json"
    write_pattern(path, pattern)
    back = read_pattern(path)
    assert (back.mode, back.tags) == (pattern.mode, pattern.tags)
    assert np.array_equal(back.bias, pattern.bias)
    assert np.array_equal(allowed((back, *case[1:])), allowed(case))
    assert pattern_as_json(back) == pattern_as_json(pattern)
