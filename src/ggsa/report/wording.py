"""How numbers and findings are put into words; every sentence branches on the figures.

Place in the data flow: used by the sections of the report, by its first screen and by the summary
on the terminal. Nothing here knows a result beforehand.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

MINUS = "\N{MINUS SIGN}"
NONE = "\N{EN DASH}"
FEWEST_SEEDS = 5
SMALL_SHARE = 0.10
SPLIT_NAMES = {"pooled": "validation and test together"}
COUNTED = "Counted over everything, not sampled: there are no error bars."


def is_missing(value: Any) -> bool:
    """Return whether a cell of a table holds nothing."""
    return value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA


def accuracy(value: float, digits: int = 4) -> str:
    """Return a fraction as the paper writes accuracies, e.g. 0.8119; a dash for nothing."""
    return NONE if is_missing(value) else f"{value:.{digits}f}"


def points(value: float, digits: int = 2) -> str:
    """Return a difference in percentage points with its sign; a dash for nothing."""
    if is_missing(value):
        return NONE
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return text
    return ("+" if value > 0 else MINUS) + text


def percent(value: float, digits: int = 1) -> str:
    """Return a share as a percentage; a dash for nothing."""
    if is_missing(value):
        return NONE
    text = f"{100 * value:.{digits}f}%"
    return text.replace("-", MINUS)


def p_value(value: float) -> str:
    """Return a p value with three decimals, or that it is smaller."""
    if is_missing(value):
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def count(value: float) -> str:
    """Return a whole number with thin groups of thousands."""
    return NONE if is_missing(value) else f"{round(value):,}"


def quantity(value: float) -> str:
    """Return a large count of operations or bytes with a unit prefix, e.g. 3.21 M."""
    if is_missing(value):
        return NONE
    for size, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {prefix}"
    return f"{value:.3g}"


def interval(low: float, high: float, form: Any = accuracy) -> str:
    """Return an interval as `low to high`; a dash where there is none."""
    return NONE if is_missing(low) or is_missing(high) else f"{form(low)} to {form(high)}"


def listing(items: Iterable[str], last: str = "and") -> str:
    """Return items joined as in a sentence: a, b and c."""
    items = list(items)
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def seeds(number: int) -> str:
    """Return a number of seeds in words."""
    return "one seed" if number == 1 else f"{number} seeds"


def split(name: str) -> str:
    """Return a split's name as it reads in a sentence."""
    return SPLIT_NAMES.get(name, name)


def descriptive(number: int) -> str:
    """Return the caution that few seeds call for; empty when there are enough."""
    if number >= FEWEST_SEEDS:
        return ""
    return (
        f"With {seeds(number)} the intervals are descriptive: fewer than {FEWEST_SEEDS} seeds "
        f"understate how much seeds differ."
    )


def corpus_name(provenance: dict) -> str:
    """Return what the run was made on, never plain SST-2 when the checksum says otherwise."""
    if provenance["is_sst2"]:
        return "SST-2 (every row verified by checksum)"
    if provenance["corpus"]["name"] == "probe":
        return "the probe corpus (generated sentences, not SST-2)"
    if provenance["corpus"]["name"] == "imdb":
        return "IMDB’s film reviews (rows not verified by a checksum; not SST-2)"
    if provenance["corpus"]["name"] == "files":
        named = [file["name"] for file in provenance["corpus"]["files"].values()]
        return f"the user’s own {'file' if len(named) == 1 else 'files'} {listing(named)}"
    if provenance["corpus"]["name"] != "sst2":
        return f"the corpus {provenance['corpus']['name']} (not SST-2)"
    return "an altered corpus that is not SST-2 by checksum"


def encoder_name(provenance: dict) -> str:
    """Return which encoder was trained and how it began."""
    about = provenance["encoder"]
    if not about["pretrained"]:
        return "an encoder of bert-tiny’s kind trained from scratch (random initial weights)"
    name = f"the pretrained checkpoint {about['checkpoint']}"
    return name if about["is_paper_checkpoint"] else f"{name} (not the paper’s)"


def alarm(provenance: dict) -> str:
    """Return the headline of the banner."""
    if not provenance["is_sst2"]:
        return "This run is not on SST-2"
    return "Substitutes were used" if provenance["substitutes"] else "Not the paper’s rules"


def banner(provenance: dict) -> list[str]:
    """Return the sentences of the banner, most important first; none if nothing was replaced."""
    sentences = []
    if not provenance["is_sst2"]:
        sentences.append(
            f"The numbers were measured on {corpus_name(provenance)}; no verdict on the paper’s "
            f"accuracies follows from them."
        )
    return sentences + list(provenance["substitutes"])


def abstract(
    results: pd.DataFrame,
    comparisons: pd.DataFrame,
    equivalence: pd.DataFrame,
    cost: pd.DataFrame,
    provenance: dict,
) -> list[str]:
    """Return the abstract, two to four sentences filled in from the tables."""
    return [
        sentence
        for sentence in (
            _accuracies(results, provenance),
            _differences(comparisons, equivalence),
            _costs(cost),
            _standing(results, provenance),
        )
        if sentence
    ]


