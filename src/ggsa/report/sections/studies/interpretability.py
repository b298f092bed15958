"""Is the attention easier to interpret? What was measured, and against which baseline."""

import pandas as pd

from ggsa.report import tables, wording
from ggsa.report.sections import studies
from ggsa.report.sections.studies import Studies

STUDY = "interpretability"
COLUMNS = ("question", "measure", "value", "interval", "baseline", "n", "verdict")
FURTHER = ("agreement", "entropy")
TEXT_COLUMNS = {"word", "words", "text", "piece", "pieces", "query_piece", "key_piece", "tokens"}
"""Never shown: they could hold sentences of a corpus whose text may not be redistributed."""
LONGEST = 40
WHERE = {"sst2": "SST-2 and the treebank", "probe": "the probe corpus (not SST-2)"}


def finding(material: Studies, corpus: str) -> str:
    """Return how the measurements came out, the first of each verdict with its numbers."""
    rows = material.table(corpus, "findings", STUDY)
    if rows.empty:
        return studies.finding(
            f"Not run: nothing of how attention can be read was measured on {WHERE[corpus]}."
        )
    counts = wording.ranked(
        list(rows["verdict"].replace("", "no verdict").value_counts().items()), str
    )
    first = rows.drop_duplicates("verdict")
    each = "; ".join(
        f"{row['question']}: {row['measure']} {_number(row['value'])} "
        f"(interval {_text(row['interval'])}, baseline {_text(row['baseline'])}, "
        f"n = {_number(row['n'])}): {row['verdict'] or 'no verdict'}"
        for _, row in first.iterrows()
    )
    return studies.finding(
        f"On {WHERE[corpus]}, {len(rows)} measurements came out as {counts}. The first of each: "
        f"{each}."
    )


def findings(material: Studies, corpus: str) -> str:
    """Return the table of every measurement with its baseline and verdict."""
    rows = material.table(corpus, "findings", STUDY)
    if rows.empty:
        return ""
    shown = rows[[column for column in COLUMNS if column in rows]]
    return tables.as_html(
        shown,
        f"study-findings-{corpus}",
        f"What was measured on {WHERE[corpus]}, each against its baseline; 95% intervals by the "
        f"bootstrap over sentences.",
        dict.fromkeys(("value", "n", "baseline", "interval"), _text),
        text=("question", "measure", "baseline", "verdict"),
    )


def further(material: Studies, corpus: str) -> str:
    """Return the tables of agreement and entropy, where they were written."""
    folder = material.results / STUDY / corpus / "tables"
    parts = []
    for path in sorted(folder.glob("*.csv")):
        if not any(part in path.stem for part in FURTHER):
            continue
        rows = material.table(corpus, path.stem, STUDY)
        rows = rows[[column for column in rows if column not in TEXT_COLUMNS]]
        cut = "" if len(rows) <= LONGEST else f" First {LONGEST} of {len(rows)} rows."
        text = tuple(c for c in rows if not pd.api.types.is_numeric_dtype(rows[c]))
        parts.append(
            tables.as_html(
                rows.head(LONGEST).rename(columns=lambda name: name.replace("_", " ")),
                f"study-{path.stem.replace('_', '-')}-{corpus}",
                f"{path.stem.replace('_', ' ').capitalize()} on {WHERE[corpus]}.{cut}",
                {column.replace("_", " "): _text for column in rows},
                text=tuple(column.replace("_", " ") for column in text),
            )
        )
    return "".join(parts)


def _text(value: object) -> str:
    if wording.is_missing(value):
        return wording.NONE
    return _number(value) if isinstance(value, (int, float)) else str(value)


def _number(value: object) -> str:
    if wording.is_missing(value):
        return wording.NONE
    if not isinstance(value, (int, float)):
        return str(value)
    if float(value).is_integer():
        return wording.count(value).replace("-", wording.MINUS)
    return f"{value:.4g}".replace("-", wording.MINUS)
