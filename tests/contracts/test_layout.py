"""The layout of the code, derived from its imports: nine packages in a row, and no cycles."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = (
    *("workspace", "assets", "tagging", "patterns", "model"),
    *("training", "evaluation", "report", "cli"),
)
"""Each package imports only packages before it."""
MOST_FILES = 3


def unexpected_entries(package: Path) -> list[str]:
    """Return what src/ggsa lacks, and what it should not hold."""
    folders = {path.name for path in package.iterdir() if path.is_dir()} - {"__pycache__"}
    files = sorted(path.name for path in package.iterdir() if path.is_file())
    return [
        *(f"no package {name}" for name in ROW if name not in folders),
        *(f"unexpected folder {name}" for name in sorted(folders - {*ROW})),
        *([f"{len(files)} files: {', '.join(files)}"] if len(files) > MOST_FILES else []),
    ]


def modules(package: Path) -> dict[str, Path]:
    """Return the file of every module by its dotted name; a package is its `__init__`."""
    files = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


def nodes(path: Path, top: ast.AST) -> Iterator[ast.AST]:
    """Yield every node at any depth, except those of the `__getattr__` of an `__init__`."""
    for node in ast.iter_child_nodes(top):
        if path.name == "__init__.py" and getattr(node, "name", "") == "__getattr__":
            continue  # a lazy export
        yield node
        yield from nodes(path, node)


def imports(package: Path) -> dict[str, set[str]]:
    """Return the modules of the package that each of its modules imports.

    `from a.b import c` imports a.b.c if that is a module, else a.b. The package's own `__init__`
    only exports, lazily, and is left out.
    """
    files = modules(package)
    graph = {module: set() for module in files}
    for module, path in files.items():
        if module == package.name:
            continue
        parents = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
        for node in nodes(path, ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                above = parents[: len(parents) - node.level + 1] if node.level else []
                base = ".".join([*above, *([node.module] if node.module else [])])
                targets = [
                    name if (name := f"{base}.{alias.name}") in files else base
                    for alias in node.names
                ]
            else:
                continue
            graph[module] |= {name for name in targets if name.split(".")[0] == package.name}
    return graph


def backward_imports(package: Path) -> list[str]:
    """Return the imports of a later package, or of ggsa itself, by a module of a package.

    `ggsa._lazy` imports nothing and belongs to no package.
    """

    def place(module: str) -> int:
        name = module.partition(".")[2].partition(".")[0]
        if name == "_lazy":
            return -1
        return ROW.index(name) if name in ROW else len(ROW)  # ggsa itself and its files: last

    return sorted(
        f"{module} imports {target}"
        for module, targets in imports(package).items()
        for target in targets
        if place(module) < place(target)
    )


def cycles(package: Path) -> list[list[str]]:
    """Return the groups of modules that import each other, directly or through others."""
    graph = imports(package)
    reached = {}
    for module in graph:
        seen, waiting = set(), [*graph[module]]
        while waiting:
            target = waiting.pop()
            if target not in seen:
                seen.add(target)
                waiting += graph.get(target, ())
        reached[module] = seen
    groups = {
        tuple(sorted(other for other in reached[module] if module in reached.get(other, ())))
        for module in graph
        if module in reached[module]
    }
    return [[*group] for group in sorted(groups)]


def type_checking(*folders: Path) -> list[str]:
    """Return the files that import only for annotations."""
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return [path.name for path in files if "TYPE_CHECKING" in path.read_text(encoding="utf-8")]


def test_the_package_holds_nine_packages_and_at_most_three_files() -> None:
    assert not unexpected_entries(ROOT / "src/ggsa")


def test_each_package_imports_only_packages_before_it() -> None:
    wrong = backward_imports(ROOT / "src/ggsa")
    assert not wrong, "\n".join(wrong)


def test_no_modules_import_each_other_in_a_cycle() -> None:
    groups = cycles(ROOT / "src/ggsa")
    assert not groups, "\n".join(map(", ".join, groups))


def test_nothing_is_imported_only_for_annotations() -> None:
    assert not type_checking(ROOT / "src/ggsa", ROOT / "stages")


def test_tables_are_read_by_one_reader_and_notebooks_use_it() -> None:
    files = [p for folder in ("src", "stages", "benchmarks") for p in (ROOT / folder).rglob("*.py")]
    files += (ROOT / "notebooks").glob("*.ipynb")
    direct = [p.name for p in files if "pd.read_csv(" in p.read_text(encoding="utf-8")]
    own = {"tables.py"}
    others = {"rederived.py": "as text"}
    assert sorted(direct) == sorted(own | {*others})


def test_cores_are_counted_by_joblib_alone_which_knows_the_quota_of_a_container() -> None:
    counting = re.compile(
        r"sched_getaffinity|\bos\.(process_)?cpu_count|multiprocessing\.cpu_count"
    )
    files = [p for folder in ("src", "stages", "benchmarks") for p in (ROOT / folder).rglob("*.py")]
    assert not [str(p) for p in files if counting.search(p.read_text(encoding="utf-8"))]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, in which a test plants a violation."""
    target = tmp_path / "ggsa"
    shutil.copytree(ROOT / "src/ggsa", target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def plant(package: Path, sources: dict[str, str]) -> None:
    """Write modules into the package, by path without the ending."""
    for name, source in sources.items():
        (package / f"{name}.py").write_text(source)


def test_a_tenth_package_a_missing_one_and_a_fourth_file_are_reported(copy: Path) -> None:
    (copy / "helpers").mkdir()
    shutil.rmtree(copy / "cli")
    plant(copy, {"one": "", "two": ""})
    problems = unexpected_entries(copy)
    assert {"no package cli", "unexpected folder helpers"} <= {*problems}
    assert any("__init__.py" in problem and "two.py" in problem for problem in problems)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("from ggsa.report import page", "ggsa.report.page"),
        ("from ggsa.report.page import build", "ggsa.report.page"),
        ("import ggsa.report.page", "ggsa.report.page"),
        ("from ..report import page", "ggsa.report.page"),
        ("from .. import report", "ggsa.report"),
        ("def late():\n    from ggsa.report import page", "ggsa.report.page"),
        ("class A:\n    def b(self):\n        import ggsa.report.page as p", "ggsa.report.page"),
        ("if True:\n    try:\n        from ggsa import report\n    except ImportError:\n        pass",
         "ggsa.report"),
        ("from ggsa import load", "ggsa"),
    ],
)  # fmt: skip
def test_an_import_of_a_later_package_is_reported(copy: Path, source: str, target: str) -> None:
    plant(copy, {"tagging/planted": source})
    assert f"ggsa.tagging.planted imports {target}" in backward_imports(copy)


