"""The published page on paper: printed by Chromium to `reports/report.pdf`.

`python -m ggsa.report.pdf`, called by `make pdf`.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ggsa.workspace import artifacts, paths, terminal
from ggsa.workspace.errors import UserError

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer")
PAGE = re.compile(rb"/Type\s*/Page\b")
TIMEOUT_SECONDS = 300


def browser() -> str:
    """Return the path of Chromium: one of `BROWSERS`, or what $BROWSER names.

    Raises:
        UserError: If there is none.
    """
    for name in (*BROWSERS, os.environ.get("BROWSER", "")):
        if program := shutil.which(name):
            return program
    raise UserError(
        f"No browser that prints: expected {', '.join(BROWSERS)} on PATH, or the path of one in "
        f"$BROWSER. Install one, for example with `apt-get install chromium`, or set BROWSER."
    )


def print_page(source: Path, target: Path) -> int:
    """Print a page as a PDF and return its number of sheets.

    Raises:
        UserError: If there is no page or no browser, or the browser writes no PDF.
    """
    if not source.is_file():
        raise UserError(f"{source} does not exist. Restore it: `git restore {source}`.")
    program = browser()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, ignore_cleanup_errors=True) as folder:
        printed = Path(folder, target.name).resolve()
        where = (f"--user-data-dir={printed.parent}", f"--print-to-pdf={printed}")
        try:
            done = subprocess.run(
                [program, *OPTIONS, *where, source.resolve().as_uri()],
                capture_output=True,
                text=True,
                timeout=TIMEOUT_SECONDS,
            )
            message = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        except subprocess.TimeoutExpired:
            message = f"no answer in {TIMEOUT_SECONDS} seconds"
        if not printed.is_file():
            raise UserError(
                f"{program} did not print {source} ({message}). Install another of "
                f"{', '.join(BROWSERS)}, then print again."
            )
        printed.replace(target)
    return len(PAGE.findall(target.read_bytes()))


def main() -> None:
    """Print the published page."""
    terminal.accept_any_character()
    argparse.ArgumentParser(prog="make pdf", description=__doc__).parse_args()
    target = paths.REPORT.with_suffix(".pdf")
    try:
        with artifacts.disk_errors():
            pages = print_page(paths.PUBLISHED / paths.REPORT.name, target)
    except UserError as error:
        sys.exit(f"\n{error}\n")
    print(f"{target}: {pages} page{'s' if pages != 1 else ''}")


if __name__ == "__main__":
    main()
