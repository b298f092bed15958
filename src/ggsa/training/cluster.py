"""The cells of a study on a Ray cluster: `make study NAME=... CLUSTER=auto`.

A cell is one remote task. It unpacks code, parameters and data, which reach it through Ray's object
store, in a temporary folder; runs the command of its DVC stage there, in a process of its own as
`dvc repro` does; and returns the files. So no file system is shared, and a cell has the same bits as
a local one on the same kind of machine. If a node dies, Ray runs its tasks again on another.

On a node, `python3 -m ggsa.training.cluster STUDY` writes what the study's cells record as machine.
"""

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ggsa.training import loop, studies
from ggsa.training.adaptation import ABOUT
from ggsa.training.cell import CELL, note_seconds
from ggsa.training.studies import Study
from ggsa.workspace import artifacts, paths, terminal
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.machine import machine
from ggsa.workspace.ray_cluster import joined, pack

CODE = (Path("src"), Path("stages"), paths.PARAMS)
MACHINE, PRINTED = Path("machine.json"), "printed.log"
RETRIES = 5
"""How many nodes may die under one cell before the study fails."""
POLL_SECONDS = 1.0
STOP_SECONDS = 10.0
KEPT = "finished cells are kept, and the same command continues with the others."
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Ray sets the first for its workers; a cell gets all of them as they are where the study runs."""
Machine = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """Nodes of a cluster that are the same kind of machine.

    Attributes:
        machine: What their cells record; see `ggsa.workspace.machine`.
        nodes: From Ray's identifier of each node to its address.
        cpus: CPUs that one cell takes.
        gpus: GPUs that one cell takes.
        slots: Cells that the nodes train at a time.
    """

    machine: Machine
    nodes: Mapping[str, str]
    cpus: int
    gpus: int
    slots: int


@dataclass(frozen=True)
class Task:
    """What a node does: train a cell, or report its machine.

    Attributes:
        name: Of the cell, `<arm>-<seed>`.
        stage: Its DVC stage, as `dvc repro` takes it.
        kind: The nodes that may do it.
        command: Of the stage.
        inputs: Files and folders that it reads, in addition to those that every cell reads.
        outputs: Of the stage.
        seconds: The file to which a cell adds its seconds.
    """

    name: str
    stage: str
    kind: Kind
    command: str
    inputs: tuple[Path, ...] = ()
    outputs: tuple[Path, ...] = ()
    seconds: Path | None = None


@dataclass(frozen=True)
class Result:
    """What a process on a node left: exit status, standard output and error, files by path."""

    code: int
    printed: str
    files: dict[Path, bytes]


class Cluster:
    """A connection to a running Ray cluster; see `connected`."""

    def __init__(self, ray: Any):
        self.ray = ray
        # By value, because a node needs the packages of the environment, but not this project.
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
        self._remote = ray.remote(_run)
        self._shared: Any = None

    def share(self, plan: str) -> None:
        """Put what every cell of a study reads into the object store.

        Args:
            plan: The stage that plans the cells, as `dvc repro` takes it: it reads the same data.
        """
        (stage,) = _repo().stage.from_target(plan)
        data = (Path(each.def_path) for each in stage.deps)
        declarations = paths.STUDIES.glob("*/params.yaml")
        self._shared = self.ray.put(pack([*CODE, *declarations, *data]))

    def kinds(self, study: str, params: Params) -> list[Kind]:
        """Return the kinds of machines that can train a study, the one with most slots first.

        Each node is asked. Call `share` before.

        Args:
            study: Its name.
            params: Of its reference arm, which decide threads and device.

        Raises:
            UserError: If no node can, or one lacks a package.
        """
        nodes = {node["NodeID"]: node for node in self.ray.nodes() if node["Alive"]}
        offers = {name: node["Resources"] for name, node in nodes.items()}
        gpus = gpus_of_cell(params.train.device, offers.values())
        able = [name for name, offer in offers.items() if slots(offer, 1, gpus)]
        if not able:
            raise UserError(
                f"train.device is {params.train.device}, so a cell takes a CPU"
                f"{' and a GPU' if gpus else ''}, and none of the cluster's {len(nodes)} nodes "
                f"offers that. Start them with `ray start --num-cpus=N"
                f"{' --num-gpus=N' if gpus else ''}`."
            )
        command = f"PYTHONPATH=src python3 -m ggsa.training.cluster {study}"
        asked = []
        for name in able:
            address = nodes[name]["NodeManagerAddress"]
            alone = Kind({}, {name: address}, 1, gpus, 1)
            asked.append(Task(name, f"The node {address}", alone, command, outputs=(MACHINE,)))
        groups: dict[str, list[str]] = {}
        for task, result in (pair for finished in self.results(asked) for pair in finished):
            if result.code:
                raise UserError(
                    f"{task.stage} cannot train a cell. Install requirements.lock in the environment "
                    f"that starts Ray there. It printed:\n  {result.printed.strip()}"
                )
            groups.setdefault(result.files[MACHINE].decode(), []).append(task.name)
        kinds = []
        for text, names in groups.items():
            found = json.loads(text)
            cpus = int(min(found["threads"], *(offers[name]["CPU"] for name in names)))
            count = sum(slots(offers[name], cpus, gpus) for name in names)
            addresses = {name: nodes[name]["NodeManagerAddress"] for name in names}
            kinds.append(Kind(found, addresses, cpus, gpus, count))
        return sorted(kinds, key=lambda kind: -kind.slots)

    def results(
        self, tasks: Sequence[Task], jobs: int | None = None
    ) -> Iterator[list[tuple[Task, Result]]]:
        """Run tasks and yield those that have finished since the last look.

        Close the generator to stop the tasks that run.

        Args:
            tasks: To run.
            jobs: At most so many at a time; by default as many as fit.

        Raises:
            UserError: If a task cannot be finished; those that have finished are yielded first, and
                the others are stopped.
        """
        waiting, running = list(tasks), dict[Any, Task]()
        nodes = {name: address for task in tasks for name, address in task.kind.nodes.items()}
        try:
            while waiting or running:
                self._submit(waiting, running, jobs or len(tasks))
                references = list(running)
                done, _ = self.ray.wait(
                    references, num_returns=len(references), timeout=POLL_SECONDS
                )
                finished, errors = [], []
                for reference in done:
                    try:
                        finished.append((running.pop(reference), self._result(reference)))
                    except UserError as error:
                        errors.append(error)
                if finished:
                    yield finished
                self._forget_lost(nodes)
                for task in running.values():
                    if nodes.keys().isdisjoint(task.kind.nodes):
                        errors.append(
                            UserError(f"{task.stage}: all its nodes left the cluster; {KEPT}")
                        )
                if errors:
                    raise errors[0]
        finally:  # nodes then remove the folders of their cells
            for reference in running:
                self.ray.cancel(reference)
            if running:
                self.ray.wait(list(running), num_returns=len(running), timeout=STOP_SECONDS)

    def _submit(self, waiting: list[Task], running: dict[Any, Task], jobs: int) -> None:
        """Move tasks from those that wait to those that run.

        Each kind is given twice as many as it has slots: no node waits for the next, and the inputs
        of a large study do not fill the object store.
        """
        counts = Counter(id(task.kind) for task in running.values())
        for task in tuple(waiting):
            if len(running) < jobs and counts[id(task.kind)] < 2 * task.kind.slots:
                waiting.remove(task)
                counts[id(task.kind)] += 1
                running[self._start(task)] = task

    def _forget_lost(self, nodes: dict[str, str]) -> None:
        """Remove the nodes that have left the cluster, and say so."""
        alive = {node["NodeID"] for node in self.ray.nodes() if node["Alive"]}
        for name in nodes.keys() - alive:
            print(
                f"The node {nodes.pop(name)} left the cluster. Its cells are trained on others.",
                file=sys.stderr,
            )

    def _start(self, task: Task) -> Any:
        """Submit a task and return Ray's reference to what it leaves."""
        returned = [*task.outputs, *([task.seconds] if task.seconds else []), paths.ADAPTED]
        return self._remote.options(
            num_cpus=task.kind.cpus,
            num_gpus=task.kind.gpus,
            max_retries=RETRIES,
            label_selector={"ray.io/node-id": f"in({','.join(task.kind.nodes)})"},
        ).remote(
            self._shared,
            pack(task.inputs),
            task.command,
            [path.as_posix() for path in returned],
            {name: os.environ.get(name) for name in THREADS},
        )

    def _result(self, reference: Any) -> Result:
        try:
            code, printed, files = self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            raise UserError(f"A task on the cluster failed; {KEPT} Ray says:\n  {error}") from error
        return Result(code, printed, {Path(name): content for name, content in files.items()})


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """Yield a connection to a running cluster; see `ggsa.workspace.ray_cluster.joined`."""
    with joined(address) as ray:
        yield Cluster(ray)


