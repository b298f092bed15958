"""Every study that is committed: its parameters are sound, and its stages are those of the rest."""

import itertools
import json
import re
from pathlib import Path

import pytest
import yaml

from ggsa.patterns.modes import MODES
from ggsa.patterns.tag_tables import INDEX, open_cls, pairs
from ggsa.training import studies
from ggsa.workspace import config

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "studies").glob("*/dvc.yaml"))


def content(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def content_or_nothing(path: Path) -> dict:
    return content(path) if path.is_file() else {}


def trains(folder: Path) -> bool:
    """Whether a study trains cells; others bring assets, or read what cells left."""
    return any(stage.startswith("train_") for stage in content(folder / "dvc.yaml")["stages"])


TRAINING = [folder.name for folder in FOLDERS if trains(folder)]

ON_SENTENCES = [name for name in TRAINING if "train_sst2" in studies.stages_of(name)]
ON_DOCUMENTS = [name for name in TRAINING if "train_imdb" in studies.stages_of(name)]


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_the_studies_that_train_are_those_that_the_package_knows() -> None:
    assert [name for name in studies.names() if studies.trains(name)] == TRAINING
    with_arms = {f.name for f in FOLDERS if "arms" in content_or_nothing(f / "params.yaml")}
    assert set(studies.names()) == with_arms


@pytest.mark.parametrize("name", TRAINING)
def test_a_study_bears_the_name_of_its_folder_and_asks_a_question(name: str) -> None:
    study = studies.load(name)
    assert study.study == name
    assert study.question.endswith((".", "?"))
    first = (ROOT / "studies" / name / "params.yaml").read_text().splitlines()[0]
    assert first == f"# {study.question}"


@pytest.mark.parametrize("name", TRAINING)
def test_all_arms_of_a_study_give_sound_parameters(name: str) -> None:
    study = studies.load(name)
    root = config.load().model_dump()
    study.params()
    for arm in study.arms:
        params = study.params(arm).model_dump()
        assert study.mode(arm) in MODES
        # A study changes how cells are trained and what is compared, never the assets under it.
        for block in ("assets", "corpus", "tagger"):
            assert params[block] == root[block]


@pytest.mark.parametrize("name", TRAINING)
def test_no_two_arms_of_a_study_are_the_same_experiment(name: str) -> None:
    study = studies.load(name)
    seen: dict[str, str] = {}
    for arm in study.arms:
        params = study.params(arm)
        blocks = [params.encoder.model_dump(), params.rules.model_dump(), params.train.model_dump()]
        what = json.dumps([study.mode(arm), *blocks], sort_keys=True)
        assert what not in seen, f"{arm} is {seen[what]} under another name"
        seen[what] = arm


@pytest.mark.parametrize("name", TRAINING)
def test_every_arm_is_run_somewhere_and_no_cell_twice(name: str) -> None:
    study = studies.load(name)
    run = set()
    assert study.corpora
    for corpus in study.corpora:
        cells = study.cells(corpus)
        assert len(cells) == len(set(cells))
        run |= {arm for arm, _ in cells}
    assert run == set(study.arms)


@pytest.mark.parametrize("name", TRAINING)
def test_an_arm_has_a_name_that_files_and_dvc_can_bear(name: str) -> None:
    for arm in studies.load(name).arms:
        assert re.fullmatch(r"[A-Za-z0-9_]+(-[A-Za-z0-9_]+)*", arm)


@pytest.mark.parametrize("name", TRAINING)
def test_the_data_of_a_study_are_those_of_the_core_or_of_declared_assets(name: str) -> None:
    study = studies.load(name)
    bases = content(ROOT / "studies/assets/params.yaml")["bases"]
    for corpus in study.corpora:
        if corpus == "sst2":
            assert study.sst2.data in {"data", *(f"data/{base}" for base in bases)}
        else:
            assert study.side(corpus).data == f"data/{corpus}"


def test_every_base_of_the_assets_gives_sound_parameters_and_is_a_cell_of_each_stage() -> None:
    bases = content(ROOT / "studies/assets/params.yaml")["bases"]
    for base in bases:
        config.load(overrides=config.base_overrides(base))
    for stage in content(ROOT / "studies/assets/dvc.yaml")["stages"].values():
        assert stage["matrix"]["base"] == list(bases)


def test_the_stages_of_all_studies_that_train_are_the_same_text() -> None:
    texts = {name: (ROOT / "studies" / name / "dvc.yaml").read_bytes() for name in ON_SENTENCES}
    for one, other in itertools.pairwise(ON_SENTENCES):
        assert texts[one] == texts[other], f"studies/{one} and studies/{other} differ in dvc.yaml"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_stage_says_what_it_does_and_runs_from_the_root_with_the_package_of_its_copy(
    folder: Path,
) -> None:
    for stage in content(folder / "dvc.yaml")["stages"].values():
        assert stage["desc"].endswith(".")
        assert stage["wdir"] == "../.."
        assert "PYTHONPATH=src python3 -m " in stage["cmd"]


@pytest.mark.parametrize("stage", ["plan", "train"])
def test_the_stages_on_all_corpora_differ_by_the_corpus_alone(stage: str) -> None:
    texts = set()
    for name, corpus, words in (
        (ON_SENTENCES[0], "sst2", "SST-2"),
        (ON_SENTENCES[0], "probe", "the probe corpus"),
        *((name, "imdb", "IMDB") for name in ON_DOCUMENTS),
    ):
        found = content(ROOT / "studies" / name / "dvc.yaml")["stages"][f"{stage}_{corpus}"]
        texts.add(json.dumps(found).replace(words, "?").replace(corpus, "@"))
    assert len(texts) == 1


def test_a_cell_depends_on_its_plan_and_its_data_and_its_results_are_kept_by_git() -> None:
    for name in TRAINING:
        stages = content(ROOT / "studies" / name / "dvc.yaml")["stages"]
        for corpus in studies.load(name).corpora:
            stage = stages[f"train_{corpus}"]
            assert not stage.get("params")
            plan = studies.plan_file("${study}", corpus, "${item.arm}", "${item.seed}")
            assert set(stage["deps"]) == {f"${{{corpus}.data}}/corpus/provenance.json", str(plan)}
            cell = studies.cell_file("${study}", corpus, "${item.arm}", "${item.seed}")
            outs = {path: how for out in stage["outs"] for path, how in out.items()}
            assert set(outs) == {str(cell), str(cell.with_suffix(".json"))}
            assert all(how == {"cache": False} for how in outs.values())


def test_the_ablation_leaves_out_each_rule_of_the_paper_and_keeps_each_alone() -> None:
    study, rules = studies.load("ablation"), config.load().rules
    listed = {f"{query}->{key}" for query, row in rules.hard.items() for key in row}
    dropped = [study.params(arm).rules.drop for arm in study.arms if arm.startswith("without-")]
    assert sorted(dropped) == sorted((rule,) for rule in listed)
    alone = [pairs(study.params(a).rules.hard) for a in study.arms if a.startswith("only-")]
    assert all(table.sum() == 1 for table in alone)
    assert (sum(alone) == pairs(rules.hard)).all()
    for arm in study.arms:
        kind, *rule = arm.split("-")
        params = study.params(arm).rules
        if kind == "without":
            assert params.drop == ("->".join(rule),)
        else:
            assert pairs(params.hard)[INDEX[rule[0]], INDEX[rule[1]]]
        assert open_cls(params).any()


@pytest.mark.parametrize("corpus", studies.CORPORA)
def test_the_answers_depend_on_the_cells_of_every_study_that_published_some(corpus: str) -> None:
    stages = content(ROOT / "studies/answers/dvc.yaml")["stages"]
    for name in studies.names():
        cells = studies.results(name, corpus) / "cells"
        assert not cells.is_dir() or str(cells) in stages[f"tables_{corpus}"]["deps"]
