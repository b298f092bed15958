"""Render the notebooks into one self-contained page."""

from ggsa import report
from ggsa.workspace import config
from stages import run


def main() -> None:
    """Write reports/report.html and reports/figures."""
    report.render(config.load())


if __name__ == "__main__":
    run(main)
