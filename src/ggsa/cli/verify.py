"""Recompute the published results from the published predictions, and compare.

Example::

  ggsa verify
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command: none."""


def run(arguments: argparse.Namespace) -> None:
    """Print one line per group of checks and every difference; exit with 1 if there is one."""
    from ggsa.report.verification import __main__ as verification

    verification.check()
