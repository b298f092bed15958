"""The verdicts, rule by rule."""

import numpy as np
import pandas as pd
import pytest

from ggsa.evaluation import paper_claims

PAPER = paper_claims.Setting(is_sst2=True, is_paper_checkpoint=True)
OTHER_ENCODER = paper_claims.Setting(is_sst2=True, is_paper_checkpoint=False)
OTHER_DATA = paper_claims.Setting(is_sst2=False, is_paper_checkpoint=True)
WIDE, NONE = (0.80, 0.84), (np.nan, np.nan)


def test_the_published_accuracies_round_to_those_in_the_paper():
    rounded = {mode: round(value.accuracy, 4) for mode, value in paper_claims.PUBLISHED.items()}
    assert rounded == {"full": 0.82, "hard": 0.82, "soft": 0.8165}


@pytest.mark.parametrize(
    ("accuracy", "prediction", "setting", "expected"),
    [
        (0.815, WIDE, PAPER, paper_claims.REPRODUCED),
        (0.815, WIDE, OTHER_ENCODER, paper_claims.COMPATIBLE),
        (0.815, (0.812, 0.818), PAPER, paper_claims.COMPATIBLE),  # published value outside
        (0.815, NONE, PAPER, paper_claims.COMPATIBLE),  # one seed
        (0.809, WIDE, PAPER, paper_claims.COMPATIBLE),  # more than a point away
        (0.831, WIDE, PAPER, paper_claims.COMPATIBLE),
        (0.792, WIDE, PAPER, paper_claims.NOT_REPRODUCED),
        (0.846, WIDE, OTHER_ENCODER, paper_claims.NOT_REPRODUCED),
        (0.820, WIDE, OTHER_DATA, ""),
        (0.500, WIDE, OTHER_DATA, ""),
    ],
)
def test_a_verdict_on_full_follows_the_fixed_rules(accuracy, prediction, setting, expected):
    assert paper_claims.verdict("full", accuracy, prediction, setting) == expected


def test_a_mode_without_a_published_value_gets_no_verdict():
    assert paper_claims.verdict("soft_released", 0.82, WIDE, PAPER) == ""


def results(modes=("full", "hard", "soft"), seeds=3, decision=paper_claims.COMPATIBLE):
    low, high = (0.80, 0.83) if seeds > 1 else NONE
    rows = [
        {
            "mode": mode,
            "split": "validation",
            "seeds": seeds,
            "n": 872,
            "accuracy_mean": 0.815,
            "prediction_low": low,
            "prediction_high": high,
            "verdict": decision,
        }
        for mode in modes
    ]
    return pd.DataFrame(rows)


KEPT, LOST, OPEN = "equivalent within 1.5 pp", "worse by more than 1.5 pp", "inconclusive"


def answered(low=-1.0, high=0.5, verdict=KEPT, modes=("hard", "soft")):
    columns = ["arm", "kind", "n", "margin_points", "difference_points"]
    columns += ["low_points", "high_points", "verdict"]
    rows = [(mode, "equivalence", 2693, 1.5, -0.2, low, high, verdict) for mode in modes]
    rows.append(("full", "gate", 2693, np.nan, 0.4, -0.8, 1.7, "no headroom shown"))
    return pd.DataFrame(rows, columns=columns)


def cost(density=0.34, modes=("hard", "soft")):
    rows = [
        {
            "mode": mode,
            "split": "validation",
            "density": 1.0 if mode == "soft" else density,
            "saving_attention": 0.0 if mode == "soft" else 1 - density,
            "saving_model": 0.01,
        }
        for mode in modes
    ]
    return pd.DataFrame(rows)


def decided(claim, setting=PAPER, **parts):
    given = {"results": results(), "answered": answered(), "cost": cost()} | parts
    table = paper_claims.claims(**given, setting=setting).set_index("claim")
    return table.loc[claim]


def test_every_claim_of_the_paper_has_a_row_and_every_cell_is_text():
    table = paper_claims.claims(results(), answered(), cost(), PAPER)
    assert tuple(table.columns) == paper_claims.CLAIM_COLUMNS
    assert list(table["claim"]) == ["C1", "C2", "C3", "C4", "C5", "C6"]
    assert all(isinstance(value, str) for row in table.to_numpy() for value in row)


def test_an_accuracy_claim_repeats_the_verdict_of_the_results():
    row = decided("C1")
    assert (row["paper"], row["ours"], row["verdict"]) == ("0.8200", "0.8150", "compatible")
    assert row["interval"].startswith("0.8000 to 0.8300")


def test_a_mode_outside_the_grid_is_not_run():
    assert decided("C3", results=results(modes=("full",)))["verdict"] == paper_claims.NOT_RUN
    assert decided("C4", answered=answered(modes=()))["verdict"] == paper_claims.NOT_RUN
    only_full = cost().iloc[:0]
    assert decided("C5", cost=only_full)["verdict"] == paper_claims.NOT_RUN


def test_arms_that_never_differ_have_no_interval_and_decide_nothing():
    row = decided("C4", answered=answered(0.0, 0.0, "no verdict: the arms never differ"))
    assert row["interval"] == "hard none; soft none" and "never differ" in row["evidence"]
    assert row["verdict"] == paper_claims.UNDECIDED


def test_with_one_seed_no_interval_is_named():
    assert decided("C1", results=results(seeds=1))["interval"] == "none with one seed"
    open_row = decided("C4", answered=answered(np.nan, np.nan, OPEN))
    assert (open_row["interval"], open_row["verdict"]) == ("none with one seed", "undecided")


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (KEPT, paper_claims.SUPPORTED),
        (OPEN, paper_claims.UNDECIDED),
        (LOST, paper_claims.CONTRADICTED),
        ("better", paper_claims.UNDECIDED),  # better than full is no loss of accuracy
        ("inconclusive: no headroom", paper_claims.UNDECIDED),
        ("no verdict: fewer than 3 seeds", paper_claims.UNDECIDED),
    ],
)
def test_comparable_accuracy_follows_from_the_verdicts_on_equivalence(verdict, expected):
    row = decided("C4", answered=answered(verdict=verdict))
    assert row["verdict"] == expected
    assert verdict in row["evidence"]


def test_less_work_is_supported_only_for_modes_that_block_something():
    assert decided("C5")["verdict"] == paper_claims.PARTLY_SUPPORTED
    assert decided("C5", cost=cost(modes=("hard",)))["verdict"] == paper_claims.SUPPORTED
    assert decided("C5", cost=cost(modes=("soft",)))["verdict"] == paper_claims.CONTRADICTED


def test_other_data_have_no_claims_of_the_paper():
    table = paper_claims.claims(results(), answered(), cost(), OTHER_DATA)
    assert table.empty and tuple(table.columns) == paper_claims.CLAIM_COLUMNS
