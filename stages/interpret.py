"""Measure where trained models look, and whether that is easier to interpret (claim C6)."""

import argparse
from pathlib import Path

from ggsa.evaluation import interpretability
from ggsa.evaluation.interpretability import settings
from ggsa.workspace import config, paths
from stages import run


def main() -> None:
    """Write the tables of the corpus that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True, choices=("sst2", "probe"))
    parser.add_argument("--output", type=Path, help="folder of the tables; by default published")
    arguments = parser.parse_args()
    base = config.base_overrides("probe") if arguments.corpus == "probe" else None
    folder = arguments.output or paths.interpretability(arguments.corpus)
    params = config.load(overrides=base)
    interpretability.measure(arguments.corpus, params, settings.load(), folder)


if __name__ == "__main__":
    run(main)
