"""The result on the terminal: what was run, paper beside ours, and where the report is.

Place in the data flow: `python -m ggsa.report.summary`, called at the end of `make repro`. Reads
the tables of the latest run and the provenance; writes nothing.
"""

import sys
import textwrap

from tabulate import tabulate

from ggsa import artifacts, config, paths
from ggsa.errors import UserError
from ggsa.report import page, tables, wording

WIDTH = 78


def text(params: config.Params) -> str:
    """Return the banner if there is one, the result table and the path of the report.

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
    parts.append(f"Report: {paths.REPORT.resolve()}")
    return "\n\n".join(parts)


def main() -> None:
    """Print the summary of the latest run."""
    try:
        print(f"\n{text(config.load())}\n")
    except UserError as error:
        sys.exit(f"\n{error}\n")


if __name__ == "__main__":
    main()
