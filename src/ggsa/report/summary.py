"""The result on the terminal: paper beside ours, what each stage took, and where the report is.

Place in the data flow: `python -m ggsa.report.summary`, called at the end of `make repro`. Reads
the tables of the latest run, the provenance and the times of the stages; writes nothing.
"""

import argparse
import sys
import textwrap

import pandas as pd
from tabulate import tabulate

from ggsa.report import page, tables, times, wording
from ggsa.workspace import artifacts, config, paths
from ggsa.workspace.errors import UserError

WIDTH = 78


def text(params: config.Params, since: float | None = None) -> str:
    """Return the banner if there is one, results, times per stage and the path of the report.

    Args:
        params: Those of the latest run.
        since: When it began (seconds since 1970), to say which stages ran; None where unknown.

    Raises:
        UserError: If there is no finished run in this workspace.
    """
    provenance = artifacts.read_json(paths.provenance())
    results = tables.read(paths.TABLES, "results")
    parts = []
    sentences = page.banner(params, provenance)
    if sentences:
        rule = "!" * WIDTH
        headline = wording.alarm(provenance).upper()
        wrapped = [textwrap.fill(sentence, WIDTH) for sentence in (headline, *sentences)]
        parts.append("\n".join([rule, *wrapped, rule]))
    parts.append(textwrap.fill(page.run_line(params, provenance), WIDTH))
    if provenance["is_sst2"]:
        parts.append(beside_the_paper(results))
        parts.append(textwrap.fill(page.rows_note(results).replace("; see Methods", ""), WIDTH))
        parts.append(claims_text(tables.read(paths.TABLES, "claims")))
    else:
        parts.append(beside_full(results, tables.read(paths.TABLES, "comparisons")))
    parts.append(times.text(params.grid, times.read(), since))
    parts.append(f"Report: {paths.REPORT.resolve()}")
    return "\n\n".join(parts)


def beside_the_paper(results: pd.DataFrame) -> str:
    """Return the table against the paper."""
    rows = [
        {
            "mode": row["mode"],
            "paper": row["paper"],
            "ours": row["ours"],
            "difference (points)": row["difference"],
            "95% interval": row["interval"],
            "verdict": row["verdict"],
        }
        for row in page.verdict_rows(results)
    ]
    return tabulate(rows, headers="keys", disable_numparse=True)


def beside_full(results: pd.DataFrame, comparisons: pd.DataFrame) -> str:
    """Return the table of a corpus that the paper says nothing of: every mode beside full."""
    validation = results[results["split"] == "validation"]
    against = comparisons[comparisons["split"] == "validation"].set_index("mode")
    rows = []
    for row in validation.itertuples():
        found = against.loc[row.mode] if row.mode in against.index else None
        rows.append(
            {
                "mode": row.mode,
                "accuracy": page.with_spread(row.accuracy_mean, row.accuracy_sd),
                "minus full (points)": wording.NONE
                if found is None
                else wording.points(found["difference_points"]),
                "95% interval": wording.NONE
                if found is None
                else wording.interval(found["low_points"], found["high_points"], wording.points),
                "allowed pairs": wording.percent(row.density),
            }
        )
    first = validation.iloc[0]
    about = (
        f"Accuracy on {wording.count(first['n'])} validation sentences, "
        f"{wording.seeds(int(first['seeds']))}."
    )
    return f"{tabulate(rows, headers='keys', disable_numparse=True)}\n\n{about}"


def claims_text(claims: pd.DataFrame) -> str:
    """Return the verdicts on the claims that are about more than one mode's accuracy."""
    rows = [
        {"claim": f"{row.claim}: {row.statement}", "verdict": row.verdict}
        for row in claims.itertuples()
        if not row.statement.startswith("accuracy on")
    ]
    return tabulate(rows, headers="keys", disable_numparse=True)


def main() -> None:
    """Print the summary of the latest run."""
    parser = argparse.ArgumentParser(prog="python -m ggsa.report.summary", description=__doc__)
    parser.add_argument("--since", type=float, help="when the run began, in seconds since 1970")
    arguments = parser.parse_args()
    try:
        print(f"\n{text(config.load(), arguments.since)}\n")
    except UserError as error:
        sys.exit(f"\n{error}\n")


if __name__ == "__main__":
    main()
