"""What the campaign counts: trials by kind, and how each ended."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from tabulate import tabulate

SURVIVED = ("refused", "still valid", "same bytes", "finished")
"""Ends that are right; anything else is a failure."""

PAGE = """# The campaign

What `make campaign` counted on {date}, with seed {seed}, in a tiny workspace. A trial survives as follows:

- `kill -9`: a stage or a study is killed at a random moment and started again. It ends with the bytes of an
  undisturbed run, and Git sees no other change.
- A full disk: the stage ends with a message, without a traceback, and leaves no part of a file. With space,
  it ends with the bytes of an undisturbed run.
- A malformed input: it is refused in one message, with a non-zero exit status, without a traceback and with
  nothing half-written; or the change left it valid.

{table}
"""


@dataclass
class Outcomes:
    """Trials and their ends."""

    ends: dict[str, Counter] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def add(self, kind: str, trial: str, end: str) -> None:
        """Count a trial; any end but those of `SURVIVED` is kept with its name."""
        right = end if end in SURVIVED else "failed"
        self.ends.setdefault(kind, Counter())[right] += 1
        if right == "failed":
            self.failures.append(f"{kind}: {trial}: {end}")
            print(f"FAILED {self.failures[-1]}", flush=True)

    def table(self) -> str:
        """Return a row per kind, as Markdown."""
        rows = [
            {
                "kind": kind,
                "tried": ends.total(),
                "survived": ends.total() - ends["failed"],
                "how": ", ".join(f"{count} {end}" for end, count in sorted(ends.items())),
            }
            for kind, ends in self.ends.items()
        ]
        return tabulate(rows, headers="keys", tablefmt="github")

    def write(self, path: Path, seed: int) -> None:
        """Write a page with the table and the failures."""
        path.parent.mkdir(parents=True, exist_ok=True)
        listed = "".join(f"- {failure}\n" for failure in self.failures)
        page = PAGE.format(date=f"{date.today():%-d %B %Y}", seed=seed, table=self.table())
        path.write_text(page + (f"\nFailed:\n\n{listed}" if listed else ""), encoding="utf-8")
