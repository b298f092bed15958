"""README and docs: what they name is there, and every command is run or checked somewhere."""

import re
import shlex

import pytest
import yaml
from documents import EXECUTED, LINK, PAGES, ROOT, all_commands, first_column

from ggsa import cli
from ggsa.training import experiments, graph, studies
from ggsa.workspace import config, paths

ELSEWHERE = {
    r"make repro$": "tests/pipeline/conftest.py::clone",
    r"source \.venv/bin/activate$": ".ci/run::make lint",
    r"make test$": ".ci/run::make test",
    r"make publish$": "tests/unit/test_report.py::test_publishing_copies_the_run",
    r"make publish-studies$": "tests/unit/test_report.py::test_studies_are_published_around",
    r"(make|ggsa) verify$": "tests/unit/test_verification.py::test_an_untouched_copy_passes",
    r"make campaign$": "tests/unit/test_campaign.py::test_only_a_clear_refusal",
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
    if given["NAME"] not in studies.names():  # it trains nothing
        assert graph.graph_file(given["NAME"]).is_file()
        return
    study = studies.load(given["NAME"])
    assert not study.archived
    for corpus in [given["CORPUS"]] if "CORPUS" in given else study.corpora:
        assert study.cells(corpus)
        assert int(given.get("SEEDS", 13)) in study.plan(corpus).seeds


@pytest.mark.parametrize("command", [c for c in all_commands() if "/dvc.yaml:" in c])
def test_every_stage_of_a_study_that_is_named_exists(command: str) -> None:
    file, _, target = shlex.split(command)[-1].partition(":")
    name, _, cell = target.partition("@")
    stage = yaml.safe_load((ROOT / file).read_text())["stages"][name]
    matrix = stage.get("matrix", {"arm": [""], "seed": [""]})
    assert cell in {f"{arm}-{seed}".strip("-") for arm in matrix["arm"] for seed in matrix["seed"]}


def test_the_readme_lists_every_study(monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    untrained = {path.parent.name for path in paths.STUDIES.glob("*/dvc.yaml")} - {"assets"}
    assert set(first_column(PAGES[0], "study")) == {"core", *studies.names(), *untrained}
