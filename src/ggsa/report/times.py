"""What each stage took when it last ran in this workspace, and whether that was just now.

Place in the data flow: read by the summary at the end of `make repro` from `.cache/stages.csv`, to
which every stage adds a line as it ends. No output of a stage holds a time, so that what DVC
restores from its cache, or what was trained elsewhere, has none.
"""

from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from ggsa.workspace import paths
from ggsa.workspace.config import Grid
from ggsa.workspace.progress import duration

STAGES = ("check", "download", "tag", "rules", "train", "evaluate", "report")


@dataclass(frozen=True)
class Noted:
    """The last run of a stage: what it took, and when it ended (seconds since 1970)."""

    seconds: float
    ended: float


def read(path: Path = paths.STAGE_SECONDS) -> dict[str, Noted]:
    """Return the last run of every stage, by its name and arguments; lines that are damaged, none."""
    found = {}
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for line in lines:
        name, *numbers = line.split(",")
        try:
            seconds, ended = map(float, (*numbers, 0.0)[:2])  # no end: noted by an earlier version
        except ValueError:
            continue
        found[name] = Noted(seconds, ended)
    return found


def text(grid: Grid, noted: dict[str, Noted], since: float | None = None) -> str:
    """Return a table with a row for every stage.

    Args:
        grid: Whose cells the row of train counts.
        noted: From `read`.
        since: When the run began that is reported; None leaves out what ran in it.
    """
    rows = []
    for stage in STAGES:
        names = [stage]
        if stage == "train":
            names = [f"train --mode {m} --seed {s}" for m in grid.modes for s in grid.seeds]
        known = [noted[name] for name in names if name in noted]
        row = {"stage": stage, "took": _took(known, len(names))}
        if since is not None:
            row["this time"] = _ran(sum(each.ended >= since for each in known), len(names))
        rows.append(row)
    return tabulate(rows, headers="keys", disable_numparse=True)


def _took(known: list[Noted], cells: int) -> str:
    if not known:
        return "taken from the cache"
    total = sum(each.seconds for each in known)
    if cells == 1:
        return duration(total)
    count = f"{cells} cells" if len(known) == cells else f"{len(known)} of {cells} cells noted"
    return f"{duration(total)}: {count}, {duration(total / len(known))} each"


def _ran(ran: int, cells: int) -> str:
    if not ran:
        return "not rerun"
    return "ran" if ran == cells else f"{ran} of {cells} cells ran"
