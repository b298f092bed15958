"""How sure one may be of an accuracy, and of the difference between two modes.

Place in the data flow: `ggsa.evaluation.core` hands in who was right on which sentence with which seed;
nothing here reads or writes a file.

The plan, fixed before any result was seen:

- *A run*: accuracy with its Wilson 95% interval; F1 of the positive class.
- *A mode*: mean and standard deviation over seeds, and a 95% Student prediction interval for one
  further seed. One seed has no spread: these are then NaN.
- *A difference* (mode minus full, same seeds in both arms): the 95% percentile interval of a
  bootstrap that draws sentences and seeds, each with replacement and crossed, so that a drawn
  seed meets every drawn sentence in both arms. The seeds share their sentences, therefore
  treating seed x sentence as independent rows would count every sentence several times. The
  two-sided p is twice the smaller share of resamplings on either side of zero. With few seeds the
  spread of seeds is understated (by the factor (s-1)/s in variance), so that below `FEWEST_SEEDS`
  the interval is called descriptive; with one seed it is NaN.
- *Equivalence*: two one-sided t tests at a margin fixed in params.yaml. Their standard error comes
  from the two-way random-effects analysis of variance (seeds x sentences), with Satterthwaite's
  degrees of freedom: unlike the percentile interval this pays for having few seeds.
- *Several modes*: Holm's correction over the modes compared on one split; the difference tests
  and the equivalence tests are a family each.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats
from sklearn.metrics import f1_score
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

Booleans = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.integer]
Floats = npt.NDArray[np.floating]

FEWEST_SEEDS = 5  # below this an interval over seeds describes, it does not infer
LEVEL = 0.05
POWER = 0.80
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
    """Return the 95% interval in which one further seed's accuracy is expected, within 0 to 1.

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
class Comparison:
    """A mean difference in points, its 95% interval, and the two-sided bootstrap p."""

    difference_points: float
    low_points: float
    high_points: float
    p: float


def compare(difference: Integers, samples: int, seed: int) -> Comparison:
    """Return the difference of two modes with its crossed-bootstrap interval, in points.

    With one seed, interval and p are NaN: an interval over sentences alone would pass for one
    that knows the spread of seeds. McNemar's test is the one for a single seed.
    """
    points = float(100 * np.mean(difference))
    if difference.shape[0] < 2:
        return Comparison(points, float("nan"), float("nan"), float("nan"))
    resampled = crossed_bootstrap(difference, samples, seed)
    low, high = np.quantile(resampled, [LEVEL / 2, 1 - LEVEL / 2])
    at_most = (np.sum(resampled <= 0) + 1) / (samples + 1)
    at_least = (np.sum(resampled >= 0) + 1) / (samples + 1)
    p = min(1.0, float(2 * min(at_most, at_least)))
    return Comparison(points, float(100 * low), float(100 * high), p)


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


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests at a margin; everything but the p values in points."""

    difference_points: float
    low90_points: float
    high90_points: float
    p_lower: float
    p_upper: float
    smallest_margin_points: float

    @property
    def p(self) -> float:
        """The larger of the two p values: both sides must be refuted."""
        return max(self.p_lower, self.p_upper)


def equivalence(difference: Integers, margin_points: float) -> Equivalence:
    """Return the two one-sided t tests that the difference lies within the margin.

    p_lower tests "at least the margin worse", p_upper "at least the margin better". The 90%
    interval lies within the margin exactly when both are below 5% (before Holm). All but the
    difference is NaN for a single seed.
    """
    error, freedom = crossed_standard_error(difference)
    mean, margin = float(np.mean(difference)), margin_points / 100
    half = _times(stats.t.ppf(1 - LEVEL, freedom), error)
    return Equivalence(
        difference_points=100 * mean,
        low90_points=100 * (mean - half),
        high90_points=100 * (mean + half),
        p_lower=_upper_tail(mean + margin, error, freedom),
        p_upper=_upper_tail(margin - mean, error, freedom),
        smallest_margin_points=100 * smallest_margin(error, freedom),
    )


def smallest_margin(error: float, freedom: float) -> float:
    """Return the smallest margin shown with 80% power if the true difference is 0.

    Equivalence at a margin m is declared when |estimate| <= m - t(.95) x error. With a true
    difference of 0 that happens with probability .80 when each side fails with .10, therefore
    m = (t(.95) + t(.90)) x error, before Holm. Same unit as the error; NaN when that is.
    """
    sides = 1 - (1 - POWER) / 2
    return _times(stats.t.ppf(1 - LEVEL, freedom) + stats.t.ppf(sides, freedom), error)


def holm(p_values: Floats) -> Floats:
    """Return Holm's adjusted p values in the order given; NaN stays NaN and is not counted."""
    adjusted = np.array(p_values, dtype=np.float64)
    known = ~np.isnan(adjusted)
    if known.any():
        adjusted[known] = multipletests(adjusted[known], alpha=LEVEL, method="holm")[1]
    return adjusted


def _times(quantile: float, error: float) -> float:
    return 0.0 if error == 0 else float(quantile * error)


def _upper_tail(distance: float, error: float, freedom: float) -> float:
    if error == 0:  # no spread at all: the estimate is taken for the truth
        return 0.0 if distance > 0 else 1.0
    return float(stats.t.sf(distance / error, freedom))
