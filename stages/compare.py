"""Compare the finished cells of a study on a corpus and answer its declared questions."""

import argparse

from ggsa.evaluation import baselines, comparisons
from ggsa.evaluation.arm_patterns import patterns_table
from ggsa.evaluation.finished_cells import read_results
from ggsa.training import studies
from ggsa.training.study_cells import require_planned_cells
from ggsa.workspace import artifacts, config
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import write_table
from stages import run


def main() -> None:
    """Write the marks of the sentences and every table of the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", required=True, help="a directory of studies/")
    parser.add_argument("--corpus", required=True, help="one of the study's")
    arguments = parser.parse_args()
    params, study = config.load(), studies.load(arguments.study)
    require_planned_cells(study, arguments.corpus)
    results = read_results(study, arguments.corpus)
    if results is None:
        raise UserError(
            f"No seed of the study {study.name} is finished with every arm on {arguments.corpus}. "
            f"Run `make study NAME={study.name}`."
        )
    marks = baselines.sentence_marks(study.params(study.reference))
    tables = comparisons.study_tables(results, study, params.evaluate, marks)
    tables["patterns"] = patterns_table(study, arguments.corpus)
    folder = studies.results(study.name, arguments.corpus)
    with artifacts.atomic_folder(folder / "tables") as new:
        for name, table in tables.items():
            write_table(new / f"{name}.csv", table)
        write_table(folder / "sentences.parquet", marks)


if __name__ == "__main__":
    run(main)
