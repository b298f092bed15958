"""Ratios of sums over sentences, and how sure one may be of the difference of two.

The interval is that of `ggsa.evaluation.statistics`: a percentile bootstrap that draws sentences and seeds,
each with replacement and crossed. Whatever is compared shares its draws. Here the values are real
numbers and a measure is a ratio (attention / expected attention, hits / words), so numerator and
denominator are resampled together.
"""

from dataclasses import dataclass

import numpy as np

from ggsa.evaluation.statistics import LEVEL, SAMPLES_AT_ONCE


@dataclass(frozen=True)
class Ratio:
    """Sum of `top` over sentences / sum of `bottom`, for every seed; `...` are further axes."""

    top: np.ndarray  # [seed, sentence, ...]
    bottom: np.ndarray  # [sentence, ...]: does not depend on the seed

    @property
    def by_seed(self) -> np.ndarray:
        """The ratio of every seed, `[seed, ...]`; NaN where the bottom is nothing."""
        return _divided(self.top.sum(axis=1), self.bottom.sum(axis=0)[None])

    @property
    def mean(self) -> np.ndarray:
        """Mean over seeds, `[...]`."""
        return self.by_seed.mean(axis=0)

    @property
    def sd(self) -> np.ndarray:
        """Sample standard deviation over seeds, `[...]`; NaN for one seed."""
        values = self.by_seed
        if len(values) < 2:
            return np.full(values.shape[1:], np.nan)
        return values.std(axis=0, ddof=1)

    def chosen(self, *places: int | slice) -> "Ratio":
        """Return the ratio at a place of the further axes."""
        return Ratio(self.top[:, :, *places], self.bottom[:, *places])


def unseeded(top: np.ndarray, bottom: np.ndarray, seeds: int) -> Ratio:
    """Return a ratio that is the same for every seed.

    Args:
        top: `[sentence, ...]`.
        bottom: The same.
        seeds: How many.
    """
    return Ratio(np.broadcast_to(top[None], (seeds, *top.shape)), bottom)


@dataclass(frozen=True)
class Draws:
    """How often every seed and sentence occurs in each resampling."""

    of_seeds: np.ndarray  # float64 [sample, seed]
    of_sentences: np.ndarray  # float32 [sample, sentence]

    def ratio(self, ratio: Ratio) -> np.ndarray:
        """Return a ratio in every resampling, `[sample, ...]`."""
        seeds, further = ratio.top.shape[0], ratio.top.shape[2:]
        total = sum(
            self.of_seeds[:, [seed]] * self._summed(ratio.top[seed]) for seed in range(seeds)
        )
        found = _divided(total, seeds * self._summed(ratio.bottom))
        return found.reshape(-1, *further)

    def interval(self, ratio: Ratio, baseline: Ratio) -> tuple[np.ndarray, np.ndarray]:
        """Return the 95% interval of ratio minus baseline, two arrays `[...]`.

        NaN for one seed (see `ggsa.evaluation.statistics`), and where a ratio is undefined in some resampling
        because what it counts is too rare.
        """
        further = np.broadcast_shapes(ratio.top.shape[2:], baseline.top.shape[2:])
        if ratio.top.shape[0] < 2:
            return np.full(further, np.nan), np.full(further, np.nan)
        difference = self.ratio(ratio) - self.ratio(baseline)
        low, high = np.quantile(difference, [LEVEL / 2, 1 - LEVEL / 2], axis=0)
        return low, high

    def _summed(self, values: np.ndarray) -> np.ndarray:
        flat = values.reshape(len(values), -1).astype(np.float32)
        return (self.of_sentences @ flat).astype(np.float64)


def draws(seeds: int, sentences: int, samples: int, seed: int) -> Draws:
    """Return resamplings of seeds and sentences, drawn by a seed.

    Args:
        seeds: How many seeds there are.
        sentences: How many sentences there are.
        samples: How many resamplings.
        seed: Draws them.
    """
    generator = np.random.default_rng(seed)
    of_sentences = np.empty((samples, sentences), np.float32)
    for start in range(0, samples, SAMPLES_AT_ONCE):
        part = of_sentences[start : start + SAMPLES_AT_ONCE]
        part[:] = generator.multinomial(sentences, np.full(sentences, 1 / sentences), len(part))
    of_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), samples).astype(np.float64)
    return Draws(of_seeds, of_sentences)


def verdict(low: float, high: float) -> str:
    """Return `yes` or `no` where the interval of a difference is clear of zero, else `cannot tell`.

    A difference is always taken so that above zero means yes.
    """
    if np.isfinite([low, high]).all():
        if low > 0:
            return "yes"
        if high < 0:
            return "no"
    return "cannot tell"


def _divided(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    top, bottom = np.broadcast_arrays(top, bottom)
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
