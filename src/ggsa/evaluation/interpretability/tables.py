"""The rows of the study: what each arm measures, and the answer to each question.

Every question compares an arm with a baseline on the same sentences and seeds, and names the
direction that it asks for. The difference is tested by its crossed random-effects standard error
and Student's t (`ratios`). Holm's correction covers an arm's comparisons with full attention, which
decide claim C6, as one family, and its comparisons with all other baselines as another. The
questions, baselines and families were fixed before any number was seen.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ggsa.evaluation.interpretability.attention import Observed, PatternAlone
from ggsa.evaluation.interpretability.dependency import Expected, best_on_other_half
from ggsa.evaluation.interpretability.erasure import LOWER_IS_BETTER, MEASURES
from ggsa.evaluation.interpretability.ratios import Ratio, constant, estimate
from ggsa.evaluation.statistics import LEVEL, SEEDS_FOR_ALL, holm
from ggsa.training.studies import BASELINE
from ggsa.workspace.vocabulary import DID_NOT_LEARN, UNIVERSAL_TAGS

BIAS, UNIFORM = "bias alone", "uniform"
"""Baselines without learning."""

WORDS = slice(0, len(UNIVERSAL_TAGS))  # tags of words, special tokens left out

Ratios = Mapping[str, Ratio]  # by arm


@dataclass(frozen=True)
class Question:
    """A question whose answer is yes where a value is above its baseline, or below it."""

    text: str
    topic: str
    measure: str
    arm: str
    baseline: str
    value: Ratio
    expected: Ratio
    lower: bool = False  # whether lower is better

    @property
    def family(self) -> str:
        """The questions that are corrected together."""
        return f"{self.arm} and {'full' if self.baseline == BASELINE else 'baselines'}"


@dataclass
class Tables:
    """The measures and questions of all topics.

    Attributes:
        unlearned: The arms that did not learn; no verdict follows from them.
        rows: What each arm measures.
        questions: What is asked.
    """

    unlearned: Collection[str] = ()
    rows: list[dict[str, Any]] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def add(self, topic: str, measure: str, arm: str, value: Ratio) -> None:
        """Keep what an arm measures."""
        result = estimate(value)
        low, high = result.interval()
        self.rows.append(
            {
                "topic": topic,
                "measure": measure,
                "arm": arm,
                "mean": result.mean,
                "sd": value.sd,
                "low": low,
                "high": high,
                "seeds": len(value.top),
                "n": len(value.bottom),
            }
        )

    def ask(self, question: Question) -> None:
        """Keep a question, unless its two sides are equal by construction."""
        if not np.array_equal(question.value.contributions, question.expected.contributions):
            self.questions.append(question)

    def ask_against_full(
        self, text: str, topic: str, measure: str, values: Ratios, lower: bool = False
    ) -> None:
        """Keep the question of every arm against full attention; `{arm}` in its text is the arm."""
        if BASELINE not in values:
            return
        full = values[BASELINE]
        for arm, value in values.items():
            if arm != BASELINE:
                question = text.format(arm=arm)
                self.ask(Question(question, topic, measure, arm, BASELINE, value, full, lower))

    def measures(self) -> pd.DataFrame:
        """Return one row per arm and measure, with its 95% interval."""
        return pd.DataFrame(self.rows)

    def findings(self) -> pd.DataFrame:
        """Return one row per question, and one on claim C6 for every arm but full.

        C6 (easier to interpret than full attention) is `yes` where every comparison of the arm with
        full is, `no` where every one is, else `inconclusive`. `smallest` is the difference that the
        first step of Holm's procedure finds with a power of 80%.
        """
        estimates = [estimate(one.value, one.expected) for one in self.questions]
        families = pd.Series([one.family for one in self.questions], dtype=str)
        sizes = families.map(families.value_counts())
        p = pd.Series([one.p for one in estimates], dtype=float)
        p_holm = p.groupby(families).transform(holm)
        rows = []
        for i, (one, result) in enumerate(zip(self.questions, estimates, strict=True)):
            low, high = result.interval()
            rows.append(
                {
                    "family": one.family,
                    "question": one.text,
                    "topic": one.topic,
                    "measure": one.measure,
                    "arm": one.arm,
                    "baseline": one.baseline,
                    "seeds": len(one.value.top),
                    "n": len(one.value.bottom),
                    "value": one.value.mean,
                    "baseline_value": one.expected.mean,
                    "difference": result.mean,
                    "low": low,
                    "high": high,
                    "p": p[i],
                    "p_holm": p_holm[i],
                    "smallest": result.smallest_detectable(sizes[i]),
                    "verdict": self._without_learning(one)
                    or verdict(result.mean, p_holm[i], len(one.value.top), one.lower),
                }
            )
        return pd.DataFrame(rows + _claims(rows))

    def _without_learning(self, question: Question) -> str:
        """Return why a question has no verdict if one of its arms did not learn."""
        failed = [arm for arm in (question.arm, question.baseline) if arm in self.unlearned]
        return f"no verdict: {' and '.join(failed)} {DID_NOT_LEARN}" if failed else ""


def verdict(difference: float, p: float, seeds: int, lower: bool = False) -> str:
    """Return the answer to a question, given its adjusted p."""
    if seeds < SEEDS_FOR_ALL:
        return f"no verdict: fewer than {SEEDS_FOR_ALL} seeds"
    if not p < LEVEL:
        return "inconclusive"
    return "yes" if (difference < 0) == lower else "no"


def _claims(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the row on claim C6 of every arm that is compared with full."""
    claims = []
    against = [row for row in rows if row["baseline"] == BASELINE]
    for arm in dict.fromkeys(row["arm"] for row in against):
        of_arm = [row for row in against if row["arm"] == arm]
        verdicts = {row["verdict"] for row in of_arm}
        claims.append(
            {
                "family": of_arm[0]["family"],
                "question": f"C6: is {arm}'s attention easier to interpret than full's?",
                "measure": f"all {len(of_arm)} comparisons with full above",
                "arm": arm,
                "baseline": BASELINE,
                "seeds": of_arm[0]["seeds"],
                "n": min(row["n"] for row in of_arm),
                "verdict": verdicts.pop() if len(verdicts) == 1 else "inconclusive",
            }
        )
    return claims


