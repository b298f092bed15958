"""A study beside a finished run: `make study` with real DVC, take-up from core and derived arms."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml
from interrupts import takes_interrupts
from workspace import edit, environment, keep, make

pytestmark = pytest.mark.pipeline
STUDY = {
    "title": "A small study",
    "question": "Does a study take up the cells of core?",
    "reference": "full",
    "arms": {
        "full": None,
        "hard": None,
        "diagonal": None,
        "learned": None,
        "misread": {"mode": "hard", "weights_of": "hard", "train.corrupted_tags": 0.3},
    },
    "corpora": {"probe": {"base": None, "seeds": [13]}},
    "families": [
        {
            "name": "headroom",
            "questions": [
                {"kind": "gate", "arm": "full", "reference": "diagonal", "text": "Is there any?"}
            ],
        }
    ],
}
RESULTS = Path("reports/published/studies/small/probe")


@pytest.fixture(scope="module")
def printed(clone: Path) -> str:
    """What `make study` prints for the study, which is finished then."""
    (clone / "studies/small").mkdir()
    (clone / "studies/small/params.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    return make(clone, "study", "NAME=small", "JOBS=2")


def cell(clone: Path, arm: str) -> Path:
    return clone / RESULTS / "cells" / f"{arm}-13"


def about(clone: Path, arm: str) -> dict:
    return json.loads((cell(clone, arm) / "cell.json").read_text())


def test_the_runner_says_what_it_trains_and_what_it_takes_up(clone: Path, printed: str) -> None:
    assert "small: 2 cells to train, 2 at a time, about" in printed  # as long as those of core
    assert "2 cells to take up from equal ones" in printed
    assert "1 cell to evaluate with the weights of another" in printed
    seconds = pd.read_csv(clone / RESULTS / "seconds.csv")
    assert set(seconds["cell"]) == {"diagonal-13", "learned-13"}


def test_the_cells_of_core_are_taken_up_bit_for_bit(clone: Path, printed: str) -> None:
    for arm in ("full", "hard"):
        core = clone / "runs/core" / f"{arm}-13"
        assert about(clone, arm)["taken_from"] == f"core/{arm}-13"
        theirs = pd.read_parquet(core / "predictions.parquet")
        ours = pd.read_parquet(cell(clone, arm) / "predictions.parquet")
        kept = theirs[theirs["split"] != "examples"].reset_index(drop=True)
        pd.testing.assert_frame_equal(ours, kept)
        weights = clone / "runs/small-probe" / f"{arm}-13" / "model.safetensors"
        assert weights.read_bytes() == (core / "model.safetensors").read_bytes()
    assert about(clone, "diagonal")["taken_from"] is None


def test_derived_arms_have_their_source_and_all_cells_one_machine(
    clone: Path, printed: str
) -> None:
    assert about(clone, "misread")["weights_of"] == "hard"
    assert about(clone, "learned")["mode"] == "learned"
    assert about(clone, "learned")["density"]["train"] == pytest.approx(
        about(clone, "hard")["density"]["train"], abs=0.1
    )
    machines = [about(clone, arm)["machine"] for arm in STUDY["arms"]]
    assert all(machine == machines[0] for machine in machines)


def test_the_study_ends_in_tables_of_every_arm(clone: Path, printed: str) -> None:
    tables = {path.stem: pd.read_csv(path) for path in (clone / RESULTS / "tables").glob("*.csv")}
    assert set(tables) == {
        *("runs", "arms", "differences", "verdicts", "subsets", "baselines", "patterns")
    }
    assert set(tables["patterns"]["arm"]) == set(STUDY["arms"]) - {"learned"}  # not planned
    assert set(tables["arms"]["arm"]) == set(STUDY["arms"])
    (verdict,) = tables["verdicts"][
        "verdict"
    ]  # the tiny model may not have learned, which is said first
    assert verdict in ("no verdict: fewer than 3 seeds", "no verdict: full did not learn")


def test_a_second_run_makes_nothing_and_lost_weights_change_that_in_nothing(
    clone: Path, printed: str
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (clone / RESULTS).rglob("*.*")}
    shutil.rmtree(clone / "runs/small-probe")
    assert "small: every cell is finished." in make(clone, "study", "NAME=small", "JOBS=2")
    assert before == {path: path.stat().st_mtime_ns for path in (clone / RESULTS).rglob("*.*")}
    assert not (clone / "runs/small-probe").exists()


def state(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but the seconds, which grow with each run."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "seconds.csv"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def interrupted(folder: Path, after: float) -> None:
    """Press Ctrl-C some seconds after `make study` has started."""
    process = subprocess.Popen(
        ["make", "-o", ".venv/bin/.ready", "study", "NAME=small", "JOBS=2"],
        cwd=folder,
        env=environment(),
        start_new_session=True,
        preexec_fn=takes_interrupts,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=after)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    process.wait(timeout=120)


def test_an_interrupted_study_leaves_every_folder_as_it_was_or_finished(
    clone: Path, printed: str
) -> None:
    keep(clone)
    shutil.rmtree(cell(clone, "diagonal"))
    params = (clone / "params.yaml").read_text()
    edit(clone, evaluate__bootstrap_samples=300)
    moments = random.Random(11)
    before, states = state(clone / RESULTS), []
    for _ in range(2):
        interrupted(clone, moments.uniform(5, 30))
        states.append(state(clone / RESULTS))
    make(clone, "study", "NAME=small", "JOBS=2")
    after = state(clone / RESULTS)
    (clone / "params.yaml").write_text(params)
    assert before != after
    for folder in {Path(name).parent for name in after}:
        versions = [
            {n: c for n, c in s.items() if Path(n).parent == folder} for s in (before, after)
        ]
        for reached in states:
            assert {n: c for n, c in reached.items() if Path(n).parent == folder} in versions, (
                folder
            )


def test_a_study_that_cannot_start_keeps_its_published_tables(clone: Path, printed: str) -> None:
    tables = clone / "reports/published/studies/interpretability/sst2/tables"
    tables.mkdir(parents=True)
    (tables / "measures.csv").write_text("measure\n")
    output = make(clone, "study", "NAME=interpretability", ok=False)
    assert "holds the corpus probe, and the study needs sst2" in output
    assert state(tables) == {"measures.csv": b"measure\n"}
    shutil.rmtree(tables.parents[1])
