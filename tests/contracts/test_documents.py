"""README and docs: what they name is there, and every command is run or checked somewhere."""

import re
import shlex

import pytest
from documents import EXECUTED, LINK, PAGES, ROOT, all_commands

from ggsa import cli
from ggsa.training import experiments, studies
from ggsa.workspace import config
from ggsa.workspace.errors import unknown

ELSEWHERE = {
    r"make repro$": "tests/pipeline/conftest.py::clone",
    r"source \.venv/bin/activate$": ".ci/run::make lint",
    r"make test$": ".ci/run::make test",
    r"(make|ggsa) verify$": "tests/unit/test_verification.py::test_an_untouched_copy_passes",
    r"make bench$": "tests/unit/test_benchmarks.py::test_every_contestant_runs_once_a_round",
    r"make study NAME=\w+( \w+=\w+)*$": "tests/unit/test_studies.py::test_the_runner_prepares",
    r"make ablate RULES=.*$": "tests/unit/test_experiments.py::test_an_ablation_leaves_out",
    r"(for .*)?make experiment SET=.*$": "tests/contracts/test_documents.py::test_what_an_experiment_is_told",
    r"python -m benchmarks\.gpu$": "tests/unit/test_benchmarks.py::test_the_gpu_benchmark_needs_cuda",
    r"dvc --wait-for-lock repro .*$": "tests/unit/test_studies.py::test_cells_at_a_time_wait",
}
"""Commands that are tried elsewhere, most of them for what they cost: where."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_link_of_a_page_is_dead(page) -> None:
    for target in LINK.findall(page.read_text()):
        if not target.startswith(("http://", "https://", "#")):
            assert (page.parent / target.partition("#")[0]).exists(), target


def test_every_page_of_docs_is_linked_from_the_readme() -> None:
    linked = set(LINK.findall(PAGES[0].read_text()))
    assert {f"docs/{page.name}" for page in (ROOT / "docs").iterdir()} <= linked


@pytest.mark.parametrize("command", all_commands())
def test_every_command_is_executed_by_a_test_or_says_where_it_is_tried(command: str) -> None:
    if EXECUTED.match(command):
        return
    places = [place for pattern, place in ELSEWHERE.items() if re.match(pattern, command)]
    assert places, f"no test knows {command}"
    for place in places:
        file, _, name = place.partition("::")
        assert name in (ROOT / file).read_text(), place


def test_nothing_is_said_to_be_tried_elsewhere_that_no_page_shows() -> None:
    for pattern in ELSEWHERE:
        assert any(re.match(pattern, command) for command in all_commands()), pattern


@pytest.mark.parametrize("command", [c for c in all_commands() if c.startswith("make ")])
def test_every_target_exists(command: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf"^{shlex.split(command)[1]}:", makefile, flags=re.MULTILINE)


@pytest.mark.parametrize("command", [c for c in all_commands() if c.startswith("ggsa ")])
def test_every_command_of_ggsa_is_understood(command: str) -> None:
    assert cli.parser().parse_args(shlex.split(command)[1:]).run


@pytest.mark.parametrize("command", [c for c in all_commands() if "make experiment SET='" in c])
def test_what_an_experiment_is_told_is_a_parameter(command: str, monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    setting = next(part for part in shlex.split(command) if part.startswith("SET="))
    changed = experiments.changes(setting.removeprefix("SET="))
    assert config.load(overrides=changed) != config.load()


@pytest.mark.parametrize("command", [c for c in all_commands() if c.startswith("make study")])
def test_every_study_that_is_named_has_cells_there(command: str, monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    given = dict(part.split("=") for part in shlex.split(command)[2:])
    study = studies.load(given["NAME"])
    assert study.cells(given.get("CORPUS", "sst2")), unknown(given["NAME"], "study", ())
    assert int(given.get("SEEDS", 13)) in study.side(given.get("CORPUS", "sst2")).seeds
