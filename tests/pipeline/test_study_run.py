"""A study beside a finished run: `make study` with real DVC, take-up from core and derived arms."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from workspace import make

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
    assert "small: 2 cells to train, 2 at a time, about" in printed
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
    assert tables["verdicts"]["verdict"].tolist() == ["no verdict: fewer than 3 seeds"]


def test_a_second_run_makes_nothing_and_lost_weights_change_that_in_nothing(
    clone: Path, printed: str
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (clone / RESULTS).rglob("*.*")}
    shutil.rmtree(clone / "runs/small-probe")
    assert "small: every cell is finished." in make(clone, "study", "NAME=small", "JOBS=2")
    assert before == {path: path.stat().st_mtime_ns for path in (clone / RESULTS).rglob("*.*")}
    assert not (clone / "runs/small-probe").exists()
