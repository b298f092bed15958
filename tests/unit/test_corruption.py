"""Tags with random errors, and randomly masked pieces."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ggsa.model.batches import Batch, with_masked_tokens
from ggsa.tagging.corruption import corrupted, stream_of
from ggsa.workspace.paths import SPLITS
from ggsa.workspace.vocabulary import CLS, SEP, TAGS, UNIVERSAL_TAGS

SENTENCES = st.lists(st.lists(st.sampled_from(UNIVERSAL_TAGS), max_size=12), max_size=8)
SHARES = st.floats(0, 1)
SEEDS = st.integers(0, 2**32 - 1)
MASK = 103


def many(number: int = 1500) -> list[list[str]]:
    random = np.random.default_rng(3)
    return [list(random.choice(UNIVERSAL_TAGS, 20)) for _ in range(number)]


@given(SENTENCES, st.sampled_from(SPLITS), SEEDS)
def test_a_share_of_zero_changes_nothing(tags: list, split: str, seed: int) -> None:
    assert corrupted(tags, 0.0, stream_of(split, seed)) == tags


@given(SENTENCES, SHARES, SHARES, st.sampled_from(SPLITS), SEEDS)
def test_a_larger_share_keeps_the_errors_of_a_smaller_one(
    tags: list, one: float, other: float, split: str, seed: int
) -> None:
    few, many = (corrupted(tags, share, stream_of(split, seed)) for share in sorted((one, other)))
    for before, less, more in zip(tags, few, many, strict=True):
        for tag, a, b in zip(before, less, more, strict=True):
            assert a in (tag, b)


@given(SENTENCES, st.sampled_from(SPLITS), SEEDS)
def test_a_share_of_one_leaves_no_tag_as_it_was_and_gives_universal_tags(
    tags: list, split: str, seed: int
) -> None:
    for before, after in zip(tags, corrupted(tags, 1.0, stream_of(split, seed)), strict=True):
        assert set(after) <= set(UNIVERSAL_TAGS)
        assert all(a != b for a, b in zip(before, after, strict=True))


@given(SENTENCES, SHARES, st.sampled_from(SPLITS), SEEDS)
def test_the_same_split_seed_and_share_give_the_same_errors(
    tags: list, share: float, split: str, seed: int
) -> None:
    assert corrupted(tags, share, stream_of(split, seed)) == corrupted(
        tags, share, stream_of(split, seed)
    )


def test_another_split_or_seed_gives_other_errors() -> None:
    tags = many(20)
    first = corrupted(tags, 0.4, stream_of("train", 13))
    assert first != corrupted(tags, 0.4, stream_of("train", 42))
    assert first != corrupted(tags, 0.4, stream_of("validation", 13))


def test_the_rate_of_errors_is_the_share_and_every_other_tag_is_as_likely() -> None:
    tags = many()  # 30,000 tags
    for share in (0.05, 0.1, 0.2, 0.4):
        pairs = [
            (a, b)
            for before, after in zip(
                tags, corrupted(tags, share, stream_of("train", 42)), strict=True
            )
            for a, b in zip(before, after, strict=True)
        ]
        wrong = [(a, b) for a, b in pairs if a != b]
        error = (share * (1 - share) / len(pairs)) ** 0.5
        assert abs(len(wrong) / len(pairs) - share) < 5 * error
        steps = [(UNIVERSAL_TAGS.index(b) - UNIVERSAL_TAGS.index(a)) % 17 for a, b in wrong]
        seen = np.bincount(steps, minlength=17)[1:]
        assert np.abs(seen - seen.mean()).max() < 5 * seen.mean() ** 0.5


def batch(draw: int, sentences: int, length: int) -> Batch:
    random = np.random.default_rng(draw)
    ends = random.integers(2, length + 1, sentences)
    places = np.arange(length)[None]
    tags = random.integers(0, len(UNIVERSAL_TAGS), (sentences, length))
    tags[:, 0] = TAGS.index(CLS)
    tags[np.arange(sentences), ends - 1] = TAGS.index(SEP)
    is_padding = places >= ends[:, None]
    tags[is_padding] = 0  # as batches.collate has it: the index of a word's tag
    arrays = (
        random.integers(1000, 2000, (sentences, length)),
        tags,
        is_padding,
        random.integers(0, 2, sentences),
        random.integers(0, 2**32, sentences),
        np.arange(sentences),
    )
    return Batch(*map(torch.from_numpy, arrays))


@given(SEEDS, st.integers(1, 5), st.integers(2, 12), SHARES)
@settings(deadline=None)
def test_masking_touches_pieces_of_words_alone(
    draw: int, sentences: int, length: int, probability: float
) -> None:
    torch.manual_seed(draw)
    before = batch(draw, sentences, length)
    pieces = before.pieces.clone()
    after = with_masked_tokens(before, probability, MASK)
    special = torch.isin(before.tags, torch.tensor([TAGS.index(CLS), TAGS.index(SEP)]))
    kept = before.is_padding | special
    changed = after.pieces != before.pieces
    assert not changed[kept].any()
    assert (after.pieces[changed] == MASK).all()
    assert torch.equal(before.pieces, pieces)  # the batch that was given stays as it was
    for name in ("tags", "is_padding", "labels", "identities", "rows"):
        assert torch.equal(getattr(after, name), getattr(before, name))


def test_masking_with_probability_zero_or_one_masks_no_piece_or_every_piece_of_a_word() -> None:
    before = batch(1, 6, 20)
    assert torch.equal(with_masked_tokens(before, 0.0, MASK).pieces, before.pieces)
    words = (before.tags < len(UNIVERSAL_TAGS)) & ~before.is_padding
    assert torch.equal(with_masked_tokens(before, 1.0, MASK).pieces == MASK, words)


def test_the_share_of_masked_pieces_is_the_probability_and_differs_from_step_to_step() -> None:
    torch.manual_seed(7)
    before = batch(2, 400, 60)
    words = (before.tags < len(UNIVERSAL_TAGS)) & ~before.is_padding
    for probability in (0.05, 0.15, 0.5):
        one, other = (with_masked_tokens(before, probability, MASK).pieces == MASK for _ in "12")
        error = (probability * (1 - probability) / int(words.sum())) ** 0.5
        assert abs(one[words].float().mean().item() - probability) < 5 * error
        assert not torch.equal(one, other)
