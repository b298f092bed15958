"""`make study`: every cell of a study, some at a time, each as a DVC stage of its own.

A cell that is finished is skipped, on every machine: its predictions and its lock entry are kept by
Git. A study that was killed goes on with the cells that are missing, and each of these from its
last checkpoint.
"""

import argparse
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from ggsa.report import publish, readme_claims
from ggsa.training import studies
from ggsa.workspace import paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.progress import progress_bar

LOGS = paths.CACHE / "studies"
ANSWERS = paths.STUDIES / "answers" / "dvc.yaml"


def run(name: str, corpus: str, jobs: int, seeds: list[int] | None = None) -> None:
    """Prepare the data, plan, train what is missing and answer.

    Args:
        name: A folder of studies/; `answers` trains nothing and writes the tables again.
        corpus: `sst2`, `probe` or `imdb`.
        jobs: Cells at a time.
        seeds: Only these of the study's seeds; None for all.

    Raises:
        UserError: If there is no such study, or a stage fails; names the log that says why.
    """
    if name == ANSWERS.parent.name:
        pass
    elif (paths.STUDIES / name / "dvc.yaml").is_file() and not studies.trains(name):
        _measure(name, corpus)
    else:
        _train(name, corpus, jobs, seeds)
    if not (studies.results("answers", corpus) / "sentences.parquet").is_file():
        _dvc(f"answers-{corpus}-mark", f"{ANSWERS}:mark_{corpus}")
    _dvc(f"answers-{corpus}-tables", f"{ANSWERS}:tables_{corpus}")
    print(f"Tables: {studies.results('answers', corpus) / 'tables'}", file=sys.stderr)
    readme_claims.main()
    publish.write_manifest(paths.STUDIES_MANIFEST, publish.study_files())


def _measure(name: str, corpus: str) -> None:
    """Run a study that trains nothing: it reads the models of the core study.

    Raises:
        UserError: If it measures nothing on the corpus, or a stage fails.
    """
    file = paths.STUDIES / name / "dvc.yaml"
    if f"measure_{corpus}" not in studies.stages_of(name):
        raise UserError(f"{file} has no stage measure_{corpus}: {name} is not run on {corpus}.")
    print(f"{name} on {corpus}, from the models of the core study", file=sys.stderr)
    _dvc(f"{name}-{corpus}", f"{file}:measure_{corpus}", single=False)


def _train(name: str, corpus: str, jobs: int, seeds: list[int] | None) -> None:
    """Train every cell of a study that is missing."""
    study = studies.load(name)
    if corpus not in study.corpora:
        raise UserError(
            f"studies/{name}/params.yaml names no cells on {corpus}. Choose CORPUS="
            f"{' or '.join(study.corpora)}."
        )
    print(f"{name} on {corpus}: {study.question}", file=sys.stderr)
    _prepare(study.side(corpus).data)
    file = paths.STUDIES / name / "dvc.yaml"
    _dvc(f"{name}-{corpus}-plan", f"{file}:plan_{corpus}")
    cells = [f"{arm}-{seed}" for arm, seed in study.cells(corpus) if seeds is None or seed in seeds]
    bar = progress_bar(f"{name} {corpus}", len(cells), "cell")
    failed = threading.Event()

    def train(cell: str) -> None:
        if failed.is_set():
            return
        try:
            _dvc(f"{name}-{corpus}-{cell}", f"{file}:train_{corpus}@{cell}")
        except UserError:
            failed.set()  # before this thread takes up its next cell
            raise

    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(train, cell): cell for cell in cells}
        try:
            for done in as_completed(waiting):
                done.result()
                bar.update()
                bar.set_postfix_str(waiting[done])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    bar.close()
    if f"times_{corpus}" in studies.stages_of(name):
        _dvc(f"{name}-{corpus}-times", f"{file}:times_{corpus}")


def _prepare(data: str) -> None:
    """Bring corpus, tags and encoder of a study up to date."""
    if data == "data":
        _dvc("core-data", "rules", single=False)
    else:
        folder = paths.STUDIES / "assets" / "dvc.yaml"
        _dvc(f"{Path(data).name}-data", f"{folder}:tag@{Path(data).name}", single=False)


def _dvc(log: str, target: str, single: bool = True) -> None:
    """Run `dvc repro` on one target, its output in a log.

    Where another cell holds DVC's lock for longer than its three seconds, wait: a cell that finds
    it taken after hours of training would otherwise fail, and be trained again.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f"{log}.log"
    command = ["dvc", "--wait-for-lock", "repro", *(["--single-item"] if single else []), target]
    with path.open("w", encoding="utf-8") as output:
        code = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT).returncode
    if code:
        last = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        raise UserError(
            f"{target} failed; {path} says why, at its end:\n  " + "\n  ".join(last[-6:])
        )


def _first_corpus(name: str) -> str:
    """Return the first corpus of a study that trains; SST-2 for the others."""
    return studies.load(name).corpora[0] if studies.trains(name) else studies.CORPORA[0]


def main() -> None:
    """Run the study that the command line names."""
    parser = argparse.ArgumentParser(prog="make study", description=__doc__)
    parser.add_argument("name", help="a folder of studies/")
    parser.add_argument("--corpus", choices=studies.CORPORA, help="the study's first by default")
    parser.add_argument("--seeds", type=int, nargs="+", help="only these of the study's seeds")
    parser.add_argument("--jobs", type=int, default=2, help="cells at a time, one thread each")
    arguments = parser.parse_args()
    try:
        corpus = arguments.corpus or _first_corpus(arguments.name)
        run(arguments.name, corpus, arguments.jobs, arguments.seeds)
    except UserError as error:
        sys.exit(f"\n{error}\n")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Finished cells are kept; the same command goes on from there.\n")


if __name__ == "__main__":
    main()
