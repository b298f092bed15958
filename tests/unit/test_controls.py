"""Controls that are drawn or fitted: what they keep of the hard table, and how dense they are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ggsa.patterns import controls, rules, tag_tables
from ggsa.patterns.pattern import Pattern
from ggsa.patterns.positional import Positional
from ggsa.patterns.tag_tables import INDEX
from ggsa.tagging.alignment import TaggedPieces
from ggsa.workspace import config
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import write_table
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
        pieces=[row + 100 for row in rows],
        tags=rows,
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
    return Pattern("", TAGS, tag_tables.blocked_outside(allowed)).density(rows)


def write_attention(path: Path, seed: int, order: list[tuple[str, str]]) -> None:
    """Say that a full model trained with a seed uses these pairs, the first of them most."""
    table = pd.DataFrame(order, columns=["query_tag", "key_tag"])
    table["seed"], table["weight_per_pair"] = seed, np.linspace(1, 0, len(table))
    write_table(path, table)


@pytest.mark.parametrize("seed", range(12))
def test_shuffled_keeps_own_tags_and_the_row_of_cls_and_the_density_of_every_split(
    seed: int,
) -> None:
    block = params().rules
    hard = hard_table(block)
    pattern = controls.shuffled(block, hard, SPLITS, seed)
    assert pattern.positional is None
    assert set(np.unique(pattern.bias)) == {0.0, -np.inf}
    assert np.array_equal(pattern.allowed & OWN, hard & OWN)
    assert pattern.allowed[INDEX[CLS]].all()
    assert not np.array_equal(pattern.allowed, hard)
    for rows in SPLITS.values():
        assert pattern.density(rows) == pytest.approx(density(hard, rows), rel=controls.TOLERANCE)


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
        pattern = controls.shuffled(block, hard, SPLITS, seed)
        assert np.array_equal(pattern.allowed & OWN, hard & OWN)
        for rows in SPLITS.values():
            wanted = density(hard, rows)
            assert pattern.density(rows) == pytest.approx(wanted, rel=controls.TOLERANCE)


def test_shuffled_is_the_same_for_one_seed_and_another_for_every_other() -> None:
    block = params().rules
    tables = [controls.shuffled(block, hard_table(block), SPLITS, seed).bias for seed in range(8)]
    again = controls.shuffled(block, hard_table(block), SPLITS, 3).bias
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
    with pytest.raises(UserError, match="seed 13 comes within 2%"):
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
    assert chosen.allowed[INDEX[CLS]].all()
    assert chosen.allowed.sum() == SIZE  # the row of [CLS] and nothing else
    target = density(hard, counts(train))
    missed = [
        abs(separator_density(tag_tables.open_cls(block), reach, train) - target)
        for reach in range(controls.LARGEST_REACH)
    ]
    assert missed[chosen.positional.reach] == pytest.approx(min(missed), abs=1e-12)


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


@pytest.mark.parametrize("number", [1, controls.CHUNK, controls.CHUNK + 1])
def test_density_counts_every_sentence_once_whatever_chunk_it_falls_into(number: int) -> None:
    tagged, base = sentences(9, number), np.zeros((SIZE, SIZE), bool)
    pattern = Pattern(
        "separator", TAGS, tag_tables.blocked_outside(base), Positional("separator", reach=2)
    )
    assert controls.density(pattern, tagged) == pytest.approx(separator_density(base, 2, tagged))


@pytest.mark.parametrize("mode", ["random", "window"])
def test_random_and_window_are_as_dense_as_hard_to_the_last_pair(mode: str) -> None:
    block, tagged = params().rules, sentences(11, 60)
    hard = hard_table(block)
    pattern = rules.pattern(mode, block, hard, seed=42)
    assert controls.density(pattern, tagged) == density(hard, counts(tagged))


@pytest.mark.parametrize("changes", [{}, {"self": False}])
def test_learned_takes_the_most_used_pairs_up_to_the_density_of_hard(
    changes: dict, tmp_path: Path
) -> None:
    block, used = params(**changes).rules, tmp_path / "used.csv"
    hard = hard_table(block)
    order = [(query, key) for query in TAGS for key in TAGS]
    order = [order[i] for i in np.random.default_rng(5).permutation(len(order))]
    write_attention(used, 42, order)
    pattern = controls.learned(block, hard, SPLITS["train"], 42, used)
    assert pattern.allowed[hard & OWN].all()
    assert pattern.allowed[INDEX[CLS]].all()
    wanted = density(hard, SPLITS["train"])
    found = pattern.density(SPLITS["train"])
    assert found == pytest.approx(wanted, rel=controls.TOLERANCE)
    # A pair that is left out would, with all that are used more, have been too many.
    for place, (query, key) in enumerate(order):
        if not pattern.allowed[INDEX[query], INDEX[key]]:
            before = (hard & OWN) | tag_tables.open_cls(block)
            for q, k in order[: place + 1]:
                before[INDEX[q], INDEX[k]] |= pattern.allowed[INDEX[q], INDEX[k]]
            before[INDEX[query], INDEX[key]] = True
            limit = wanted * (1 + controls.TOLERANCE / 2)
            assert density(before, SPLITS["train"]) > limit - 1e-12


def test_learned_wants_full_attention_trained_with_its_seed(
    tmp_path: Path,
) -> None:
    block, used = params().rules, tmp_path / "used.csv"
    write_attention(used, 42, [("NOUN", "VERB")])
    with pytest.raises(UserError, match=r"seed 7; full attention has to be trained .*grid\.seeds"):
        controls.learned(block, hard_table(block), SPLITS["train"], 7, used)
