"""The DVC graph, the folders and the documents say the same thing."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src/ggsa"
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PLUMBING = "workspace"
"""A package whose edits retrain nothing: it decides no number that a stage writes."""


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = ("ggsa", *path.relative_to(SOURCE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()
OUTSIDE = "ggsa.tagging.texts"
"""A module that handles texts outside the pipeline: it runs in no stage."""


def imported(path: Path) -> set[str]:
    """The modules of the package that a file imports at any depth."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ggsa":
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in names}
    return {name for name in found if name in MODULES}


def reached(script: Path) -> set[Path]:
    """The files of the package that a script imports, directly or through others.

    Without plumbing, and without the `__init__` of a package, which only exports.
    """
    seen: set[str] = set()
    waiting = imported(script)
    while waiting:
        module = waiting.pop()
        if module.split(".")[1] != PLUMBING and module != OUTSIDE:
            seen.add(module)
            waiting |= imported(MODULES[module]) - seen
    files = {MODULES[module].relative_to(ROOT) for module in seen}
    return {path for path in files if len(path.parts) > 3 and path.parent.name != "ggsa"}


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


@pytest.mark.parametrize("name", [name for name in STAGES if name != "check"])
def test_a_stage_depends_on_the_code_that_it_runs_and_on_no_other(name: str) -> None:
    declared = [Path(dep) for dep in STAGES[name]["deps"] if str(dep).startswith("src/ggsa/")]
    files = {path for path in reached(ROOT / f"stages/{name}.py") if path.name != "_lazy.py"}
    for path in files:
        covered = any(path == dep or dep in path.parents for dep in declared)
        assert covered or path.name == "__init__.py", f"{name} runs {path}"
    for dep in declared:
        assert (ROOT / dep).exists(), dep
        assert any(path == dep or dep in path.parents for path in files), f"{name} names {dep}"


def test_the_check_depends_on_everything_that_it_asks_for_names() -> None:
    packages = {dep for dep in STAGES["check"]["deps"] if str(dep).startswith("src/")}
    assert packages == {"src/ggsa/assets", "src/ggsa/patterns", "src/ggsa/workspace"}
    assert {"params.yaml", "stages/check.py"} <= set(STAGES["check"]["deps"])


def test_a_new_mode_or_study_retrains_no_cell() -> None:
    deps = STAGES["train"]["deps"]
    for file in ("src/ggsa/patterns/modes.py", "src/ggsa/training/studies.py"):
        assert not any(dep == file or Path(dep) in Path(file).parents for dep in deps)


def test_training_depends_on_the_pattern_and_not_on_the_rules() -> None:
    assert "data/rules/${item.mode}.json" in STAGES["train"]["deps"]
    assert not any(str(param).startswith("rules") for param in STAGES["train"]["params"])


def test_only_a_download_keeps_its_outputs_at_the_cost_of_the_run_cache() -> None:
    assets = yaml.safe_load((ROOT / "studies/assets/dvc.yaml").read_text())["stages"]
    for name, stage in [*STAGES.items(), *assets.items()]:
        persist = [not isinstance(out, str) for out in stage.get("outs", [])]
        assert persist and set(persist) == {name == "download"}, name


def test_the_package_imports_nothing_from_the_stages() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        assert "stages" not in {
            node.module.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module
        }, path


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"make ([a-z][a-z-]*)", (ROOT / "README.md").read_text()))
    assert named
    for target in named:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_every_path_in_the_readme_tree_exists() -> None:
    blocks = (ROOT / "README.md").read_text().split("```")
    tree = next(block for block in blocks if block.strip().startswith("src/ggsa/"))
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
