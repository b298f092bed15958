"""How certain an accuracy is, and the difference between two arms.

The plan, fixed before any result was seen:

- *A run*: accuracy with its Wilson 95 % interval; F1 of the positive class.
- *An arm*: mean and standard deviation over seeds, and Student's 95 % prediction interval for a new
  seed. With one seed they are NaN.
- *A difference* (arm minus reference, same seeds and sentences): the mean with the standard error
  of the two-way random-effects analysis of variance (seeds x sentences) and Student's t with
  Satterthwaite's degrees of freedom. Seeds share their sentences, so seed x sentence are no
  independent rows. The crossed bootstrap is drawn in figures and decides nothing: with three to
  five seeds it covers too little.
- *Equivalence*: two one-sided t tests at a fixed margin, with the same standard error.
- *A share* (arm - floor) / (reference - floor), such as the share of headroom that a mask keeps:
  Fieller's 95 % interval, with the same standard error.
- *Several questions*: Holm's correction over the family that declares them.
- *Power*: the smallest true difference that Holm's first step detects with 80 % power, by the
  noncentral t.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats
from sklearn.metrics import f1_score
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.proportion import proportion_confint

Booleans = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.integer]
Floats = npt.NDArray[np.floating]

FEWEST_SEEDS = 3  # for the gate and equivalence; below it there is no verdict
SEEDS_FOR_ALL = 5  # for verdicts of better and worse
LEVEL = 0.05
POWER = 0.80
MOST = 0.80  # a mask that keeps more than this share of the headroom keeps most of it
SAMPLES_AT_ONCE = 1000  # bounds the memory of the bootstrap


def wilson(correct: int, rows: int) -> tuple[float, float]:
    """Return the Wilson 95% interval of a share, as two fractions.

    Unlike the usual normal interval it stays within 0 and 1 and keeps its coverage for shares
    near either end.
    """
    low, high = proportion_confint(correct, rows, alpha=LEVEL, method="wilson")
    return float(low), float(high)


def f1(labels: Integers, predicted: Integers, classes: int = 2) -> float:
    """Return the F1 of the positive class (label 1); of more classes the macro average.

    A class that is neither present nor predicted counts 0.
    """
    if classes == 2:
        return float(f1_score(labels, predicted, pos_label=1, zero_division=0))
    known = range(classes)
    return float(f1_score(labels, predicted, labels=known, average="macro", zero_division=0))


def standard_deviation(values: Floats) -> float:
    """Return the sample standard deviation (divisor s-1), NaN for fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def prediction_interval(values: Floats) -> tuple[float, float]:
    """Return the 95% interval in which a new seed's accuracy is expected, within 0 to 1.

    Mean +- t(s-1) x sd x sqrt(1 + 1/s). It is the right yardstick for a published number that
    was read from one seed: the question is whether it could be one of ours, not whether it equals
    our mean. NaN, NaN for a single value.
    """
    count = len(values)
    if count < 2:
        return float("nan"), float("nan")
    quantile = stats.t.ppf(1 - LEVEL / 2, count - 1)
    half = quantile * standard_deviation(values) * np.sqrt(1 + 1 / count)
    low, high = np.clip(np.mean(values) + np.array([-half, half]), 0.0, 1.0)
    return float(low), float(high)


@dataclass(frozen=True)
class McNemar:
    """Sentences that only one of two runs gets right, and the exact two-sided p."""

    only_full_right: int
    only_mode_right: int
    p: float


def mcnemar(full_right: Booleans, mode_right: Booleans) -> McNemar:
    """Return McNemar's exact test of two runs on the same sentences.

    Only the sentences on which the two disagree carry information; under the null hypothesis
    each falls to either side with probability one half. p is 1 when they never disagree.
    """
    only_full = int(np.sum(full_right & ~mode_right))
    only_mode = int(np.sum(~full_right & mode_right))
    both, neither = int(np.sum(full_right & mode_right)), int(np.sum(~full_right & ~mode_right))
    result = statsmodels_mcnemar([[both, only_full], [only_mode, neither]], exact=True)
    return McNemar(only_full, only_mode, float(result.pvalue))


def paired_difference(mode_right: Booleans, full_right: Booleans) -> Integers:
    """Return mode minus full for every seed and sentence: 1, 0 or -1, array [seed, sentence]."""
    if mode_right.shape != full_right.shape:
        raise ValueError(f"arms differ in shape: {mode_right.shape} and {full_right.shape}")
    return mode_right.astype(np.int8) - full_right.astype(np.int8)


