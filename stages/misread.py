"""Let finished models of the core study predict from corrupted tags."""

import argparse

from ggsa.training import cells, studies
from stages import run


def main() -> None:
    """Write the predictions of every cell of the study that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True, help="a folder of studies/")
    parser.add_argument("--corpus", required=True, choices=studies.CORPORA)
    arguments = parser.parse_args()
    cells.misread_cells(arguments.study, arguments.corpus)


if __name__ == "__main__":
    run(main)
