"""A study on two Ray nodes of this machine: the files of a local run, even if a node is killed."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ray_nodes import LOOPBACK
from workspace import commit, copy_to, environment, keep, make, run

pytest.importorskip("ray")
pytestmark = pytest.mark.cluster
CELLS = Path("reports/published/studies/controls/probe/cells")
JOB = "make -o .venv/bin/.ready study NAME=controls CORPUS=probe SEEDS=13"


def state(folder: Path) -> dict[str, object]:
    """Every file of the study, and what DVC recorded, without the seconds."""
    parents = (folder / "reports/published/studies", folder / "runs")
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for parent in parents
        for path in parent.rglob("*")
        if path.is_file() and path.name != "seconds.csv"
    }
    return files | yaml.safe_load((folder / "studies/controls/dvc.lock").read_text())


@pytest.fixture(scope="module")
def planned(own_tagger: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with a small study, corpus and encoder, before the first cell."""
    folder = tmp_path_factory.mktemp("planned") / "clone"
    folder.mkdir()
    copy_to(folder)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["assets"]["source"] = "embedded"
    params["corpus"] |= {"name": "probe", "limit": 600}
    (folder / "corpora/mine").mkdir()
    shutil.copy(own_tagger, folder / "corpora/mine/pos.pt")
    params["tagger"] |= {"package": "corpora/mine/pos.pt", "gold": True, "workers": 1}
    params["encoder"] |= {"layers": 1, "hidden": 16, "feed_forward": 32, "vocabulary": 300}
    params["train"]["recipes"]["probe"] |= {"epochs": 1, "batch_size": 2}
    params["evaluate"]["bootstrap_samples"] = 100
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    study = folder / "studies/controls/params.yaml"
    content = yaml.safe_load(study.read_text())
    content["corpora"] = {
        "probe": {"base": None, "seeds": [13], "arms": ["full", "diagonal", "learned"]}
    }
    content["families"] = [f for f in content["families"] if f["name"] == "headroom"]
    study.write_text(yaml.safe_dump(content, sort_keys=False))
    (folder / "studies/controls/dvc.lock").unlink()
    commit(folder)
    run(folder, "dvc", "repro", "tag")
    keep(folder)
    return folder


@pytest.fixture
def nodes() -> Iterator[subprocess.Popen]:
    """Two nodes with one CPU each."""
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # a socket's path has at most 107 bytes
    program = [sys.executable, Path(__file__).with_name("ray_nodes.py"), folder]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(program, text=True, env=environment(), **pipes) as process:
        yield process
        process.stdin.close()
    shutil.rmtree(folder, ignore_errors=True)


def await_cells(nodes: subprocess.Popen, study: subprocess.Popen, count: int) -> None:
    """Return as soon as the nodes train so many cells at a time."""
    mark, end = f"RAY_TMPDIR={nodes.args[-1]}\0".encode(), time.monotonic() + 600
    while sum(is_cell(process, mark) for process in Path("/proc").glob("[0-9]*")) != count:
        assert study.poll() is None and time.monotonic() < end
        time.sleep(0.05)


def is_cell(process: Path, mark: bytes) -> bool:
    """Whether a process trains a cell, and its environment holds a mark."""
    try:
        command = (process / "cmdline").read_bytes()
        return command.startswith(b"python3\0-m\0stages.cell\0") and (
            mark in (process / "environ").read_bytes()
        )
    except OSError:  # it has ended
        return False


def test_a_study_ends_with_the_files_of_a_local_run_although_a_node_is_killed(
    planned: Path, nodes: subprocess.Popen, tmp_path: Path
) -> None:
    remote = shutil.copytree(planned, tmp_path / "remote")
    address = nodes.stdout.readline().strip()
    with (tmp_path / "log").open("w") as log:
        study = subprocess.Popen(
            [*JOB.split(), f"CLUSTER={address}"], cwd=remote, env=environment() | LOOPBACK,
            stdout=log, stderr=subprocess.STDOUT, 
        )  # fmt: skip
        await_cells(nodes, study, 2)
        assert [path.name for path in (remote / CELLS).iterdir()] == ["full-13"]
        before = (remote / CELLS / "full-13/cell.json").stat().st_mtime_ns
        nodes.stdin.write("kill\n")
        nodes.stdin.flush()
        await_cells(nodes, study, 1)  # it does not outlive its node
        study.wait(timeout=600)
    printed = (tmp_path / "log").read_text()
    assert study.returncode == 0, printed
    assert (remote / CELLS / "full-13/cell.json").stat().st_mtime_ns == before
    make(planned, *JOB.split()[3:], "JOBS=2")
    assert state(remote) == state(planned)


def test_nodes_give_the_tags_of_this_machine(
    planned: Path, nodes: subprocess.Popen, tmp_path: Path
) -> None:
    folder = shutil.copytree(planned, tmp_path / "tags")
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["tagger"]["gold"] = False
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    address, tags = nodes.stdout.readline().strip(), {}
    for cluster in ({}, {"GGSA_CLUSTER": address}):
        shutil.rmtree(folder / ".cache", ignore_errors=True)
        command = ["python3", "-m", "stages.tag"]
        surroundings = environment() | LOOPBACK | {"PYTHONPATH": "src"} | cluster
        done = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        tags[bool(cluster)] = {f.name: f.read_bytes() for f in (folder / "data/tags").iterdir()}
    assert tags[True] == tags[False] and len(tags[True]) > 4