# The topics.


def sharpness(
    tables: Tables,
    observed: Mapping[str, Sequence[Observed]],
    alone: Mapping[str, PatternAlone],
) -> None:
    """Add how far attention is from uniform: 1 - entropy / log(number of allowed keys).

    The mean of layers and heads, over the queries that may attend to two keys or more.
    """
    topic = measure = "sharpness"
    values = {}
    for arm, pattern in alone.items():
        total = pattern.choosers
        value = Ratio(total - np.stack([one.entropy for one in observed[arm]]), total)
        values[arm] = value
        tables.add(topic, measure, arm, value)
        if not np.allclose(pattern.entropy, total):  # else nothing is less sharp than the bias
            bias = constant(total - pattern.entropy, total, len(value.top))
            text = f"Is {arm}'s attention sharper than its bias alone makes it?"
            tables.ask(Question(text, topic, measure, arm, BIAS, value, bias))
    tables.ask_against_full("Is {arm}'s attention sharper than full's?", topic, measure, values)


def rule_share(
    tables: Tables,
    observed: Mapping[str, Sequence[Observed]],
    alone: Mapping[str, PatternAlone],
    rules: np.ndarray,
) -> None:
    """Add the share of the attention of words that falls on the pairs of the rules.

    Args:
        tables: Receives the rows.
        observed: By arm, seed by seed.
        alone: By arm.
        rules: Which pairs of different tags the hard table allows, bool `[tag, tag]`.
    """
    topic, measure = "rules", "share of attention on rule pairs"
    on_words = rules.copy()
    on_words[WORDS.stop :] = False
    for arm, pattern in alone.items():
        total = pattern.queries[:, WORDS].sum(1)
        value = Ratio(np.stack([(one.mass * on_words).sum((1, 2)) for one in observed[arm]]), total)
        uniform, bias = (
            constant((mass * on_words).sum((1, 2)), total, len(value.top))
            for mass in (pattern.uniform, pattern.bias)
        )
        tables.add(topic, measure, arm, value)
        text = f"Does {arm} attend to rule pairs more than uniform attention under its mask?"
        tables.ask(Question(text, topic, measure, arm, UNIFORM, value, uniform))
        if not np.allclose(bias.mean, uniform.mean, atol=1e-4):
            text = f"Does {arm} attend to rule pairs more than its bias alone makes it?"
            tables.ask(Question(text, topic, measure, arm, BIAS, value, bias))


def dependency(
    tables: Tables,
    hits: Mapping[str, np.ndarray],
    expected: Mapping[str, Expected],
    offsets: np.ndarray,
    words: np.ndarray,
) -> None:
    """Add the share of words whose most attended word is their syntactic head or a dependent.

    For each half of the sentences this is read from the head of the model that is best on the other
    half, seed by seed; the fixed offset is chosen in the same way.

    Args:
        tables: Receives the rows.
        hits: By arm, `[seed, sentence, layer, head]`.
        expected: By arm.
        offsets: Hits of each fixed offset, `[sentence, offset]`.
        words: Number of words, `[sentence]`.
    """
    topic, measure = "dependency", "best head's agreement with dependency relations"
    by_offset = best_on_other_half(offsets)[0]
    values = {}
    for arm, of_arm in hits.items():
        flat = of_arm.reshape(*of_arm.shape[:2], -1)
        value = Ratio(np.stack([best_on_other_half(of_seed)[0] for of_seed in flat]), words)
        values[arm] = value
        tables.add(topic, measure, arm, value)
        for name, described, count in (
            ("fixed offset", "the best fixed offset", by_offset),
            (UNIFORM, "uniform attention under the same mask", expected[arm].uniform),
            (BIAS, "the bias alone", expected[arm].bias),
        ):
            text = f"Does {arm}'s best head follow dependency relations more than {described}?"
            baseline = constant(count, words, len(flat))
            tables.ask(Question(text, topic, measure, arm, name, value, baseline))
    text = "Does {arm}'s best head follow dependency relations more than full's?"
    tables.ask_against_full(text, topic, measure, values)


def erasure(
    tables: Tables, top: Mapping[str, np.ndarray], random: Mapping[str, np.ndarray]
) -> None:
    """Add what deleting the most attended words does, against as many random words.

    Args:
        tables: Receives the rows.
        top: By arm, `[seed, sentence, measure]`; see `erasure.effects`.
        random: The same of random words.
    """
    topic = "erasure"
    for i, measure in enumerate(MEASURES):
        lower = measure in LOWER_IS_BETTER
        gains = {}
        for arm in top:
            ones = np.ones(top[arm].shape[1])
            value, chance = (Ratio(effect[arm][:, :, i], ones) for effect in (top, random))
            gains[arm] = Ratio(value.top - chance.top, ones)
            tables.add(topic, measure, arm, value)
            tables.add(topic, f"{measure} of random words", arm, chance)
            text = (
                f"Do the words that {arm}'s [CLS] attends to most matter more than random words "
                f"({measure})?"
            )
            tables.ask(
                Question(text, topic, measure, arm, "random words", value, chance, lower=lower)
            )
        text = f"Does {{arm}}'s attention show better than full's which words matter ({measure})?"
        gain = f"{measure} beyond random words"
        tables.ask_against_full(text, topic, gain, gains, lower=lower)
