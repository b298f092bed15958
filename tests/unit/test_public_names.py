"""The names that the packages export, and how many of them work without the extra `pipeline`."""

import importlib
import importlib.metadata
import json
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from small_models import TAGGED, WORDS, run

import ggsa

PACKAGES = [
    "ggsa",
    *sorted(f"ggsa.{item.name}" for item in pkgutil.iter_modules(ggsa.__path__) if item.ispkg),
]
PUBLIC = {
    *("load", "attach", "inputs", "explain", "export", "verify", "predict"),
    *("Pattern", "TAGS", "UserError", "read_pattern", "Classifier"),
}

BARE = '''
import importlib.util, json, sys

finders, allowed = list(sys.meta_path), set({allowed}) | sys.stdlib_module_names | {{"ggsa"}}


class Installed:
    """Finds what the declared dependencies install, and nothing else."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed and not name.startswith("_sysconfigdata"):
            return None
        specs = (finder.find_spec(name, path, target) for finder in finders)
        return next((spec for spec in specs if spec), None)

    def find_distributions(self, *arguments):
        for finder in finders:
            if hasattr(finder, "find_distributions"):
                yield from finder.find_distributions(*arguments)


sys.meta_path[:] = [Installed()]
assert importlib.util.find_spec("pandas") is None
import ggsa
from ggsa.cli import main

folder, words, tags = {folder!r}, {words}, {tags}
model = ggsa.load(folder)
attached = ggsa.attach(type(model.model).from_pretrained(folder))
messages = []
for call in (
    lambda: model.predict(words),
    lambda: ggsa.predict(["not bad"], folder),
    lambda: ggsa.inputs(model.tokenizer, words),
    lambda: model.predict(["not bad"], [["PART", "ADJ"]]),
    lambda: ggsa.explain,
    lambda: main(["cost", "--length", "9"]),
    lambda: main(["explain", "not bad"]),
):
    try:
        call()
    except (ggsa.UserError, ImportError, SystemExit) as error:
        messages.append(str(error))
print(json.dumps({{
    "logits": model.logits(words, tags).tolist(),
    "predicted": model.predict(words, tags) == ggsa.predict(words, folder, tags),
    "attached": attached(**ggsa.inputs(model.tokenizer, words, tags)).logits.tolist(),
    "pattern": ggsa.TAGS == model.pattern.tags and isinstance(model.pattern, ggsa.Pattern),
    "messages": messages,
}}))
'''


def declared_modules(root) -> set[str]:
    """Top-level modules of the distributions that `pip install .` installs, without any extra."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    waiting, names = list(project["dependencies"]), set()
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        if name in names or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        names.add(name)
        waiting += importlib.metadata.requires(name) or []
    modules = importlib.metadata.packages_distributions()
    return {
        module for module, owners in modules.items() if names & set(map(canonicalize_name, owners))
    }


def test_loading_attaching_and_predicting_need_only_the_declared_dependencies(
    root, tmp_path
) -> None:
    # Without pydantic: a dependency of a dependency requires it, and it must not be imported either.
    allowed = declared_modules(root) - {"pydantic", "pydantic_core"}
    assert {"torch", "transformers"} <= allowed
    assert not allowed & {"pandas", "stanza", "nltk", "dvc", "matplotlib", "scipy", "sklearn"}
    folder = run(tmp_path / "run")
    shutil.copytree(root / "src/ggsa", tmp_path / "installed/ggsa")
    program = BARE.format(allowed=sorted(allowed), folder=str(folder), words=WORDS, tags=TAGGED)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path / "installed",
        env={"PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    bare = json.loads(done.stdout.splitlines()[-1])
    expected = ggsa.load(folder).logits(WORDS, TAGGED)
    assert bare["logits"] == expected.tolist()
    assert abs(expected - bare["attached"]).max() < 1e-5
    assert bare["predicted"]
    assert bare["pattern"]
    assert len(bare["messages"]) == 7
    for message in bare["messages"]:
        assert re.search(r"is not installed.*pip install 'ggsa\[pipeline\]'", message), message
        assert "\n" not in message


def test_the_public_names_are_those_that_are_documented() -> None:
    assert set(ggsa.__all__) == PUBLIC
    assert set(dir(ggsa)) == PUBLIC


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_says_what_it_is_for_and_every_name_that_it_exports_exists(name) -> None:
    package = importlib.import_module(name)
    assert package.__doc__.partition("\n")[0].endswith(".")
    assert package.__all__, "a package exports its public names"
    modules = {item.name for item in pkgutil.iter_modules(package.__path__)}
    assert not modules & set(package.__all__), "a name would hide a module, or be hidden by it"
    for exported in package.__all__:
        assert getattr(package, exported) is not None
    with pytest.raises(AttributeError, match=f"'{name}' has no attribute 'nothing'"):
        _ = package.nothing


def test_importing_the_packages_imports_none_of_their_modules(root) -> None:
    program = f"import sys, {', '.join(PACKAGES)}; print(*(n for n in sys.modules if 'ggsa' in n))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == {*PACKAGES, "ggsa._lazy"}
