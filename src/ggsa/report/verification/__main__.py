"""Check what is published, for `make verify`."""

import argparse
import sys

from ggsa.report import verification
from ggsa.report.verification.rederived import listing, require_published
from ggsa.workspace import terminal
from ggsa.workspace.errors import UserError

RESTORE = (
    "Restore what was committed with `git restore reports/published`; publish the latest run with "
    "`make publish`; update a study with `make study`."
)


def check() -> None:
    """Print one line per group of checks and every difference; exit with 1 if there is one.

    Raises:
        UserError: If nothing is published here.
    """
    require_published()
    checks = verification.verify()
    for group in checks:
        print(group, *listing(group.differences), sep="\n")
    count = sum(len(group.differences) for group in checks)
    if count:
        sys.exit(f"\n{count} difference{'s' if count > 1 else ''} found. {RESTORE}\n")
    print("Everything published is as it was computed.")


def main() -> None:
    """Check, as `make verify` does."""
    terminal.accept_any_character()
    argparse.ArgumentParser(prog="make verify", description=__doc__).parse_args()
    try:
        check()
    except UserError as error:
        sys.exit(f"\n{error}\n")


if __name__ == "__main__":
    main()
