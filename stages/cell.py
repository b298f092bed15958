"""Train one cell of a study: one arm with one seed, as planned."""

import argparse

from ggsa.training import distributed, study_cells
from stages import run


def main() -> None:
    """Train the cell that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True, help="a directory of studies/")
    parser.add_argument("--corpus", required=True, help="one of the study's")
    parser.add_argument("--arm", required=True, help="an arm of the study's params.yaml")
    parser.add_argument("--seed", required=True, type=int)
    arguments = parser.parse_args()
    with distributed.processes():
        study_cells.train_cell(arguments.study, arguments.corpus, arguments.arm, arguments.seed)


if __name__ == "__main__":
    run(main)
