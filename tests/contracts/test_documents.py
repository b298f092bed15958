"""README and docs: what they name is there, and every command is run or checked somewhere."""

import os
import re
import shlex
import subprocess
import sys

import pytest
import yaml
from documents import (
    EXECUTED,
    LINK,
    PAGES,
    ROOT,
    all_blocks,
    all_commands,
    blocks,
    first_column,
)

from ggsa import cli
from ggsa.training import experiments, graph, studies
from ggsa.workspace import config, paths

ELSEWHERE = {
    r"make repro$": "tests/pipeline/conftest.py::clone",
    r"source \.venv/bin/activate$": ".ci/run::make lint",
    r"make test$": ".ci/run::make test",
    r"make publish$": "tests/unit/test_report.py::test_publishing_copies_the_run",
    r"make publish-studies$": "tests/unit/test_report.py::test_studies_are_published_around",
    r"make pdf$": "tests/browser/test_pdf.py::test_a_page_of_any_length",
    r"(make|ggsa) verify$": "tests/unit/test_verification.py::test_an_untouched_copy_passes",
    r"ggsa verify --predictions \w+\.csv$": "tests/unit/test_scored_predictions.py::test_a_file_of_predictions_is_scored",
    r"make campaign$": "tests/unit/test_campaign.py::test_only_a_clear_refusal",
    r"make bench$": "tests/unit/test_benchmarks.py::test_every_contestant_runs_once_a_round",
    r"make study NAME=\w+( \w+=\w+)*$": "tests/unit/test_studies.py::test_the_runner_prepares",
    r"make ablate RULES=.*$": "tests/unit/test_experiments.py::test_an_ablation_leaves_out",
    r"(for .*)?make experiment SET=.*$": "tests/contracts/test_documents.py::test_what_an_experiment_is_told",
    r"python -m benchmarks\.gpu$": "tests/unit/test_benchmarks.py::test_the_gpu_benchmark_needs_cuda",
    r"(torchrun|dvc commit) .*$": "tests/unit/test_shared_training.py::test_two_processes_train",
    r"python -m benchmarks\.memory$": "tests/unit/test_benchmarks.py::test_the_memory_of_a_generated",
    r"(\w+=\S+ )+ray start .*$": "tests/unit/test_cluster.py::test_the_documented_commands_start",
    r"sbatch .*$": "tests/unit/test_cluster.py::test_the_documented_job_array",
    r"dvc --wait-for-lock repro .*$": "tests/unit/test_studies.py::test_cells_at_a_time_wait",
}
"""Commands that are tried elsewhere, most of them for what they cost: where."""


HERE, MODES = "tests/contracts/test_documents.py", "tests/unit/test_modes.py"
BLOCKS = {
    "models.md python": "tests/pipeline/test_documented_commands.py::test_every_documented_example",
    "cluster.md bash": "tests/unit/test_cluster.py::test_the_documented_commands_start_ray",
    "extending.md python": f"{MODES}::test_the_documented_mode_corpus_and_study_work",
    "extending.md yaml": f"{MODES}::test_the_documented_mode_corpus_and_study_work",
    "protocols.md yaml": f"{HERE}::test_every_block_of_parameters_is_valid",
    "corpora/README.md yaml": f"{HERE}::test_every_block_of_parameters_is_valid",
    "README.md ": f"{HERE}::test_the_readme_draws_the_stages_and_lists_what_exists",
}
"""Where the blocks of a page in a language are run as they are printed. A command (`sh`) is executed
by tests/pipeline, or is in `ELSEWHERE`."""


def name_of(page) -> str:
    return "corpora/README.md" if page.parent.name == "corpora" else page.name


def test_every_block_of_code_is_run_by_a_test() -> None:
    printed = {f"{name_of(page)} {language}" for page in PAGES for language, _ in all_blocks(page)}
    assert {name for name in printed if not name.endswith(" sh")} == set(BLOCKS)
    for place in BLOCKS.values():
        file, _, name = place.partition("::")
        assert f"def {name}" in (ROOT / file).read_text(), place


