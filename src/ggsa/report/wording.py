"""How numbers and findings are put into words, for the page, the summary and the command line.

Every sentence is filled in from tables; nothing here knows a result beforehand.
"""

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from ggsa.assets import corpora
from ggsa.workspace.provenance import is_replication

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


def share(row: Any) -> str:
    """Return a share of headroom with its interval, of a row of verdicts; its verdict without one."""
    if is_missing(row["share_low"]):
        return row["verdict"]
    ends = interval(row["share_low"], row["share_high"], lambda value: percent(value, 0))
    return f"{percent(row['share'], 0)} ({ends})"


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
        words = (("", "cpu_vendor"), ("family ", "cpu_family"), ("model ", "cpu_model"))
        cpu = " ".join(f"{word}{about[key]}" for word, key in words if about[key])
        name = cpu if about["device"] == "cpu" else about["device"]
        name += f", PyTorch {about['torch']}, threads: {about['threads']}"
        name += f", processes: {about['world_size']}" if "world_size" in about else ""
        seeds_of.setdefault(name, set()).add(cell["seed"])
    if len(seeds_of) < 2:
        return "".join(f"One machine trained all cells: {name}." for name in seeds_of)
    parts = (
        f"{name}: seed{'s' * (len(of) > 1)} {listing(map(str, sorted(of)))}"
        for name, of in seeds_of.items()
    )
    return f"Trained on {'; '.join(parts)}."


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
