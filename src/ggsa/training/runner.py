"""`make study` and the cells of `make repro`: some at a time, each as a DVC stage.

A finished cell is skipped; a study that was interrupted continues with the missing cells, and each of
these from its last checkpoint.
"""

import argparse
import os
import sys
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import joblib
from filelock import FileLock, Timeout

from ggsa.training import cluster, durations, dvc_commands, graph, loop, optimization, studies
from ggsa.training.cell import CELL
from ggsa.training.cluster import Cluster, Kind, Machine, Task
from ggsa.training.identity import digest
from ggsa.training.studies import Study
from ggsa.training.study_cells import equal_cell
from ggsa.workspace import artifacts, config, paths, terminal
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.machine import machine
from ggsa.workspace.paths import CORE
from ggsa.workspace.progress import counted, duration, progress_bar

RUNNING = dvc_commands.LOGS / "running"  # what holds the lock, for the message to what waits
LOCK = dvc_commands.LOGS / "lock"
Stages = dict[tuple[str, int], str]
"""From arm and seed to the stage that makes the cell, as `dvc repro` takes it."""


@dataclass(frozen=True)
class Target:
    """A cell and the DVC stage that makes it."""

    cell: str  # <arm>-<seed>
    stage: str  # as `dvc repro` takes it
    again: bool = False  # although DVC knows the cell that is there


def run_study(
    name: str,
    corpus: str | None,
    jobs: int | None,
    seeds: Sequence[int] | None,
    nodes: Cluster | None = None,
    is_mixed: bool = False,
) -> None:
    """Plan a study, make its missing cells and compare them.

    Args:
        name: A directory of studies/.
        corpus: One of the study's; by default each of them.
        jobs: Cells at a time; by default as many as there are cores.
        seeds: Only these of the study's seeds; by default all.
        nodes: The cluster that trains the cells; by default this machine does.
        is_mixed: Whether a cluster may train two seeds on two kinds of machines.

    Raises:
        UserError: If the study is unknown or archived, or a stage fails; names the log that says why.
    """
    file = graph.graph_file(name)
    if file.is_file() and not studies.declaration(name).is_file():
        if nodes:
            raise UserError(f"{name} trains no cells, so it runs here only. Leave CLUSTER out.")
        dvc_commands.reproduce(
            name, str(file), single=False
        )  # it trains nothing: its stages are written by hand
        return
    study = studies.load(name)
    if study.archived:
        raise UserError(f"The study {name} is archived and is not run again: {study.archived}")
    graph.write_graph(study)
    for each in [corpus] if corpus else study.corpora:
        _run_corpus(study, each, jobs, seeds, nodes, is_mixed)


def run_core(jobs: int | None) -> None:
    """Train the missing cells of the core study; DVC's other stages are left to `dvc repro`.

    Raises:
        UserError: If a cell fails; names the log that says why.
    """
    params = config.load()
    status = dvc_commands.status("dvc.yaml")
    targets = [
        Target(f"{mode}-{seed}", f"train@{mode}-{seed}")
        for seed in params.grid.seeds
        for mode in params.grid.modes
        if f"train@{mode}-{seed}" in status
    ]
    if not targets:
        return
    jobs = jobs or _jobs(params)
    modes = [target.cell.rpartition("-")[0] for target in targets]
    seconds = durations.of_core(modes, _machine_of(params)["device"])
    _announce(CORE, len(targets), [], seconds, jobs)
    _make(CORE, targets, jobs)