@pytest.mark.parametrize("name", [name for name in BLOCKS if BLOCKS[name].endswith("is_valid")])
def test_every_block_of_parameters_is_valid(name: str, monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    page = next(page for page in PAGES if name_of(page) == name.split()[0])
    for block in blocks(page, "yaml"):
        assert config.load(overrides=by_key(yaml.safe_load(block))) != config.load()


def by_key(content: dict, prefix: str = "") -> dict:
    """Return nested parameters by their full keys, such as `corpus.files.train`."""
    changes = {}
    for name, value in content.items():
        key = f"{prefix}{name}"
        changes |= by_key(value, f"{key}.") if isinstance(value, dict) else {key: value}
    return changes


def test_the_readme_draws_the_stages_and_lists_what_exists() -> None:
    drawing, listing = (text for language, text in all_blocks(PAGES[0]) if not language)
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert re.findall(r"\w+", drawing) == list(stages)
    folder = ROOT
    for line in listing.splitlines():
        path = (folder if line.startswith(" ") else ROOT) / line.split()[0]
        assert path.exists(), line
        folder = folder if line.startswith(" ") else path


def test_every_name_of_the_package_that_a_page_mentions_exists(python) -> None:
    mentioned = {
        name
        for page in PAGES
        for code in re.findall(r"`([^`\n]+)`", page.read_text())
        for name in re.findall(r"(?<![\w./])ggsa\.([\w.]*\w)", code)
    }
    assert {"predict", "attach"} <= mentioned
    resolve = "import functools, sys, ggsa\nfor name in sys.argv[1:]:\n"
    resolve += "    functools.reduce(getattr, name.split('.'), ggsa)"
    done = python.run(ROOT, "-c", resolve, *sorted(mentioned), path=[ROOT / "src"])
    assert done.returncode == 0, done.stderr


OURS = re.compile(r"^\| `([^`]+)` \| ggsa \|", flags=re.MULTILINE)


def test_the_messages_of_troubleshooting_are_those_of_the_code() -> None:
    page = next(page for page in PAGES if page.name == "troubleshooting.md")
    sources = "".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.py")))
    sources = re.sub(r'"\s+f?"', "", sources)  # one text, where a line ends
    messages = OURS.findall(page.read_text())
    assert len(messages) > 1
    for message in messages:
        text = re.sub(r" \([A-Z].*\)| \d+", "...", message)
        for part in filter(None, (part.strip() for part in text.split("..."))):
            assert part in sources, part


def test_dvc_says_without_git_what_troubleshooting_quotes(tmp_path) -> None:
    (tmp_path / ".dvc").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}, check=False,
    )  # fmt: skip
    assert done.returncode and f"{tmp_path} is not a git repository" in done.stderr


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
        assert {int(seed) for seed in given.get("SEEDS", "").split()} <= set(
            study.plan(corpus).seeds
        )


@pytest.mark.parametrize("command", [c for c in all_commands() if "/dvc.yaml:" in c])
def test_every_stage_of_a_study_that_is_named_exists(command: str) -> None:
    file, _, target = shlex.split(command)[-1].partition(":")
    name, _, cell = target.partition("@")
    stage = yaml.safe_load((ROOT / file).read_text())["stages"][name]
    matrix = stage.get("matrix", {"arm": [""], "seed": [""]})
    assert cell in {f"{arm}-{seed}".strip("-") for arm in matrix["arm"] for seed in matrix["seed"]}


def test_the_page_on_experiments_lists_every_study(monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    page = next(page for page in PAGES if page.name == "experiments.md")
    untrained = {path.parent.name for path in paths.STUDIES.glob("*/dvc.yaml")} - {"assets"}
    assert set(first_column(page, "study")) == {"core", *studies.names(), *untrained}


def test_the_readme_has_fewer_than_1500_words() -> None:
    text = re.sub(r"<!--.*?-->|^\|[:\-| ]+\|$", " ", (ROOT / "README.md").read_text(), flags=re.M)
    assert len(re.findall(r"\S*\w\S*", text.replace("|", " "))) < 1500
