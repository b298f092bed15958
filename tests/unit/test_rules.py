from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from ggsa.patterns import rule_statistics, rules, tag_pairs, tag_tables
from ggsa.patterns.modes import PatternData, pattern_for
from ggsa.patterns.pattern import Pattern, read_pattern, write_pattern
from ggsa.workspace import config, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import CLS, SEP, TAGS, UNIVERSAL_TAGS

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"
INDEX = tag_tables.INDEX


def params(**changes: object) -> config.Params:
    content = yaml.safe_load(PARAMS.read_text())
    content["rules"] |= changes
    return config.parse(content)


def block(**changes: object) -> config.Rules:
    return params(**changes).rules


def pattern(mode: str, **changes: object) -> Pattern:
    """The pattern of a mode under changed rules, which is built without the corpus."""
    changed = params(**changes)
    return pattern_for(mode, changed.rules, 0, PatternData(changed))


def sentences(number: int = 40) -> tuple[list[list[str]], np.ndarray]:
    random = np.random.default_rng(5)
    tags = [list(random.choice(UNIVERSAL_TAGS, random.integers(1, 20))) for _ in range(number)]
    rows = [np.bincount([INDEX[t] for t in (CLS, *row, SEP)], minlength=len(TAGS)) for row in tags]
    return tags, np.stack(rows)


def hard(changed: config.Rules) -> np.ndarray:
    tags, counts = sentences()
    return rules.hard_table(changed, tag_pairs.tag_pairs(tags, counts), counts)


def test_the_paper_table_holds_its_twenty_one_rules_and_the_special_rows() -> None:
    table = hard(block())
    universal = table[: len(UNIVERSAL_TAGS), : len(UNIVERSAL_TAGS)]
    assert universal.sum() - len(UNIVERSAL_TAGS) == 21
    assert table[INDEX[CLS]].all()
    assert table[:, INDEX[CLS]].sum() == 1  # nothing but [CLS] attends [CLS]
    assert table[INDEX[SEP]].sum() == 1  # [SEP] attends [SEP] alone
    assert table[INDEX["VERB"], INDEX["ADV"]]
    assert not table[INDEX["ADV"], INDEX["VERB"]]


def test_dropping_and_adding_change_exactly_the_named_pairs() -> None:
    before = hard(block())
    after = hard(block(drop=["VERB->NOUN"], add=["ADV->VERB"]))
    changed = [(TAGS[q], TAGS[k]) for q, k in np.argwhere(before != after)]
    assert sorted(changed) == [("ADV", "VERB"), ("VERB", "NOUN")]


def test_soft_favors_exactly_what_hard_allows_and_blocks_nothing() -> None:
    table = hard(block())
    bias = pattern("soft", soft_strength=2.5).bias
    assert np.array_equal(bias == 2.5, table)
    assert np.isfinite(bias).all()


def test_zero_soft_strength_equals_full() -> None:
    assert np.array_equal(pattern("soft", soft_strength=0.0).bias, pattern("full").bias)


def test_the_released_soft_table_favors_eleven_pairs_that_hard_blocks() -> None:
    table = hard(block())
    bias = pattern("soft_released").bias
    assert (bias == 5.0).sum() == 11
    assert not table[bias == 5.0].any()


@pytest.mark.parametrize("score", ["pmi_adjacent", "pmi_near", "frequency"])
def test_a_corpus_table_reaches_its_density_with_its_last_pair(score: str) -> None:
    tags, counts = sentences()
    changed = block(source="corpus", corpus={"score": score, "density": 0.4})
    statistics = tag_pairs.tag_pairs(tags, counts)
    table = rules.hard_table(changed, statistics, counts)
    density = Pattern("hard", TAGS, np.where(table, 0, -np.inf)).density(counts)
    assert 0.4 <= density < 0.45


def test_a_density_that_own_tags_exceed_raises_an_error() -> None:
    with pytest.raises(UserError, match="own tags"):
        hard(block(source="corpus", corpus={"score": "frequency", "density": 0.001}))


