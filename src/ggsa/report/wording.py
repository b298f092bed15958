"""How numbers and findings are put into words, for the page, the summary and the command line.

Every sentence is filled in from tables; nothing here knows a result beforehand.
"""

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from ggsa.assets import corpora
from ggsa.workspace.provenance import is_replication
from ggsa.workspace.vocabulary import DID_NOT_LEARN

MINUS = "\N{MINUS SIGN}"
NONE = "\N{EN DASH}"
FEWEST_SEEDS, FEWEST_SEEDS_FOR_EQUIVALENCE = 5, 3
SPLIT_NAMES = {"pooled": "validation and test together"}


def is_missing(value: Any) -> bool:
    """Return whether a cell of a table is empty."""
    return value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA


def accuracy(value: float, digits: int = 4) -> str:
    """Return a fraction as the paper writes accuracies, e.g. 0.8119; a dash for a missing value."""
    return NONE if is_missing(value) else f"{value:.{digits}f}"


def points(value: float, digits: int = 2) -> str:
    """Return a difference in percentage points with its sign; a dash for a missing value."""
    if is_missing(value):
        return NONE
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return text
    return ("+" if value > 0 else MINUS) + text


def size(value: float) -> str:
    """Return a detectable difference in percentage points; a dash where there is none.

    It is zero where two arms never differ, which says nothing about what could be detected.
    """
    return NONE if value == 0 else accuracy(value, 2)


def percent(value: float, digits: int = 1) -> str:
    """Return a share as a percentage; a dash for a missing value."""
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
    """Return a whole number with commas between thousands."""
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
    """Return an interval as `low to high`; a dash where there is none, or where nothing varied."""
    if is_missing(low) or is_missing(high) or low == high:
        return NONE
    return f"{form(low)} to {form(high)}"


def listing(items: Iterable[str], last: str = "and") -> str:
    """Return items joined as in a sentence: a, b and c."""
    items = list(items)
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def seeds(number: int) -> str:
    """Return a number of seeds in words."""
    return "one seed" if number == 1 else f"{number} seeds"


def machines(cells: Iterable[dict[str, Any]]) -> str:
    """Return which machine trained which seeds, as a sentence; empty if there are no cells.

    Args:
        cells: The contents of `cell.json`; the seeds of equal machines are named together.
    """
    seeds_of: dict[str, set[int]] = {}
    for cell in cells:
        about = cell["machine"]
        cpu = [
            f"{word}{about[f'cpu_{key}']}"
            for word, key in (("", "vendor"), ("family ", "family"), ("model ", "model"))
            if about[f"cpu_{key}"]
        ]
        name = about["device"] if about["device"] != "cpu" else " ".join(cpu)
        name += f", PyTorch {about['torch']}, threads: {about['threads']}"
        seeds_of.setdefault(name, set()).add(cell["seed"])
    if not seeds_of:
        return ""
    if len(seeds_of) == 1:
        return f"One machine trained all cells: {next(iter(seeds_of))}."
    return (
        "; ".join(
            f"{'' if place else 'Trained on '}{name}: "
            f"seed{'s' * (len(of) > 1)} {listing(str(seed) for seed in sorted(of))}"
            for place, (name, of) in enumerate(seeds_of.items())
        )
        + "."
    )


def split(name: str) -> str:
    """Return a split's name as it reads in a sentence."""
    return SPLIT_NAMES.get(name, name)


def widest_split(table: pd.DataFrame) -> str:
    """Return the split with the most sentences: pooled where test has labels, else validation."""
    return "pooled" if "pooled" in set(table["split"]) else "validation"


def few_seeds(number: int) -> str:
    """Return what too few seeds rule out, as a sentence; empty from five seeds on."""
    if number >= FEWEST_SEEDS:
        return ""
    if number < FEWEST_SEEDS_FOR_EQUIVALENCE:
        return f"With {seeds(number)} no verdict is stated."
    return f"With {seeds(number)} only headroom and equivalence are judged."