def crossed_bootstrap(difference: Integers, samples: int, seed: int) -> Floats:
    """Return the mean difference in each resampling of sentences and seeds, array [sample].

    Drawing rows and columns with replacement is the same as giving them multinomial weights, so
    that a resampling is w_seed . difference . w_sentence. Sentences with equal columns (at most
    3^s kinds) are interchangeable and drawn as one category, which changes nothing but the time.

    Args:
        difference: 1, 0 or -1, array [seed, sentence].
        samples: How many resamplings.
        seed: Draws them; equal for all comparisons, so that these share their random numbers.
    """
    seeds, sentences = difference.shape
    kinds, counts = np.unique(difference, axis=1, return_counts=True)  # [seed, kind], [kind]
    generator = np.random.default_rng(seed)
    drawn = []
    for start in range(0, samples, SAMPLES_AT_ONCE):
        size = min(SAMPLES_AT_ONCE, samples - start)
        of_sentences = generator.multinomial(sentences, counts / sentences, size)  # [sample, kind]
        of_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size)  # [sample, seed]
        totals = np.sum(of_seeds * (of_sentences @ kinds.T.astype(np.int64)), axis=1)
        drawn.append(totals / (seeds * sentences))
    return np.concatenate(drawn)


@dataclass(frozen=True)
class Difference:
    """A mean paired difference in percentage points with its uncertainty.

    Attributes:
        mean: Arm minus reference.
        error: Crossed standard error; NaN with a single seed.
        freedom: Degrees of freedom of the error.
    """

    mean: float
    error: float
    freedom: float

    def interval(self, level: float = 1 - LEVEL) -> tuple[float, float]:
        """Return the two-sided interval of a confidence level, in percentage points."""
        half = _times(stats.t.ppf((1 + level) / 2, self.freedom), self.error)
        return self.mean - half, self.mean + half

    @property
    def p(self) -> float:
        """The two-sided p value of no difference."""
        if np.isnan(self.error):
            return float("nan")
        return min(1.0, 2 * _upper_tail(abs(self.mean), self.error, self.freedom))

    def p_above(self, bound: float) -> float:
        """Return the one-sided p value of "the difference is at most `bound`"."""
        return _upper_tail(self.mean - bound, self.error, self.freedom)

    def p_below(self, bound: float) -> float:
        """Return the one-sided p value of "the difference is at least `bound`"."""
        return _upper_tail(bound - self.mean, self.error, self.freedom)

    def smallest_detectable(self, tests: int = 1) -> float:
        """Return the true difference that a two-sided t test detects with 80 % power.

        Args:
            tests: Size of the family; the level is that of Holm's first step, 5 % / tests.
        """
        if np.isnan(self.error) or self.error == 0:
            return self.error
        critical = stats.t.ppf(1 - LEVEL / tests / 2, self.freedom)

        def missing_power(noncentrality: float) -> float:
            # Beyond the opposite critical value lies a share that is negligible at this power.
            return float(stats.nct.sf(critical, self.freedom, noncentrality)) - POWER

        return self.error * float(optimize.brentq(missing_power, 0.0, 10 * critical + 10))


def paired(arm_right: Booleans, reference_right: Booleans) -> Difference:
    """Return the difference of two arms.

    Args:
        arm_right: Which seeds are right on which sentences, bool `[seed, sentence]`.
        reference_right: The same of the reference, with the same seeds.
    """
    difference = paired_difference(arm_right, reference_right)
    error, freedom = crossed_standard_error(difference)
    return Difference(100 * float(difference.mean()), 100 * error, freedom)


@dataclass(frozen=True)
class Share:
    """A ratio of two differences with Fieller's 95 % interval.

    Attributes:
        value: (arm - floor) / (reference - floor).
        low: NaN, as are `high` and `p`, if the interval is not bounded: the denominator is not
            shown to differ from zero.
        high: See `low`.
        p: The two-sided p value of "the share is `MOST`": below 5 % exactly if the interval lies
            on one side of it.
    """

    value: float
    low: float
    high: float
    p: float