def gpus_of_cell(device: str, offers: Iterable[Mapping[str, float]]) -> int:
    """Return how many GPUs a cell takes; under `auto`, one if a node has one.

    Args:
        device: The parameter train.device.
        offers: Ray's resources of each node.
    """
    return int(device == "cuda" or (device == "auto" and any(o.get("GPU") for o in offers)))


def slots(offer: Mapping[str, float], cpus: int, gpus: int) -> int:
    """Return how many cells a node with these resources trains at a time."""
    fit = [offer.get("CPU", 0) // cpus] + ([offer.get("GPU", 0) // gpus] if gpus else [])
    return int(min(fit))


def kind_of_seeds(
    kinds: Sequence[Kind], finished: Mapping[int, Collection[Machine]], is_mixed: bool
) -> dict[int, Kind]:
    """Return the kind of machine for each seed: one, because the cells of a seed are compared.

    A seed continues on the kind that its cells have; the others are spread by slots.

    Args:
        kinds: Of the cluster.
        finished: From each seed to the machines of its finished cells.
        is_mixed: Whether two seeds may be trained by two kinds.

    Raises:
        UserError: If there are several kinds and `is_mixed` is false.
    """
    if len(kinds) > 1 and not is_mixed:
        keys = [key for key in kinds[0].machine if len({str(k.machine[key]) for k in kinds}) > 1]
        described = "; ".join(
            f"{', '.join(kind.nodes.values())} with {', '.join(f'{k} {kind.machine[k]}' for k in keys)}"
            for kind in kinds
        )
        raise UserError(
            f"The cluster has {len(kinds)} kinds of machines: {described}. Cells of one seed can be "
            f"compared only if one kind trained them, so nothing was trained. Stop the nodes of all "
            f"kinds but one, or add MIXED=1, under which each seed is trained by one kind."
        )
    chosen: dict[int, Kind] = {}
    for seed, machines in finished.items():
        known = [kind for kind in kinds if kind.machine in machines]
        seeds = Counter(id(kind) for kind in chosen.values())
        chosen[seed] = min(known or kinds, key=lambda kind: (seeds[id(kind)] + 1) / kind.slots)
    return chosen


def tasks(
    study: Study,
    corpus: str,
    cells: Mapping[tuple[str, int], str],
    kinds: Mapping[int, Kind],
    equal: Mapping[tuple[str, int], Path],
) -> list[Task]:
    """Return the tasks of some cells of a study.

    Args:
        study: Its declaration.
        corpus: One of the study's.
        cells: From arm and seed to the stage, as `dvc repro` takes it.
        kinds: From each seed to the machines that train it.
        equal: From arm and seed to the folder of an equal finished cell, where there is one.
    """
    repo = _repo()
    result = []
    for (arm, seed), target in cells.items():
        (stage,) = repo.stage.from_target(target)
        inputs = [Path(each.def_path) for each in stage.deps]
        inputs += _unlisted_inputs(study, corpus, arm, seed, kinds[seed], equal.get((arm, seed)))
        result.append(
            Task(
                name=f"{arm}-{seed}",
                stage=target,
                kind=kinds[seed],
                command=stage.cmd,
                inputs=tuple(inputs),
                outputs=tuple(Path(each.def_path) for each in stage.outs),
                seconds=studies.seconds_file(study.name, corpus),
            )
        )
    return result


def _unlisted_inputs(
    study: Study, corpus: str, arm: str, seed: int, kind: Kind, equal: Path | None
) -> list[Path]:
    """Return what a cell reads in addition to what its stage depends on, if it exists.

    That is the folder of the cell whose weights it needs, an equal cell that it takes up, with its
    weights, and the encoder that was adapted for its arm.
    """
    inputs = []
    if source := study.source_of(arm):
        inputs.append(studies.cell_folder(study.name, corpus, source, seed))
    if equal:
        inputs.append(equal)
        if paths.RESULTS in equal.parents:
            name, other, _, cell = equal.relative_to(paths.RESULTS).parts
            of, _, number = cell.rpartition("-")
            inputs.append(studies.weights_folder(name, other, of, int(number)))
    if study.arms[arm].adapted:
        for file in sorted(paths.ADAPTED.glob(f"*/{ABOUT}")):
            about = artifacts.read_json(file)
            if about["name"] == arm and about["machine"] == kind.machine:
                inputs.append(file.parent)
    return [path for path in inputs if path.exists()]


def write(task: Task, files: Mapping[Path, bytes]) -> None:
    """Write what a task returned: its outputs, and encoders that were adapted for it.

    Raises:
        UserError: If another kind of machine trained the cell, or the disk is full.
    """
    for path, content in files.items():
        if path.name == CELL and json.loads(content)["machine"] != task.kind.machine:
            raise UserError(
                f"{path} was returned by another machine than the one that its node reported. Run "
                f"the same command again; if that recurs, leave that node out."
            )
    adapted = {file.parent for file in files if file.name == ABOUT and not file.exists()}
    for output in (*task.outputs, *sorted(adapted)):
        with artifacts.atomic_folder(output) as folder:
            for path, content in files.items():
                if output in path.parents:
                    target = folder / path.relative_to(output)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(content)
    if task.seconds in files:  # not if it was taken up or only evaluated
        for line in files[task.seconds].decode().splitlines()[1:]:  # below the heading
            cell, _, seconds = line.partition(",")
            note_seconds(task.seconds, cell, float(seconds))


def _repo() -> Any:
    """Return the workspace as DVC sees it."""
    from dvc.repo import Repo  # slow to import

    return Repo()


def _run(
    shared: bytes,
    own: bytes,
    command: str,
    returned: Sequence[str],
    variables: Mapping[str, str | None],
) -> tuple[int, str, dict[str, bytes]]:
    """On a node: run a command in a temporary folder; return its exit status, output and files.

    Args:
        shared: What every cell reads, an archive.
        own: What this one reads in addition, an archive.
        command: As in dvc.yaml: assignments to variables, a program, its arguments.
        returned: The files and folders of which to return what the command wrote.
        variables: To set in its environment, or to remove from it.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GGSA_")} | variables
    here = os.path.dirname(sys.executable)  # noqa: PTH120
    environment["PATH"] = f"{here}{os.pathsep}{environment.get('PATH', '')}"
    # A process must not outlive the worker that Ray stops, or that dies with its node.
    dies_with_worker = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    with tempfile.TemporaryDirectory(prefix="ggsa-cell-") as name:
        for archive in (shared, own):
            with tarfile.open(fileobj=io.BytesIO(archive)) as files:
                files.extractall(name, filter="data")
        root = Path(name)
        before = {*root.rglob("*")}
        with (root / PRINTED).open("wb") as output:
            process = subprocess.Popen(
                [*dies_with_worker, "env", *shlex.split(command)],
                cwd=name,
                env={key: value for key, value in environment.items() if value is not None},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                while process.poll() is None:
                    time.sleep(0.1)  # Ray stops a task between two statements only
            finally:
                process.kill()
        printed = (root / PRINTED).read_text(encoding="utf-8", errors="replace")
        left = {p for each in returned for p in (root / each, *(root / each).rglob("*"))} - before
        content = {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(left)
            if path.is_file()
        }
    return process.returncode, printed, content


def main() -> None:
    """Write what the cells of the study that the command line names record as their machine."""
    study = studies.load(sys.argv[1])
    artifacts.write_json(MACHINE, machine(loop.prepare(study.params(study.reference))))


if __name__ == "__main__":
    terminal.accept_any_character()
    try:
        main()
    except UserError as error:
        sys.exit(f"{error}")
