"""A study on a cluster, as far as no cluster is needed: placement, what travels, and what is refused."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from documents import ROOT, blocks, commands

from ggsa.training import cluster, graph, runner, studies
from ggsa.training.cluster import Kind, Task
from ggsa.workspace import artifacts, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.ray_cluster import pack

PAGE = ROOT / "docs/cluster.md"
OLD, NEW = ({"cpu_model": model, "threads": 1, "device": "cpu"} for model in ("17", "2"))


def kind(machine: dict, slots: int, node: str = "a") -> Kind:
    return Kind(machine, {node: f"10.0.0.{ord(node)}"}, 1, 0, slots)


def test_without_ray_a_study_on_a_cluster_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with (
        pytest.raises(UserError, match=r"not installed\. Run `pip install '\.\[cluster\]'`"),
        cluster.connected("auto"),
    ):
        pass


def test_only_the_extra_cluster_installs_ray() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert [name for name in extras if any(need.startswith("ray") for need in extras[name])] == [
        "cluster"
    ]
    needs = {
        each.metadata["Name"]
        for each in metadata.distributions()
        for need in each.requires or ()
        if re.match(r"ray\b", need) and "extra ==" not in need
    }
    assert not needs and not any(need.startswith("ray") for need in project["dependencies"])


def test_a_local_study_never_imports_ray(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['ray'] = None\nfrom ggsa.training import runner\nrunner.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "nothing"], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    assert "Unknown study nothing" in done.stderr


@pytest.mark.parametrize("address", ["10.0.0.1", "ray://10.0.0.1:x", "", ":6379", "local"])
def test_an_address_without_host_or_port_is_refused(address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(UserError, match=r"expected auto or HOST:PORT"), cluster.connected(address):
        pass


def test_an_address_at_which_nothing_answers_is_refused_at_once() -> None:
    pytest.importorskip("ray")
    started = time.monotonic()
    expected = pytest.raises(UserError, match=r"CLUSTER=127\.0\.0\.1:1: nothing answers there")
    with expected, cluster.connected("127.0.0.1:1"):
        pass
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("name", ["core", "measures"])
def test_what_trains_no_cells_of_a_study_is_not_run_on_a_cluster(
    name: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    artifacts.write_text(graph.graph_file("measures"), "stages: {}\n")
    with pytest.raises(UserError, match=r"Leave (CLUSTER|it) out"):
        if name == "core":
            monkeypatch.setattr(sys, "argv", ["runner", "core", "--cluster", "auto"])
            runner._run(runner._arguments())
        else:
            runner.run_study(name, None, None, None, nodes=object())


@pytest.mark.parametrize(
    ("device", "gpus", "expected"),
    [("cpu", 8, 0), ("auto", 0, 0), ("auto", 1, 1), ("cuda", 0, 1), ("cuda", 4, 1)],
)
def test_a_cell_takes_a_gpu_if_its_device_is_one(device: str, gpus: int, expected: int) -> None:
    offers = [{"CPU": 4.0}, {"CPU": 4.0, **({"GPU": float(gpus)} if gpus else {})}]
    assert cluster.gpus_of_cell(device, offers) == expected


def test_a_node_trains_as_many_cells_as_its_cpus_and_gpus_allow() -> None:
    assert cluster.slots({"CPU": 16.0}, 3, 0) == 5
    assert cluster.slots({"CPU": 16.0, "GPU": 2.0}, 3, 1) == 2
    assert cluster.slots({"CPU": 16.0}, 1, 1) == cluster.slots({"CPU": 1.0}, 2, 0) == 0


def test_two_kinds_of_machines_are_refused_by_what_differs_unless_seeds_may_differ() -> None:
    kinds = [kind(OLD, 4, "a"), kind(NEW, 2, "b")]
    with pytest.raises(UserError) as caught:
        cluster.kind_of_seeds(kinds, {1: []}, is_mixed=False)
    message = str(caught.value)
    assert "10.0.0.97 with cpu_model 17; 10.0.0.98 with cpu_model 2." in message
    assert "MIXED=1" in message and "threads" not in message and "\n" not in message
    assert cluster.kind_of_seeds(kinds[:1], {1: [NEW]}, is_mixed=False) == {1: kinds[0]}


def test_a_seed_continues_on_its_kind_and_the_others_are_spread_by_slots() -> None:
    large, small = kind(OLD, 4, "a"), kind(NEW, 2, "b")
    spread = cluster.kind_of_seeds([large, small], {s: [] for s in range(6)}, is_mixed=True)
    assert sorted(each.slots for each in spread.values()) == [2, 2, 4, 4, 4, 4]
    known = cluster.kind_of_seeds([large, small], {1: [NEW], 2: [NEW], 3: [NEW]}, is_mixed=True)
    assert set(map(id, known.values())) == {id(small)}


def test_a_node_returns_what_a_command_wrote_and_keeps_nothing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "node"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "node").mkdir()
    monkeypatch.setenv("GGSA_RUNS", "elsewhere")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    artifacts.write_text(Path("data/words"), "given")
    artifacts.write_text(Path("out/old"), "given")
    artifacts.write_text(Path("src/__pycache__/x.pyc"), "")
    program = (
        "import os, pathlib, sys; pathlib.Path('out/new').write_text(pathlib.Path('data/words').read_text());"
        "print(os.environ.get('GGSA_RUNS'), os.environ.get('OMP_NUM_THREADS'), os.environ['A'],"
        "pathlib.Path('src/__pycache__').exists()); sys.exit(3)"
    )
    code, printed, files = cluster._run(
        pack([Path("data"), Path("src")]),
        pack([Path("out")]),
        f"A='1 2' python3 -c {shlex.quote(program)}",
        ["out", "missing"],
        {"OMP_NUM_THREADS": None},
    )
    assert (code, printed, files) == (3, "None None 1 2 False\n", {"out/new": b"given"})
    assert not list((tmp_path / "node").iterdir())


def test_a_cell_of_another_machine_than_its_node_reported_is_not_written(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("cells/hard-7")
    artifacts.write_text(folder / "cell.json", "before")
    task = Task("hard-7", "train@hard-7", kind(OLD, 1), "", outputs=(folder,))
    with pytest.raises(UserError, match=r"another machine"):
        cluster.write(task, {folder / "cell.json": b'{"machine": {"cpu_model": "9"}}'})
    assert (folder / "cell.json").read_text() == "before"


def test_on_a_cluster_one_cell_of_an_adapted_arm_comes_first_and_its_encoder_is_kept(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(ROOT)
    study = studies.load("adapted")
    (corpus,) = study.corpora
    cells = {cell: "" for cell in study.cells(corpus)}
    here = list(runner._batches(study, corpus, cells, {}))
    assert [cell for batch in here for cell in batch] == list(cells)
    one = kind(OLD, 4)
    there = list(runner._batches(study, corpus, cells, {seed: one for _, seed in cells}))
    adapted = study.adapted(corpus)
    assert len(there) == 2 and {arm for arm, _ in there[1]} == {*adapted}
    assert sorted(arm for arm, _ in there[0] if arm in adapted) == sorted(adapted)
    monkeypatch.chdir(tmp_path)
    encoder = paths.ADAPTED / "digest"
    task = Task("hard-7", "train@hard-7", one, "")
    cluster.write(task, {encoder / "adaptation.json": b"{}", encoder / "sub/weights": b"w"})
    assert (encoder / "sub/weights").read_bytes() == b"w"


# The scripts of docs/cluster.md, with recorders in place of what only a cluster has.


def recorder(folder: Path, name: str, then: str = "") -> None:
    """A program that adds its arguments, a line, to `calls`."""
    program = folder / "bin" / name
    artifacts.write_text(program, f'#!/bin/bash\necho "{name} $*" >> {folder}/calls\n{then}\n')
    program.chmod(0o755)


def script(folder: Path, number: int, *arguments: str, **variables: str) -> list[str]:
    """Run a script of the page; return what was called."""
    artifacts.write_text(folder / ".venv/bin/activate", "")
    (folder / "calls").unlink(missing_ok=True)
    search = f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-eu", "-c", f"{blocks(PAGE, 'bash')[number]}\nwait", "script", *arguments],
        cwd=folder, env=os.environ | variables | {"PATH": search}, check=True,
    )  # fmt: skip
    return (folder / "calls").read_text().splitlines()


def test_the_documented_commands_start_ray_and_then_the_study(tmp_path: Path) -> None:
    start = pytest.importorskip("ray.scripts.scripts").start
    for name, then in (("ray", ""), ("sleep", ""), ("make", ""), ("hostname", "echo 10.0.0.1")):
        recorder(tmp_path, name, then)
    recorder(tmp_path, "srun", 'while [[ $1 == --* ]]; do shift; done\n"$@"')
    variables = {"SLURM_JOB_ID": "5", "SLURM_NNODES": "4", "SLURM_CPUS_PER_TASK": "16"}
    called = script(tmp_path, 0, **variables)
    started = [line for line in called if line.startswith("ray start ")]
    assert len(started) == 2 and "--head" in started[0] and "--address=10.0.0.1:6379" in started[1]
    assert any(line.startswith("srun --nodes=3 --ntasks=3 --exclude=10.0.0.1 ") for line in called)
    assert "make study NAME=controls CORPUS=probe CLUSTER=10.0.0.1:6379" in called
    shown = [line.partition("ray ")[2] for line in commands(PAGE) if " ray start" in line]
    assert len(shown) == 2
    for line in [*(line.partition(" ")[2] for line in started), *shown]:
        start.make_context("start", shlex.split(line)[1:])  # refuses what it does not know


def test_the_documented_job_array_names_every_cell_once(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "studies", tmp_path / "studies")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    real = shutil.which("dvc")
    subprocess.run([real, "init", "--quiet", "--no-scm"], cwd=tmp_path, check=True)
    recorder(tmp_path, "dvc", f'[[ $1 != stage ]] || exec {real} "$@"')
    content = yaml.safe_load((tmp_path / "studies/controls/dvc.yaml").read_text())["stages"]
    for line in (line for line in commands(PAGE) if line.startswith("sbatch --array=")):
        last = int(re.search(r"--array=0-(\d+)", line)[1])
        arguments = line.partition("cells.sh ")[2].split()
        matrix = content[arguments[1]]["matrix"]
        assert last + 1 == len(matrix["arm"]) * len(matrix["seed"])
        call = script(tmp_path, 1, *arguments, SLURM_ARRAY_TASK_ID=str(last))[-1]
        cell = f"{matrix['arm'][-1]}-{matrix['seed'][-1]}"
        stage = f"studies/controls/dvc.yaml:{arguments[1]}@{cell}"
        assert call == f"dvc --wait-for-lock repro --single-item {stage}"
