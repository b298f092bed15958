"""Measure whether the attention of core's models is easier to interpret (claim C6)."""

import argparse
from pathlib import Path

from ggsa.evaluation.interpretability.measure import measure
from ggsa.evaluation.interpretability.sentences import load_settings
from ggsa.workspace import config, paths
from stages import run


def main() -> None:
    """Write the tables of the corpus that core ran on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", default="sst2", help="corpus that core must have run on")
    parser.add_argument("--output", type=Path, help="folder of the tables (default: published)")
    arguments = parser.parse_args()
    folder = arguments.output or paths.interpretability(arguments.corpus)
    measure(arguments.corpus, config.load(), load_settings(), folder)


if __name__ == "__main__":
    run(main)
