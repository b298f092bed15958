"""The two registries, and that docs/extending.md extends them."""

import re
import shutil
import sys
import types
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from finished_run import write_study
from preloaded import Preloaded

from ggsa.patterns import modes
from ggsa.patterns.modes import MODES, PatternData, pattern_for
from ggsa.patterns.pattern import Pattern
from ggsa.patterns.tag_tables import INDEX, open_cls
from ggsa.report import style
from ggsa.workspace import config, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import CLS, TAGS

ROOT = Path(__file__).parents[2]
PARAMS = config.load(ROOT / "params.yaml")
ATTENTION = pd.DataFrame(
    [(query, key, 1.0) for query in TAGS for key in TAGS],
    columns=["query_tag", "key_tag", "weight_per_pair"],
)


def build(name: str, seed: int = 3, attention: pd.DataFrame | None = ATTENTION) -> Pattern:
    return pattern_for(name, PARAMS.rules, seed, PatternData(PARAMS, attention))


@pytest.mark.parametrize("name", MODES)
def test_every_mode_builds_a_pattern_of_its_name_in_which_no_tag_is_blind(
    name: str, small_corpus: Path
) -> None:
    pattern = build(name)
    assert (pattern.mode, pattern.tags) == (name, TAGS)
    assert pattern.bias.shape == (len(TAGS), len(TAGS)) and pattern.bias.dtype == np.float32
    assert not np.isnan(pattern.bias).any()
    assert pattern.allowed[INDEX[CLS]].all() or name == "hard_closed"
    assert pattern.countable == MODES[name].countable


@pytest.mark.parametrize("name", MODES)
def test_a_mode_reads_the_corpus_only_if_it_says_that_it_needs_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "CORPUS", tmp_path)
    if set(MODES[name].needs) & {"counts", "sentences"}:
        with pytest.raises(UserError, match="does not exist"):
            build(name)
    else:
        build(name)


def test_rules_derived_from_the_corpus_read_it_for_every_mode(small_corpus: Path) -> None:
    derived = {"source": "corpus", "corpus": {"score": "frequency", "density": 0.4}}
    rules = PARAMS.rules.model_validate(PARAMS.rules.model_dump() | derived)
    data = PatternData(PARAMS)
    hard = pattern_for("hard", rules, 0, data)
    assert np.array_equal(hard.allowed, data.hard_table(rules))
    assert hard.density(data.counts["train"]) >= 0.4


def test_a_mode_that_is_fitted_to_attention_names_itself_where_there_is_none() -> None:
    for name, mode in MODES.items():
        if "attention" in mode.needs:
            with pytest.raises(UserError, match=rf"mode {name} is fitted.*full with seed 7 first"):
                build(name, 7, None)


def test_an_unknown_mode_raises_an_error_that_names_it_the_nearest_and_the_known() -> None:
    with pytest.raises(UserError) as caught:
        build("shufled")
    message = str(caught.value)
    assert "unknown mode shufled" in message and "shuffled?" in message
    assert ", ".join(MODES) in message


def test_only_modes_that_take_another_cell_or_whole_sentences_are_in_no_grid() -> None:
    elsewhere = {"separator", "learned", "hard_neighbors", "window_matched"}
    assert set(MODES) - set(modes.names()) == elsewhere


def test_every_mode_has_a_description_and_a_look_of_its_own() -> None:
    for name, mode in MODES.items():
        assert mode.name == name and mode.allows and mode.label
        assert (style.color(name), style.marker(name)) == (mode.color, mode.marker)
    for attribute in ("label", "color", "marker"):
        assert len({getattr(mode, attribute) for mode in MODES.values()}) == len(MODES)


def test_a_name_that_is_taken_raises_an_error() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        modes.mode("hard", "")


def test_a_mode_that_is_not_registered_can_be_drawn() -> None:
    assert style.color("a new one").startswith("#") and style.marker("a new one")


# The documents.

