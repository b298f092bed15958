"""The paper's claims and the declared questions beside what was measured: about a dozen rows.

The run answers C1 to C6 (`ggsa.evaluation.paper_claims` decides them); the published page adds the
questions of the studies that were designed for them, and the time that is saved.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from ggsa.report import tables, wording
from ggsa.training import studies
from ggsa.workspace import paths
from ggsa.workspace.tables import read_csv

SIZE = "n × seeds"
MAIN = ("ours (interval)", "verdict")
COLUMNS = (
    *("claim", "statement", "paper", "ours (interval)", "verdict", "command"),
    *(SIZE, "detectable (pp)", "minutes"),
)
QUESTIONS = (("pretrained", "sst2"), ("adapted", "sst2"))
"""The studies whose questions are rows, with the corpus."""
LABEL = re.compile(r"([A-Z]\d): (.*)")


def run_claims(folder: Path) -> pd.DataFrame:
    """Return the rows of a run, C1 to C6; those on accuracies are one row.

    There are none if the run is not on the paper's corpus.

    Args:
        folder: Its tables.
    """
    claims, results, verdicts, cost = (
        tables.read(folder, name) for name in ("claims", "results", "verdicts", "cost")
    )
    if claims.empty:
        return _table([])
    results = results[results["split"] == "validation"]
    asked = verdicts[verdicts["kind"] == "equivalence"]
    counted = cost[cost["split"] == "validation"]
    about = {
        "C4": {
            SIZE: _size(asked),
            "detectable (pp)": _each(asked["smallest_points"].map(wording.size)),
        },
        "C5": {SIZE: _each(counted["sentences"].map(wording.count))},
    }
    accuracies = claims["statement"].str.startswith("accuracy")
    modes = claims[accuracies]["statement"].str.rpartition(", ")[2]
    rows = [
        {
            "claim": "C1 to C3",
            "statement": f"accuracy on SST-2 validation: {wording.listing(modes)}",
            "paper": "\n".join(claims[accuracies]["paper"]),
            "ours (interval)": "\n".join(map(_measured, _records(claims[accuracies]))),
            "verdict": _each(claims[accuracies]["verdict"]),
            SIZE: _size(results),
        },
        *(
            {**row, "ours (interval)": _measured(row), **about.get(row["claim"], {})}
            for row in _records(claims[~accuracies])
        ),
    ]
    return _table({**row, "command": "make repro"} for row in rows)


def published_claims(folder: Path) -> pd.DataFrame:
    """Return the rows of the published run and of the published studies.

    Args:
        folder: The tables of the published run.
    """
    claims = run_claims(folder)
    measured = _interpretable()
    if measured:
        last = claims["claim"] == "C6"
        claims.loc[last, list(measured)] = [*measured.values()]
    questions = [table for study in QUESTIONS for table in _questions(*study)]
    return pd.concat([claims, *questions, *_speed()], ignore_index=True)


def as_html(claims: pd.DataFrame) -> str:
    """Return the table for the page."""
    caption = (
        "Detectable: the smallest difference that the design could detect, at the first step of "
        "Holm’s correction. Minutes: training time of all cells of the study, on the device that “What "
        "was run” names."
    )
    return tables.as_html(claims, "claims-table", caption, text=COLUMNS[:6], main=MAIN)


def _interpretable() -> dict[str, str]:
    """Return what the study interpretability says about C6; nothing if it is not published."""
    folder = paths.interpretability("sst2")
    if not (folder / "findings.csv").is_file():
        return {}
    findings = tables.read(folder, "findings")
    rows = findings[findings["question"].str.startswith("C6") & (findings["arm"] != "diagonal")]
    return {
        "ours (interval)": _each(rows["measure"]),
        "verdict": "\n".join(f"{row['arm']}: {row['verdict']}" for row in _records(rows)),
        SIZE: _size(rows),
        "command": "make study NAME=interpretability",
    }


def _questions(name: str, corpus: str) -> Iterator[pd.DataFrame]:
    """Yield the gate and the labeled questions of a study; nothing if it is not published."""
    folder = studies.results(name, corpus) / "tables"
    if not (folder / "verdicts.csv").is_file():
        return
    verdicts = tables.read(folder, "verdicts")
    labels = verdicts["question"].str.extract(LABEL.pattern)
    verdicts = verdicts.assign(label=labels[0], text=labels[1].fillna(verdicts["question"]))
    verdicts.loc[verdicts["kind"] == "gate", "label"] = "gate"
    about = {"command": f"make study NAME={name}", "minutes": _minutes(name, corpus)}
    for label, rows in verdicts.dropna(subset="label").groupby("label", sort=False):
        yield _table(
            [
                {
                    "claim": label if label != "gate" else f"gate, {name}",
                    "statement": _each(rows["text"], " "),
                    "ours (interval)": "\n".join(
                        f"{_ours(row)} ({_interval(row)})" for row in _records(rows)
                    ),
                    "verdict": "\n".join(rows["verdict"]),
                    SIZE: _size(rows),
                    "detectable (pp)": _each(rows["smallest_points"].dropna().map(wording.size)),
                    **about,
                }
            ]
        )


def _size(rows: pd.DataFrame) -> str:
    return _each(rows["n"].map(wording.count) + " × " + rows["seeds"].astype(str))


def _measured(row: dict[str, Any]) -> str:
    """Return what claims.csv holds of a claim, each part on a line with its interval."""
    parts, ends = row["ours"].split("; "), row["interval"].split("; ")
    if len(parts) != len(ends) or not any(ends):
        return "\n".join([*parts, *filter(None, ends)])
    bare = (
        end.removeprefix(part.split()[0]).strip() for part, end in zip(parts, ends, strict=True)
    )
    ends = [end.replace(" (", ", ").rstrip(")") for end in bare]
    found = (f"{part} ({end})" for part, end in zip(parts, ends, strict=True))
    return "\n".join(found)


def _ours(row: dict[str, Any]) -> str:
    if row["kind"] == "share":
        return f"share {wording.percent(row['share'], 0)}"
    return f"{row['arm']} − {row['reference']} {wording.points(row['difference_points'])} pp"


def _interval(row: dict[str, Any]) -> str:
    if row["kind"] != "share":
        ends = wording.interval(row["low_points"], row["high_points"], wording.points)
    elif wording.is_missing(row["share_low"]):
        return "unbounded"
    else:
        ends = wording.interval(
            row["share_low"], row["share_high"], lambda share: wording.percent(share, 0)
        )
    return ends if ends == wording.NONE else f"{ends}, {100 * row['level']:.0f}%"


def times_file() -> Path:
    """Return the file of times on long documents, which the archived study `long` measured."""
    return studies.results("long", "imdb") / "times.csv"


def longest_step() -> pd.Series:
    """Return the row of `times_file` on training steps under hard with the longest documents."""
    steps = read_csv(times_file()).query("what == 'training step' and mode == 'hard'")
    return steps.loc[steps["length"].idxmax()]


def _speed() -> Iterator[pd.DataFrame]:
    """Yield the time of that step; nothing if it is not published."""
    if not times_file().is_file():
        return
    row = longest_step()
    yield _table(
        [
            {
                "claim": "speed",
                "statement": f"a training step at {wording.count(row['length'])} pieces takes less time",
                "paper": "no time",
                "ours (interval)": f"hard takes {wording.percent(row['ratio'], 0)} of the time of full "
                f"({wording.percent(row['ratio_low'])} to {wording.percent(row['ratio_high'])}, "
                "quartiles)",
                "verdict": "measured",
                SIZE: f"{row['rounds']} rounds",
                "command": "archived; make bench times one layer",
            }
        ]
    )


def _minutes(name: str, corpus: str) -> str:
    file = studies.seconds_file(name, corpus)
    if not file.is_file():
        return wording.NONE
    return f"{read_csv(file).groupby('cell')['seconds'].last().sum() / 60:.0f}"


def _table(rows: Any) -> pd.DataFrame:
    return pd.DataFrame(
        [[row.get(name) or wording.NONE for name in COLUMNS] for row in rows], columns=list(COLUMNS)
    )


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return table.to_dict("records")


def _each(values: pd.Series, between: str = "\n") -> str:
    """Return the different values, in order."""
    return between.join(dict.fromkeys(values))
