"""Answer the questions of the studies from the cells that are finished."""

import argparse

from ggsa.evaluation import answers, baselines
from ggsa.training import studies
from ggsa.workspace import artifacts, config, paths
from ggsa.workspace.tables import write_table
from stages import run


def main() -> None:
    """Mark the sentences of a corpus, or write the tables of its answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("mark", "tables"))
    parser.add_argument("--corpus", required=True, choices=studies.CORPORA)
    arguments = parser.parse_args()
    params = config.load()
    if arguments.what == "tables":
        answers.write(arguments.corpus, params.evaluate)
        return
    marks = baselines.sentence_marks()
    if artifacts.read_json(paths.provenance())["corpus"]["name"] == "probe":
        shown = baselines.phenomena_marks(params.corpus.seed)
        marks = marks.merge(shown, on=["split", "id"], validate="one_to_one")
    write_table(studies.results("answers", arguments.corpus) / "sentences.parquet", marks)


if __name__ == "__main__":
    run(main)
