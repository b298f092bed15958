"""One cell trained by several processes: what it ends with, and how it fails."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from documents import commands
from hypothesis import given
from hypothesis import strategies as st
from small_corpus import SENTENCES, write_split
from small_models import table
from test_studies import data, workspace, write_study  # noqa: F401

from ggsa.patterns.pattern import write_pattern
from ggsa.training import distributed, loop, studies, study_cells
from ggsa.training.cell import CELL, train_core_cell
from ggsa.workspace import artifacts, config, machine, paths
from ggsa.workspace.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
ON_ONE_MACHINE, ON_TWO_MACHINES, COMMIT = [
    line
    for line in commands(ROOT / "docs/cluster.md")
    if line.startswith(("torchrun", "dvc commit"))
]
BATCH = 7
RECIPE = {"batch_size": BATCH, "epochs": 2, "dropout": 0.0}


@given(st.integers(1, 70), st.integers(1, 9), st.integers(0, 5))
def test_processes_take_every_row_once_and_their_losses_add_up(
    rows: int, world_size: int, seed: int
) -> None:
    batch = np.random.default_rng(seed).permutation(200)[:rows]
    losses = np.random.default_rng(seed).random(200)  # of every row of the corpus
    shares = [distributed.share(batch, rank, world_size) for rank in range(world_size)]
    taken = np.concatenate([own for own, weight in shares if weight])
    assert sorted(taken) == sorted(batch)
    assert all(len(own) for own, _ in shares)
    mean = np.mean([weight * losses[own].mean() for own, weight in shares])
    assert mean == pytest.approx(losses[batch].mean())


def test_one_process_takes_the_batch_as_it_is() -> None:
    rows = np.array([5, 3, 8])
    own, weight = distributed.share(rows, 0, 1)
    assert own.tolist() == rows.tolist() and weight == 1.0
    model = torch.nn.Linear(2, 2)
    assert distributed.parallel(model) is model
    with distributed.processes():  # nothing was started by torchrun
        assert (distributed.rank(), distributed.world_size()) == (0, 1)


def test_a_machine_of_one_process_is_recorded_as_ever() -> None:
    alone = machine.machine(torch.device("cpu"))
    assert "world_size" not in alone
    assert machine.machine(torch.device("cpu"), 2) == {**alone, "world_size": 2}


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "world_size", lambda: 99)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "99")
    with pytest.raises(UserError, match=r"99 processes .* finds \d+ GPUs.*lower --nproc-per-node"):
        distributed.own_device("cuda")
    assert distributed.own_device("cpu") == torch.device("cpu")


# Processes as torchrun starts them.


@pytest.fixture
def tiny(data: Path) -> Path:  # noqa: F811
    """A workspace with its own copy of the code, whose last batch holds one row."""
    for name in ("src/ggsa", "stages"):
        shutil.copytree(ROOT / name, name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", "dvc.yaml")
    content = yaml.safe_load(paths.PARAMS.read_text())
    content["train"] |= {"max_pieces": 12, "evaluate_every": 2, "recipe": "from_scratch"}
    content["train"]["recipes"]["from_scratch"] |= RECIPE
    paths.PARAMS.write_text(yaml.safe_dump(content, sort_keys=False))
    write_pattern(paths.rule_table("hard"), table())
    write_split("train", corpus_leaks_selection=[row < 10 for row in range(SENTENCES)])
    rows = len(loop.read_splits(config.load(), ("train",), 42)["train"].ids)
    assert rows % BATCH == 1  # the second process has nothing to do there
    return data


def start(command: str, port: int = 0, **changes: str) -> subprocess.Popen:
    """Start a documented command, with fewer processes and on this machine."""
    for old, new in {"HOST:29500": f"localhost:{port}", **changes}.items():
        command = command.replace(old, new)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": "src", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command.split(),
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def ended(*started: subprocess.Popen) -> None:
    """Wait for commands that must end well."""
    for process in started:
        output, _ = process.communicate(timeout=200)
        assert process.returncode == 0, output[-4000:]


def check_equal(alone: Path, shared: Path) -> None:
    """Check that two processes trained the cell that one process trained."""
    ours, theirs = (artifacts.read_json(folder / CELL) for folder in (shared, alone))
    assert ours["machine"] == theirs["machine"] | {"world_size": 2}
    assert {**ours, "machine": None} == {**theirs, "machine": None}
    ours, theirs = (pd.read_csv(folder / "history.csv") for folder in (shared, alone))
    np.testing.assert_allclose(ours["loss"], theirs["loss"], rtol=0, atol=1e-5)
    columns = ["step", "epoch", "selection_accuracy"]
    pd.testing.assert_frame_equal(ours[columns], theirs[columns])
    ours, theirs = (pd.read_parquet(folder / "predictions.parquet") for folder in (shared, alone))
    assert ours[["split", "id", "label"]].equals(theirs[["split", "id", "label"]])
    logits = [np.stack(list(predicted["logits"])) for predicted in (ours, theirs)]
    np.testing.assert_allclose(*logits, rtol=0, atol=1e-4)
    assert np.array_equal(*(each.argmax(1) for each in logits))


def test_two_processes_train_the_cell_of_one_and_dvc_takes_it_up(tiny: Path) -> None:
    train_core_cell(config.load(), "hard", 42)
    folder = paths.cell("core", "hard", 42)
    folder.rename("alone")
    ended(start(ON_ONE_MACHINE, **{"per-node=4": "per-node=2"}))
    check_equal(Path("alone"), folder)
    assert {path.name for path in folder.iterdir()} == {p.name for p in Path("alone").iterdir()}
    assert len(paths.STAGE_SECONDS.read_text().splitlines()) == 1  # the first process alone
    assert not list(paths.CHECKPOINTS.rglob("*.pt"))
    ended(start("dvc init --no-scm --quiet"))
    ended(start(COMMIT))
    status = start("dvc status train@hard-42")
    assert "up to date" in status.communicate()[0]


def test_processes_on_two_machines_train_the_cell_of_a_study(tiny: Path) -> None:
    changes = {f"train.recipes.from_scratch.{key}": value for key, value in RECIPE.items()}
    overrides: dict[str, Any] = {"train.max_pieces": 12, "train.evaluate_every": 2, **changes}
    corpora = {"sst2": {"base": None, "arms": ["full", "random"], "seeds": [13]}}
    write_study("controls", overrides=overrides, corpora=corpora)
    study_cells.plan("controls", "sst2")
    study_cells.train_cell("controls", "sst2", "random", 13)
    folder = studies.cell_folder("controls", "sst2", "random", 13)
    folder.rename("alone")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    ended(*(start(ON_TWO_MACHINES, port, **{"per-node=4": "per-node=1"}) for _ in range(2)))
    check_equal(Path("alone"), folder)


def run_scenarios(*command: str) -> str:
    """Return what scenarios of `shared_training` print."""
    folders = (ROOT / "src", ROOT, ROOT / "tests/unit")
    done = subprocess.run(
        [sys.executable, *command],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders)), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    return done.stderr


def test_processes_resume_with_the_same_bits_and_only_one_reports_an_error(tiny: Path) -> None:
    names = ("resume", "error", "common_error", "unlike", "killed")
    printed = run_scenarios(str(ROOT / "tests/unit/shared_training.py"), *names)
    parts = dict(zip(names, printed.split("scenario ")[1:], strict=True))
    assert "resuming from step 2" in parts["resume"] and "It failed" not in parts["resume"]
    messages = {
        "error": "\n\nThe second process has a problem.\n\n",
        "common_error": "\n\nAll processes have a problem.\n\n",
        "unlike": "\n\nThe processes of this training differ in seed.",
        "killed": "\n\nAnother process of this training ended without a message,",
    }
    for name, message in messages.items():
        assert parts[name].count(message) == 1 and "It failed" in parts[name], parts[name]
        assert "File" not in parts[name].replace('  File "' + sys.prefix, ""), parts[name]


def test_an_interrupt_ends_all_processes_with_one_sentence(tiny: Path) -> None:
    scenario = (str(ROOT / "tests/unit/shared_training.py"), "interrupted")
    options = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    printed = run_scenarios(*options, *scenario)
    said = re.findall(r"Interrupted\. The cell hard-42 is saved up to step \d+ of 16;", printed)
    assert len(said) == printed.count("Interrupted.") == 1, printed
