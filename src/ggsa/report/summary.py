"""The result on the terminal: paper beside ours, what each stage took, and where the report is.

Place in the data flow: `python -m ggsa.report.summary`, called at the end of `make repro`. Reads
the tables of the latest run, the provenance and the times of the stages; writes nothing.
"""

import argparse
import sys
import textwrap

import pandas as pd
from tabulate import tabulate

from ggsa import artifacts, config, paths
from ggsa.errors import UserError
from ggsa.report import page, tables, times, wording

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
    parts.append(tabulate(rows, headers="keys", disable_numparse=True))
    parts.append(textwrap.fill(page.rows_note(results).replace("; see Methods", ""), WIDTH))
    parts.append(claims_text(tables.read(paths.TABLES, "claims")))
    parts.append(times.text(params.grid, times.read(), since))
    parts.append(f"Report: {paths.REPORT.resolve()}")
    return "\n\n".join(parts)


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
