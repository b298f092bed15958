"""Adapt the encoder of one arm of a study to the arm's pattern."""

import argparse

from ggsa.training import study_cells
from stages import run


def main() -> None:
    """Adapt the encoder of the arm that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True, help="a directory of studies/")
    parser.add_argument("--corpus", required=True, help="one of the study's")
    parser.add_argument("--arm", required=True, help="an adapted arm of the study's params.yaml")
    arguments = parser.parse_args()
    study_cells.adapt_arm(arguments.study, arguments.corpus, arguments.arm)


if __name__ == "__main__":
    run(main)
