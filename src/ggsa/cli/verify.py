"""Recompute the published results from the published predictions, and compare.

With `--predictions`, score your own predictions on the published labels instead. The file has the
columns id and label, for every sentence of validation, of test or of both.

Example::

  ggsa verify
  ggsa verify --predictions predictions.csv
"""

import argparse
import sys
from pathlib import Path

RESTORE = (
    "Restore what was committed with `git restore reports/published`; publish the latest run with "
    "`make publish`; update a study with `make study`."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--predictions", metavar="FILE", type=Path, help="CSV with the columns id and label"
    )


def run(arguments: argparse.Namespace) -> None:
    """Print the score of a file; without one, every group of checks and what differs."""
    if arguments.predictions:
        from ggsa.cli.verification import predictions

        print(predictions.score(arguments.predictions))
    else:
        _check()


def _check() -> None:
    """Print one line per group of checks and every difference; exit with 1 if there is one.

    Raises:
        UserError: If nothing is published here.
    """
    from ggsa.cli import verification
    from ggsa.cli.verification.rederived import listing, require_published

    require_published()
    checks = verification.verify()
    for group in checks:
        print(group, *listing(group.differences), sep="\n")
    count = sum(len(group.differences) for group in checks)
    if count:
        sys.exit(f"\n{count} difference{'s' if count > 1 else ''} found. {RESTORE}\n")
    print("Everything published is as it was computed.")
