"""What a run tells on the terminal: progress, times, the last words of an interrupted stage."""

import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from interrupts import takes_interrupts

from ggsa.report import summary, times
from ggsa.workspace import config, interruption
from ggsa.workspace.progress import Lines, duration, track

ROOT = Path(__file__).resolve().parents[2]


class Clock:
    """A clock that goes on by as many seconds as it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_log_gets_one_line_a_minute_with_the_time_left(capsys: pytest.CaptureFixture) -> None:
    clock = Clock()
    with Lines("train hard-42", 2106, "step", 1000, clock) as shown:
        for _ in range(250):
            clock.now += 0.25
            shown.update()
    assert capsys.readouterr().err.splitlines() == [
        "train hard-42: 1,240 of 2,106 steps, 59%, 3 min 36 s left",
        "train hard-42: 1,250 of 2,106 steps, in 1 min 02 s",
    ]


def test_what_is_quick_says_nothing_in_a_log(capsys: pytest.CaptureFixture) -> None:
    assert list(track("abc", 3, "render", "notebook")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_what_has_no_known_end_says_how_far_it_came(capsys: pytest.CaptureFixture) -> None:
    clock = Clock()
    shown = Lines("layer", None, "case", 0, clock)
    clock.now = 61
    shown.update()
    assert capsys.readouterr().err == "layer: 1 cases, after 1 min 01 s\n"


def test_nothing_is_said_to_be_done_that_failed(capsys: pytest.CaptureFixture) -> None:
    clock = Clock()
    with pytest.raises(ZeroDivisionError), Lines("x", 2, "step", 0, clock):
        clock.now = 100
        raise ZeroDivisionError
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (3900, "1 h 05 min")]
)  # fmt: skip
def test_durations_are_worded(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_the_times_are_of_the_last_run_of_each_stage(tmp_path: Path) -> None:
    path = tmp_path / "stages.csv"
    path.write_text(
        "tag,99.0\n"  # of a version that did not note when
        "download --base probe,1.0,10\n"
        "rules,2.0,10\nrules,3.0,200\n"
        "train --mode full --seed 1,80.0,200\ntrain --mode hard --seed 1,100.0,10\n"
        "train --mode gone --seed 1,500.0,200\n"
        "half a li"
    )
    grid = config.Grid(modes=("full", "hard", "soft"), seeds=(1,))
    table = times.text(grid, times.read(path), since=100)
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in table.splitlines()}
    assert rows["download"] == "taken from the cache not rerun"
    assert rows["tag"] == "1 min 39 s not rerun"
    assert rows["rules"] == "3 s ran"
    assert rows["train"] == (
        "3 min 00 s: 2 of 3 cells noted, 1 min 30 s each 1 of 3 cells ran"
    )  # fmt: skip
    assert max(map(len, table.splitlines())) <= 100
    assert "this time" not in times.text(grid, times.read(path))


def test_the_summary_names_every_stage_of_the_graph() -> None:
    assert [*times.STAGES] == [*yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]]


def test_the_verdicts_on_the_claims_fit_the_terminal() -> None:
    claims = pd.read_csv(ROOT / "reports/published/tables/claims.csv", dtype=str).fillna("")
    shown = summary.claims_text(claims)
    assert [line[:2] for line in shown.splitlines()[2:]] == ["C4", "C5", "C6"]
    assert max(map(len, shown.splitlines())) <= 100


def test_the_last_words_say_what_is_kept_and_how_to_go_on() -> None:
    interruption.keeps("The cell hard-42 is kept up to step 1,250 of 2,106.")
    assert interruption.last_words() == (
        "Interrupted. The cell hard-42 is kept up to step 1,250 of 2,106. `make repro`, or the "
        "command you gave, goes on from there."
    )


def test_a_stage_that_is_interrupted_says_a_sentence_and_no_traceback() -> None:
    stage = (
        "import sys; sys.path[:0] = ['.', 'src']; import stages\n"
        "print('ready', flush=True)\n"
        "import time\n"
        "stages.run(lambda: time.sleep(60))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", stage], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=takes_interrupts,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert said.strip().startswith("Interrupted. What was finished is kept.")
    assert len(said.strip().splitlines()) == 1