def verdicts(results: pd.DataFrame, claims: pd.DataFrame) -> str:
    """Return every verdict in one sentence: on the published accuracies, then claim by claim."""
    judged = results[(results["split"] == "validation") & (results["verdict"] != "")]
    accuracies = listing(
        f"{verdict} for {listing(rows['mode'])}"
        for verdict, rows in judged.groupby("verdict", sort=False)
    )
    others = claims[~claims["statement"].str.startswith("accuracy") & (claims["verdict"] != "")]
    parts = [f"the published accuracy is {accuracies}"] if accuracies else []
    parts += [f"that {row.statement} is {row.verdict}" for row in others.itertuples()]
    return f"By the rules fixed beforehand, {listing(parts)}." if parts else ""


def _accuracies(results: pd.DataFrame, provenance: dict) -> str:
    rows = results[results["split"] == "validation"]
    first = rows.iloc[0]
    spread = "" if first["seeds"] == 1 else " ± SD"
    reached = listing(
        f"{accuracy(row.accuracy_mean)}"
        f"{'' if is_missing(row.accuracy_sd) else f' ± {accuracy(row.accuracy_sd)}'} ({row.mode})"
        for row in rows.itertuples()
    )
    return (
        f"On {count(first['n'])} validation sentences of {corpus_name(provenance)}, "
        f"{encoder_name(provenance)} reached an accuracy of {reached} "
        f"(mean{spread} over {seeds(int(first['seeds']))})."
    )


def _differences(comparisons: pd.DataFrame, equivalence: pd.DataFrame) -> str:
    if equivalence.empty or comparisons.empty:
        return ""
    where = equivalence["split"].iloc[0]
    rows = comparisons[comparisons["split"] == where]
    differences = listing(
        f"{row.mode} differs by {points(row.difference_points)} points"
        f" (95% interval {interval(row.low_points, row.high_points, points)})"
        for row in rows.itertuples()
    )
    margin = equivalence["margin_points"].iloc[0]
    shown = list(equivalence.loc[equivalence["equivalent"].astype(bool), "mode"])
    others = [mode for mode in equivalence["mode"] if mode not in shown]
    outcome = [f"was shown for {listing(shown)}"] if shown else []
    outcome += [f"could not be shown for {listing(others, 'or')}"] if others else []
    return (
        f"Against full attention on {split(where)}, {differences}; equivalence within the margin "
        f"of {margin:g} points, fixed beforehand, {listing(outcome, 'but')}."
    )


def _costs(cost: pd.DataFrame) -> str:
    rows = cost[cost["split"] == "validation"]
    if rows.empty:
        return ""
    saves = rows[rows["saving_attention"] > 0]
    share, length = rows["attention_share"].iloc[0], rows["pieces_mean"].iloc[0]
    where = (
        f"at {length:.1f} word pieces a sentence, where attention is {percent(share)} of the "
        f"model’s FLOPs"
    )
    if saves.empty:
        return f"No mode blocks any pair, so none saves theoretical work, {where}."
    parts = listing(
        f"{row.mode} leaves out {percent(row.saving_attention)} of the attention work, "
        f"{percent(row.saving_model)} of the whole model’s"
        for row in saves.itertuples()
    )
    return f"In theory {parts}, {where}; dense attention with a mask saves no time."


def _standing(results: pd.DataFrame, provenance: dict) -> str:
    if not provenance["is_sst2"]:
        return "None of this can be held against the published figures."
    return ""


def cost_in_place(cost: pd.DataFrame) -> str:
    """Return what share attention has at the corpus' lengths, and what that makes of the saving."""
    rows = cost[cost["split"] == "validation"]
    if rows.empty:
        return ""
    share, length = rows["attention_share"].iloc[0], rows["pieces_mean"].iloc[0]
    best = rows.loc[rows["saving_model"].idxmax()]
    size = "only a small share," if share < SMALL_SHARE else "a considerable share,"
    text = (
        f"At the mean length of {length:.1f} word pieces a validation sentence, attention is "
        f"{size} {percent(share)} of the model’s FLOPs."
    )
    if best["saving_attention"] <= 0:
        return f"{text} No mode blocks a pair, so nothing is saved even in theory."
    return (
        f"{text} The sparsest mode, {best['mode']}, leaves out {percent(best['saving_attention'])} "
        f"of the attention work and thereby {percent(best['saving_model'])} of the whole model’s: "
        f"the saving is theoretical here, since dense attention with a mask computes every pair."
    )


def ranked(values: Sequence[tuple[str, float]], form: Any = percent) -> str:
    """Return names with their values, as in `NOUN (21.3%), VERB (12.0%) and DET (9.1%)`."""
    return listing(f"{name} ({form(value)})" for name, value in values)
