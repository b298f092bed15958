"""Recompute the published results from the published predictions, and compare.

With `--predictions`, score your own predictions on the published labels instead. The file has the
columns id and label, for every sentence of validation, of test or of both.

Example::

  ggsa verify
  ggsa verify --predictions predictions.csv
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--predictions", metavar="FILE", type=Path, help="CSV with the columns id and label"
    )


def run(arguments: argparse.Namespace) -> None:
    """Print the score of a file; without one, every group of checks and what differs."""
    if arguments.predictions:
        from ggsa.report.verification import predictions

        print(predictions.score(arguments.predictions))
    else:
        from ggsa.report.verification import __main__ as verification

        verification.check()
