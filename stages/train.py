"""Train one cell: one mode with one seed, of the core study or of another."""

import argparse

from ggsa import config, studies, training
from stages import run


def main() -> None:
    """Train the cell that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", required=True, help="full, hard, soft, ...; or an arm of a study")
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--study", help="a folder of studies/; without it, the core study")
    parser.add_argument("--corpus", default="sst2", choices=studies.CORPORA, help="of a study")
    arguments = parser.parse_args()
    if arguments.study is None:
        training.train_cell(config.load(), arguments.mode, arguments.seed)
    else:
        studies.train_cell(arguments.study, arguments.corpus, arguments.mode, arguments.seed)


if __name__ == "__main__":
    run(main)
