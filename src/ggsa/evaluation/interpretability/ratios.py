"""Ratios of sums over sentences, and the crossed random-effects interval of their difference.

A measure is a ratio of two sums over sentences (hits / words, attention on rule pairs / queries).
It is linearized: every seed and sentence contributes the ratio plus its own residual over the mean
denominator, so that the contributions average to the ratio. Their standard error over seeds and
sentences is that of `ggsa.evaluation.statistics.crossed_standard_error`, the one that decides every
verdict on accuracy.
"""

from dataclasses import dataclass

import numpy as np

from ggsa.evaluation.statistics import Difference, crossed_standard_error, standard_deviation


@dataclass(frozen=True)
class Ratio:
    """Sum of `top` over sentences / sum of `bottom` over sentences, for every seed."""

    top: np.ndarray  # [seed, sentence]
    bottom: np.ndarray  # [sentence]; does not depend on the seed

    @property
    def by_seed(self) -> np.ndarray:
        """The ratio of every seed, `[seed]`; NaN where the denominator is zero."""
        total = self.bottom.sum()
        return self.top.sum(axis=1) / total if total else np.full(len(self.top), np.nan)

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return float(self.by_seed.mean())

    @property
    def sd(self) -> float:
        """Standard deviation over seeds; NaN for one seed."""
        return standard_deviation(self.by_seed)

    @property
    def contributions(self) -> np.ndarray:
        """Contribution of every seed and sentence, `[seed, sentence]`; their mean is `mean`."""
        if np.isnan(self.mean):
            return np.full(self.top.shape, np.nan)
        return self.mean + (self.top - self.mean * self.bottom) / self.bottom.mean()


def constant(top: np.ndarray, bottom: np.ndarray, seeds: int) -> Ratio:
    """Return a ratio that is the same for every seed.

    Args:
        top: `[sentence]`.
        bottom: `[sentence]`.
        seeds: Number of seeds.
    """
    return Ratio(np.broadcast_to(top, (seeds, len(top))), bottom)


def estimate(value: Ratio, baseline: Ratio | None = None) -> Difference:
    """Return a ratio, or its difference to a baseline on the same seeds and sentences."""
    contributions = value.contributions
    if baseline is not None:
        contributions = contributions - baseline.contributions
    return Difference(float(contributions.mean()), *crossed_standard_error(contributions))
