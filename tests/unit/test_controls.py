"""Controls that are drawn or fitted: what they keep of the hard table, and how dense they are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ggsa.patterns import controls, positional, rules, tag_tables
from ggsa.patterns.density import CHUNK
from ggsa.patterns.density import density as density_of
from ggsa.patterns.modes import PatternData, pattern_for
from ggsa.patterns.pattern import Pattern
from ggsa.patterns.positional import Positional
from ggsa.patterns.tag_tables import INDEX
from ggsa.tagging.alignment import Ragged, TaggedPieces
from ggsa.workspace import config
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import CLS, SEP, TAGS, UNIVERSAL_TAGS

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"
SIZE = len(TAGS)
OWN = np.eye(SIZE, dtype=bool)
# Roughly how common the tags of running English are, in the order of UNIVERSAL_TAGS.
COMMON = np.array([9, 9, 6, 5, 4, 9, 0.3, 18, 1, 3, 8, 5, 11, 2, 0.2, 10, 0.3])
SEEDS = (13, 42, 71)


def params(**changes: object) -> config.Params:
    content = yaml.safe_load(PARAMS.read_text())
    content["rules"] |= changes
    return config.parse(content)


def sentences(draw: int, number: int) -> TaggedPieces:
    random = np.random.default_rng(draw)
    rows = []
    for length in random.integers(1, 28, number):
        words = random.choice(len(UNIVERSAL_TAGS), length, p=COMMON / COMMON.sum())
        rows.append(np.array([INDEX[CLS], *words, INDEX[SEP]], np.int64))
    return TaggedPieces(
        pieces=Ragged.of([row + 100 for row in rows]),
        tags=Ragged.of(rows),
        identities=random.integers(0, 2**32, number),
    )


def counts(tagged: TaggedPieces) -> np.ndarray:
    return np.stack([np.bincount(row, minlength=SIZE) for row in tagged.tags])


SPLITS = {
    "train": counts(sentences(1, 500)),
    "selection": counts(sentences(2, 250)),
    "validation": counts(sentences(3, 250)),
    "test": counts(sentences(4, 250)),
}


def hard_table(block: config.Rules) -> np.ndarray:
    return rules.hard_table(block, None, SPLITS["train"])


def density(allowed: np.ndarray, rows: np.ndarray) -> float:
    return table(allowed).density(rows)


def table(allowed: np.ndarray) -> Pattern:
    return Pattern("", TAGS, tag_tables.blocked_outside(allowed))


@pytest.mark.parametrize("seed", range(12))
def test_shuffled_keeps_own_tags_and_the_row_of_cls_and_the_density_of_every_split(
    seed: int,
) -> None:
    block = params().rules
    hard = hard_table(block)
    drawn = controls.shuffled(block, hard, SPLITS, seed)
    assert drawn.dtype == bool
    assert np.array_equal(drawn & OWN, hard & OWN)
    assert drawn[INDEX[CLS]].all()
    assert not np.array_equal(drawn, hard)
    for rows in SPLITS.values():
        assert density(drawn, rows) == pytest.approx(density(hard, rows), rel=controls.TOLERANCE)


@pytest.mark.parametrize(
    "changes",
    [
        {"self": False},
        {"cls_attends_all": False},
        {"self": False, "cls_attends_all": False},
        {"drop": ["NOUN->NOUN", "VERB->NOUN"]},
        {"add": ["ADV->VERB", "NOUN->VERB"]},
    ],
)
def test_shuffled_draws_pairs_of_other_tags_alone_whatever_the_rules(changes: dict) -> None:
    block = params(**changes).rules
    hard = hard_table(block)
    for seed in SEEDS:
        drawn = controls.shuffled(block, hard, SPLITS, seed)
        assert np.array_equal(drawn & OWN, hard & OWN)
        for rows in SPLITS.values():
            expected = density(hard, rows)
            assert density(drawn, rows) == pytest.approx(expected, rel=controls.TOLERANCE)


def test_shuffled_is_the_same_for_one_seed_and_another_for_every_other() -> None:
    block = params().rules
    tables = [controls.shuffled(block, hard_table(block), SPLITS, seed) for seed in range(8)]
    again = controls.shuffled(block, hard_table(block), SPLITS, 3)
    assert np.array_equal(tables[3], again)
    assert len({table.tobytes() for table in tables}) == len(tables)


def test_shuffled_says_so_where_no_draw_can_be_as_dense_on_every_split() -> None:
    block = params().rules
    splits = dict(SPLITS)
    # Each of these splits is dense enough only where two tags see each other.
    for noun in ("NOUN", "PROPN"):
        for other in ("DET", "ADJ", "ADP"):
            rows = np.zeros((1, SIZE), np.int64)
            rows[0, [INDEX[noun], INDEX[other]]] = 1
            splits[f"{noun} {other}"] = rows
    with pytest.raises(UserError, match="with seed 13 is within 2%"):
        controls.shuffled(block, hard_table(block), splits, 13)


@given(draw=st.integers(0, 2**32 - 1), hard_seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
@settings(deadline=None, max_examples=15)
def test_separator_takes_the_reach_that_comes_closest_to_the_density_of_hard(
    draw: int, hard_seed: int, share: float
) -> None:
    block, train = params().rules, sentences(draw, 30)
    hard = (np.random.default_rng(hard_seed).random((SIZE, SIZE)) < share) | tag_tables.open_cls(
        block
    )
    chosen = controls.separator(block, hard, train)
    assert (chosen.kind, chosen.match) == ("separator", None)
    target = density(hard, counts(train))
    missed = [
        abs(separator_density(tag_tables.open_cls(block), reach, train) - target)
        for reach in range(controls.LARGEST_REACH)
    ]
    assert missed[chosen.reach] == pytest.approx(min(missed), abs=1e-12)


def separator_density(base: np.ndarray, reach: int, tagged: TaggedPieces) -> float:
    """Count the pairs of every sentence on its own, without padding."""
    allowed = total = 0
    for row in tagged.tags:
        places = np.arange(len(row))
        near = np.abs(places[:, None] - places[None, :]) <= reach
        keys = (places < 2) | (row == INDEX["PUNCT"])
        allowed += int((near | keys[None, :] | base[row[:, None], row[None, :]]).sum())
        total += len(row) ** 2
    return allowed / total


@pytest.mark.parametrize("number", [1, CHUNK, CHUNK + 1])
def test_density_counts_every_sentence_once_whatever_chunk_it_falls_into(number: int) -> None:
    tagged, base = sentences(9, number), np.zeros((SIZE, SIZE), bool)
    pattern = Pattern(
        "separator", TAGS, tag_tables.blocked_outside(base), Positional("separator", reach=2)
    )
    assert density_of(pattern, tagged) == pytest.approx(separator_density(base, 2, tagged))


@pytest.mark.parametrize(
    ("mode", "matched"),
    [
        ("random", "hard"),
        ("window", "hard"),
        ("complement", "hard"),
        ("window_matched", "hard_neighbors"),
    ],
)
def test_drawn_controls_are_as_dense_as_what_they_match_to_the_last_pair(
    mode: str, matched: str
) -> None:
    block, tagged = params().rules, sentences(11, 60)
    pattern, other = (
        pattern_for(name, block, 42, PatternData(params())) for name in (mode, matched)
    )
    assert density_of(pattern, tagged) == density_of(other, tagged)


def test_a_complement_shares_with_hard_only_its_own_positions_and_the_row_of_cls() -> None:
    block, tagged = params().rules, sentences(11, 60)
    pattern = pattern_for("complement", block, 42, PatternData(params()))
    hard = hard_table(block)
    for tags, identity in zip(tagged.tags, tagged.identities, strict=True):
        pairs = positional.allowed_pairs(
            pattern.positional, pattern.allowed, tags[None], np.zeros((1, len(tags)), bool),
            np.array([identity]),
        )[0]  # fmt: skip
        shared = pairs & hard[tags[:, None], tags[None, :]]
        own = np.eye(len(tags), dtype=bool) | (tags == INDEX["[CLS]"])[:, None]
        assert not (shared & ~own).any()


def test_sinks_open_two_columns_and_nothing_else() -> None:
    block = params().rules
    for name in ("hard", "diagonal"):
        with_sinks, without = (
            pattern_for(mode, block, 1, PatternData(params())).allowed
            for mode in (f"{name}_sinks", name)
        )
        added = with_sinks & ~without
        columns = {TAGS[key] for _, key in np.argwhere(added)}
        assert (
            columns == {"[CLS]", "[SEP]"} and with_sinks[:, [INDEX["[CLS]"], INDEX["[SEP]"]]].all()
        )


@pytest.mark.parametrize("changes", [{}, {"self": False}])
def test_learned_takes_the_most_used_pairs_up_to_the_density_of_hard(
    changes: dict,
) -> None:
    block = params(**changes).rules
    hard = hard_table(block)
    order = [(query, key) for query in TAGS for key in TAGS]
    order = [order[i] for i in np.random.default_rng(5).permutation(len(order))]
    attention = pd.DataFrame(order, columns=["query_tag", "key_tag"])
    attention["weight_per_pair"] = np.linspace(1, 0, len(order))
    shuffled_rows = attention.sample(frac=1, random_state=3)
    learned = controls.learned(block, hard, SPLITS["train"], shuffled_rows)
    assert learned[hard & OWN].all()
    assert learned[INDEX[CLS]].all()
    expected = density(hard, SPLITS["train"])
    assert density(learned, SPLITS["train"]) == pytest.approx(expected, rel=controls.TOLERANCE)
    # A pair that is left out would, with all that are used more, have been too many.
    for place, (query, key) in enumerate(order):
        if not learned[INDEX[query], INDEX[key]]:
            before = (hard & OWN) | tag_tables.open_cls(block)
            for q, k in order[: place + 1]:
                before[INDEX[q], INDEX[k]] |= learned[INDEX[q], INDEX[k]]
            before[INDEX[query], INDEX[key]] = True
            limit = expected * (1 + controls.TOLERANCE / 2)
            assert density(before, SPLITS["train"]) > limit - 1e-12
