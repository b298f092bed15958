"""Verdicts: each rule of the plan on results that are planted to meet it."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from ggsa.evaluation import comparisons, statistics
from ggsa.evaluation.finished_cells import Results
from ggsa.evaluation.verdicts import unlearned, verdicts_table
from ggsa.training.studies import Family, Question

N = 3000
LABELS = np.arange(N) % 2


def results(seeds=5, fresh=None, **losses):
    """Arms that lose so many points against `full` on the same sentences, with little noise.

    `fresh` is what `hard` loses on a further split, which has no part in the other losses.
    """
    generator = np.random.default_rng(7)
    hard_sentences = generator.random(N) < 0.2
    predicted = {}
    for arm, loss in {"full": 0.0, **losses}.items():
        right = np.repeat(~hard_sentences[None], seeds, axis=0)
        flipped = round(abs(loss) / 100 * N)
        for row in right:
            noise = generator.choice(N, 20, replace=False)
            row[noise] = ~row[noise]
            pool = np.flatnonzero(row if loss > 0 else ~row)
            row[generator.choice(pool, flipped, replace=False)] = loss < 0
        predicted[arm] = np.where(right, LABELS, 1 - LABELS)
    split = np.where(np.arange(N) < N // 3, "validation", "test")
    sentences = pd.DataFrame({"split": split, "id": np.arange(N), "label": LABELS})
    modes = {arm: arm for arm in predicted}
    densities = pd.DataFrame(columns=["arm", "seed", "split", "density"])
    if fresh is not None:
        more = sentences.iloc[:1000].assign(split="fresh")
        sentences = pd.concat([sentences, more], ignore_index=True)
        wrong = np.arange(1000) < 500
        for arm, classes in predicted.items():
            extra = wrong.copy()
            if arm == "hard":
                extra[500 - min(0, round(10 * fresh)) : 500 + max(0, round(10 * fresh))] = True
                extra[500 + round(10 * min(0, fresh)) : 500] = False
            labels = more["label"].to_numpy()
            added = np.where(extra, 1 - labels, labels)
            predicted[arm] = np.hstack([classes, np.tile(added, (seeds, 1))])
    return Results(sentences, tuple(range(seeds)), predicted, modes, densities, {}, classes=2)


def question(kind, arm, reference="full"):
    return Question(kind=kind, arm=arm, reference=reference, text=f"{arm}?")


GATE = Family(name="headroom", questions=(question("gate", "full", "diagonal"),))


def verdicts(found, *families, margin=1.5):
    table = verdicts_table(found, families, margin)
    return table.set_index(["family", "arm"])["verdict"], table


def kept(*arms, kind="equivalence", name="kept"):
    return Family(name=name, questions=tuple(question(kind, arm) for arm in arms))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (0.0, "equivalent within 1.5 pp"),
        (0.7, "equivalent within 1.5 pp"),  # significant, and within the margin all the same
        (4.0, "worse by more than 1.5 pp"),
        (1.6, "worse, size uncertain"),
        (-4.0, "better"),
    ],
)
def test_the_first_word_that_applies_is_the_verdict_on_equivalence(loss, expected):
    found, table = verdicts(results(diagonal=6.0, hard=loss), GATE, kept("hard"))
    assert found["kept", "hard"] == expected
    if loss == 0.7:
        assert table.set_index("arm").loc["hard", "p_two_sided_holm"] < 0.05


def test_equivalence_needs_the_headroom_of_its_own_reference():
    found = results(diagonal=6.0, other=0.0, flat=0.0, hard=0.0)
    gates = Family(
        name="headroom",
        questions=(question("gate", "full", "diagonal"), question("gate", "other", "flat")),
    )
    asked = Family(
        name="kept",
        questions=(question("equivalence", "hard"), question("equivalence", "flat", "other")),
    )
    words, _ = verdicts(found, gates, asked)
    assert words["headroom", "full"] == "headroom shown"
    assert words["headroom", "other"] == "no headroom shown"
    assert words["kept", "hard"] == "equivalent within 1.5 pp"
    assert words["kept", "flat"] == "inconclusive: no headroom"


def test_a_question_may_be_about_one_split():
    found = results(hard=3.0)
    asked = Question(kind="difference", arm="hard", reference="full", split="test", text="There?")
    _, table = verdicts(found, Family(name="there", questions=(asked,)))
    row = table.iloc[0]
    assert (row["split"], row["n"]) == ("test", int((found.sentences["split"] == "test").sum()))
    assert row["difference_points"] == pytest.approx(row["test_difference_points"])


def test_fresh_sentences_are_shown_and_not_pooled():
    found = results(diagonal=6.0, hard=4.0, fresh=3.0)
    assert found.splits == ["validation", "test", "pooled", "fresh"]
    _, table = verdicts(found, GATE, kept("hard"))
    row = table.set_index("arm").loc["hard"]
    assert row["n"] == N
    assert row["difference_points"] == pytest.approx(-4.0, abs=0.3)
    assert row["fresh_difference_points"] == pytest.approx(-3.0)


@pytest.mark.parametrize(
    ("loss", "fresh", "expected"),
    [
        (4.0, 3.0, "worse by more than 1.5 pp"),
        (4.0, -0.1, "inconclusive"),
        (-4.0, 0.1, "inconclusive"),
        (-4.0, -0.1, "better"),
        (0.0, 0.1, "equivalent within 1.5 pp"),  # states no direction
    ],
)
def test_a_direction_that_fresh_sentences_contradict_is_inconclusive(loss, fresh, expected):
    found, _ = verdicts(results(diagonal=6.0, hard=loss, fresh=fresh), GATE, kept("hard"))
    assert found["kept", "hard"] == expected


def share_of(arm):
    asked = Question(kind="share", arm=arm, reference="full", floor="diagonal", text="How much?")
    return Family(name="share", questions=(asked,))


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ({"hard": 0.1, "diagonal": 8.0}, "more than 80 %"),
        ({"hard": 6.0, "diagonal": 8.0}, "less than 80 %"),
        ({"hard": 1.6, "diagonal": 8.0}, "inconclusive"),
        ({"hard": 0.0, "diagonal": 0.0}, "not estimable"),
    ],
)
def test_a_share_is_more_or_less_than_four_fifths_where_its_interval_is(losses, expected):
    found, table = verdicts(results(**losses), share_of("hard"))
    assert found["share", "hard"] == expected
    row = table.iloc[0]
    assert row[["p_worse", "p_two_sided", "smallest_points"]].isna().all()
    assert np.isnan(row["p"]) == (expected == "not estimable")
    if expected != "not estimable":
        on_one_side = not row["share_low"] <= 0.80 <= row["share_high"]
        assert on_one_side == (row["p"] < 0.05) == (expected != "inconclusive")
        assert row["share_low"] < row["share"] < row["share_high"]
        wanted = 1 - losses["hard"] / losses["diagonal"]
        assert row["share"] == pytest.approx(wanted, abs=0.05)


def test_a_share_is_corrected_with_the_other_questions_of_its_family():
    found = results(diagonal=6.0, hard=4.0)
    tested = kept("hard", kind="difference")
    both = Family(name="kept", questions=(*tested.questions, *share_of("hard").questions))
    table = verdicts(found, both)[1].set_index("kind")
    assert table["p_holm"].tolist() == pytest.approx(statistics.holm(table["p"].to_numpy()))
    assert table["p_holm"].min() == pytest.approx(2 * table["p"].min())


def test_without_shown_headroom_no_equivalence_is_called():
    found, _ = verdicts(results(diagonal=0.0, hard=0.0), GATE, kept("hard"))
    assert found["headroom", "full"] == "no headroom shown"
    assert found["kept", "hard"] == "inconclusive: no headroom"
    found, _ = verdicts(results(diagonal=-5.0, hard=0.0), GATE, kept("hard"))
    assert found["headroom", "full"] == "no headroom shown"  # diagonal is better: no headroom


def majority(found, arm):
    """The same cells, but an arm always answers with the more frequent class."""
    constant = np.zeros_like(found.predicted[arm])
    return dataclasses.replace(found, predicted={**found.predicted, arm: constant})


EVERY_KIND = (
    GATE,
    kept("hard"),
    kept("hard", kind="difference", name="differs"),
    share_of("hard"),
)


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize(
    ("arm", "without"),
    [
        ("full", {"headroom", "kept", "differs", "share"}),
        ("hard", {"kept", "differs", "share"}),
        ("diagonal", set()),  # a floor may be at chance
    ],
)
def test_no_verdict_follows_from_an_arm_that_did_not_learn(arm, without, seeds):
    found = results(seeds, diagonal=6.0, hard=0.0)
    _, table = verdicts(majority(found, arm), *EVERY_KIND)
    failed = table[table["verdict"] == f"no verdict: {arm} did not learn"]
    assert set(failed["family"]) == without
    assert failed[["share", "share_low", "share_high"]].isna().all(axis=None)
    _, before = verdicts(found, *EVERY_KIND)
    assert not before["verdict"].str.contains("learn").any()
    rest = ~table["family"].isin(without)
    assert table.loc[rest, "verdict"].tolist() == before.loc[rest, "verdict"].tolist()


def test_models_that_did_not_learn_are_not_called_equivalent():
    found = results(diagonal=6.0, hard=0.0)
    for arm in ("full", "diagonal", "hard"):
        found = majority(found, arm)
    words, _ = verdicts(found, GATE, kept("hard"))
    assert words["headroom", "full"] == "no verdict: full did not learn"
    assert words["kept", "hard"] == "no verdict: hard and full did not learn"


def test_arms_that_never_differ_are_not_called_equivalent():
    found = results(diagonal=6.0, hard=0.0)
    same = {**found.predicted, "hard": found.predicted["full"].copy()}
    words, _ = verdicts(
        dataclasses.replace(found, predicted=same),
        GATE,
        kept("hard"),
        kept("diagonal", name="other"),
    )
    assert words["headroom", "full"] == "headroom shown"
    assert words["kept", "hard"] == "no verdict: the arms never differ"
    assert "never" not in words["other", "diagonal"]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("seeds", [1, 3])
def test_an_arm_has_learned_if_its_interval_lies_above_the_largest_class(classes, seeds):
    labels = np.minimum(np.arange(200) % 5, classes - 1)  # shares .2, .8 and .2, .2, .6
    largest = np.bincount(labels).max() / 200
    sentences = pd.DataFrame({"split": "validation", "id": np.arange(200), "label": labels})
    states = []
    for correct in range(201):
        row = np.where(np.arange(200) < correct, labels, (labels + 1) % classes)
        found = Results(
            sentences, tuple(range(seeds)), {"hard": np.tile(row, (seeds, 1))}, {"hard": "hard"},
            pd.DataFrame(), {}, classes,
        )  # fmt: skip
        states.append(not unlearned(found, "validation", ["hard"]))
        low, _ = statistics.wilson(seeds * correct, seeds * 200)
        assert states[-1] == (low > largest)
    first = states.index(True)
    assert all(states[first:]) and first > 200 * largest


def test_the_split_of_a_question_decides_whether_an_arm_learned():
    found = results(diagonal=6.0, hard=0.0)
    predicted = found.predicted["hard"].copy()
    predicted[:, found.rows("test")] = 0
    found = dataclasses.replace(found, predicted={**found.predicted, "hard": predicted})
    asked = [
        Question(kind="difference", arm="hard", reference="full", split=split, text=split)
        for split in ("validation", "test")
    ]
    _, table = verdicts(found, Family(name="each", questions=tuple(asked)))
    assert table["verdict"].str.endswith("did not learn").tolist() == [False, True]


def test_headroom_of_another_family_or_a_missing_gate_gives_no_equivalence():
    found, _ = verdicts(results(diagonal=6.0, hard=0.0), kept("hard"))
    assert found["kept", "hard"] == "inconclusive: no headroom"


@pytest.mark.parametrize(
    ("seeds", "gate", "equal", "differs"),
    [
        (1, "no verdict: fewer than 3 seeds", "no verdict: fewer than 3 seeds", 5),
        (2, "no verdict: fewer than 3 seeds", "no verdict: fewer than 3 seeds", 5),
        (3, "headroom shown", "equivalent within 1.5 pp", 5),
        (4, "headroom shown", "equivalent within 1.5 pp", 5),
        (5, "headroom shown", "equivalent within 1.5 pp", 0),
    ],
)
def test_few_seeds_allow_few_verdicts(seeds, gate, equal, differs):
    found, _ = verdicts(
        results(seeds, diagonal=6.0, hard=0.0, bad=5.0),
        GATE,
        kept("hard"),
        kept("bad", kind="difference", name="differs"),
    )
    assert (found["headroom", "full"], found["kept", "hard"]) == (gate, equal)
    expected = f"no verdict: fewer than {differs} seeds" if differs else "worse by more than 1.5 pp"
    assert found["differs", "bad"] == expected


def test_with_three_seeds_a_loss_is_not_judged():
    found, _ = verdicts(results(3, diagonal=6.0, hard=4.0), GATE, kept("hard"))
    assert found["kept", "hard"] == "equivalence not shown, fewer than 5 seeds"


def test_holm_is_over_the_declared_family_and_corrects_losses_too():
    many = {f"arm{n}": 0.05 * n for n in range(6)}
    _, table = verdicts(results(diagonal=6.0, **many), GATE, kept(*many))
    family = table[table["family"] == "kept"]
    for column in ("p", "p_worse", "p_two_sided"):
        expected = statistics.holm(family[column].to_numpy(float))
        assert family[f"{column}_holm"].to_numpy() == pytest.approx(expected)
    gate = table[table["family"] == "headroom"]
    assert gate["p_holm"].to_numpy() == pytest.approx(gate["p"].to_numpy())
    alone = verdicts_table(results(diagonal=6.0, **many), [kept("arm5")], 1.5)
    assert alone["smallest_points"].iloc[0] < family["smallest_points"].iloc[-1]


def test_a_difference_that_holds_alone_may_not_hold_in_its_family():
    losses = {"a": 0.45, **{f"nothing{n}": 0.0 for n in range(20)}}
    found = results(diagonal=6.0, **losses)
    alone, _ = verdicts(found, kept("a", kind="difference"))
    together, table = verdicts(found, kept(*losses, kind="difference"))
    p = table.set_index("arm").loc["a", "p"]
    assert p < 0.05 < 21 * p  # else the case tests nothing
    assert alone["kept", "a"] == "worse, size uncertain"
    assert together["kept", "a"] == "inconclusive"


def test_every_question_shows_its_numbers():
    _, table = verdicts(results(diagonal=6.0, hard=1.0), GATE, kept("hard"))
    row = table.set_index("arm").loc["hard"]
    assert (row["n"], row["seeds"], row["level"], row["margin_points"]) == (N, 5, 0.90, 1.5)
    assert row["low_points"] < row["difference_points"] < row["high_points"]
    assert row["difference_points"] == pytest.approx(-1.0, abs=0.3)
    assert row["test_difference_points"] == pytest.approx(-1.0, abs=0.6)
    assert 0 < row["smallest_points"] < 2


def test_the_pooled_difference_is_the_mean_over_all_sentences():
    settings = type("Settings", (), {"bootstrap_samples": 200, "seed": 1})
    table = comparisons.differences_table(results(hard=3.0), "full", settings)
    by_split = table.set_index("split")
    weighted = (by_split["difference_points"] * by_split["n"]).drop("pooled").sum() / N
    assert by_split.loc["pooled", "difference_points"] == pytest.approx(weighted)
    assert list(table["arm"].unique()) == ["hard"]


def test_small_subsets_are_left_out():
    found = results(hard=3.0)
    few = {"few": np.arange(N) < 199, "enough": np.arange(N) < 200}
    table = comparisons.subsets_table(found, "full", found.sentences.assign(**few))
    assert set(table["subset"]) == {"all", "enough"}
    assert table[table["arm"] == "full"]["difference_points"].isna().all()


def test_baselines_count_their_right_guesses():
    marks = pd.DataFrame(
        {"split": ["validation"] * 3 + ["test"], "label": [0, 1, 2, 2], "bag": [0, 1, 1, 2],
         "majority": 2}
    )  # fmt: skip
    table = comparisons.baselines_table(marks).set_index(["baseline", "split"])["accuracy"]
    assert table["bag of words", "validation"] == pytest.approx(2 / 3)
    assert table["bag of words", "pooled"] == pytest.approx(3 / 4)
    assert table["majority", "pooled"] == pytest.approx(2 / 4)