def _run_corpus(
    study: Study,
    corpus: str,
    jobs: int | None,
    seeds: Sequence[int] | None,
    nodes: Cluster | None,
    is_mixed: bool,
) -> None:
    """Run a study on one corpus."""
    plan = study.plan(corpus)
    unknown = sorted(set(seeds or ()) - set(plan.seeds))
    if unknown:
        raise UserError(
            f"{studies.declaration(study.name)}: seeds {', '.join(map(str, unknown))} are not "
            f"declared on {corpus}. Choose from {', '.join(map(str, plan.seeds))}."
        )
    print(f"{study.name} on {corpus}: {study.question}", file=sys.stderr)
    file = graph.graph_file(study.name)
    _prepare(plan.base)
    if study.adapted(corpus):
        dvc_commands.reproduce(f"{study.name}-{corpus}-unlabeled", f"{file}:unlabeled_{corpus}")
    dvc_commands.reproduce(f"{study.name}-{corpus}-plan", f"{file}:plan_{corpus}")
    stages = _stages(study, corpus, seeds)
    missing = _missing(stages, str(file))
    unfinished = [seed for seed in plan.seeds if any(seed == each for _, each in missing)]
    params, kinds = study.params(study.reference), dict[int, Kind]()
    if nodes and unfinished:
        nodes.share(f"{file}:plan_{corpus}")
        known = _machines(study, corpus, unfinished)
        finished = {s: [known[cell] for cell in known if cell[1] == s] for s in unfinished}
        kinds = cluster.kind_of_seeds(nodes.kinds(study.name, params), finished, is_mixed)
        here = {seed: kind.machine for seed, kind in kinds.items()}
        at_once = sum(kind.slots for kind in {id(k): k for k in kinds.values()}.values())
    else:
        here = dict.fromkeys(unfinished, _machine_of(params))
        at_once = _jobs(params)
    again = _cells_of_other_machines(study, corpus, here)
    missing = {cell: stage for cell, stage in stages.items() if cell in missing or cell in again}
    found = {cell: _equal(study, corpus, *cell, here[cell[1]]) for cell in missing}
    equal = {cell: folder for cell, folder in found.items() if folder}
    others = [arm for arm, seed in missing if (arm, seed) not in equal]
    trained = [arm for arm in others if not study.arms[arm].weights_of]
    evaluated = len(others) - len(trained)
    others_made = (
        (len(equal), "take up from equal ones"),
        (evaluated, "evaluate with the weights of another"),
    )
    notes = [f"{counted(count, 'cell')} to {what}" for count, what in others_made if count]
    device = next((each["device"] for each in here.values()), None)
    seconds = durations.of_study(study, corpus, trained, device)
    _announce(study.name, len(trained), notes, seconds, jobs or at_once)
    for batch in _batches(study, corpus, missing, kinds):
        if nodes:
            tasks = cluster.tasks(study, corpus, batch, kinds, equal)
            _make_on(nodes, f"{study.name}-{corpus}", tasks, jobs)
        else:
            targets = [
                Target(f"{arm}-{seed}", stage, (arm, seed) in again)
                for (arm, seed), stage in batch.items()
            ]
            _make(f"{study.name}-{corpus}", targets, jobs or at_once)
    dvc_commands.reproduce(f"{study.name}-{corpus}-compare", f"{file}:compare_{corpus}")
    print(f"Tables: {studies.results(study.name, corpus) / 'tables'}", file=sys.stderr)


def _prepare(base: str | None) -> None:
    """Bring corpus, tags and encoder up to date."""
    if base is None:
        dvc_commands.reproduce("core-data", "tag", single=False)
    else:
        assets = paths.STUDIES / "assets" / "dvc.yaml"
        dvc_commands.reproduce(f"{base}-data", f"{assets}:tag@{base}", single=False)


