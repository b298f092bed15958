"""What a run prints on the terminal: progress, times, the message of an interrupted stage."""

import io
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from interrupts import takes_interrupts

from ggsa.report import summary
from ggsa.workspace import config
from ggsa.workspace.progress import duration, interrupt_message, note_kept, progress_bar, track

ROOT = Path(__file__).resolve().parents[2]


class Clock:
    """A clock that advances only when a test advances it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of tqdm."""
    clock = Clock()
    monkeypatch.setattr("tqdm.std.time", clock)
    return clock


def test_a_log_gets_one_line_a_minute_with_the_time_left(
    clock: Clock, capsys: pytest.CaptureFixture
) -> None:
    with progress_bar("train hard-42", 2106, "step", 1000) as bar:
        for step in range(250):
            clock.now += 0.25
            bar.update()
            if step % 50 == 0:
                bar.set_postfix_str("loss 0.7")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2, lines
    assert "1240/2106 [01:00<03:36" in lines[0] and "1250/2106 [01:02<" in lines[1]
    for line in lines:
        assert line.startswith("train hard-42: ") and "\r" not in line and "loss 0.7" in line


def test_what_is_quick_says_nothing_in_a_log(capsys: pytest.CaptureFixture) -> None:
    assert list(track("abc", 3, "render", "notebook")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_what_has_no_known_end_says_how_far_it_came(
    clock: Clock, capsys: pytest.CaptureFixture
) -> None:
    bar = progress_bar("layer", None, "case")
    clock.now += 61
    bar.update()
    assert capsys.readouterr().err.startswith("layer: 1case [01:01,")


def test_nothing_is_said_to_be_done_that_failed(
    clock: Clock, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(ZeroDivisionError), progress_bar("x", 2, "step") as bar:
        clock.now += 100
        bar.update()
        raise ZeroDivisionError
    lines = capsys.readouterr().err.splitlines()
    assert lines and all("50% 1/2" in line for line in lines)


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", terminal)
    with progress_bar("train hard-42", 4, "step") as bar:
        bar.update(4)
    assert "\rtrain hard-42: 100%|" in terminal.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (3900, "1 h 05 min")]
)  # fmt: skip
def test_durations_are_worded(seconds: float, text: str) -> None:
    assert duration(seconds) == text


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
    table = summary.times_text(grid, summary.stage_runs(path), since=100)
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in table.splitlines()}
    assert rows["download"] == "taken from the cache not rerun"
    assert rows["tag"] == "1 min 39 s not rerun"
    assert rows["rules"] == "3 s ran"
    assert rows["train"] == (
        "3 min 00 s summed over 2 of 3 cells, 1 min 30 s each 1 of 3 cells ran"
    )  # fmt: skip
    assert max(map(len, table.splitlines())) <= 100
    assert "this time" not in summary.times_text(grid, summary.stage_runs(path))


def test_the_summary_names_every_stage_of_the_graph() -> None:
    assert [*summary.STAGES] == [*yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]]


def test_the_verdicts_on_the_claims_fit_the_terminal() -> None:
    claims = pd.read_csv(ROOT / "reports/published/tables/claims.csv", dtype=str).fillna("")
    shown = summary.claims_text(claims)
    assert [line[:2] for line in shown.splitlines()[2:]] == ["C4", "C5", "C6"]
    assert max(map(len, shown.splitlines())) <= 100


def test_on_other_data_the_summary_answers_the_declared_questions() -> None:
    verdicts = pd.read_csv(ROOT / "reports/published/tables/verdicts.csv")
    shown = summary.verdicts_text(verdicts)
    words = " ".join(shown.split())
    for row in verdicts.itertuples():
        assert all(word in words for word in (*row.question.split(), *row.verdict.split()))
        assert f"{row.n:,}" in words and row.split == "pooled" and "together" in words
    assert max(map(len, shown.splitlines())) <= 100


def test_the_interrupt_message_says_what_is_kept_and_how_to_continue() -> None:
    note_kept("The cell hard-42 is kept up to step 1,250 of 2,106.")
    assert interrupt_message() == (
        "Interrupted. The cell hard-42 is kept up to step 1,250 of 2,106. To continue, run the "
        "same command again."
    )


FULL_DISKS = {
    "a file": ("open('/dev/full', 'w').write('x' * 10**6)", "No space left on device"),
    "a database": (
        "[sqlite3.connect(':memory:').executescript('pragma max_page_count=1; create table a(b)')]",
        "database or disk is full",
    ),
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("what", FULL_DISKS)
def test_a_full_disk_ends_any_stage_with_a_sentence(what: str) -> None:
    write, reason = FULL_DISKS[what]
    stage = (
        "import sys; sys.path[:0] = ['.', 'src']; import sqlite3, stages\n"
        f"stages.run(lambda: {write})"
    )
    done = subprocess.run(
        [sys.executable, "-c", stage], cwd=ROOT, text=True, capture_output=True, check=False
    )
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert f"could not be written ({reason}). Free disk space" in done.stderr


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
    _, message = process.communicate(timeout=60)
    assert process.returncode != 0
    assert message.strip().startswith("Interrupted. Finished work is kept.")
    assert len(message.strip().splitlines()) == 1