def share(arm: Booleans, floor: Booleans, reference: Booleans) -> Share:
    """Return the share of the way from a floor to a reference that an arm covers.

    Fieller's interval holds every r for which the mean of arm - r reference - (1 - r) floor, over
    seeds and sentences, is not shown to differ from zero (crossed standard error, Student's t).

    Args:
        arm: Which seeds are right on which sentences, bool `[seed, sentence]`.
        floor: The same of the arm that counts 0, with the same seeds.
        reference: The same of the arm that counts 1.
    """
    gained = paired_difference(arm, floor).astype(np.float64)
    whole = paired_difference(reference, floor).astype(np.float64)
    if not whole.mean():
        return Share(*4 * [float("nan")])
    value = float(gained.mean() / whole.mean())

    def excess(difference: Floats) -> float:
        """Return how far a mean is beyond what is compatible with zero; NaN with one seed."""
        error, freedom = crossed_standard_error(difference)
        return abs(float(difference.mean())) - _times(stats.t.ppf(1 - LEVEL / 2, freedom), error)

    if not excess(whole) > 0:
        return Share(value, *3 * [float("nan")])

    if excess(gained - value * whole) >= 0:  # no spread at all
        return Share(value, value, value, float(value == MOST))

    def bound(direction: int) -> float:
        """Return the ratio in a direction from which on none is compatible with the data."""
        step = 1e-3
        while excess(gained - (value + direction * step) * whole) < 0:
            step *= 2
        end = value + direction * step
        return float(optimize.brentq(lambda ratio: excess(gained - ratio * whole), value, end))

    at_most = gained - MOST * whole
    error, freedom = crossed_standard_error(at_most)
    p = min(1.0, 2 * _upper_tail(abs(float(at_most.mean())), error, freedom))
    return Share(value, bound(-1), bound(1), p)


def bootstrap_interval(difference: Integers, samples: int, seed: int) -> tuple[float, float]:
    """Return the crossed bootstrap's 95 % percentile interval in percentage points, for figures.

    NaN, NaN with a single seed: an interval over sentences alone would look like one that knows
    the spread over seeds.
    """
    if difference.shape[0] < 2:
        return float("nan"), float("nan")
    resampled = crossed_bootstrap(difference, samples, seed)
    low, high = np.quantile(resampled, [LEVEL / 2, 1 - LEVEL / 2])
    return float(100 * low), float(100 * high)


def crossed_standard_error(difference: Integers) -> tuple[float, float]:
    """Return the standard error of the mean difference (a fraction) and its degrees of freedom.

    Two-way random effects: difference = mean + seed + sentence + remainder, so that the variance
    of the mean is (MS_seed + MS_sentence - MS_remainder) / (seeds x sentences). A mean square
    below that of the remainder (a negative variance component) is raised to it, which errs
    toward a wider interval. Degrees of freedom by Satterthwaite. NaN, NaN for a single seed;
    0 and infinity when no two runs ever disagree.
    """
    seeds, sentences = difference.shape
    if seeds < 2 or sentences < 2:
        return float("nan"), float("nan")
    values = difference.astype(np.float64)
    mean = values.mean()
    by_seed = values.mean(axis=1, keepdims=True) - mean
    by_sentence = values.mean(axis=0, keepdims=True) - mean
    remainder_df = (seeds - 1) * (sentences - 1)
    ms_remainder = np.sum((values - mean - by_seed - by_sentence) ** 2) / remainder_df
    ms_seed = max(sentences * np.sum(by_seed**2) / (seeds - 1), ms_remainder)
    ms_sentence = max(seeds * np.sum(by_sentence**2) / (sentences - 1), ms_remainder)
    combined = ms_seed + ms_sentence - ms_remainder
    if combined <= 0:
        return 0.0, float("inf")
    spread = (
        ms_seed**2 / (seeds - 1) + ms_sentence**2 / (sentences - 1) + ms_remainder**2 / remainder_df
    )
    return float(np.sqrt(combined / values.size)), float(combined**2 / spread)


def holm(p_values: Floats) -> Floats:
    """Return Holm's adjusted p values in the order given; NaN stays NaN and is not counted.

    statsmodels has it, but collects garbage in every call: that took nine tenths of a verification.
    """
    adjusted = np.array(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(adjusted))
    order = known[np.argsort(adjusted[known])]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * adjusted[order]), 1.0)
    return adjusted


def _times(quantile: float, error: float) -> float:
    return 0.0 if error == 0 else float(quantile * error)


def _upper_tail(distance: float, error: float, freedom: float) -> float:
    if np.isnan(error):
        return float("nan")
    if error == 0:  # no spread at all: the estimate is taken for the truth
        return 0.0 if distance > 0 else 1.0
    return float(stats.t.sf(distance / error, freedom))
