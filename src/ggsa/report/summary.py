"""The result on the terminal: accuracies, verdicts, what each stage took, and where the report is.

`python -m ggsa.report.summary`, called at the end of `make repro`. The times are from
`.cache/stages.csv`, to which every stage adds a line when it ends: no output of a stage holds a
time, so what DVC restores from its cache has that of the stage's last run, if it ever ran here.
"""

import argparse
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from ggsa.report import page, tables, wording
from ggsa.workspace import artifacts, config, paths, terminal
from ggsa.workspace.errors import UserError
from ggsa.workspace.progress import counted, duration
from ggsa.workspace.provenance import is_replication

WIDTH = 78
QUESTION_WIDTH, SENTENCES_WIDTH, VERDICT_WIDTH = 34, 16, 25
STAGES = ("check", "download", "tag", "rules", "train", "evaluate", "report")


@dataclass(frozen=True)
class StageRun:
    """The last run of a stage: how long it took, and when it ended (seconds since 1970)."""

    seconds: float
    ended: float


def text(params: config.Params, since: float | None = None) -> str:
    """Return the banner if there is one, results, times per stage and the path of the report.

    Args:
        params: The parameters of the latest run.
        since: When it started (seconds since 1970), to say which stages ran; None if unknown.

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
    if is_replication(provenance):
        parts.append(beside_the_paper(results))
        parts.append(textwrap.fill(page.rows_note(results).replace("; see Methods", ""), WIDTH))
        parts.append(claims_text(tables.read(paths.TABLES, "claims")))
    else:
        parts.append(beside_full(results, tables.read(paths.TABLES, "differences")))
        parts.append(verdicts_text(tables.read(paths.TABLES, "verdicts")))
    parts.append(times_text(params.grid, stage_runs(), since))
    parts.append(f"Report: {paths.REPORT.resolve()}")
    return "\n\n".join(parts)


def beside_the_paper(results: pd.DataFrame) -> str:
    """Return the table against the paper."""
    rows = [
        {
            "mode": row["mode"],
            "paper": row["paper"],
            "ours": row["ours"],
            "difference (pp)": row["difference"],
            "95% interval": row["interval"],
            "verdict": row["verdict"],
        }
        for row in page.verdict_rows(results)
    ]
    return tabulate(rows, headers="keys", disable_numparse=True)


def beside_full(results: pd.DataFrame, differences: pd.DataFrame) -> str:
    """Return the table for a corpus that the paper does not report: every mode beside full."""
    rows = tabulate(page.own_rows(results, differences), headers="keys", disable_numparse=True)
    return f"{rows}\n\n{textwrap.fill(page.own_rows_note(results), WIDTH)}"


def claims_text(claims: pd.DataFrame) -> str:
    """Return the verdicts on the claims that are about more than one mode's accuracy."""
    rows = [
        {"claim": f"{row.claim}: {row.statement}", "verdict": row.verdict}
        for row in claims.itertuples()
        if not row.statement.startswith("accuracy on")
    ]
    return tabulate(rows, headers="keys", disable_numparse=True)


def verdicts_text(verdicts: pd.DataFrame) -> str:
    """Return the answers to the declared questions, and on which sentences each rests."""
    rows = [
        {
            "question": textwrap.fill(row.question, QUESTION_WIDTH),
            "sentences": textwrap.fill(
                f"{wording.count(row.n)}, {wording.SPLIT_NAMES.get(row.split, row.split)}",
                SENTENCES_WIDTH,
            ),
            "difference (pp)": wording.points(row.difference_points),
            "verdict": textwrap.fill(row.verdict, VERDICT_WIDTH),
        }
        for row in verdicts.itertuples()
    ]
    return tabulate(rows, headers="keys", disable_numparse=True)


def stage_runs(path: Path = paths.STAGE_SECONDS) -> dict[str, StageRun]:
    """Return the last run of every stage by its name and arguments; damaged lines are skipped."""
    runs = {}
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for line in lines:
        name, *numbers = line.split(",")
        try:
            seconds, ended = map(float, (*numbers, 0.0)[:2])  # earlier versions wrote no end
        except ValueError:
            continue
        runs[name] = StageRun(seconds, ended)
    return runs


def times_text(grid: config.Grid, runs: dict[str, StageRun], since: float | None = None) -> str:
    """Return a table with a row for every stage.

    Args:
        grid: Its cells are counted in the row of train.
        runs: From `stage_runs`.
        since: When the reported run started; None leaves out which stages ran in it.
    """
    rows = []
    for stage in STAGES:
        names = [stage]
        if stage == "train":
            names = [f"train --mode {m} --seed {s}" for m in grid.modes for s in grid.seeds]
        known = [runs[name] for name in names if name in runs]
        row = {"stage": stage, "last took": _took(known, len(names))}
        if since is not None:
            row["this time"] = _ran(sum(each.ended >= since for each in known), len(names))
        rows.append(row)
    return tabulate(rows, headers="keys", disable_numparse=True)


def _took(known: list[StageRun], cells: int) -> str:
    if not known:
        return "taken from the cache"
    total = sum(each.seconds for each in known)
    if cells == 1:
        return duration(total)
    count = "" if len(known) == cells else f"{len(known)} of "
    count += counted(cells, "cell")
    return f"{duration(total)} summed over {count}, {duration(total / len(known))} each"


def _ran(ran: int, cells: int) -> str:
    if not ran:
        return "not rerun"
    return "ran" if ran == cells else f"{ran} of {counted(cells, 'cell')} ran"


def main() -> None:
    """Print the summary of the latest run."""
    terminal.accept_any_character()
    parser = argparse.ArgumentParser(prog="python -m ggsa.report.summary", description=__doc__)
    parser.add_argument("--since", type=float, help="when the run started, in seconds since 1970")
    arguments = parser.parse_args()
    try:
        print(f"\n{text(config.load(), arguments.since)}\n")
    except UserError as error:
        sys.exit(f"\n{error}\n")


if __name__ == "__main__":
    main()
