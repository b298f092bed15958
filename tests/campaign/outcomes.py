"""What the campaign counts: trials by kind, and how each ended."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tabulate import tabulate

SURVIVED = ("refused", "still valid", "same bytes", "finished")
"""Ends that are right; anything else is a failure."""


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

    def write(self, path: Path) -> None:
        """Write the table and the failures."""
        path.parent.mkdir(parents=True, exist_ok=True)
        listed = "".join(f"- {failure}\n" for failure in self.failures)
        path.write_text(f"{self.table()}\n\n{listed}", encoding="utf-8")