def _jobs(params: Params) -> int:
    """Return how many cells to train at a time: one per core, or one on a GPU.

    joblib counts the cores that affinity and the quota of a container leave to this process.
    """
    if optimization.device_for(params).type != "cpu":
        return 1
    cores, threads = joblib.cpu_count(), params.train.threads
    return max(1, cores // (threads if isinstance(threads, int) else cores))


def _machine_of(params: Params) -> Machine:
    """Return what a cell that is trained here records as its machine."""
    return machine(loop.prepare(params))


def _stages(study: Study, corpus: str, seeds: Sequence[int] | None) -> Stages:
    """Return the stage of every cell of the chosen seeds."""
    file = graph.graph_file(study.name)
    return {
        (arm, seed): f"{file}:{graph.train_stage(study, corpus, arm)}@{arm}-{seed}"
        for arm, seed in study.cells(corpus)
        if not seeds or seed in seeds
    }


def _missing(stages: Stages, file: str) -> Stages:
    """Return the stages of cells that have to be made.

    Weights alone may be missing, because Git does not keep them: the cells that have them are made
    again only if another cell is missing.
    """
    status = dvc_commands.status(file)
    missing = {cell: stage for cell, stage in stages.items() if stage in status}
    if all(_lacks_weights_alone(status[stage]) for stage in missing.values()):
        return {}
    return missing


def _batches(
    study: Study, corpus: str, cells: Stages, kinds: Mapping[int, Kind]
) -> Iterator[Stages]:
    """Yield cells in groups, one group after the other.

    Arms come after those whose weights they need. On a cluster, one cell of an adapted arm comes
    before the others, which get the encoder that it has adapted.

    Args:
        study: Its declaration.
        corpus: One of the study's.
        cells: To make.
        kinds: From each seed to its machines; empty if the cells are made here.
    """
    sources, first = study.sources(corpus), dict[tuple[str, int], tuple[str, int]]()
    for arm, seed in cells:
        if kinds and study.arms[arm].adapted:
            first.setdefault((arm, id(kinds[seed])), (arm, seed))

    def order(cell: tuple[str, int]) -> tuple[bool, bool]:
        arm, seed = cell
        return arm not in sources, first.get((arm, id(kinds.get(seed))), cell) != cell

    for _, group in groupby(sorted(cells, key=order), key=order):
        yield {cell: cells[cell] for cell in group}


def _machines(study: Study, corpus: str, seeds: Collection[int]) -> dict[tuple[str, int], Machine]:
    """Return the machine of every finished cell of some seeds."""
    files = {
        cell: studies.cell_folder(study.name, corpus, *cell) / CELL
        for cell in study.cells(corpus)
        if cell[1] in seeds
    }
    return {
        cell: artifacts.read_json(file)["machine"] for cell, file in files.items() if file.is_file()
    }


def _cells_of_other_machines(
    study: Study, corpus: str, here: Mapping[int, Machine]
) -> list[tuple[str, int]]:
    """Return the cells that unfinished seeds have from another machine, and say so.

    Args:
        study: Its declaration.
        corpus: One of the study's.
        here: From each unfinished seed to the machine that finishes it.
    """
    known = _machines(study, corpus, here)
    other = [cell for cell, trained_by in known.items() if trained_by != here[cell[1]]]
    if other:
        print(
            f"{study.name} on {corpus} has {counted(len(other), 'cell')} of another machine in seeds "
            f"that are unfinished. Cells of one seed are compared only if one machine trained them, so "
            f"these are trained again.",
            file=sys.stderr,
        )
    return other


def _equal(study: Study, corpus: str, arm: str, seed: int, here: Machine) -> Path | None:
    """Return the folder of a finished cell of any study that is equal to a planned one, or None."""
    planned = artifacts.read_json(studies.plan_file(study.name, corpus, arm, seed))
    if planned["pattern"] is None or study.arms[arm].weights_of:
        return None
    decides = {key: planned[key] for key in ("settings", "data_sha256", "seed")}
    decides |= {"pattern_sha256": digest(planned["pattern"]), "machine": here}
    own = studies.cell_folder(study.name, corpus, arm, seed)
    return equal_cell(decides, own, with_weights=arm in study.sources(corpus))


def _announce(
    name: str, trained: int, notes: Sequence[str], seconds: float | None, jobs: int
) -> None:
    """Say what will be trained, and how long it will take where that is known."""
    parts = [f"{counted(trained, 'cell')} to train, {jobs} at a time"] if trained else []
    if trained and seconds is not None:
        parts[0] += f", about {duration(seconds / min(jobs, trained))}"
    parts += notes
    print(f"{name}: {'; '.join(parts) or 'every cell is finished'}.", file=sys.stderr)


def _make(name: str, targets: Sequence[Target], jobs: int) -> None:
    """Make cells, some at a time; the first failure stops the rest."""
    if not targets:
        return
    bar = progress_bar(name, len(targets), "cell")
    failed = threading.Event()

    def make(target: Target) -> None:
        if failed.is_set():
            return
        try:
            dvc_commands.reproduce(f"{name}-{target.cell}", target.stage, force=target.again)
        except UserError:
            failed.set()  # before this thread takes its next cell
            raise

    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(make, target): target.cell for target in targets}
        try:
            for done in as_completed(waiting):
                done.result()
                bar.update()
                bar.set_postfix_str(waiting[done])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    bar.close()


