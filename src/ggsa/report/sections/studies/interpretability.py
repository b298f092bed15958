"""Is the attention easier to interpret? What was measured, and against which baseline (C6)."""

import pandas as pd

from ggsa.report import tables, wording
from ggsa.report.sections import studies
from ggsa.report.sections.studies import Studies

STUDY = "interpretability"
CLAIM = "C6:"
REFERENCE = "full"
WHERE = {"sst2": "SST-2 and the treebank", "probe": "the probe corpus (not SST-2)"}
INTERVALS = (
    "Intervals: 95%, drawing sentences and seeds crossed, not widened for the number of questions."
)


def finding(material: Studies, corpus: str) -> str:
    """Return the verdict on claim C6, and how the comparisons behind it came out."""
    rows = material.table(corpus, "findings", STUDY)
    if rows.empty:
        return studies.finding(
            f"Not run: nothing of how attention can be read was measured on {WHERE[corpus]}."
        )
    claims = rows[rows["question"].str.startswith(CLAIM)]
    verdicts = wording.listing(f"{row['mode']}: {row['verdict']}" for _, row in claims.iterrows())
    compared = rows[(rows["baseline"] == REFERENCE) & ~rows["question"].str.startswith(CLAIM)]
    counts = wording.ranked(list(compared["verdict"].value_counts().items()), str)
    return studies.finding(
        f"Is the attention easier to interpret than full’s? {verdicts}. Of {len(compared)} "
        f"comparisons with full on {WHERE[corpus]}, the answers are {counts}. The verdict is yes "
        f"only where every comparison of a mode is."
    )


def findings(material: Studies, corpus: str) -> str:
    """Return the table of every question with its baseline, its interval and its verdict."""
    rows = material.table(corpus, "findings", STUDY)
    if rows.empty:
        return ""
    rows = rows[~rows["question"].str.startswith(CLAIM)]
    shown = pd.DataFrame(
        {
            "question": rows["question"],
            "value": rows["value"].map(_number),
            "baseline": [
                f"{row['baseline']}: {_number(row['baseline_value'])}" for _, row in rows.iterrows()
            ],
            "difference (95% interval)": [
                _with_interval(row["difference"], row["interval_low"], row["interval_high"])
                for _, row in rows.iterrows()
            ],
            "n": rows["n_sentences"].map(wording.count),
            "verdict": rows["verdict"],
        }
    )
    seeds = wording.seeds(int(rows["n_seeds"].iloc[0]))
    return _table(shown, f"study-findings-{corpus}", f"{_about(corpus)}, {seeds}. {INTERVALS}")


def further(material: Studies, corpus: str) -> str:
    """Return the tables behind the findings: dependency relations, erasure, deciding words."""
    parts = []
    heads = material.table(corpus, "dependency", STUDY)
    if len(heads) and "layer" in heads:
        best = heads[heads["layer"].astype(str) == "best"]
        shown = pd.DataFrame(
            {
                "mode": best["mode"],
                "best head": _spread(best, "agreement"),
                "baseline": best["baseline"],
                "baseline’s rate": best["baseline_rate"].map(_number),
                "difference (95% interval)": _differences(best, "difference", "low", "high"),
            }
        )
        parts.append(
            _table(
                shown,
                f"study-dependency-{corpus}",
                f"Share of words whose most attended word is their head or a dependent. "
                f"{best['notice'].iloc[0]}.",
            )
        )
    erased = material.table(corpus, "erasure", STUDY)
    if len(erased):
        shown = pd.DataFrame(
            {
                "mode": erased["mode"],
                "measure": erased["measure"],
                "most attended words": _spread(erased, "top"),
                "random words": _spread(erased, "random"),
                "difference (95% interval)": _differences(
                    erased,
                    "difference_to_random",
                    "difference_to_random_low",
                    "difference_to_random_high",
                ),
            }
        )
        about = f"What deleting the words that [CLS] attends most does, on {WHERE[corpus]}."
        parts.append(_table(shown, f"study-erasure-{corpus}", about))
    return "".join(parts)


def _about(corpus: str) -> str:
    return f"What was measured on {WHERE[corpus]}, each against its baseline"


def _spread(rows: pd.DataFrame, name: str) -> list[str]:
    return [
        f"{_number(row[f'{name}_mean'])} ± {_number(row[f'{name}_sd'])}"
        for _, row in rows.iterrows()
    ]


def _differences(rows: pd.DataFrame, middle: str, low: str, high: str) -> list[str]:
    return [_with_interval(row[middle], row[low], row[high]) for _, row in rows.iterrows()]


def _with_interval(middle: float, low: float, high: float) -> str:
    return f"{_number(middle)} ({_number(low)} to {_number(high)})"


def _number(value: float) -> str:
    if wording.is_missing(value):
        return wording.NONE
    return f"{value:.3f}".replace("-", wording.MINUS)


def _table(shown: pd.DataFrame, name: str, caption: str) -> str:
    return tables.as_html(shown, name, caption, {}, text=tuple(shown))
