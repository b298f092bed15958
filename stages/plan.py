"""Fix the cells of a study: one file each with its pattern and its settings."""

import argparse

from ggsa.training import studies, study_cells
from ggsa.training.recipe import require_steps
from stages import run


def main() -> None:
    """Plan the study that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True, help="a directory of studies/")
    parser.add_argument("--corpus", required=True, help="one of the study's")
    arguments = parser.parse_args()
    study = studies.load(arguments.study)
    for arm in study.plan(arguments.corpus).arms:
        if not study.arms[arm].weights_of:
            declared = f"{studies.declaration(study.name)}, arm {arm}"
            require_steps(study.params(arm), declared)
    study_cells.plan(arguments.study, arguments.corpus)


if __name__ == "__main__":
    run(main)