def _make_on(nodes: Cluster, name: str, tasks: Sequence[Task], jobs: int | None) -> None:
    """Make cells on a cluster and record each with DVC; the first failure stops the rest."""
    bar = progress_bar(name, len(tasks), "cell")
    with closing(nodes.results(tasks, jobs)) as results:
        for finished in results:
            logs = {task.name: dvc_commands.log_file(f"{name}-{task.name}") for task, _ in finished}
            for task, result in finished:
                text = f"{result.printed}\nIt exited with {result.code}.\n"
                logs[task.name].write_text(text, encoding="utf-8")
            made = [task for task, result in finished if result.code == 0]
            for task, result in finished:
                if task in made:
                    cluster.write(task, result.files)
            if made:
                dvc_commands.commit(f"{name}-commit", [task.stage for task in made], name)
            for task, _ in finished:
                if task not in made:
                    raise dvc_commands.failure(task.stage, logs[task.name])
            bar.update(len(made))
            bar.set_postfix_str(made[-1].name)
    bar.close()


def _lacks_weights_alone(changes: Sequence[Any]) -> bool:
    """Return whether the only changes of a stage are deleted weights."""
    return all(
        isinstance(change, dict)
        and all(
            state == "deleted" and paths.RUNS in Path(path).parents
            for changed in change.values()
            for path, state in changed.items()
        )
        for change in changes
    )


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Wait until no other study is run in this folder, and keep others waiting meanwhile.

    Two would fail where one reads what the other brings up to date: DVC's lock of a path is not
    covered by `--wait-for-lock`. A study uses every core, so waiting costs nothing.
    """
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        running = RUNNING.read_text(encoding="utf-8") if RUNNING.is_file() else "another study"
        print(f"{name} waits for {running}, which is running in this folder.", file=sys.stderr)
        lock.acquire()
    try:
        artifacts.write_text(RUNNING, name)
        yield
    finally:
        RUNNING.unlink(missing_ok=True)
        lock.release()


def _arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="make study", description=__doc__)
    parser.add_argument("name", help="a directory of studies/, or core")
    parser.add_argument("--corpus", help="one of the study's; by default each of them")
    parser.add_argument("--seeds", type=int, nargs="+", help="only these of the study's seeds")
    parser.add_argument("--jobs", type=int, help="cells at a time; by default one per core")
    parser.add_argument("--cluster", help="train on a Ray cluster: auto, or HOST:PORT of its head")
    parser.add_argument(
        "--mixed", action="store_true", help="let two seeds be trained by two kinds of machines"
    )
    return parser.parse_args()


def _run(arguments: argparse.Namespace) -> None:
    """Run the study that the command line names, here or on a cluster."""
    options = (arguments.name, arguments.corpus, arguments.jobs, arguments.seeds)
    if not arguments.cluster and arguments.name == CORE:
        run_core(arguments.jobs)
    elif not arguments.cluster:
        run_study(*options)
    elif arguments.name == CORE:
        raise UserError(
            "CLUSTER is for the studies of studies/. Leave it out: core is trained here."
        )
    else:
        os.environ[paths.CLUSTER] = arguments.cluster
        with cluster.connected(arguments.cluster) as nodes:
            run_study(*options, nodes, arguments.mixed)


def main() -> None:
    """Run the study that the command line names."""
    terminal.accept_any_character()
    arguments = _arguments()
    try:
        with _alone(arguments.name):
            _run(arguments)
    except UserError as error:
        sys.exit(f"\n{error}\n")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Finished cells are kept; the same command continues from there.\n")


if __name__ == "__main__":
    main()
