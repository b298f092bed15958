"""The whole graph on a tiny probe corpus, in a copy: real DVC, Stanza and training."""

import json
import os
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

pytestmark = pytest.mark.pipeline
ROOT = Path(__file__).resolve().parents[2]
COPIED = ("dvc.yaml", "params.yaml", "DEVIATIONS.md", "corpora/README.md", ".dvcignore", ".gitignore", "stages", "src",
          "notebooks", "studies", "reports/published/benchmark", "reports/published/studies")  # fmt: skip


def environment() -> dict[str, str]:
    """The environment of this interpreter, with no mirror and no Hub in reach."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "GGSA_MIRROR": "/nonexistent", "HF_HUB_OFFLINE": "1"}


def run(folder: Path, *command: str, ok: bool = True) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=800
    )
    output = done.stdout + done.stderr
    assert (done.returncode == 0) == ok, output[-6000:]
    return output


def edit(folder: Path, **changes: object) -> None:
    """Change parameters of a clone; a key is `block__key`."""
    content = yaml.safe_load((folder / "params.yaml").read_text())
    for key, value in changes.items():
        block, name = key.split("__")
        content[block][name] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def predictions(folder: Path, cell: str) -> str:
    table = pd.read_parquet(folder / "runs/core" / cell / "predictions.parquet")
    return table.to_json()


def copy_to(folder: Path) -> None:
    """Copy what a run needs of the repository."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(source, folder / name)