def test_a_pattern_survives_being_written_and_read(tmp_path: Path) -> None:
    for mode in ("full", "hard", "soft", "soft_released"):
        written = pattern(mode)
        write_pattern(tmp_path / "p.json", written)
        back = read_pattern(tmp_path / "p.json")
        assert back.mode == mode
        assert np.array_equal(back.bias, written.bias)


def test_a_malformed_pattern_raises_an_error(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"mode": "hard"}')
    with pytest.raises(UserError, match="not an attention pattern"):
        read_pattern(tmp_path / "p.json")


def test_neighbors_equal_a_loop_over_all_pairs_of_words() -> None:
    tags, _ = sentences(12)
    for reach in (1, 5):
        expected = np.zeros((len(TAGS), len(TAGS)), int)
        for row in tags:
            for i, a in enumerate(row):
                for j, b in enumerate(row):
                    if 0 < abs(i - j) <= reach:
                        expected[INDEX[a], INDEX[b]] += 1
        assert np.array_equal(tag_pairs.neighbors(tags, reach), expected)


def test_piece_pairs_equal_a_loop_over_all_pairs_of_pieces() -> None:
    tags, counts = sentences(12)
    expected = np.zeros((len(TAGS), len(TAGS)), int)
    for row in tags:
        for query in (CLS, *row, SEP):
            for key in (CLS, *row, SEP):
                expected[INDEX[query], INDEX[key]] += 1
    assert np.array_equal(tag_pairs.piece_pairs(counts), expected)


def test_the_pairs_of_validation_that_the_stage_counts_give_its_density(
    small_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "RULES", small_corpus / "rules")
    rule_statistics.write_rules(params())
    pairs, frequencies, densities = (
        pd.read_csv(small_corpus / f"rules/statistics/{name}.csv")
        for name in ("tag_pairs", "tag_frequencies", "density")
    )
    row = densities.query("mode == 'hard' and split == 'validation'").iloc[0]
    pieces = frequencies[frequencies["split"] == "validation"].set_index("tag")["count"]
    between_words = pairs.loc[pairs["allowed_hard"], "count_validation"].sum()
    # [CLS] attends to all pieces of its sentence, and [SEP] to itself.
    assert between_words + pieces.sum() + pieces[SEP] == row["allowed_pairs"]
    assert pairs["count_validation"].sum() == row["pairs"] - 4 * pieces.sum() + 4 * pieces[CLS]


def test_mutual_information_is_zero_for_independent_tags() -> None:
    marginal = np.array([1, 2, 5])
    table = np.outer(marginal, marginal)
    assert np.allclose(tag_pairs.pointwise_mutual_information(table), 0)


def test_what_dropping_a_rule_saves_is_what_the_density_loses() -> None:
    _, counts = sentences()
    changed = block()
    table = hard(changed)
    before = Pattern("hard", TAGS, np.where(table, 0, -np.inf)).density(counts)
    statistics = rule_statistics.rule_table(rules.listed(changed, table), table, counts)
    for row in statistics.itertuples():
        without = table.copy()
        without[INDEX[row.query_tag], INDEX[row.key_tag]] = False
        density = Pattern("hard", TAGS, np.where(without, 0, -np.inf)).density(counts)
        assert before - density == pytest.approx(row.saving_if_dropped)


def test_rules_that_never_fire_and_tags_that_attend_to_no_other_are_named() -> None:
    _, counts = sentences()
    counts[:, INDEX["SCONJ"]] = 0
    table = hard(block())
    statistics = rule_statistics.rule_table(rules.listed(block(), table), table, counts)
    notices = rule_statistics.notices(statistics, table)
    assert notices["never_fires"] == ["SCONJ->VERB"]
    assert notices["only_self"] == ["ADV", "CCONJ", "INTJ", "NUM", "PART", "PUNCT", "SYM", "X"]
