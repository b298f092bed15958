"""The DVC graph, the folders and the documents say the same thing."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PLUMBING = {
    *("blocks", "config", "paths", "artifacts", "errors", "problems", "vocabulary"),
    *("bars", "interruption"),  # what a stage says of itself while it runs
}
"""Modules whose edits must not retrain anything: they decide no number that a stage writes."""


def imported(path: Path) -> set[str]:
    """The modules of the package that a file imports, by the first part of their name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "ggsa":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ggsa."):
            found.add(node.module.split(".")[1])
    return found


def files_of(module: str) -> list[Path]:
    folder = ROOT / "src/ggsa" / module
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def reached(script: Path) -> set[str]:
    """The modules that a script imports, directly or through others.

    Not through plumbing: what that imports (blocks asks the registries for their names) decides no
    number there.
    """
    seen: set[str] = set()
    waiting = imported(script) - PLUMBING
    while waiting:
        module = waiting.pop()
        seen.add(module)
        for path in files_of(module):
            waiting |= imported(path) - PLUMBING - seen
    return seen


def test_every_stage_has_a_script_of_its_name_and_every_script_a_stage() -> None:
    scripts = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"}
    graphs = [ROOT / "dvc.yaml", *(ROOT / "studies").glob("*/dvc.yaml")]
    run = [re.findall(r"-m stages\.(\w+)", path.read_text()) for path in graphs]
    assert scripts == {name for names in run for name in names}
    assert set(STAGES) <= scripts


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_says_what_it_does_and_runs_its_script(name: str) -> None:
    stage = STAGES[name]
    assert stage["desc"].endswith(".")
    assert stage["cmd"].startswith(f"PYTHONPATH=src python3 -m stages.{name}")
    assert f"stages/{name}.py" in stage["deps"]
    assert len((ROOT / f"stages/{name}.py").read_text().splitlines()) <= 45


@pytest.mark.parametrize("name", [name for name in STAGES if name != "check"])
def test_a_stage_depends_on_the_modules_that_it_uses(name: str) -> None:
    declared = {
        Path(dep).stem for dep in STAGES[name]["deps"] if str(dep).startswith("src/ggsa/")
    } - PLUMBING
    assert declared == reached(ROOT / f"stages/{name}.py")


def test_the_check_depends_on_what_says_which_names_there_are() -> None:
    asked = {"config", *imported(ROOT / "src/ggsa/blocks.py")} - {"paths", "problems"} | {"blocks"}
    assert set(STAGES["check"]["deps"]) == {
        "params.yaml", "stages/check.py", *(f"src/ggsa/{module}.py" for module in asked)
    }  # fmt: skip


def test_training_depends_on_the_pattern_and_not_on_the_rules() -> None:
    assert "data/rules/${item.mode}.json" in STAGES["train"]["deps"]
    assert not any(str(param).startswith("rules") for param in STAGES["train"]["params"])


def test_no_output_switches_off_the_run_cache() -> None:
    for stage in STAGES.values():
        assert all(isinstance(out, str) for out in stage.get("outs", []))


def test_the_package_imports_nothing_from_the_stages() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        assert "stages" not in {
            node.module.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module
        }, path


def test_no_module_outgrows_one_room() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 450, path


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"make ([a-z][a-z-]*)", (ROOT / "README.md").read_text()))
    assert named
    for target in named:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_every_path_in_the_readme_tree_exists() -> None:
    blocks = (ROOT / "README.md").read_text().split("```")
    tree = next(block for block in blocks if block.strip().startswith("dvc.yaml"))
    for line in tree.strip().splitlines():
        indent = "src/ggsa/" if line.startswith("  ") else ""
        for name in re.findall(r"^ *((?:[\w./]+(?: (?=[\w./]+\.py|[\w]+/))?)+)", line)[0].split():
            if "." in name or name.endswith("/"):
                assert (ROOT / (indent + name)).exists(), name


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_lock_pins_torch_without_a_local_version_and_everything_exactly() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert "torch==2.13.0" in pins
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", pin) for pin in pins)