DOCUMENT = (ROOT / "docs/extending.md").read_text()
FILES = dict(re.findall(r"`([\w/.]+)`:\n\n```(?:python|yaml)\n(.*?)```", DOCUMENT, re.DOTALL))
MODE, STUDY, FIGURE, CORPUS = (
    "src/ggsa/patterns/modes.py",
    "studies/nouns/params.yaml",
    "notebooks/study.ipynb",
    "src/ggsa/assets/corpora/toy.py",
)
FILES["params.yaml"] = re.findall(r"`params.yaml`:\n\n```yaml\n(.*?)```", DOCUMENT, re.DOTALL)[0]


@pytest.fixture
def extended(tmp_path: Path) -> Path:
    """A copy of the package with the examples of docs/extending.md added where it says."""
    for name in ("src", "notebooks", "studies"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (MODE, STUDY, CORPUS):
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{file.read_text()}\n\n{FILES[path]}" if file.exists() else FILES[path])
    notebook = nbformat.read(tmp_path / FIGURE, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(FILES[FIGURE]))
    nbformat.write(notebook, tmp_path / FIGURE)
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    for change in re.findall(
        r"(?:`params.yaml`|name it):\n\n```yaml\n(.*?)```", DOCUMENT, re.DOTALL
    ):
        for block, values in yaml.safe_load(change).items():
            content[block] |= values
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


def test_each_documented_extension_is_one_short_file() -> None:
    assert set(FILES) == {MODE, STUDY, FIGURE, CORPUS, "params.yaml"}
    for path in (MODE, FIGURE, CORPUS):
        assert len(FILES[path].strip().splitlines()) <= 20


def test_the_documented_mode_corpus_and_study_work_as_they_are_printed(
    extended: Path, python: Preloaded
) -> None:
    code = """
from ggsa.patterns.modes import MODES, PatternData, pattern_for
from ggsa.workspace import config
from ggsa.assets import sentences
from ggsa.training import graph, studies
params = config.load()
new = [mode for mode in params.grid.modes if mode not in ("full", "hard")]
for name in new:
    pattern = pattern_for(name, params.rules, 0, PatternData(params))
    print(name, pattern.bias.shape, MODES[name].allows)
about = sentences.obtain(params).provenance
print(about["name"], about["classes"], about["rows"])
study = studies.load("nouns")
assert all(study.params(arm) for arm in study.arms)
print(study.params("nouns-masking").train.token_masking, len(study.cells("probe")))
print(graph.graph(study))
"""
    done = python.run(extended, "-c", code, path=[extended / "src"])
    assert done.returncode == 0, done.stderr
    assert "nouns (19, 19)" in done.stdout
    assert "toy ['rain', 'sun']" in done.stdout
    assert "0.15 20\n" in done.stdout
    stages = yaml.safe_load(done.stdout.partition("0.15 20\n")[2])["stages"]
    assert set(stages) == {"plan_probe", "train_probe", "compare_probe"}
    assert stages["train_probe"]["matrix"]["arm"] == ["full", "diagonal", "nouns", "nouns-masking"]


def test_the_documented_figure_is_drawn_in_the_chapter_of_a_study(
    extended: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(extended)
    write_study(extended, "controls", "probe", {"full": "full", "hard": "hard"}, (7, 13, 42))
    given = {"study": "controls", "corpus": "probe", "figures": "figures", "figure_dpi": 60}
    given["folder"] = str(paths.RESULTS / "controls" / "probe")
    names: dict[str, object] = {}
    for cell in nbformat.read(extended / FIGURE, as_version=4).cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
            names |= given if "parameters" in cell.metadata.get("tags", []) else {}
    assert (extended / "figures/density_controls_probe.png").is_file()


def test_the_documented_mode_lets_every_word_attend_only_to_nouns(extended: Path) -> None:
    text = (extended / "src/ggsa/patterns/modes.py").read_text()
    module = types.ModuleType("ggsa.patterns.modes_extended")
    sys.modules[module.__name__] = module  # dataclasses look it up
    exec(compile(text, "modes.py", "exec"), vars(module))
    allowed = module.pattern_for("nouns", PARAMS.rules, 0, module.PatternData(PARAMS)).allowed
    nouns = [INDEX["NOUN"], INDEX["PROPN"]]
    assert allowed[:, nouns].all()
    others = [i for i in range(len(TAGS)) if i not in nouns]
    assert np.array_equal(allowed[:, others], open_cls(PARAMS.rules)[:, others])