def corpus_name(provenance: dict) -> str:
    """Return the corpus of a run; plain SST-2 only where its checksum is verified."""
    return corpora.get(provenance["corpus"]["name"]).about(provenance)


def encoder_name(provenance: dict) -> str:
    """Return which encoder was trained and from which weights."""
    about = provenance["encoder"]
    if not about["pretrained"]:
        return "an encoder of bert-tiny’s kind trained from scratch (random initial weights)"
    name = f"the pretrained checkpoint {about['checkpoint']}"
    of_paper = about["is_paper_checkpoint"] or not is_replication(provenance)
    return name if of_paper else f"{name} (not the paper’s)"


def alarm(provenance: dict) -> str:
    """Return the headline of the banner."""
    if is_altered(provenance):
        return "This run is not on SST-2"
    if provenance["substitutes"]:
        return "Substitutes were used"
    return "Not the paper’s rules" if is_replication(provenance) else "The rules were changed"


def banner(provenance: dict) -> list[str]:
    """Return the sentences of the banner, most important first; none if nothing was replaced."""
    altered = is_altered(provenance)
    measured = [f"The numbers were measured on {corpus_name(provenance)}."] if altered else []
    return [*measured, *provenance["substitutes"]]


def is_altered(provenance: dict) -> bool:
    """Return whether the corpus was to be SST-2 and has other rows."""
    return provenance["corpus"]["name"] == "sst2" and not is_replication(provenance)


def abstract(
    results: pd.DataFrame,
    differences: pd.DataFrame,
    verdicts: pd.DataFrame,
    cost: pd.DataFrame,
    provenance: dict,
) -> list[str]:
    """Return the abstract, up to four sentences filled in from the tables."""
    sentences = (
        _accuracies(results, provenance),
        _differences(differences),
        _answers(verdicts),
        _costs(cost),
    )
    return [sentence for sentence in sentences if sentence]


def claim_verdicts(results: pd.DataFrame, claims: pd.DataFrame) -> str:
    """Return every verdict on the paper in one sentence: on its accuracies, then on its claims."""
    judged = results[(results["split"] == "validation") & (results["verdict"] != "")]
    failed = judged[judged["verdict"] == DID_NOT_LEARN]
    judged = judged.drop(failed.index)
    accuracies = listing(
        f"{verdict} for {listing(rows['mode'])}"
        for verdict, rows in judged.groupby("verdict", sort=False)
    )
    others = claims[~claims["statement"].str.startswith("accuracy") & (claims["verdict"] != "")]
    parts = [f"the published accuracy is {accuracies}"] if accuracies else []
    parts += [f"{listing(failed['mode'])} {DID_NOT_LEARN}"] if len(failed) else []
    parts += [f"that {row.statement} is {row.verdict}" for row in others.itertuples()]
    return f"By the rules fixed before any result, {listing(parts)}." if parts else ""


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


def _differences(differences: pd.DataFrame) -> str:
    if differences.empty:
        return ""
    where = widest_split(differences)
    each = listing(map(_difference, differences[differences["split"] == where].itertuples()))
    return f"Compared with {differences['reference'].iloc[0]} attention on {split(where)}, {each}."


def _difference(row: Any) -> str:
    ends = interval(row.low_points, row.high_points, points)
    spread = "" if ends == NONE else f" (95% interval {ends})"
    return f"{row.arm} differs by {points(row.difference_points)} percentage points{spread}"


def _answers(verdicts: pd.DataFrame) -> str:
    if verdicts.empty:
        return ""
    each = " ".join(
        f"{row.question} {row.verdict[0].upper()}{row.verdict[1:]}."
        for row in verdicts.itertuples()
    )
    return f"The questions declared beforehand: {each}"


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
        f"{row.mode} skips {percent(row.saving_attention)} of the attention work, "
        f"{percent(row.saving_model)} of the whole model’s"
        for row in saves.itertuples()
    )
    return f"In theory, {parts}, {where}; dense attention with a mask saves no time."