def test_an_import_of_the_same_or_an_earlier_package_is_not_reported(copy: Path) -> None:
    plant(
        copy,
        {
            "tagging/planted": "from ggsa.assets import corpora\nfrom . import tagger\nimport json\n",
            "planted": "from ggsa.cli import main",
        },
    )
    assert not [text for text in backward_imports(copy) if "planted" in text]


def test_a_cycle_is_reported_at_any_depth_and_length(copy: Path) -> None:
    plant(
        copy,
        {
            "model/one": "from ggsa.model import two",
            "model/two": "def late():\n    from ggsa.model.three import x",
            "model/three": "class A:\n    from .one import y",
            "report/selfish": "from ggsa.report.selfish import me",
        },
    )
    assert ["ggsa.model.one", "ggsa.model.three", "ggsa.model.two"] in cycles(copy)
    assert ["ggsa.report.selfish"] in cycles(copy)


def test_a_lazy_export_is_exempt_from_cycles_and_an_import_is_not(copy: Path) -> None:
    lazy = "def __getattr__(name):\n    from ggsa.model.one import x\n    return x\n"
    plant(copy, {"model/__init__": lazy, "model/one": "from ggsa.model import y"})
    assert not any("ggsa.model.one" in group for group in cycles(copy))
    plant(copy, {"model/__init__": lazy.replace("__getattr__", "eager")})
    assert ["ggsa.model", "ggsa.model.one"] in cycles(copy)


def test_an_import_for_annotations_is_reported_wherever_it_is(copy: Path, tmp_path: Path) -> None:
    stages = tmp_path / "stages"
    stages.mkdir()
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import json\n"
    (stages / "stage.py").write_text(text)
    plant(copy, {"model/planted": text})
    assert {"planted.py", "stage.py"} <= {*type_checking(copy, stages)}


HEAVY = {"datasets", "dvc", "matplotlib", "nltk", "papermill", "sklearn", "stanza", "statsmodels"}
"""Libraries that take long to import."""


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("stages.train", HEAVY),
        ("stages.check", HEAVY | {"torch", "transformers"}),
        ("stages.rules", HEAVY | {"torch", "transformers"}),
        ("ggsa.training.experiments", HEAVY - {"dvc"} | {"torch", "transformers"}),
    ],
)
def test_what_starts_often_loads_no_library_that_it_does_not_need(
    module: str, unneeded: set[str]
) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={"PYTHONPATH": "src"}, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert not unneeded & {*done.stdout.split()}
