"""Time training and inference against the length of documents, for every arm of a study."""

import argparse

from ggsa.patterns.pattern import pattern_from_json
from ggsa.training import studies, times
from ggsa.workspace import artifacts
from ggsa.workspace.tables import write_table
from stages import run


def main() -> None:
    """Time the arms of the study that the command line names, as they are planned."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True, help="a folder of studies/")
    parser.add_argument("--corpus", required=True, choices=studies.CORPORA)
    arguments = parser.parse_args()
    study = studies.load(arguments.study)
    planned = {}
    for arm, seed in study.cells(arguments.corpus):
        path = studies.plan_file(study.study, arguments.corpus, arm, seed)
        content = artifacts.read_json(path)
        planned.setdefault(arm, pattern_from_json(content["pattern"], path))
    target = studies.results(study.study, arguments.corpus) / "times.csv"
    write_table(target, times.measure(study.params(), planned))


if __name__ == "__main__":
    run(main)
