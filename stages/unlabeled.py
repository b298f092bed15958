"""Draw and tag the unlabeled sentences on which the encoders of a study are adapted."""

import argparse

from ggsa.tagging.unlabeled import write_unlabeled
from ggsa.training import studies
from ggsa.workspace.errors import UserError
from stages import run


def main() -> None:
    """Write the sentences of the study that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True, help="a directory of studies/")
    arguments = parser.parse_args()
    study = studies.load(arguments.study)
    if study.adaptation is None:
        raise UserError(f"The study {study.name} has no adapted arm.")
    params = study.params(study.reference)
    write_unlabeled(params, study.adaptation.sentences, study.adaptation.seed)


if __name__ == "__main__":
    run(main)
