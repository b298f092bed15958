"""Render the notebooks into one self-contained page."""

from ggsa.report import rendering
from ggsa.workspace import config
from stages import run


def main() -> None:
    """Write reports/report.html and reports/figures."""
    rendering.render(config.load())


if __name__ == "__main__":
    run(main)
