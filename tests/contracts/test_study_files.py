"""Every committed study: its declaration is sound, and its stages are those of the declaration."""

import json
import re
from pathlib import Path

import pytest
import yaml

from ggsa.patterns.modes import MODES, names
from ggsa.patterns.rules import hard_table
from ggsa.patterns.tag_tables import INDEX
from ggsa.training import graph, studies
from ggsa.workspace import checksums, config, paths

ROOT = Path(__file__).resolve().parents[2]
ASSETS, DECLARED = "assets", studies.names()
ARCHIVED = [name for name in DECLARED if studies.load(name).archived]
RUN = [name for name in DECLARED if name not in ARCHIVED]
STATING = [name for name in RUN if studies.load(name).families]
GRAPHS = sorted(path.parent.name for path in (ROOT / "studies").glob("*/dvc.yaml"))


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def content(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def bases() -> dict:
    return content(studies.declaration(ASSETS))["bases"]


# Declarations.


@pytest.mark.parametrize("name", DECLARED)
def test_a_study_has_the_name_of_its_folder_a_title_and_a_question(name: str) -> None:
    study = studies.load(name)
    assert study.name == name
    assert study.title[0].isupper() and not study.title.endswith(".")
    assert study.question.endswith("?")
    assert not study.note or study.note.endswith(".")
    assert "name" not in content(studies.declaration(name))


def test_titles_and_questions_are_unique() -> None:
    for key in ("title", "question"):
        texts = [getattr(studies.load(name), key) for name in DECLARED]
        assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("name", DECLARED)
def test_every_arm_has_valid_parameters_and_leaves_the_assets_alone(name: str) -> None:
    study = studies.load(name)
    root = config.load().model_dump()
    for arm, declared in study.arms.items():
        params = study.params(arm).model_dump()
        assert declared.mode in MODES
        for block in ("assets", "corpus", "tagger"):
            assert params[block] == root[block]


@pytest.mark.parametrize("name", DECLARED)
def test_no_two_arms_of_a_study_are_the_same_experiment(name: str) -> None:
    study = studies.load(name)
    seen: dict[str, str] = {}
    for arm, declared in study.arms.items():
        params = study.params(arm)
        blocks = [params.encoder.model_dump(), params.rules.model_dump(), params.train.model_dump()]
        what = json.dumps(
            [declared.mode, declared.weights_of, declared.adapted, *blocks], sort_keys=True
        )
        assert what not in seen, f"{arm} is {seen[what]} under another name"
        seen[what] = arm


@pytest.mark.parametrize("name", DECLARED)
def test_every_arm_runs_on_a_corpus_and_no_cell_runs_twice(name: str) -> None:
    study = studies.load(name)
    run = set()
    for corpus in study.corpora:
        cells = study.cells(corpus)
        assert len(cells) == len(set(cells))
        run |= {arm for arm, _ in cells}
    assert run == set(study.arms)


@pytest.mark.parametrize("name", DECLARED)
def test_the_name_of_an_arm_is_valid_in_files_and_in_dvc(name: str) -> None:
    for arm in studies.load(name).arms:
        assert re.fullmatch(r"[A-Za-z0-9_]+(-[A-Za-z0-9_]+)*", arm)


@pytest.mark.parametrize("name", DECLARED)
def test_two_cells_of_a_study_have_different_names(name: str) -> None:
    study = studies.load(name)  # soft-1 with seed 3 is no cell soft with seed 1-3
    for corpus in study.corpora:
        cells = [f"{arm}-{seed}" for arm, seed in study.cells(corpus)]
        assert len(cells) == len(set(cells))


@pytest.mark.parametrize("name", DECLARED)
def test_a_study_runs_on_the_assets_of_core_or_on_declared_ones(name: str) -> None:
    for plan in studies.load(name).corpora.values():
        assert plan.base is None or plan.base in bases()


@pytest.mark.parametrize("name", DECLARED)
def test_an_arm_that_needs_another_runs_where_that_one_runs(name: str) -> None:
    study = studies.load(name)
    for plan in study.corpora.values():
        assert {study.source_of(arm) for arm in plan.arms} - {None} <= set(plan.arms)
        assert study.reference in plan.arms
        for family in study.families:
            for question in family.questions:
                assert {question.arm, question.reference} <= set(plan.arms)


@pytest.mark.parametrize("name", DECLARED)
def test_an_arm_that_evaluates_another_has_its_mode_and_its_way_of_training(name: str) -> None:
    study = studies.load(name)
    for declared in study.arms.values():
        if declared.weights_of:
            assert declared.mode == study.arms[declared.weights_of].mode
            assert set(declared.overrides) == {"train.corrupted_tags"}


@pytest.mark.parametrize("name", STATING)
def test_a_study_that_states_a_verdict_has_full_and_diagonal_and_enough_seeds(name: str) -> None:
    study = studies.load(name)
    modes = {study.arms[arm].mode for arm in study.arms}
    assert {"full", "diagonal"} <= modes
    for plan in study.corpora.values():
        assert {"full", "diagonal"} <= {study.arms[arm].mode for arm in plan.arms}
        kinds = {q.kind for family in study.families for q in family.questions}
        assert len(plan.seeds) >= (5 if "difference" in kinds else 3)
    gates = [q for family in study.families for q in family.questions if q.kind == "gate"]
    pairs = {(study.arms[q.arm].mode, study.arms[q.reference].mode) for q in gates}
    assert pairs == {("full", "diagonal")}


def test_core_states_verdicts_under_the_same_conditions() -> None:
    study = studies.core(config.load(), "sst2")
    assert study.families and len(study.plan("sst2").seeds) >= 5
    assert {"full", "hard", "soft", "diagonal"} <= set(study.arms)


def test_the_studies_on_sst2_from_scratch_are_core_and_controls() -> None:
    on_sst2 = [name for name in RUN if "sst2" in studies.load(name).corpora]
    from_scratch = [n for n in on_sst2 if studies.load(n).plan("sst2").base is None]
    assert from_scratch == ["controls"]


def test_every_mode_of_the_abstract_and_every_control_is_compared_in_a_study() -> None:
    compared = {*studies.load("controls").arms, *studies.load("pretrained").arms}
    assert compared == set(MODES) - {"soft_released"}
    assert set(names()) < set(MODES)  # some modes need a study


def test_the_ablation_leaves_out_each_rule_of_the_paper_once_and_asks_nothing() -> None:
    study, root = studies.load("ablation"), config.load().rules
    assert not study.families
    assert {len(plan.seeds) for plan in study.corpora.values()} == {3}
    listed = {f"{query}->{key}" for query, row in root.hard.items() for key in row}
    dropped = {arm: study.params(arm).rules.drop for arm in study.arms}
    left_out = {arm: rules for arm, rules in dropped.items() if rules}
    assert sorted(left_out.values()) == sorted((rule,) for rule in listed)
    assert set(study.arms) - set(left_out) == {"full", "diagonal", "hard"}
    for arm, (rule,) in left_out.items():
        query, key = rule.split("->")
        assert arm == f"without-{query}-{key}"
        table, without = hard_table(root), hard_table(study.params(arm).rules)
        assert (table & ~without).sum() == 1 and (table & ~without)[INDEX[query], INDEX[key]]


def test_long_is_archived_and_says_why() -> None:
    assert ARCHIVED == ["long"]
    study = studies.load("long")
    assert study.archived and study.archived.strip().endswith(".")
    assert not study.families  # it states no verdict


@pytest.mark.parametrize("name", ARCHIVED)
def test_the_files_of_an_archived_study_are_as_they_were(name: str) -> None:
    manifest = paths.RESULTS / name / paths.MANIFEST.name
    lines = manifest.read_text(encoding="utf-8").splitlines()
    recorded = dict(reversed(line.split("  ", 1)) for line in lines)
    files = checksums.listed_files(manifest)
    found = {p.relative_to(manifest.parent).as_posix(): checksums.sha256(p) for p in files}
    assert found == recorded


# Stages.


@pytest.mark.parametrize("name", RUN)
def test_the_stages_of_a_study_are_those_of_its_declaration(name: str) -> None:
    written = graph.graph_file(name).read_text(encoding="utf-8")
    assert written == graph.graph(studies.load(name)), f"run `make study NAME={name}`"


def test_an_archived_study_has_no_stages() -> None:
    assert not [name for name in ARCHIVED if graph.graph_file(name).exists()]
    assert set(RUN) == set(GRAPHS) - {ASSETS, "interpretability"}


@pytest.mark.parametrize("name", GRAPHS)
def test_every_stage_says_what_it_does_and_runs_from_the_root_with_the_package_of_its_copy(
    name: str,
) -> None:
    for stage in content(graph.graph_file(name))["stages"].values():
        assert stage["desc"].endswith(".")
        assert stage["wdir"] == "../.."
        assert "PYTHONPATH=src python3 -m " in stage["cmd"]


def test_every_base_of_the_assets_has_valid_parameters_and_runs_in_each_stage() -> None:
    for base in bases():
        config.load(overrides=config.base_overrides(base))
    for stage in content(graph.graph_file(ASSETS))["stages"].values():
        assert stage["matrix"]["base"] == list(bases())


def stages_of(name: str, kinds: tuple[str, ...]) -> dict[str, tuple[str, dict]]:
    """The stages of a study of these kinds, each with its corpus."""
    stages = content(graph.graph_file(name))["stages"]
    parts = {stage: stage.partition("_") for stage in stages}
    return {
        stage: (corpus, stages[stage])
        for stage, (kind, _, corpus) in parts.items()
        if kind in kinds
    }


@pytest.mark.parametrize("name", RUN)
def test_every_cell_is_made_by_one_stage_and_depends_on_its_plan_alone(name: str) -> None:
    study = studies.load(name)
    made = []
    for corpus, stage in stages_of(name, ("train", "source", "derive")).values():
        assert not stage.get("params")
        plan = str(studies.plan_file(name, corpus, "${item.arm}", 0)).replace("0.", "${item.seed}.")
        weights = [dep for dep in stage["deps"] if dep != plan]
        arms = stage["matrix"]["arm"]
        needed = sorted({study.source_of(arm) for arm in arms} - {None})
        expected = [f"runs/{name}-{corpus}/{arm}-${{item.seed}}" for arm in needed]
        assert weights == expected
        assert plan in stage["deps"]
        made += [
            (corpus, arm, seed)
            for arm in stage["matrix"]["arm"]
            for seed in stage["matrix"]["seed"]
        ]
    expected = [(c, arm, seed) for c in study.corpora for arm, seed in study.cells(c)]
    assert sorted(made) == sorted(expected)


@pytest.mark.parametrize("name", RUN)
def test_git_keeps_what_a_study_measures_and_dvc_the_weights_that_others_need(name: str) -> None:
    for stage in stages_of(name, ("plan", "train", "source", "derive", "compare")).values():
        outs = [out for out in stage[1]["outs"] if isinstance(out, str)]
        kept = {
            path: how for out in stage[1]["outs"] if out not in outs for path, how in out.items()
        }
        assert kept and all(how == {"cache": False, "persist": True} for how in kept.values())
        assert all(Path(path).is_relative_to(f"reports/published/studies/{name}") for path in kept)
        assert all(path.startswith("runs/") for path in outs)
        assert not any("seconds" in path for path in [*kept, *outs])
    for _, stage in stages_of(name, ("source",)).values():
        assert any(isinstance(out, str) for out in stage["outs"])


@pytest.mark.parametrize("name", RUN)
def test_a_plan_depends_on_everything_that_decides_it(name: str) -> None:
    for corpus, stage in stages_of(name, ("plan",)).values():
        data = studies.load(name).plan(corpus).data
        deps = {str(data / part) for part in ("corpus", "encoder", "tags")}
        deps |= {str(studies.declaration(name)), "src/ggsa/patterns", "stages/plan.py"}
        deps |= {"src/ggsa/training/identity.py", "src/ggsa/training/study_cells.py"}
        if studies.load(name).adapted(corpus):
            deps.add(str(data / "unlabeled.parquet"))
        assert set(stage["deps"]) == deps
        assert {"protocol", "protocols", "rules", "train"} < set(stage["params"])


@pytest.mark.parametrize("name", RUN)
def test_a_comparison_depends_on_the_cells_of_its_study_and_on_no_other(name: str) -> None:
    for corpus, stage in stages_of(name, ("compare",)).values():
        folder = studies.results(name, corpus)
        assert str(folder / "cells") in stage["deps"]
        published = [dep for dep in stage["deps"] if dep.startswith("reports/")]
        assert published == [str(folder / "cells"), str(folder / "plan")]
