"""Train one cell of the core study: one mode with one seed."""

import argparse

from ggsa.training import distributed
from ggsa.training.cell import train_core_cell
from ggsa.workspace import config
from stages import run


def main() -> None:
    """Train the cell that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", required=True, help="full, hard, soft, ...")
    parser.add_argument("--seed", required=True, type=int)
    arguments = parser.parse_args()
    with distributed.processes():
        train_core_cell(config.load(), arguments.mode, arguments.seed)


if __name__ == "__main__":
    run(main)
