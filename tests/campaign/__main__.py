"""`make campaign`: kills, full disks and malformed inputs; prints and writes a table.

A whole campaign publishes its table in docs/campaign.md; a part of one leaves it in .cache. Exit status
1 if a trial failed. About an hour and a half on two idle cores; `make test` does not run it.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / part) for part in ("src", ".", "tests/pipeline", "tests/unit")]

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

from disk import fill_disks  # noqa: E402
from kills import kill_stages  # noqa: E402
from malformed import feed_malformed  # noqa: E402
from outcomes import Outcomes  # noqa: E402

PARTS = ("malformed", "kills", "disk")
PUBLISHED, PARTIAL = ROOT / "docs/campaign.md", ROOT / ".cache/campaign.md"


def main() -> None:
    """Run the parts that the command line names."""
    parser = argparse.ArgumentParser(prog="make campaign", description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--kills", type=int, default=25, help="of each stage and study")
    parser.add_argument("--inputs", type=int, default=200, help="malformed ones")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=(), help="stages, studies or kinds of input")
    arguments = parser.parse_args()
    outcomes = Outcomes()
    with tempfile.TemporaryDirectory(prefix="campaign-") as name:
        folder = Path(name)
        if "malformed" in arguments.parts:
            feed_malformed(folder, outcomes, arguments.inputs, arguments.seed, arguments.only)
        if "kills" in arguments.parts:
            kill_stages(folder, outcomes, arguments.kills, arguments.seed, arguments.only)
        if "disk" in arguments.parts:
            fill_disks(folder, outcomes, arguments.only)
    is_whole = not arguments.only and set(arguments.parts) == set(PARTS)
    target = PUBLISHED if is_whole else PARTIAL
    outcomes.write(target, arguments.seed)
    print(f"\n{outcomes.table()}\n\nWritten: {target}")
    sys.exit(1 if outcomes.failures else 0)


if __name__ == "__main__":
    main()
