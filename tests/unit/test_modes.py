"""The two registries, and that docs/extending.md extends them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from ggsa.patterns import modes, rules
from ggsa.patterns.tag_tables import INDEX, open_cls
from ggsa.report import style
from ggsa.workspace import config
from ggsa.workspace.vocabulary import TAGS

ROOT = Path(__file__).parents[2]
PARAMS = config.load(ROOT / "params.yaml")
HARD = rules.hard_table(PARAMS.rules, None, None)


@pytest.mark.parametrize("name", modes.names())
def test_every_mode_gives_a_pattern_of_its_name_with_no_blind_tag(name: str) -> None:
    pattern = rules.pattern(name, PARAMS.rules, HARD, seed=3)
    assert (pattern.mode, pattern.tags) == (name, TAGS)
    assert pattern.bias.shape == (len(TAGS), len(TAGS)) and pattern.bias.dtype == np.float32
    assert not np.isnan(pattern.bias).any()


def test_every_mode_says_what_it_allows_and_those_of_studies_are_in_no_grid() -> None:
    assert all(mode.allows for mode in modes.MODES.values())
    assert set(modes.MODES) - set(modes.names()) == {"separator", "shuffled", "learned"}
    with pytest.raises(ValueError, match="no mode that follows from the rules"):
        rules.pattern("shuffled", PARAMS.rules, HARD)


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        modes.mode("hard", "")


def test_a_mode_without_a_color_of_its_own_can_be_drawn() -> None:
    assert style.color("a new one").startswith("#") and style.marker("a new one")


# The documents.


@pytest.fixture
def extended(tmp_path: Path) -> Path:
    """A copy of the package with the examples of docs/extending.md added where it says."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "docs/extending.md").read_text()
    blocks = re.findall(r"`([\w/.]+)`:\n\n```python\n(.*?)```", text, re.DOTALL)
    assert [path for path, _ in blocks] == [
        "src/ggsa/patterns/modes.py",
        "src/ggsa/assets/corpora/toy.py",
    ]
    for path, code in blocks:
        assert len(code.strip().splitlines()) <= 20, "it is short"
        file = tmp_path / path
        file.write_text(f"{file.read_text()}\n\n{code}" if file.exists() else code)
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    for change in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        for block, values in yaml.safe_load(change).items():
            content[block] |= values
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


def test_the_documented_mode_and_corpus_work_as_they_are_printed(extended: Path) -> None:
    code = """
from ggsa.patterns import modes, rules
from ggsa.workspace import config
from ggsa.assets import sentences
params = config.load()
new = [mode for mode in params.grid.modes if mode not in ("full", "hard")]
for name in new:
    pattern = rules.pattern(name, params.rules, rules.hard_table(params.rules, None, None))
    print(name, pattern.bias.shape, modes.MODES[name].allows)
about = sentences.obtain(params).provenance
print(about["name"], about["classes"], about["rows"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=extended, capture_output=True, text=True,
        env={"PYTHONPATH": "src", "PATH": ""}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "nouns (19, 19)" in done.stdout
    assert "toy ['rain', 'sun']" in done.stdout


def test_the_documented_mode_lets_every_word_see_nouns(extended: Path) -> None:
    text = (extended / "src/ggsa/patterns/modes.py").read_text()
    space: dict = {"__name__": "ggsa.patterns.modes_extended"}
    exec(compile(text, "modes.py", "exec"), space)
    bias = space["MODES"]["nouns"].table(PARAMS.rules, HARD, 0)
    allowed = np.isfinite(bias)
    nouns = [INDEX["NOUN"], INDEX["PROPN"]]
    assert allowed[:, nouns].all()
    others = [i for i in range(len(TAGS)) if i not in nouns]
    assert np.array_equal(allowed[:, others], open_cls(PARAMS.rules)[:, others])
