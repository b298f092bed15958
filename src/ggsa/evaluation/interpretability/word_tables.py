"""The tables on what attention points at: dependency relations, deleted words, deciding words.

Means, differences and verdicts are as in `ggsa.evaluation.interpretability.tables`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ggsa.assets.probe import PHENOMENA
from ggsa.evaluation.interpretability.deciding import Decided
from ggsa.evaluation.interpretability.dependency import Agreement, chosen_elsewhere
from ggsa.evaluation.interpretability.erasure import MEASURES, Erased
from ggsa.evaluation.interpretability.resampling import Ratio, unseeded
from ggsa.evaluation.interpretability.tables import REFERENCE, Cells, Rows
from ggsa.workspace.config import Params

BETTER_WHEN_LOW = ("sufficiency",)

# Dependency relations.


def dependency(
    params: Params, agreement: Agreement, steps: Sequence[int], notice: str
) -> tuple[Any, Rows]:
    """Return how often each head's most attended word is a syntactic relative, and its baselines.

    The row of layer and head `best` takes, for each half of the sentences, the head that was best
    on the other half, seed by seed; the fixed offset is chosen in the same way.
    """
    cells = Cells.of(params, len(agreement.words))
    words, seeds = agreement.words, len(cells.seeds)
    by_offset, chosen = chosen_elsewhere(agreement.offsets)
    offset = unseeded(by_offset, words, seeds)
    best = {}
    for mode, hits in agreement.hits.items():
        flat = hits.reshape(*hits.shape[:2], -1)
        best[mode] = Ratio(np.stack([chosen_elsewhere(of_seed)[0] for of_seed in flat]), words)
    rows, findings = [], []
    for mode, hits in agreement.hits.items():
        alone = agreement.expected[mode]
        baselines = {
            "fixed offset": offset,
            "uniform": unseeded(alone.uniform, words, seeds),
            "bias alone": unseeded(alone.bias_alone, words, seeds),
        }
        heads = {place: Ratio(hits[:, :, *place], words) for place in np.ndindex(*hits.shape[2:])}
        for place, value in {("best", "best"): best[mode], **heads}.items():
            against = dict(baselines)
            if place == ("best", "best") and mode in cells.others():
                against[REFERENCE] = best[REFERENCE]
            for name, baseline in against.items():
                low, high = cells.draws.interval(value, baseline)
                rows.append(
                    {
                        "mode": mode,
                        "layer": place[0],
                        "head": place[1],
                        "agreement_mean": float(value.mean),
                        "agreement_sd": float(value.sd),
                        "baseline": name,
                        "baseline_rate": float(baseline.mean),
                        "difference": float(value.mean - baseline.mean),
                        "low": float(low),
                        "high": float(high),
                        "words_that_see_another": alone.sighted.sum() / words.sum(),
                        "words": words.sum(),
                        **cells.counts,
                        "offsets_chosen": " ".join(f"{steps[i]:+d}" for i in chosen),
                        "notice": notice,
                    }
                )
                if place == ("best", "best"):
                    findings.append(
                        cells.finding(
                            f"Do {mode}'s heads follow dependency relations more than "
                            f"{_described(name)}?",
                            mode,
                            "share of words whose most attended word is their head or a dependent",
                            value,
                            baseline,
                            name,
                        )
                    )
    return pd.DataFrame(rows), findings


def no_dependency(modes: Sequence[str], notice: str) -> pd.DataFrame:
    """Return the table of `dependency` without a number, for want of a treebank."""
    return pd.DataFrame(
        [{"mode": mode, "agreement_mean": np.nan, "notice": notice} for mode in modes]
    )


def _described(baseline: str) -> str:
    return {
        "fixed offset": "the best fixed offset",
        "uniform": "uniform attention under the same mask",
        "bias alone": "the bias alone",
    }.get(baseline, f"{baseline}'s")


# Deleted words.


def erasure(params: Params, erased: Erased) -> tuple[Any, Rows]:
    """Return what deleting the most attended words does, against as many random words."""
    sentences = next(iter(erased.top.values())).shape[1]
    cells = Cells.of(params, sentences)
    ones = np.ones(sentences)
    rows, findings = [], []
    for i, measure in enumerate(MEASURES):
        sign = -1 if measure in BETTER_WHEN_LOW else 1
        top = {mode: Ratio(values[:, :, i], ones) for mode, values in erased.top.items()}
        random = {mode: Ratio(values[:, :, i], ones) for mode, values in erased.random.items()}
        gain = {mode: Ratio(sign * (top[mode].top - random[mode].top), ones) for mode in top}
        nothing = unseeded(np.zeros(sentences), ones, len(cells.seeds))
        for mode in cells.modes:
            row = {
                "mode": mode,
                "measure": measure,
                "top_mean": float(top[mode].mean),
                "top_sd": float(top[mode].sd),
                "random_mean": float(random[mode].mean),
                "random_sd": float(random[mode].sd),
                **cells.beyond(gain[mode], nothing, "random"),
            }
            if mode in cells.others():
                row |= cells.beyond(gain[mode], gain[REFERENCE], REFERENCE)
            rows.append(row | cells.counts)
            findings += _erasure_findings(cells, mode, measure, sign, top, random, gain)
    return pd.DataFrame(rows), findings


def _erasure_findings(
    cells: Cells,
    mode: str,
    measure: str,
    sign: int,
    top: Mapping[str, Ratio],
    random: Mapping[str, Ratio],
    gain: Mapping[str, Ratio],
) -> Rows:
    def signed(ratio: Ratio) -> Ratio:
        return Ratio(sign * ratio.top, ratio.bottom)

    label = measure if sign > 0 else f"-{measure}"
    rows = [
        cells.finding(
            f"Do the words that {mode}'s [CLS] attends most matter more than random words "
            f"({measure})?",
            mode,
            label,
            signed(top[mode]),
            signed(random[mode]),
            "random words",
        )
    ]
    if mode in cells.others():
        rows.append(
            cells.finding(
                f"Does {mode}'s attention tell more than full's which words matter ({measure})?",
                mode,
                f"gain over random words in {label}",
                gain[mode],
                gain[REFERENCE],
                REFERENCE,
            )
        )
    return rows


# The deciding word of probe sentences.

CANDIDATES = ("content words", "polar words")


def deciding(cells: Cells, decided: Decided) -> tuple[Any, Rows]:
    """Return how often the word that `[CLS]` attends most is the deciding one, by phenomenon.

    Among the content words, and among the polar words where a sentence has several; the baseline
    is a random one of these.
    """
    rows, findings = [], []
    shows = {"all": np.ones(len(decided.phenomena))} | {
        name: np.array([name in row for row in decided.phenomena], float) for name in PHENOMENA
    }
    for i, among in enumerate(CANDIDATES):
        for name, member in shows.items():
            counted = decided.counted[:, i] * member
            if not counted.any():
                continue
            values = {
                mode: Ratio(hits[:, :, i] * member, counted) for mode, hits in decided.hits.items()
            }
            chance = unseeded(decided.chance[:, i] * member, counted, len(cells.seeds))
            for mode, value in values.items():
                row = {
                    "mode": mode,
                    "among": among,
                    "phenomenon": name,
                    "rate_mean": float(value.mean),
                    "rate_sd": float(value.sd),
                    "rate_chance": float(chance.mean),
                    **cells.beyond(value, chance, "chance"),
                }
                if mode in cells.others():
                    row |= cells.beyond(value, values[REFERENCE], REFERENCE)
                rows.append(row | {"sentences": int(counted.sum()), "seeds": len(cells.seeds)})
                if name == "all":
                    findings += _deciding_findings(cells, mode, among, values, chance, counted)
    return pd.DataFrame(rows), findings


def _deciding_findings(
    cells: Cells,
    mode: str,
    among: str,
    values: Mapping[str, Ratio],
    chance: Ratio,
    counted: np.ndarray,
) -> Rows:
    measure = f"share of sentences where [CLS]'s most attended of the {among} decides"
    baselines = {"random word": chance}
    if mode in cells.others():
        baselines[REFERENCE] = values[REFERENCE]
    return [
        cells.finding(
            f"Does {mode}'s [CLS] find the deciding word among the {among} more often than "
            f"{'full does' if name == REFERENCE else 'chance would'}?",
            mode,
            measure,
            values[mode],
            baseline,
            name,
        )
        | {"n_sentences": int(counted.sum())}
        for name, baseline in baselines.items()
    ]