def commit(folder: Path) -> None:
    """Make a copy a repository of Git and DVC."""
    run(folder, "git", "init", "--quiet")
    run(folder, "dvc", "init", "--quiet")
    shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots")
    run(folder, "git", "add", ".")
    run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "start")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clone")
    copy_to(folder)
    content = yaml.safe_load((folder / "params.yaml").read_text())
    content["train"]["recipes"]["probe"] |= {"epochs": 1, "warmup_steps": 4}
    content["train"]["evaluate_every"] = 5
    (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    edit(
        folder,
        assets__source="embedded",
        corpus__limit=600,
        grid__seeds=[1, 2],
        evaluate__bootstrap_samples=200,
        report__figure_dpi=60,
    )
    commit(folder)
    run(folder, "dvc", "repro")
    return folder


def test_one_command_ends_in_a_report_that_names_its_substitutes(clone: Path) -> None:
    page = (clone / "reports/report.html").read_text()
    assert "probe" in page
    metrics = json.loads((clone / "reports/metrics.json").read_text())
    assert metrics["corpus"].startswith("probe")
    assert {metrics[mode]["verdict"] for mode in ("full", "hard", "soft")} == {"not comparable"}
    assert metrics["hard"]["density"] < 0.6 < metrics["full"]["density"] == 1


def test_a_second_run_does_nothing(clone: Path) -> None:
    output = run(clone, "dvc", "repro")
    assert "Running stage" not in output
    assert "Data and pipelines are up to date." in output


def test_the_summary_prints_the_table_and_the_path_of_the_report(clone: Path) -> None:
    output = run(clone, "env", "PYTHONPATH=src", "python3", "-m", "ggsa.report.summary")
    assert "reports/report.html" in output
    assert "hard" in output


def test_dropping_a_rule_retrains_hard_and_soft_and_nothing_of_full(clone: Path) -> None:
    before = predictions(clone, "full-1")
    output = run(
        clone, "dvc", "exp", "run", "--temp", "--name", "no-verb-noun",
        "--set-param", 'rules.drop=["VERB->NOUN"]',
    )  # fmt: skip
    assert "Running stage 'train@hard-1'" in output
    assert "Running stage 'train@full-1'" not in output
    assert "Running stage 'tag'" not in output
    assert predictions(clone, "full-1") == before


def test_the_table_of_experiments_fits_100_columns(clone: Path) -> None:
    output = run(clone, "env", "PYTHONPATH=src", "python3", "-m", "ggsa.experiments", "compare")
    assert "no-verb-noun" in output and "hard.accuracy" in output
    assert max(map(len, output.splitlines())) <= 100


def test_every_plot_has_a_curve_or_a_matrix_for_every_mode(clone: Path) -> None:
    output = run(clone, "dvc", "plots", "show", "--json")
    shown = json.JSONDecoder().raw_decode(output)[0]["data"]
    assert set(shown) == {"loss", "selection accuracy", "accuracy by density", "confusion"}
    for name, (plot,) in shown.items():
        drawn = plot["content"]
        assert drawn["title"]["text"] and "<DVC" not in json.dumps(drawn)
        series = "field" if name == "confusion" else "mode"
        assert {point[series] for point in drawn["data"]["values"]} == {"full", "hard", "soft"}
        assert not any("words" in point for point in drawn["data"]["values"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rules__drop": ["ADJ->ADJECTIVE"]}, "ADJECTIVE is no known tag"),
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


def test_a_killed_training_ends_with_the_same_predictions(clone: Path) -> None:
    expected = predictions(clone, "hard-2")
    content = yaml.safe_load((clone / "params.yaml").read_text())
    assert content["train"]["evaluate_every"] == 5
    command = [sys.executable, "-m", "stages.train", "--mode", "hard", "--seed", "2"]
    process = subprocess.Popen(
        command, cwd=clone, env=environment() | {"PYTHONPATH": "src"}, stderr=subprocess.DEVNULL
    )
    checkpoints = clone / ".cache/checkpoints/core"
    end = time.monotonic() + 120
    while not list(checkpoints.glob("hard-2-*.pt")):
        assert process.poll() is None, "the training ended before it could be killed"
        assert time.monotonic() < end, "no checkpoint was written"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    shutil.rmtree(clone / "runs/core/hard-2")
    again = subprocess.run(
        command, cwd=clone, env=environment() | {"PYTHONPATH": "src"}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert "going on from step" in again.stderr
    assert predictions(clone, "hard-2") == expected
    assert not list(checkpoints.glob("hard-2-*.pt"))


def test_an_interrupted_training_says_what_is_kept_and_goes_on_from_there(clone: Path) -> None:
    expected = predictions(clone, "soft-2")
    command = [sys.executable, "-m", "stages.train", "--mode", "soft", "--seed", "2"]
    surroundings = environment() | {"PYTHONPATH": "src"}
    process = subprocess.Popen(
        command, cwd=clone, env=surroundings, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 120
    while not list((clone / ".cache/checkpoints/core").glob("soft-2-*.pt")):
        assert process.poll() is None, "the training ended before it could be interrupted"
        assert time.monotonic() < end, "no checkpoint was written"
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode != 0 and "Traceback" not in said
    kept = re.search(r"Interrupted. The cell soft-2 is kept up to step (\d+) of 30", said)
    assert kept, said
    again = subprocess.run(
        command, cwd=clone, env=surroundings, capture_output=True, text=True, check=True
    )
    assert f"going on from step {kept[1]}." in again.stderr
    assert predictions(clone, "soft-2") == expected


def test_a_killed_tagging_resumes_and_gives_the_same_tags(clone: Path) -> None:
    expected = (clone / "data/tags/train.parquet").read_bytes()
    run(clone, "rm", "-rf", "data/tags", ".cache/tags")
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.tag"], cwd=clone, stderr=subprocess.DEVNULL,
        env=environment() | {"PYTHONPATH": "src"},
    )  # fmt: skip
    end = time.monotonic() + 120
    while not list((clone / ".cache/tags").glob("*.sqlite")):
        assert time.monotonic() < end, "no store was made"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run(clone, "dvc", "repro", "tag")
    assert (clone / "data/tags/train.parquet").read_bytes() == expected


def test_a_stage_outside_the_environment_names_the_environment_it_wants(clone: Path) -> None:
    bare = subprocess.run(
        [sys.executable, "-I", "-S", "-c",
         "import sys; sys.path[:0] = ['.', 'src']; import runpy; "
         "runpy.run_module('stages.tag', run_name='__main__')"],
        cwd=clone, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert bare.returncode != 0
    assert "make setup" in bare.stderr
    assert "Traceback" not in bare.stderr
