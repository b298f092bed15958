"""The tables of the interpretability measurements, and the verdict on each question.

Every mean has its standard deviation over seeds and the number of sentences beside it, every
difference its 95% interval (`ggsa.evaluation.interpretability.resampling`). A verdict is `yes` where the
interval of the difference to the baseline lies above zero, `no` where it lies below, else `cannot
tell`; differences are taken so that above zero is what the question asks for. This rule, the
questions and their baselines were fixed before any number was seen. The intervals are not widened
for the number of questions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ggsa.evaluation.interpretability.attention import Baselines, Weights
from ggsa.evaluation.interpretability.resampling import Draws, Ratio, draws, unseeded, verdict
from ggsa.evaluation.statistics import FEWEST_SEEDS
from ggsa.workspace.config import Params
from ggsa.workspace.vocabulary import TAGS, UNIVERSAL_TAGS

Rows = list[dict[str, Any]]
Looked = Mapping[str, Sequence[Weights]]
WORDS = slice(0, len(UNIVERSAL_TAGS))  # tags of words, special tokens left out
REFERENCE = "full"


@dataclass(frozen=True)
class Cells:
    """What was measured: modes, seeds, and resamplings of seeds and sentences."""

    modes: tuple[str, ...]
    seeds: tuple[int, ...]
    draws: Draws

    @classmethod
    def of(cls, params: Params, sentences: int) -> "Cells":
        """Return the cells of the grid, with resamplings of so many sentences."""
        modes, seeds, options = params.grid.modes, params.grid.seeds, params.evaluate
        return cls(
            modes,
            seeds,
            draws(len(seeds), sentences, options.bootstrap_samples, options.seed),
        )

    @property
    def counts(self) -> dict[str, int]:
        """The two numbers that stand beside every mean."""
        return {"sentences": self.draws.of_sentences.shape[1], "seeds": len(self.seeds)}

    def beyond(self, ratio: Ratio, baseline: Ratio, name: str) -> dict[str, Any]:
        """Return the columns of a difference, by the name of its baseline; scalars only."""
        low, high = self.draws.interval(ratio, baseline)
        return {
            f"difference_to_{name}": float(ratio.mean - baseline.mean),
            f"difference_to_{name}_low": float(low),
            f"difference_to_{name}_high": float(high),
        }

    def others(self) -> list[str]:
        """Return the modes that are compared with full attention, if that was measured."""
        return [mode for mode in self.modes if REFERENCE in self.modes and mode != REFERENCE]

    def finding(
        self, question: str, mode: str, measure: str, value: Ratio, baseline: Ratio, name: str
    ) -> dict[str, Any]:
        """Return the row of a question whose answer is yes where the value is above a baseline."""
        low, high = (float(end) for end in self.draws.interval(value, baseline))
        return {
            "question": question,
            "mode": mode,
            "measure": measure,
            "value": float(value.mean),
            "baseline": name,
            "baseline_value": float(baseline.mean),
            "difference": float(value.mean - baseline.mean),
            "interval_low": low,
            "interval_high": high,
            "n_sentences": self.counts["sentences"],
            "n_seeds": self.counts["seeds"],
            "verdict": verdict(low, high),
        }


# Attention by tag pair.


def tag_pairs(cells: Cells, looked: Looked, alone: Mapping[str, Baselines]) -> tuple[Any, Rows]:
    """Return attention mass per tag pair against what uniform attention would give it.

    `mass` is the share of its attention that a token of the query tag gives to all tokens of the
    key tag; `ratio` is mass / the same of uniform attention under the mode's mask (blank where the
    mask allows none). An interval is blank where the pair is too rare for every resampling.
    """
    over_uniform = {
        mode: Ratio(_stacked(looked[mode], "mass"), alone[mode].uniform) for mode in cells.modes
    }
    rows: Rows = []
    for mode in cells.modes:
        base, ratio = alone[mode], over_uniform[mode]
        queries = base.queries[:, :, None] * np.ones(len(TAGS))
        share = Ratio(ratio.top, queries)
        expected = unseeded(base.uniform, queries, len(cells.seeds)).mean
        biased = unseeded(base.bias_alone, queries, len(cells.seeds)).mean
        low = high = difference = np.full(expected.shape, np.nan)
        if mode in cells.others():
            reference = over_uniform[REFERENCE]
            difference = ratio.mean - reference.mean
            low, high = cells.draws.interval(ratio, reference)
        for query, key in np.argwhere(base.queries.sum(0)[:, None] * base.queries.sum(0) > 0):
            at = (query, key)
            rows.append(
                {
                    "mode": mode,
                    "query_tag": TAGS[query],
                    "key_tag": TAGS[key],
                    "mass_mean": share.mean[at],
                    "mass_sd": share.sd[at],
                    "mass_uniform": expected[at],
                    "mass_bias_alone": biased[at],
                    "ratio_mean": ratio.mean[at],
                    "ratio_sd": ratio.sd[at],
                    "ratio_difference_to_full": difference[at],
                    "ratio_difference_to_full_low": low[at],
                    "ratio_difference_to_full_high": high[at],
                    "queries": base.queries[:, query].sum(),
                    **cells.counts,
                }
            )
    return pd.DataFrame(rows), []


def entropy(cells: Cells, looked: Looked, alone: Mapping[str, Baselines]) -> tuple[Any, Rows]:
    """Return normalized entropy per layer and head: 1 is uniform over the allowed keys.

    Over the queries that may look at two keys or more. The rows of layer and head `all` are means.
    """
    heads = {mode: _stacked(looked[mode], "spread") for mode in cells.modes}
    ratios = {
        mode: Ratio(top, np.broadcast_to(alone[mode].choosers[:, None, None], top.shape[1:]))
        for mode, top in heads.items()
    }
    overall = {
        mode: Ratio(top.mean(axis=(2, 3)), alone[mode].choosers) for mode, top in heads.items()
    }
    rows: Rows = []
    for mode in cells.modes:
        base = alone[mode]
        places = list(np.ndindex(*heads[mode].shape[2:]))
        biased = base.spread.sum() / base.choosers.sum()
        for place in ("all", *places):
            mine = overall[mode] if place == "all" else ratios[mode].chosen(*place)
            theirs = overall if place == "all" else None
            extra = {}
            if mode in cells.others():
                full = theirs[REFERENCE] if theirs else ratios[REFERENCE].chosen(*place)
                extra = cells.beyond(mine, full, REFERENCE)
            rows.append(
                {
                    "mode": mode,
                    "layer": "all" if place == "all" else place[0],
                    "head": "all" if place == "all" else place[1],
                    "entropy_mean": float(mine.mean),
                    "entropy_sd": float(mine.sd),
                    "entropy_bias_alone": biased,
                    **extra,
                    "queries": base.choosers.sum(),
                    **cells.counts,
                }
            )
    return pd.DataFrame(rows), _concentration(cells, overall, alone)


def _concentration(
    cells: Cells, overall: Mapping[str, Ratio], alone: Mapping[str, Baselines]
) -> Rows:
    measure = "1 - entropy / log(allowed keys), mean of layers and heads"
    concentrated = {
        mode: Ratio(ratio.bottom - ratio.top, ratio.bottom) for mode, ratio in overall.items()
    }
    rows = [
        cells.finding(
            f"Is {mode}'s attention more concentrated than full's?",
            mode,
            measure,
            concentrated[mode],
            concentrated[REFERENCE],
            REFERENCE,
        )
        for mode in cells.others()
    ]
    for mode in cells.modes:
        base = alone[mode]
        if np.allclose(base.spread, base.choosers):
            continue  # bias alone is uniform: nothing is less concentrated
        by_bias = unseeded(base.choosers - base.spread, base.choosers, len(cells.seeds))
        rows.append(
            cells.finding(
                f"Is {mode}'s attention more concentrated than its bias alone makes it?",
                mode,
                measure,
                concentrated[mode],
                by_bias,
                "bias alone",
            )
        )
    return rows


def rule_share(
    cells: Cells,
    looked: Looked,
    alone: Mapping[str, Baselines],
    pairs: Mapping[str, np.ndarray],
) -> tuple[Any, Rows]:
    """Return the share of the attention of words (not of special tokens) on sets of tag pairs.

    Args:
        cells: What was measured.
        looked: Weights by mode, seed by seed.
        alone: Baselines by mode.
        pairs: Sets of tag pairs by name, each bool `[tag, tag]`.
    """
    rows, findings = [], []
    seeds = len(cells.seeds)
    for name, table in pairs.items():
        on_words = table.copy()
        on_words[len(UNIVERSAL_TAGS) :] = False
        shares, uniform, biased = {}, {}, {}
        for mode in cells.modes:
            queries = alone[mode].queries[:, WORDS].sum(1)
            mass = _stacked(looked[mode], "mass")
            shares[mode] = Ratio((mass * on_words).sum((2, 3)), queries)
            uniform[mode] = unseeded((alone[mode].uniform * on_words).sum((1, 2)), queries, seeds)
            biased[mode] = unseeded((alone[mode].bias_alone * on_words).sum((1, 2)), queries, seeds)
        for mode in cells.modes:
            share = shares[mode]
            row = {
                "mode": mode,
                "pairs": name,
                "share_mean": float(share.mean),
                "share_sd": float(share.sd),
                "share_uniform": float(uniform[mode].mean),
                "share_bias_alone": float(biased[mode].mean),
                **cells.beyond(share, uniform[mode], "uniform"),
                **cells.beyond(share, biased[mode], "bias_alone"),
            }
            if mode in cells.others():
                row |= cells.beyond(share, shares[REFERENCE], REFERENCE)
            rows.append(row | {"queries": int(alone[mode].queries[:, WORDS].sum()), **cells.counts})
            if name == "rules":
                findings += _rule_findings(cells, mode, share, uniform[mode], biased[mode])
    return pd.DataFrame(rows), findings


def _rule_findings(cells: Cells, mode: str, share: Ratio, uniform: Ratio, biased: Ratio) -> Rows:
    measure = "share of words' attention on rule pairs of different tags"
    rows = [
        cells.finding(
            f"Does {mode} attend rule pairs more than uniform attention under its mask?",
            mode,
            measure,
            share,
            uniform,
            "uniform",
        )
    ]
    if not np.allclose(biased.mean, uniform.mean, atol=1e-4):
        rows.append(
            cells.finding(
                f"Does {mode} attend rule pairs more than its bias alone makes it?",
                mode,
                measure,
                share,
                biased,
                "bias alone",
            )
        )
    return rows


# Findings.


def findings(rows: Rows, modes: Sequence[str]) -> pd.DataFrame:
    """Return one row per question, and last one on claim C6 for every mode but full.

    C6 (easier to interpret than full attention) is `yes` where every comparison of the mode with
    full is, `no` where every one is, else `cannot tell`. A note says where seeds are too few for
    the intervals to infer rather than to describe.
    """
    table = pd.DataFrame(rows)
    for mode in modes:
        against = table[(table["mode"] == mode) & (table["baseline"] == REFERENCE)]
        if mode == REFERENCE or against.empty:
            continue
        found = set(against["verdict"])
        summary = {
            "question": f"C6: is {mode}'s attention easier to interpret than full's?",
            "mode": mode,
            "measure": f"all {len(against)} comparisons with full above",
            "baseline": REFERENCE,
            "n_sentences": against["n_sentences"].min(),
            "n_seeds": against["n_seeds"].min(),
            "verdict": found.pop() if len(found) == 1 else "cannot tell",
        }
        table = pd.concat([table, pd.DataFrame([summary])], ignore_index=True)
    few = f"fewer than {FEWEST_SEEDS} seeds: the interval is descriptive"
    table["note"] = np.where(table["n_seeds"] < FEWEST_SEEDS, few, "")
    return table


def _stacked(looked: Sequence[Weights], name: str) -> np.ndarray:
    return np.stack([getattr(weights, name) for weights in looked])
