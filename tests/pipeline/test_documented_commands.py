"""Every command and every example of README and docs that takes seconds, in a finished run."""

import csv
import shlex
import subprocess
from pathlib import Path

import pytest
from documents import EXECUTED, PAGES, all_commands, blocks
from preloaded import Preloaded
from workspace import environment

pytestmark = pytest.mark.pipeline

EXAMPLES = {
    f"{page.name} {number}": text
    for page in PAGES
    if page.name != "extending.md"  # its examples are added to a copy of the package (test_modes)
    for number, text in enumerate(blocks(page, "python"), 1)
}


@pytest.fixture(scope="module")
def sentences(clone: Path) -> Path:
    """The file that the README classifies."""
    with (clone / "sentences.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerows([["id", "sentence"], [1, "A warm, generous film."], [2, "It is dull."]])
    return clone / "sentences.csv"


def typed(python: Preloaded, folder: Path, command: str) -> str:
    """What a line that a reader types prints; the environment is this interpreter's."""
    if command.startswith("ggsa "):
        done = python.run(folder, *shlex.split(command), path=[folder / "src"])
    else:
        done = subprocess.run(
            command.replace("make ", "make -o .venv/bin/.ready ", 1), shell=True, cwd=folder,
            env=environment() | {"PYTHONPATH": "src"}, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"[-6000:]
    return done.stdout + done.stderr


def test_every_documented_command_does_what_its_page_says(
    clone: Path, experiment: str, sentences: Path, python: Preloaded
) -> None:
    chosen = [command for command in all_commands() if EXECUTED.match(command)]
    chosen.remove("make experiment SET='rules.drop=[\"VERB->NOUN\"]'")  # `experiment` ran it
    printed = {command: typed(python, clone, command) for command in chosen}
    said = {name: text for command, text in printed.items() for name in [command.split()[1]]}
    assert "DET->NOUN" in said["rules"]
    assert "model FLOPs saved" in said["cost"]
    assert (clone / "page.html").read_text().startswith("<!doctype html>")
    rows = list(csv.DictReader((clone / "predicted.csv").open()))
    assert [row["id"] for row in rows] == ["1", "2"]
    assert {row["prediction"] for row in rows} <= {"negative", "positive"}
    assert "| validation |" in (clone / "hard-42-exported/README.md").read_text()


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_documented_example_runs_as_it_is_printed(
    name: str, clone: Path, sentences: Path, python: Preloaded
) -> None:
    done = python.run(clone, "-c", EXAMPLES[name], path=[clone / "src"])
    assert done.returncode == 0, done.stderr[-3000:]
    assert ("print(" in EXAMPLES[name]) == bool(done.stdout)


def test_an_export_runs_as_its_card_says(clone: Path, tmp_path: Path, python: Preloaded) -> None:
    folder = tmp_path / "exported"
    typed(python, clone, f"ggsa export runs/core/hard-13 {folder}")
    program = "\n".join(blocks(folder / "README.md", "python")).replace("FOLDER", str(folder))
    done = python.run(tmp_path, "-c", program, path=[clone / "src"])
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Prediction(label=" in done.stdout and "grad_fn" in done.stdout
