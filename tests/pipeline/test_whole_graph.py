"""The whole graph on a tiny probe corpus, in a copy: real DVC, Stanza and training."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from interrupts import takes_interrupts
from workspace import await_file, bytes_of, edit, environment, make, run

pytestmark = pytest.mark.pipeline


def test_one_command_ends_in_a_report_that_names_its_substitutes(clone: Path) -> None:
    page = (clone / "reports/report.html").read_text()
    assert "probe" in page
    metrics = json.loads((clone / "reports/metrics.json").read_text())
    assert metrics["corpus"].startswith("probe")
    verdicts = {metrics[mode]["verdict"] for mode in ("full", "hard")}
    assert verdicts <= {"", "did not learn"}
    assert metrics["hard"]["density"] < 0.6 < metrics["full"]["density"] == 1
    assert not (clone / "reports/published").exists()  # no stage needs it


def test_the_cells_are_trained_two_at_a_time_and_their_seconds_are_noted(clone: Path) -> None:
    log = (clone / "repro.log").read_text()
    assert "core: 4 cells to train, 2 at a time." in log
    assert not re.search(r"Running stage 'train@", log)  # left nothing to `dvc repro`
    seconds = pd.read_csv(clone / "runs/core-seconds.csv")
    cells = {path.name for path in (clone / "runs/core").iterdir()}
    assert len(cells) == 4 and set(seconds["cell"]) == cells


def test_a_second_run_does_nothing(clone: Path) -> None:
    output = run(clone, "dvc", "repro")
    assert "Running stage" not in output
    assert "Data and pipelines are up to date." in output


def test_the_summary_prints_the_table_and_the_path_of_the_report(clone: Path) -> None:
    output = run(clone, "env", "PYTHONPATH=src", "python3", "-m", "ggsa.report.summary")
    assert "reports/report.html" in output
    assert "hard" in output


def test_dropping_a_rule_retrains_only_the_modes_that_it_changes(
    clone: Path, experiment: str
) -> None:
    trained = set(re.findall(r"Running stage 'train@(\w+)-\d+'", experiment))
    assert trained == {"hard"}
    assert "Running stage 'tag'" not in experiment
    assert yaml.safe_load((clone / "params.yaml").read_text())["rules"]["drop"] == []


def test_experiments_are_shown_beside_the_run_in_the_workspace(
    clone: Path, experiment: str
) -> None:
    accuracy, failed = r"0\.\d{4} ± 0\.\d{4}", "did not learn"  # as the tiny model may
    for output in (make(clone, "compare"), experiment):
        assert re.search(rf"^workspace \(baseline\) +{accuracy} +(–|{failed}) ", output, re.M)
        difference = rf"([+-]\d+\.\d\d|–|{failed})"
        assert re.search(rf"^without-VERB-NOUN +{accuracy} +{difference} ", output, re.M)
        assert re.search(r"^full: 0\.\d{4} ± 0\.\d{4} in each", output, re.M)
    assert max(map(len, make(clone, "compare").splitlines())) <= 100


def test_every_plot_has_a_curve_or_a_matrix_for_every_mode(clone: Path) -> None:
    output = run(clone, "dvc", "plots", "show", "--json")
    shown = json.JSONDecoder().raw_decode(output)[0]["data"]
    assert set(shown) == {"loss", "selection accuracy", "accuracy by density", "confusion"}
    for name, (plot,) in shown.items():
        drawn = plot["content"]
        assert drawn["title"]["text"] and "<DVC" not in json.dumps(drawn)
        series = "field" if name == "confusion" else "mode"
        assert {point[series] for point in drawn["data"]["values"]} == {"full", "hard"}
        assert not any("words" in point for point in drawn["data"]["values"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rules__drop": ["ADJ->ADJECTIVE"]}, "unknown tag ADJECTIVE"),
        ({"rules__dorp": []}, "Did you mean drop?"),
        ({"grid__modes": ["full", "hrad"]}, "Did you mean hard?"),
    ],
)
def test_a_wrong_parameter_gives_one_error_and_starts_nothing(
    clone: Path, change: dict, said: str
) -> None:
    kept = (clone / "params.yaml").read_text()
    try:
        edit(clone, **change)
        output = run(clone, "dvc", "repro", ok=False)
    finally:
        (clone / "params.yaml").write_text(kept)
    assert said in output
    assert "Traceback" not in output
    assert output.count("Running stage") == 1  # check, which refuses


def test_a_killed_and_then_interrupted_training_ends_with_the_same_bytes(clone: Path) -> None:
    expected = bytes_of(clone / "runs/core/hard-42")
    content = yaml.safe_load((clone / "params.yaml").read_text())
    assert content["train"]["evaluate_every"] == 50
    checkpoints = clone / ".cache/checkpoints/core"
    process = started_training(clone)
    await_file(process, checkpoints, "hard-42-*.pt")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    shutil.rmtree(clone / "runs/core/hard-42")
    (checkpoint,) = checkpoints.glob("hard-42-*.pt")
    process, written = started_training(clone), checkpoint.stat().st_mtime_ns
    while checkpoint.stat().st_mtime_ns == written:  # the next one
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert process.returncode != 0 and "Traceback" not in said
    assert re.search(r"hard-42.*: resuming from step", said)
    assert re.search(r"Interrupted\. The cell hard-42 is saved up to step \d+ of 300", said), said
    assert not (clone / "runs/core/hard-42").exists()
    process = started_training(clone)
    assert "resuming from step" in process.communicate(timeout=600)[1]
    assert process.returncode == 0
    assert bytes_of(clone / "runs/core/hard-42") == expected
    assert not list(checkpoints.glob("hard-42-*.pt"))


def started_training(clone: Path) -> subprocess.Popen:
    """The stage that trains the cell hard-42, which a terminal may interrupt."""
    return subprocess.Popen(
        [sys.executable, "-m", "stages.train", "--mode", "hard", "--seed", "42"],
        cwd=clone, env=environment() | {"PYTHONPATH": "src"}, stderr=subprocess.PIPE, text=True,
        preexec_fn=takes_interrupts,
    )  # fmt: skip


def test_a_killed_tagging_resumes_and_gives_the_same_tags(clone: Path) -> None:
    expected = (clone / "data/tags/train.parquet").read_bytes()
    run(clone, "rm", "-rf", "data/tags", ".cache/tags")
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.tag"], cwd=clone, stderr=subprocess.DEVNULL,
        env=environment() | {"PYTHONPATH": "src"},
    )  # fmt: skip
    await_file(process, clone / ".cache/tags", "*.sqlite")
    process.send_signal(signal.SIGKILL)
    process.wait()
    run(clone, "dvc", "repro", "tag")
    assert (clone / "data/tags/train.parquet").read_bytes() == expected


def test_a_stage_outside_the_environment_names_the_environment_that_it_needs(clone: Path) -> None:
    bare = subprocess.run(
        [sys.executable, "-I", "-S", "-c",
         "import sys; sys.path[:0] = ['.', 'src']; import runpy; "
         "runpy.run_module('stages.tag', run_name='__main__')"],
        cwd=clone, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert bare.returncode != 0
    assert "make setup" in bare.stderr
    assert "Traceback" not in bare.stderr
