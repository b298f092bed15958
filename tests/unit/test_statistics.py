"""Intervals and tests against closed forms, other libraries, and simulation."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.power import TTestPower

from ggsa.evaluation import statistics

outcomes = npst.arrays(
    np.bool_, st.tuples(st.integers(2, 5), st.integers(2, 40)), elements=st.booleans()
)
pairs_of_arms = outcomes.flatmap(
    lambda arm: st.tuples(st.just(arm), npst.arrays(np.bool_, arm.shape, elements=st.booleans()))
)


def simulated(generator, seeds=8, sentences=200, seed_spread=0.3):
    """Two arms on sentences of differing difficulty, with runs of differing quality."""
    ease = generator.normal(1.2, 1.5, sentences)
    arms = [  # mode, full: each finds some sentences easier than the other does
        ease + generator.normal(0, 0.8, sentences) + generator.normal(0, seed_spread, (seeds, 1))
        for _ in range(2)
    ]
    chances = [1 / (1 + np.exp(-arm)) for arm in arms]
    return statistics.paired_difference(*(generator.random(c.shape) < c for c in chances))


def test_the_interval_of_the_published_accuracy_is_793_to_844():
    low, high = statistics.wilson(715, 872)
    assert (round(low, 3), round(high, 3)) == (0.793, 0.844)


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_wilson_interval_equals_scipys(counts):
    correct, rows = counts
    expected = stats.binomtest(correct, rows).proportion_ci(method="wilson")
    assert statistics.wilson(correct, rows) == pytest.approx(
        (expected.low, expected.high), abs=1e-9
    )


def test_f1_equals_its_definition():
    labels, predicted = np.array([1, 1, 1, 0, 0, 0]), np.array([1, 1, 0, 1, 0, 0])
    precision, recall = 2 / 3, 2 / 3
    assert statistics.f1(labels, predicted) == pytest.approx(
        2 * precision * recall / (precision + recall)
    )


def test_f1_of_three_classes_is_the_mean_of_each_against_the_rest():
    labels, predicted = np.array([0, 1, 2, 2, 1, 0]), np.array([0, 2, 2, 2, 1, 1])
    each = [statistics.f1(labels == c, predicted == c) for c in range(3)]
    assert statistics.f1(labels, predicted, 3) == pytest.approx(np.mean(each))


def test_f1_without_a_positive_label_or_prediction_is_zero():
    assert statistics.f1(np.zeros(3, int), np.zeros(3, int)) == 0


def test_a_prediction_interval_holds_the_next_value_as_often_as_it_says():
    generator = np.random.default_rng(3)
    hits = 0
    for _ in range(1000):
        *seen, following = generator.normal(0.81, 0.01, 4)
        low, high = statistics.prediction_interval(np.array(seen))
        hits += low <= following <= high
    assert 930 <= hits <= 970


def test_one_seed_has_neither_spread_nor_prediction_interval():
    assert np.isnan(statistics.standard_deviation(np.array([0.8])))
    assert np.isnan(statistics.prediction_interval(np.array([0.8]))).all()


@given(pairs_of_arms)
def test_mcnemar_equals_the_binomial_test_of_the_discordant_sentences(arms):
    full, mode = arms[0][0], arms[1][0]
    result = statistics.mcnemar(full, mode)
    assert result.only_full_right == np.sum(full & ~mode)
    assert result.only_mode_right == np.sum(mode & ~full)
    discordant = result.only_full_right + result.only_mode_right
    expected = 1.0
    if discordant:
        expected = stats.binomtest(result.only_full_right, discordant).pvalue
    assert result.p == pytest.approx(expected)


def test_arms_of_different_shape_are_refused():
    with pytest.raises(ValueError, match="differ in shape"):
        statistics.paired_difference(np.ones((2, 3), bool), np.ones((2, 4), bool))


@given(outcomes)
def test_identical_predictions_differ_by_zero_for_certain(arm):
    difference = statistics.paired(arm, arm)
    assert (difference.mean, *difference.interval(), difference.p) == (0, 0, 0, 1)
    assert max(difference.p_above(-1.5), difference.p_below(1.5)) == 0
    assert difference.smallest_detectable() == 0
    assert statistics.bootstrap_interval(statistics.paired_difference(arm, arm), 200, 1) == (0, 0)


@given(pairs_of_arms)
def test_exchanging_the_arms_mirrors_interval_and_tests(arms):
    there, back = statistics.paired(*arms), statistics.paired(*reversed(arms))
    assert back.interval()[0] == pytest.approx(-there.interval()[1])
    assert back.p == pytest.approx(there.p)
    assert back.p_above(-5) == pytest.approx(there.p_below(5))
    assert back.smallest_detectable() == pytest.approx(there.smallest_detectable())


def of(difference):
    """The `Difference` of paired differences 1, 0, -1."""
    error, freedom = statistics.crossed_standard_error(difference)
    return statistics.Difference(100 * float(difference.mean()), 100 * error, freedom)


def test_exchanging_the_arms_mirrors_the_bootstrap_interval_but_for_its_random_draws():
    difference = simulated(np.random.default_rng(5))
    there, back = (statistics.bootstrap_interval(s * difference, 10_000, 7) for s in (1, -1))
    assert back == pytest.approx((-there[1], -there[0]), abs=0.4)


def test_the_bootstrap_has_the_distribution_of_drawing_rows_and_columns():
    difference = simulated(np.random.default_rng(5), seeds=4, sentences=60)
    fast = statistics.crossed_bootstrap(difference, 8000, 1)
    generator = np.random.default_rng(2)
    slow = np.array(
        [
            difference[generator.integers(0, 4, 4)][:, generator.integers(0, 60, 60)].mean()
            for _ in range(8000)
        ]
    )
    assert fast.mean() == pytest.approx(slow.mean(), abs=0.004)
    assert fast.std() == pytest.approx(slow.std(), rel=0.05)
    assert stats.ks_2samp(fast, slow).statistic < 0.03


def test_the_bootstrap_is_the_same_for_the_same_seed_and_another_for_another():
    difference = simulated(np.random.default_rng(5))
    first, again, other = (statistics.crossed_bootstrap(difference, 300, s) for s in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_the_bootstrap_hands_back_as_many_resamplings_as_were_asked_for():
    difference = simulated(np.random.default_rng(5))
    many = statistics.SAMPLES_AT_ONCE + 7
    assert statistics.crossed_bootstrap(difference, many, 1).shape == (many,)


def test_with_one_seed_there_is_a_difference_and_no_interval():
    difference = simulated(np.random.default_rng(5), seeds=1)
    result = of(difference)
    assert result.mean == pytest.approx(100 * difference.mean())
    values = [*result.interval(), result.p, result.p_above(0), result.smallest_detectable()]
    assert np.isnan([*values, *statistics.bootstrap_interval(difference, 100, 1)]).all()


def test_more_variable_seeds_widen_the_interval():
    calm, wild = (
        of(simulated(np.random.default_rng(5), seed_spread=spread)).interval()
        for spread in (0.0, 1.0)
    )
    assert wild[1] - wild[0] > calm[1] - calm[0]


def test_the_crossed_intervals_cover_a_difference_of_zero_about_as_often_as_they_say():
    generator = np.random.default_rng(11)
    inside95 = inside90 = 0
    for _ in range(200):
        difference = of(simulated(generator, seeds=5))
        for level in (0.95, 0.90):
            low, high = difference.interval(level)
            inside95 += level == 0.95 and low <= 0 <= high
            inside90 += level == 0.90 and low <= 0 <= high
    assert 184 <= inside95 <= 200
    assert 170 <= inside90 <= 196


def test_the_standard_error_equals_the_textbook_analysis_of_variance():
    values = simulated(np.random.default_rng(5), seeds=4, sentences=50, seed_spread=1.0)
    error, freedom = statistics.crossed_standard_error(values)
    seeds, sentences = values.shape
    total = np.sum((values - values.mean()) ** 2)
    between_seeds = sentences * np.sum((values.mean(axis=1) - values.mean()) ** 2)
    between_sentences = seeds * np.sum((values.mean(axis=0) - values.mean()) ** 2)
    remainder = (total - between_seeds - between_sentences) / ((seeds - 1) * (sentences - 1))
    squares = (between_seeds / (seeds - 1), between_sentences / (sentences - 1))
    assert min(squares) > remainder  # else the floor would be tested instead
    assert error**2 == pytest.approx((sum(squares) - remainder) / values.size)
    assert seeds - 1 <= freedom <= values.size


def test_a_mean_square_below_the_remainders_does_not_narrow_the_interval():
    values = np.array([[1, -1, 1, -1], [-1, 1, -1, 1]])  # all of it is remainder
    error, _ = statistics.crossed_standard_error(values)
    assert error**2 == pytest.approx(8 / 3 / 8)


@given(pairs_of_arms, st.floats(0.5, 60))
def test_equivalence_is_shown_exactly_when_the_90_percent_interval_lies_in_the_margin(arms, margin):
    difference = statistics.paired(*arms)
    low, high = difference.interval(0.90)
    p = max(difference.p_above(-margin), difference.p_below(margin))
    borderline = min(abs(low + margin), abs(high - margin), abs(p - 0.05))
    assert borderline < 1e-6 or (p < 0.05) == (-margin < low and high < margin)


def test_a_true_difference_of_the_margin_is_rarely_called_equivalent():
    generator = np.random.default_rng(12)
    verdicts = []
    for _ in range(300):
        arm, full = generator.random((6, 300)) < 0.75, generator.random((6, 300)) < 0.80
        difference = statistics.paired(arm, full)
        verdicts.append(max(difference.p_above(-5), difference.p_below(5)) < 0.05)
    assert np.mean(verdicts) <= 0.08


@given(pairs_of_arms)
def test_tests_and_interval_equal_those_of_a_t_distribution_written_out(arms):
    """An independent computation: statsmodels' mean squares and scipy's t."""
    values = 100.0 * (arms[0].astype(int) - arms[1].astype(int))
    seeds, sentences = np.indices(values.shape)
    table = pd.DataFrame({"y": values.ravel(), "s": seeds.ravel(), "i": sentences.ravel()})
    squares = anova_lm(ols("y ~ C(s) + C(i)", table).fit())
    rest = squares.loc["Residual", "mean_sq"]
    by_seed, by_sentence = (max(squares.loc[f"C({n})", "mean_sq"], rest) for n in "si")
    variance = (by_seed + by_sentence - rest) / values.size
    difference = statistics.paired(*arms)
    assert difference.mean == pytest.approx(values.mean())
    assert difference.error == pytest.approx(np.sqrt(max(variance, 0)), abs=1e-6)
    if difference.error < 1e-6:
        return
    expected = stats.t.interval(0.95, difference.freedom, values.mean(), np.sqrt(variance))
    assert difference.interval() == pytest.approx(expected, abs=1e-6)
    t = (values.mean() + 1.5) / np.sqrt(variance)
    assert difference.p_above(-1.5) == pytest.approx(1 - stats.t.cdf(t, difference.freedom))


@pytest.mark.parametrize("tests", [1, 4])
def test_the_smallest_detectable_difference_is_found_with_80_percent_power(tests):
    error, freedom = 0.4, 6.0
    difference = statistics.Difference(0.0, error, freedom)
    truth = difference.smallest_detectable(tests)
    expected = TTestPower().power(truth / error / np.sqrt(7), 7, 0.05 / tests, df=freedom)
    assert expected == pytest.approx(0.80, abs=0.002)
    generator = np.random.default_rng(4)
    estimates = generator.normal(truth, error, 40_000)
    errors = error * np.sqrt(generator.chisquare(freedom, 40_000) / freedom)
    critical = stats.t.ppf(1 - 0.05 / tests / 2, freedom)
    assert np.mean(np.abs(estimates / errors) > critical) == pytest.approx(0.80, abs=0.01)


def combined_p(values):
    """The two-sided p of a mean of zero by a two-way analysis of variance, written out."""
    seeds, sentences = values.shape
    grand = values.mean()
    rows, columns = values.mean(1), values.mean(0)
    rest = values - rows[:, None] - columns[None, :] + grand
    freedoms = np.array([seeds - 1, sentences - 1, (seeds - 1) * (sentences - 1)])
    squares = np.array(
        [sentences * ((rows - grand) ** 2).sum(), seeds * ((columns - grand) ** 2).sum(),
         (rest**2).sum()]
    )  # fmt: skip
    squares = squares / freedoms
    squares[:2] = np.maximum(squares[:2], squares[2])
    combined = squares[0] + squares[1] - squares[2]
    freedom = combined**2 / (squares**2 / freedoms).sum()
    return 2 * stats.t.sf(abs(grand) / np.sqrt(combined / values.size), freedom)


def planted(generator, share, seeds=5, sentences=900):
    """Right and wrong of three arms of which the middle one covers a share of the way."""
    difficulty = generator.random(sentences)
    return (
        difficulty + 0.05 * generator.standard_normal((seeds, sentences))
        < 0.80 + 0.08 * place + 0.004 * generator.standard_normal((seeds, 1))
        for place in (share, 0.0, 1.0)
    )


@pytest.mark.parametrize("share", [-0.2, 0.1, 0.5, 1.0])
def test_fiellers_interval_ends_where_the_combined_mean_differs_from_zero(share):
    arm, floor, reference = planted(np.random.default_rng(3), share)
    found = statistics.share(arm, floor, reference)
    gained, whole = arm.astype(float) - floor, reference.astype(float) - floor
    assert found.value == pytest.approx(gained.mean() / whole.mean())
    assert found.low < found.value < found.high
    for end in (found.low, found.high):
        assert combined_p(gained - end * whole) == pytest.approx(0.05, abs=1e-6)
    assert found.p == pytest.approx(combined_p(gained - 0.8 * whole))
    assert (found.p < 0.05) == (not found.low <= 0.8 <= found.high)
    inside = np.linspace(found.low, found.high, 9)[1:-1]
    assert all(combined_p(gained - ratio * whole) > 0.05 for ratio in inside)


def test_fiellers_interval_covers_a_share_about_as_often_as_it_says():
    generator = np.random.default_rng(11)
    covered = []
    for _ in range(300):
        found = statistics.share(*planted(generator, 0.5, sentences=400))
        covered.append(np.isnan(found.low) or found.low <= 0.5 <= found.high)
    assert 0.93 <= np.mean(covered) <= 1.0


def test_a_share_of_nothing_has_no_interval():
    generator = np.random.default_rng(5)
    arm, floor, reference = (generator.random((5, 300)) < 0.8 for _ in range(3))
    found = statistics.share(arm, floor, reference)
    assert np.isnan([found.low, found.high, found.p]).all()
    same = statistics.share(arm, floor, floor)
    assert np.isnan([same.value, same.low, same.high]).all()
    one = statistics.share(arm[:1], floor[:1], reference[:1])
    assert np.isnan([one.low, one.high]).all()


def test_holm_equals_the_step_down_procedure_by_hand():
    adjusted = statistics.holm(np.array([0.04, 0.01, 0.03]))
    assert adjusted == pytest.approx([0.06, 0.03, 0.06])


def test_holm_does_not_count_a_comparison_without_p():
    adjusted = statistics.holm(np.array([0.02, np.nan, 0.03]))
    assert adjusted[[0, 2]] == pytest.approx([0.04, 0.04])
    assert np.isnan(adjusted[1])


def test_holm_of_no_comparison_is_empty():
    assert statistics.holm(np.array([])).size == 0
