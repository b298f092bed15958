"""Studies: what is declared, what a plan fixes, when a cell is taken up, how the runner proceeds."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from small_corpus import write_corpus
from small_models import PIECES
from transformers import BertConfig

from ggsa.model import classifier
from ggsa.patterns.density import density
from ggsa.patterns.modes import PatternData, pattern_for
from ggsa.patterns.pattern import pattern_from_json, write_pattern
from ggsa.tagging import splits
from ggsa.training import cell, dvc_commands, graph, identity, loop, runner, studies, study_cells
from ggsa.workspace import artifacts, config, machine, paths
from ggsa.workspace.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
RECIPE = "train.recipes.from_scratch"
GATE = {"kind": "gate", "arm": "full", "reference": "hard", "text": "Is there headroom?"}
EQUAL = {"kind": "equivalence", "arm": "soft", "reference": "full", "text": "Is soft equal?"}
ARMS = ("hard", "strong", "random")
DERIVED = ("full", "hard", "learned", "misread")
STUDY: dict[str, Any] = {
    "title": "A tiny study",
    "question": "Does anything happen?",
    "reference": "full",
    "overrides": {
        "train.max_pieces": 12,
        "train.evaluate_every": 2,
        f"{RECIPE}.batch_size": 16,
        f"{RECIPE}.epochs": 1,
    },
    "arms": {
        "full": None,
        "hard": {},
        "soft": {},
        "strong": {"mode": "soft", "rules.soft_strength": 9.0},
        "random": {},
        "learned": {},
        "misread": {"mode": "hard", "weights_of": "hard", "train.corrupted_tags": 0.4},
    },
    "corpora": {
        "sst2": {"base": None, "arms": [*ARMS], "seeds": [42, 7]},
        "imdb": {"base": None, "arms": [*DERIVED], "seeds": [7]},
        "probe": {"base": "probe", "arms": ["full"], "seeds": [1]},
    },
    "families": [{"name": "headroom", "questions": [GATE]}],
}
CELLS = ["hard-42", "strong-42", "random-42", "hard-7", "strong-7", "random-7"]
MACHINE_KEYS = {
    *("cpu_vendor", "cpu_family", "cpu_model", "cpu_stepping", "cpu_capability"),
    *("threads", "torch", "device"),
}
FAKE_DVC = """#!{python}
import itertools, json, os, pathlib, sys, yaml
target = sys.argv[-1]
with open("calls", "a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
finished = pathlib.Path("finished")
done = finished.read_text().splitlines() if finished.exists() else []
if "status" in sys.argv:
    prefix, stale = "" if target == "dvc.yaml" else target + ":", {{}}
    for name, stage in yaml.safe_load(open(target))["stages"].items():
        matrix = stage.get("matrix")
        each = itertools.product(*matrix.values()) if matrix else []
        names = [name + "@" + "-".join(map(str, values)) for values in each] or [name]
        stale |= {{prefix + n: ["changed command"] for n in names if prefix + n not in done}}
    deleted = json.loads(os.environ.get("DELETED", "{{}}"))
    print(json.dumps(stale | {{s: [{{"changed outs": {{p: "deleted"}}}}] for s, p in deleted.items()}}))
    sys.exit()
print("Running stage", target)
if target.endswith(os.environ.get("FAILS", "nothing")):
    print("\\n\\nThe corpus went for a walk.\\n")
    print("ERROR: failed to reproduce", target, file=sys.stderr)
    sys.exit(1)
with finished.open("a") as file:
    file.write(target + "\\n")
"""


def write_study_file(name: str = "tiny", **changes: object) -> None:
    path = studies.declaration(name)
    artifacts.write_text(path, yaml.safe_dump({**STUDY, **changes}, sort_keys=False))


def write_study(name: str = "tiny", **changes: object) -> studies.Study:
    write_study_file(name, **changes)
    return studies.Study.model_validate({"name": name, **STUDY, **changes})


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml and one study, and nothing of what the study needs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "DATA", Path("data"))
    monkeypatch.setattr(paths, "RUNS", Path("runs"))
    for name in ("CORPUS", "TAGS", "ENCODER"):
        monkeypatch.setattr(paths, name, paths.DATA / name.lower())
    shutil.copy(ROOT / "params.yaml", tmp_path)
    write_study()
    return tmp_path


@pytest.fixture
def data(workspace: Path) -> Path:
    """The workspace with a small tagged corpus and an encoder that trains in a moment."""
    write_corpus()
    small_encoder()
    hold("sst2")
    return workspace


def small_encoder(hidden: int = 16) -> None:
    BertConfig(
        vocab_size=len(PIECES), hidden_size=hidden, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32, initializer_range=0.5,
    ).save_pretrained(paths.ENCODER)  # fmt: skip


def hold(corpus: str, whole: bool = True) -> None:
    """Record that the workspace holds a corpus, all of it or with other rows."""
    about = {"corpus": {"name": corpus}, "encoder": {"pretrained": False}}
    about["is_sst2"] = corpus == "sst2" and whole
    artifacts.write_json(paths.provenance(), about)


def planned(name: str = "tiny") -> dict[str, bytes]:
    folder = studies.results(name, "sst2") / "plan"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def read_cell(folder: Path) -> dict[str, Any]:
    return artifacts.read_json(folder / cell.CELL)


# What a study declares.


def test_cells_go_seed_by_seed() -> None:
    study = studies.Study.model_validate({"name": "tiny", **STUDY})
    assert [f"{arm}-{seed}" for arm, seed in study.cells("sst2")] == CELLS
    assert study.cells("probe") == [("full", 1)]


def test_an_arm_without_a_mode_is_the_mode_of_its_name(workspace: Path) -> None:
    arms = studies.load("tiny").arms
    assert [arms[arm].mode for arm in ("full", "hard", "strong")] == ["full", "hard", "soft"]
    assert arms["full"].overrides == {} == arms["hard"].overrides
    assert arms["misread"].weights_of == "hard"
    assert arms["misread"].overrides == {"train.corrupted_tags": 0.4}


def test_a_corpus_without_arms_runs_all_of_them(workspace: Path) -> None:
    write_study(corpora={"sst2": {"base": None, "seeds": [1]}})
    study = studies.load("tiny")
    assert study.plan("sst2").arms == tuple(study.arms)


def test_a_declaration_reads_as_it_was_written(workspace: Path) -> None:
    study = studies.load("tiny")
    assert study == write_study()
    assert (study.title, study.question) == (STUDY["title"], STUDY["question"])
    assert (study.note, study.archived) == ("", None)
    (family,) = study.families
    assert family.name == "headroom" and family.questions[0].model_dump(exclude_none=True) == GATE


def test_a_share_needs_the_arm_that_counts_0_and_no_other_question_has_one(workspace: Path) -> None:
    share = {"kind": "share", "arm": "hard", "reference": "full", "text": "How much is kept?"}
    for wrong, said in (
        (share, "a question of kind share needs floor"),
        ({**GATE, "floor": "soft"}, "a question of kind gate has no floor"),
        ({**share, "floor": "sofd"}, "unknown arm sofd"),
    ):
        write_study_file(families=[{"name": "kept", "questions": [wrong]}])
        with pytest.raises(UserError) as caught:
            studies.load("tiny")
        assert said in str(caught.value) and "nothing was run" in str(caught.value)


def test_an_arm_changes_the_keys_that_it_names_and_no_other(workspace: Path) -> None:
    study, root = studies.load("tiny"), config.load()
    assert study.params("strong").rules.soft_strength == 9.0
    content, plain = (study.params(arm).model_dump() for arm in ("strong", "full"))
    content["rules"]["soft_strength"] = root.rules.soft_strength
    assert content == plain
    plain["train"]["max_pieces"] = root.train.max_pieces
    plain["train"]["evaluate_every"] = root.train.evaluate_every
    plain["train"]["recipes"]["from_scratch"] = root.train.recipes["from_scratch"].model_dump()
    assert plain == root.model_dump()


def test_an_arm_overrides_what_the_study_changes_in_every_arm(workspace: Path) -> None:
    write_study(arms={**STUDY["arms"], "hard": {"train.max_pieces": 5}})
    study = studies.load("tiny")
    assert study.params("hard").train.max_pieces == 5
    assert study.params("full").train.max_pieces == 12


def question(**changes: str) -> dict[str, Any]:
    return {"families": [{"name": "f", "questions": [GATE | changes]}]}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"corpora": {"sst2": {"base": None, "arms": ["hrad"], "seeds": [1]}}},
         "corpora.sst2.arms: unknown arm hrad; choose full, "),
        ({"reference": "flul"}, "reference: unknown arm flul; choose full, "),
        ({"arms": {**STUDY["arms"], "odd": {"mode": "hrad"}}}, "arms.odd: unknown mode hrad"),
        ({"arms": {**STUDY["arms"], "odd": {}}}, "arms.odd: unknown mode odd; choose full, "),
        ({"arms": {**STUDY["arms"], "hard": {"weights_of": "hrad"}}},
         "arms.hard.weights_of: unknown arm hrad"),
        ({"arms": {**STUDY["arms"], "hard": 3}}, "arms.hard: "),
        (question(arm="flul"), "families: f: unknown arm flul"),
        (question(reference="flul"), "families: f: unknown arm flul"),
        (question(kind="equality"), "families.0.questions.0.kind: "),
        ({"families": [{"name": "f", "questions": []}]}, "families.0.questions: "),
        ({"corpora": {}}, "corpora: "),
        ({"corpora": {"sst2": {"base": None, "seeds": []}}}, "corpora.sst2.seeds: "),
        ({"corpora": {"sst2": {"base": None, "sedes": [1]}}}, "corpora.sst2.sedes: unknown key"),
        ({"armz": {}}, "armz: unknown key"),
        ({"question": None}, "question: "),
        ({"title": None}, "title: "),
    ],
)  # fmt: skip
def test_a_wrong_declaration_raises_an_error_with_the_file_the_key_and_the_choices(
    workspace: Path, changes: dict, named: str
) -> None:
    artifacts.write_text(studies.declaration("tiny"), yaml.safe_dump({**STUDY, **changes}))
    with pytest.raises(UserError) as caught:
        studies.load("tiny")
    message = str(caught.value)
    assert message.startswith("studies/tiny/params.yaml is wrong; nothing was run.\n  ")
    assert named in message
    assert "\n\n" not in message and "pydantic" not in message


@pytest.mark.parametrize("key", ["title", "question", "reference", "arms", "corpora"])
def test_a_declaration_without_a_key_raises_an_error_that_names_it(
    workspace: Path, key: str
) -> None:
    content = {name: value for name, value in STUDY.items() if name != key}
    artifacts.write_text(studies.declaration("tiny"), yaml.safe_dump(content))
    with pytest.raises(UserError, match=f"{key}: missing key"):
        studies.load("tiny")


@pytest.mark.parametrize(("text", "said"), [("", "expected the keys name, title"), ("[", "YAML")])
def test_a_declaration_that_is_no_mapping_raises_an_error(
    workspace: Path, text: str, said: str
) -> None:
    artifacts.write_text(studies.declaration("tiny"), text)
    with pytest.raises(UserError, match=rf"studies/tiny/params\.yaml.*{said}"):
        studies.load("tiny")


def test_equivalence_needs_a_question_about_headroom(workspace: Path) -> None:
    kept = {"name": "kept", "questions": [EQUAL]}
    write_study(families=[*STUDY["families"], kept])
    assert [family.name for family in studies.load("tiny").families] == ["headroom", "kept"]
    artifacts.write_text(studies.declaration("tiny"), yaml.safe_dump({**STUDY, "families": [kept]}))
    with pytest.raises(
        UserError, match=r"equivalence with full needs shown headroom.*whose arm is"
    ):
        studies.load("tiny")
    other = {"name": "other", "questions": [{**GATE, "arm": "soft"}]}
    write_study_file(families=[other, kept])
    with pytest.raises(UserError, match=r"equivalence with full needs shown headroom"):
        studies.load("tiny")


@pytest.mark.parametrize("name", ["tinny", "assets", "interpretability"])
def test_an_unknown_study_raises_an_error_with_those_that_are_declared(
    workspace: Path, name: str
) -> None:
    artifacts.write_text(studies.declaration("assets"), "bases: {}\n")
    artifacts.write_text(graph.graph_file("interpretability"), "stages: {}\n")
    with pytest.raises(UserError, match=rf"Unknown study {name}\. Choose tiny\."):
        studies.load(name)


def test_an_undeclared_arm_or_corpus_raises_an_error_with_those_that_are(workspace: Path) -> None:
    study = studies.load("tiny")
    with pytest.raises(UserError, match=r"tiny/params\.yaml: unknown arm strnog\. Choose full, "):
        study.params("strnog")
    with pytest.raises(UserError, match="unknown arm strnog"):
        study_cells.train_cell("tiny", "sst2", "strnog", 42)
    with pytest.raises(UserError, match=r"no cells on news\. Choose sst2 or imdb or probe"):
        study.plan("news")


@pytest.mark.parametrize("key", ["train.max_peices", "trian.max_pieces", "protocol.recipe"])
def test_an_arm_that_overrides_an_unknown_key_raises_an_error_that_names_it(
    workspace: Path, key: str
) -> None:
    write_study(arms={**STUDY["arms"], "hard": {key: 3}})
    with pytest.raises(UserError) as caught:
        studies.load("tiny").params("hard")
    message = str(caught.value)
    assert "params.yaml with the requested changes has one problem" in message
    assert any(part in message for part in key.split("."))
    assert len(message.splitlines()) == 2


def test_an_arm_needs_the_weights_that_it_evaluates_or_is_fitted_to(workspace: Path) -> None:
    study = studies.load("tiny")
    assert {arm: study.source_of(arm) for arm in study.arms if study.source_of(arm)} == {
        "learned": "full",
        "misread": "hard",
    }
    assert study.sources("imdb") == ["full", "hard"]
    assert study.sources("sst2") == study.sources("probe") == []


# The core study, which `grid` declares.


def grid(*modes: str, seeds: tuple[int, ...] = (13, 42)) -> studies.Study:
    changes = {"grid.modes": list(modes), "grid.seeds": list(seeds)}
    return studies.core(config.load(ROOT / "params.yaml", changes), "probe")


def test_core_is_the_study_of_the_grid_on_the_corpus_of_the_workspace() -> None:
    study = grid("full", "hard", "soft", "diagonal")
    assert isinstance(study, studies.Study)
    assert (study.name, study.reference) == ("core", "full")
    assert {name: arm.mode for name, arm in study.arms.items()} == {
        mode: mode for mode in ("full", "hard", "soft", "diagonal")
    }
    assert not any(arm.overrides or arm.weights_of for arm in study.arms.values())
    assert list(study.corpora) == ["probe"] and study.plan("probe").base is None
    cells = [(m, s) for s in (13, 42) for m in ("full", "hard", "soft", "diagonal")]
    assert study.cells("probe") == cells
    headroom, kept = study.families
    assert [(q.kind, q.arm, q.reference) for q in headroom.questions] == [
        ("gate", "full", "diagonal")
    ]
    assert [(q.kind, q.arm, q.reference) for q in kept.questions] == [
        ("equivalence", "hard", "full"),
        ("equivalence", "soft", "full"),
    ]


def test_core_asks_only_questions_that_its_grid_can_answer() -> None:
    assert grid("full", "hard").families == ()  # without diagonal, headroom is unknown
    assert [family.name for family in grid("full", "diagonal").families] == ["headroom"]
    assert grid("hard", "soft").reference == "hard"
    assert grid("hard", "soft").families == ()


# Plans.


def test_a_plan_has_one_file_per_cell(data: Path) -> None:
    study_cells.plan("tiny", "sst2")
    assert set(planned()) == {f"{cell}.json" for cell in CELLS}
    content = json.loads(planned()["strong-42.json"])
    assert (content["arm"], content["mode"], content["seed"]) == ("strong", "soft", 42)
    assert content["pattern"]["mode"] == "soft"


def test_planning_twice_gives_the_same_bytes(data: Path) -> None:
    study_cells.plan("tiny", "sst2")
    first = planned()
    study_cells.plan("tiny", "sst2")
    assert planned() == first


def test_the_plan_of_a_removed_cell_is_removed(data: Path) -> None:
    study_cells.plan("tiny", "sst2")
    write_study(corpora={"sst2": {"base": None, "arms": [*ARMS], "seeds": [42]}})
    study_cells.plan("tiny", "sst2")
    assert set(planned()) == {f"{cell}.json" for cell in CELLS[:3]}


def test_a_plan_changes_only_with_its_own_arm(data: Path) -> None:
    study_cells.plan("tiny", "sst2")
    before = planned()
    write_study(arms={**STUDY["arms"], "strong": {"mode": "soft", "rules.soft_strength": 1.0}})
    study_cells.plan("tiny", "sst2")
    after = planned()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"strong-42.json", "strong-7.json"}


def test_a_pattern_that_is_fitted_to_another_cell_is_not_planned_but_its_rules_are(
    data: Path,
) -> None:
    hold("imdb")
    study_cells.plan("tiny", "imdb")
    path = studies.plan_file("tiny", "imdb", "learned", 7)
    before = artifacts.read_json(path)
    assert before["pattern"] is None
    arms = {**STUDY["arms"], "learned": {"rules.drop": ["ADJ->NOUN"]}}
    write_study(arms=arms)
    with pytest.raises(UserError, match=r"learned-7\.json was planned with other rules"):
        study_cells.train_cell("tiny", "imdb", "learned", 7)
    study_cells.plan("tiny", "imdb")
    assert artifacts.read_json(path) != before
    evaluated = artifacts.read_json(studies.plan_file("tiny", "imdb", "misread", 7))
    assert evaluated["pattern"]["mode"] == "hard" and "rules" not in evaluated


def test_settings_name_no_device_no_threads_and_no_unused_recipe(data: Path) -> None:
    params = studies.load("tiny").params("hard")
    settings = identity.settings(params)
    assert not {"device", "threads", "recipes"} & set(settings)
    used = params.train.recipes[settings["recipe"]].model_dump()
    assert {f"recipe_{key}": value for key, value in used.items()}.items() <= settings.items()
    elsewhere = config.load(
        overrides={
            **STUDY["overrides"],
            "train.device": "cpu",
            "train.threads": 2,
            "train.recipes.probe.epochs": 9,
            "evaluate.seed": 1,
        }
    )
    assert identity.settings(elsewhere) == settings
    assert settings == json.loads(json.dumps(settings))


def test_the_split_that_chooses_a_checkpoint_is_a_setting_only_where_one_is_chosen(
    data: Path,
) -> None:
    def settings(checkpoint: str, split: str) -> dict[str, Any]:
        changes = {"train.checkpoint": checkpoint, "train.select_on": split}
        return identity.settings(config.load(overrides=changes))

    assert settings("last", "selection") == settings("last", "validation")
    assert settings("best", "selection") != settings("best", "validation")


@pytest.mark.parametrize(
    "changes",
    [
        {"train.max_pieces": 11},
        {"train.token_masking": 0.1},
        {"train.corrupted_tags": 0.1},
        {"train.checkpoint": "best"},
        {"train.use_leaking_rows": True},
        {"train.evaluate_every": 7},
        {"train.recipe": "pretrained"},
        {f"{RECIPE}.learning_rate": 0.1},
        {"encoder.keep_projections": False},
        {"attention.implementation": "dense"},
        {"protocol": "released"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_stale_plan_raises_an_error_before_training(
    data: Path, monkeypatch: pytest.MonkeyPatch, changes: dict
) -> None:
    study_cells.plan("tiny", "sst2")
    write_study(overrides={**STUDY["overrides"], **changes})
    monkeypatch.setattr(loop, "train", lambda *_: pytest.fail("a cell was trained"))
    with pytest.raises(UserError) as caught:
        study_cells.train_cell("tiny", "sst2", "hard", 42)
    assert "plan/hard-42.json was planned with other settings" in str(caught.value)
    assert "make study NAME=tiny" in str(caught.value)


def test_a_plan_of_other_data_raises_an_error_before_training(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_cells.plan("tiny", "sst2")
    small_encoder(hidden=32)
    monkeypatch.setattr(loop, "train", lambda *_: pytest.fail("a cell was trained"))
    with pytest.raises(UserError, match="was planned with other data_sha256"):
        study_cells.train_cell("tiny", "sst2", "hard", 42)


def test_a_limited_sst2_is_never_planned_under_the_name_of_the_whole(data: Path) -> None:
    hold("sst2", whole=False)
    with pytest.raises(
        UserError, match=r"holds the corpus sst2 \(changed\).*corpus\.limit to null"
    ):
        study_cells.plan("tiny", "sst2")
    assert not paths.RESULTS.exists()


def in_git(*command: str) -> None:
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *command], check=True)


@pytest.mark.parametrize("change", ["settings", "data_sha256", "pattern"])
def test_a_cell_that_git_keeps_is_never_planned_with_anything_else(
    finished: Path, change: str
) -> None:
    study_cells.train_cell("tiny", "sst2", "hard", 7)
    in_git("init", "--quiet")
    in_git("add", str(finished))  # and not that of seed 7
    before = files_of(paths.RESULTS)
    study_cells.plan("tiny", "sst2")  # nothing changed
    if change == "data_sha256":
        small_encoder(hidden=32)
    else:
        key = {"settings": "train.token_masking", "pattern": "rules.drop"}[change]
        value = {"settings": 0.5, "pattern": ["ADJ->NOUN"]}[change]
        write_study(overrides={**STUDY["overrides"], key: value})
    with pytest.raises(UserError) as caught:
        study_cells.plan("tiny", "sst2")
    assert f"planned with other {change}: hard-42. Nothing was run." in str(caught.value)
    assert files_of(paths.RESULTS) == before
    shutil.rmtree(finished)
    study_cells.plan("tiny", "sst2")
    with pytest.raises(
        UserError, match=f"trained with other {change} than .*: hard-7.*without SEEDS"
    ):
        study_cells.require_planned_cells(studies.load("tiny"), "sst2")
    study_cells.train_cell("tiny", "sst2", "hard", 7)
    study_cells.require_planned_cells(studies.load("tiny"), "sst2")


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_substitute_is_never_planned_under_the_name_of_the_corpus(data: Path) -> None:
    hold("probe")
    with pytest.raises(UserError, match="holds the corpus probe, and the study needs sst2"):
        study_cells.plan("tiny", "sst2")


# Cells, which are trained for real: a step or three of a small encoder.


def test_a_cell_is_trained_with_the_planned_pattern_and_settings(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_cells.plan("tiny", "sst2")
    seen: dict[str, Any] = {}
    train = loop.train

    def watched(params, pattern, seed, *others):
        seen.update(params=params, pattern=pattern, seed=seed)
        return train(params, pattern, seed, *others)

    monkeypatch.setattr(loop, "train", watched)
    study_cells.train_cell("tiny", "sst2", "random", 7)
    plan = studies.plan_file("tiny", "sst2", "random", 7)
    assert seen["params"] == studies.load("tiny").params("random")
    assert seen["seed"] == seen["pattern"].positional.seed == 7
    content = artifacts.read_json(plan)
    assert content["pattern"]["positional"]["kind"] == "random"
    folder = studies.cell_folder("tiny", "sst2", "random", 7)
    assert {path.name for path in folder.iterdir()} == set(cell.FILES)
    predictions = pd.read_parquet(folder / "predictions.parquet")
    assert list(predictions) == ["split", "id", "label", "logits"]
    assert set(predictions["split"]) == {"selection", "validation", "test"}  # no examples
    assert not list(paths.CHECKPOINTS.rglob("*.pt"))
    assert not list(paths.RUNS.rglob("*.safetensors"))  # no other arm needs its weights
    seconds = pd.read_csv(studies.seconds_file("tiny", "sst2"))
    assert seconds["cell"].tolist() == ["random-7"]


@pytest.mark.parametrize(
    ("split", "expected"), [("selection", set()), ("validation", {"validation_accuracy"})]
)
def test_the_history_names_the_split_that_each_accuracy_was_measured_on(
    data: Path, split: str, expected: set[str]
) -> None:
    best = {"train.checkpoint": "best", "train.select_on": split}
    write_study(overrides={**STUDY["overrides"], **best})
    study_cells.plan("tiny", "sst2")
    study_cells.train_cell("tiny", "sst2", "hard", 7)
    folder = studies.cell_folder("tiny", "sst2", "hard", 7)
    history = pd.read_csv(folder / "history.csv")
    assert set(history) == {"step", "epoch", "loss", "selection_accuracy"} | expected
    kept = history.loc[history[f"{split}_accuracy"].idxmax()]
    summary = read_cell(folder)["summary"]
    assert summary["checkpoint_step"] == kept["step"]
    assert summary["selection_accuracy"] == kept["selection_accuracy"]
    if expected:
        predictions = pd.read_parquet(folder / "predictions.parquet").query("split == @split")
        right = np.stack(predictions["logits"]).argmax(1) == predictions["label"]
        assert right.mean() == pytest.approx(kept["validation_accuracy"], abs=1e-7)


def test_an_older_checkpoint_is_removed_and_one_of_another_arm_is_kept(data: Path) -> None:
    study_cells.plan("tiny", "sst2")
    folder = paths.CHECKPOINTS / "tiny-sst2"
    folder.mkdir(parents=True)
    older, other = (folder / f"{name}-{'0' * 16}.pt" for name in ("hard-7", "hard-7-b-7"))
    older.touch()
    other.touch()
    study_cells.train_cell("tiny", "sst2", "hard", 7)
    assert (older.exists(), other.exists()) == (False, True)


def test_a_cell_of_whole_sentences_also_predicts_those_that_were_held_out(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "FRESH_SENTENCES", 8)
    write_study(overrides={**STUDY["overrides"], "train.rows": "sentences"})
    study_cells.plan("tiny", "sst2")
    study_cells.train_cell("tiny", "sst2", "random", 7)
    folder = studies.cell_folder("tiny", "sst2", "random", 7)
    content = read_cell(folder)
    assert content["settings"]["rows"] == "sentences"
    assert content["summary"]["train_sentences"] == len(splits.read_words("train", "sentences"))
    predictions = pd.read_parquet(folder / "predictions.parquet")
    assert set(predictions["split"]) == {"selection", "validation", "test", "fresh"}
    fresh = splits.read_split("fresh", 12)
    assert list(predictions.query("split == 'fresh'")["id"]) == list(fresh.ids)
    pattern = pattern_from_json(
        artifacts.read_json(studies.plan_file("tiny", "sst2", "random", 7))["pattern"], folder
    )
    trained = splits.read_split("train", 12, rows="sentences").sentences
    assert content["density"]["train"] == density(pattern, trained)
    assert content["density"]["fresh"] == density(pattern, fresh.sentences)


def test_a_cell_records_what_decides_its_bits_and_nothing_that_differs_between_two_runs(
    data: Path,
) -> None:
    study_cells.plan("tiny", "sst2")
    study_cells.train_cell("tiny", "sst2", "strong", 7)
    params = studies.load("tiny").params("strong")
    plan = artifacts.read_json(studies.plan_file("tiny", "sst2", "strong", 7))
    content = read_cell(studies.cell_folder("tiny", "sst2", "strong", 7))
    assert (content["arm"], content["mode"], content["seed"]) == ("strong", "soft", 7)
    assert content["settings"] == plan["settings"] == identity.settings(params)
    assert content["data_sha256"] == plan["data_sha256"] == identity.data_sha256()
    assert content["pattern_sha256"] == identity.digest(plan["pattern"])
    assert (content["weights_of"], content["taken_from"]) == (None, None)
    assert set(content["machine"]) == MACHINE_KEYS
    assert content["machine"]["threads"] == params.train.threads == torch.get_num_threads()
    assert content["machine"]["torch"] == torch.__version__
    assert content["machine"]["device"] == loop.prepare(params).type
    assert content["density"] == {
        split: 1.0 for split in ("train", "selection", "validation", "test")
    }
    assert set(content["summary"]) == {
        *("recipe", "train_sentences", "steps", "checkpoint", "checkpoint_step"),
        *("selection_accuracy", "parameters"),
    }
    assert content["summary"]["checkpoint_step"] == content["summary"]["steps"]  # the last
    assert not {"seconds", "host", "date"} & {*content, *content["summary"]}


@pytest.mark.parametrize(
    ("text", "vendor"),
    [
        (
            "vendor_id\t: Acme\ncpu family\t: 6\nmodel\t\t: 85\nstepping\t: 7\n\nmodel\t: 1\n",
            "Acme",
        ),
        ("Features\t: fp asimd\n", None),
        (None, None),
    ],
    ids=["x86", "another architecture", "no /proc"],
)
def test_the_machine_is_that_of_the_first_processor_or_else_named_by_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, vendor: str | None
) -> None:
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    here = machine.machine(torch.device("cpu"))
    assert set(here) == MACHINE_KEYS
    if vendor:
        assert (here["cpu_vendor"], here["cpu_family"]) == (vendor, "6")
        assert (here["cpu_model"], here["cpu_stepping"]) == ("85", "7")
    else:
        assert here["cpu_vendor"]


def test_a_cell_is_whole_once_cell_json_exists(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study_cells.plan("tiny", "sst2")
    folder = studies.cell_folder("tiny", "sst2", "hard", 42)
    write_json, present = artifacts.write_json, []

    def stopped(path: Path, content: Any) -> None:
        present.extend(other.name for other in path.parent.iterdir())
        raise KeyboardInterrupt

    monkeypatch.setattr(artifacts, "write_json", stopped)
    with pytest.raises(KeyboardInterrupt):
        study_cells.train_cell("tiny", "sst2", "hard", 42)
    assert set(present) == {"predictions.parquet", "history.csv"}  # cell.json is the last
    assert not folder.exists()
    assert list(paths.CHECKPOINTS.rglob("*.pt"))  # kept until the cell is whole
    monkeypatch.setattr(artifacts, "write_json", write_json)
    study_cells.train_cell("tiny", "sst2", "hard", 42)
    assert studies.finished_cells() == [folder]
    assert not list(paths.CHECKPOINTS.rglob("*.pt"))


def test_two_trainings_of_a_cell_give_the_same_bytes(data: Path) -> None:
    study_cells.plan("tiny", "sst2")
    folder, versions = studies.cell_folder("tiny", "sst2", "hard", 42), []
    for _ in range(2):
        study_cells.train_cell("tiny", "sst2", "hard", 42)
        versions.append({name: (folder / name).read_bytes() for name in cell.FILES})
        shutil.rmtree(folder)
    assert versions[0] == versions[1]


# Cells that are taken up.


def other_study(**changes: Any) -> Path:
    """Declare, plan and make the cell renamed-42 of another study, by default equal to hard-42."""
    seed = changes.pop("seed", 42)
    mode = {"mode": changes.pop("mode", "hard")}
    write_study(
        "other",
        arms={**STUDY["arms"], "renamed": {**mode, **changes}},
        corpora={"sst2": {"base": None, "arms": ["renamed"], "seeds": [seed]}},
    )
    study_cells.plan("other", "sst2")
    study_cells.train_cell("other", "sst2", "renamed", seed)
    return studies.cell_folder("other", "sst2", "renamed", seed)


@pytest.fixture
def finished(data: Path) -> Path:
    """The cell hard-42 of the study tiny."""
    study_cells.plan("tiny", "sst2")
    study_cells.train_cell("tiny", "sst2", "hard", 42)
    return studies.cell_folder("tiny", "sst2", "hard", 42)


def test_a_cell_with_equal_settings_pattern_data_seed_and_machine_is_taken_up(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "train", lambda *_: pytest.fail("an equal cell was trained"))
    taken = other_study()
    for name in ("predictions.parquet", "history.csv"):
        assert (taken / name).read_bytes() == (finished / name).read_bytes()
    content = {"arm": "renamed", "taken_from": "tiny/sst2/hard-42"}
    assert read_cell(taken) == read_cell(finished) | content
    assert not studies.seconds_file("other", "sst2").exists()  # it took none


def test_a_cell_that_was_taken_up_names_the_study_that_trained_it(finished: Path) -> None:
    other_study()
    shutil.rmtree(finished)
    study_cells.train_cell("tiny", "sst2", "hard", 42)
    assert read_cell(finished)["taken_from"] == "tiny/sst2/hard-42"


@pytest.mark.parametrize(
    "changes",
    [{"train.token_masking": 0.2}, {"rules.drop": ["ADJ->NOUN"]}, {"mode": "soft"}, {"seed": 7}],
    ids=["settings", "pattern", "mode", "seed"],
)
def test_a_cell_with_another_setting_pattern_or_seed_is_trained(
    finished: Path, changes: dict[str, Any]
) -> None:
    trained = other_study(**changes)
    assert read_cell(trained)["taken_from"] is None
    assert len(pd.read_csv(studies.seconds_file("other", "sst2"))) == 1


def test_a_cell_with_other_data_is_trained(finished: Path) -> None:
    small_encoder(hidden=32)
    trained = other_study()
    assert read_cell(trained)["taken_from"] is None
    assert read_cell(trained)["data_sha256"] != read_cell(finished)["data_sha256"]


@pytest.mark.parametrize("key", sorted(MACHINE_KEYS))
def test_a_cell_of_another_machine_is_trained(finished: Path, key: str) -> None:
    content = read_cell(finished)
    content["machine"][key] = "another"
    artifacts.write_json(finished / cell.CELL, content)
    assert read_cell(other_study())["taken_from"] is None


@pytest.mark.parametrize("file", ["predictions.parquet", "history.csv"])
def test_a_cell_without_one_of_its_files_is_not_taken_up(finished: Path, file: str) -> None:
    (finished / file).unlink()
    assert read_cell(other_study())["taken_from"] is None


def test_what_a_cell_is_compared_by_is_all_that_decides_its_bits(finished: Path) -> None:
    decides = {key: read_cell(finished)[key] for key in ("settings", "seed", "machine")}
    decides |= {key: read_cell(finished)[key] for key in ("pattern_sha256", "data_sha256")}
    params = studies.load("tiny").params("hard")
    plan = studies.plan_file("tiny", "sst2", "hard", 42)
    pattern = pattern_from_json(artifacts.read_json(plan)["pattern"], plan)
    here = identity.identity(params, pattern, 42, torch.device("cpu"))
    assert here == decides
    assert study_cells.equal_cell(here, paths.RESULTS) == finished
    assert study_cells.equal_cell(here, finished) is None  # it is about to be replaced
    for key in here:
        assert study_cells.equal_cell({**here, key: "another"}, paths.RESULTS) is None


def test_a_cell_of_core_is_taken_up_without_the_sentences_of_the_report(data: Path) -> None:
    changes = {**STUDY["overrides"]}
    params = config.load(overrides=changes)
    write_pattern(
        paths.rule_table("hard"), pattern_for("hard", params.rules, 42, PatternData(params))
    )
    cell.train_core_cell(params, "hard", 42)
    folder = paths.cell("core", "hard", 42)
    assert {"model.safetensors", *cell.FILES} <= {path.name for path in folder.iterdir()}
    study_cells.plan("tiny", "sst2")
    study_cells.train_cell("tiny", "sst2", "hard", 42)
    taken = studies.cell_folder("tiny", "sst2", "hard", 42)
    assert read_cell(taken) == read_cell(folder) | {"taken_from": "core/hard-42"}
    ours, theirs = (pd.read_parquet(f / "predictions.parquet") for f in (taken, folder))
    assert set(theirs["split"]) - set(ours["split"]) == {"examples"}
    kept = theirs[theirs["split"] != "examples"].reset_index(drop=True)
    pd.testing.assert_frame_equal(ours, kept)


# Cells that need the weights of another arm.


def make_cells(*arms: str) -> None:
    for arm in arms:
        study_cells.train_cell("tiny", "imdb", arm, 7)


@pytest.fixture
def sources(data: Path) -> Path:
    """The workspace with the cells full-7 and hard-7, whose weights other arms need."""
    hold("imdb")
    study_cells.plan("tiny", "imdb")
    make_cells("full", "hard")
    return data


def test_the_weights_of_an_arm_that_others_need_are_kept(sources: Path) -> None:
    for arm in ("full", "hard"):
        folder = studies.weights_folder("tiny", "imdb", arm, 7)
        assert folder == Path("runs/tiny-imdb") / f"{arm}-7"
        assert classifier.load(folder).pattern.mode == arm


def test_an_arm_can_evaluate_the_weights_of_another_under_its_own_parameters(
    sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "train", lambda *_: pytest.fail("a cell was trained"))
    make_cells("misread")
    source, folder = (studies.cell_folder("tiny", "imdb", arm, 7) for arm in ("hard", "misread"))
    content = read_cell(folder)
    assert content["weights_of"] == "hard" and content["arm"] == "misread"
    assert content["settings"]["corrupted_tags"] == 0.4
    assert content["machine"] == read_cell(source)["machine"]
    before, after = (pd.read_parquet(f / "predictions.parquet") for f in (source, folder))
    assert before[["split", "id", "label"]].equals(after[["split", "id", "label"]])
    logits = [np.stack(list(table["logits"])) for table in (before, after)]
    assert not np.allclose(*logits)
    params = config.load(overrides=STUDY["overrides"])
    loaded = classifier.load(studies.weights_folder("tiny", "imdb", "hard", 7))
    names = ("selection", "validation", "test")
    read = loop.read_splits(params, names, 7)
    with_right_tags = loop.predict_splits(loaded.model, loaded.mask, read, params, names)
    np.testing.assert_allclose(np.stack(list(with_right_tags["logits"])), logits[0], atol=1e-6)


def test_an_evaluated_cell_is_never_taken_up(sources: Path) -> None:
    make_cells("misread")
    content = read_cell(studies.cell_folder("tiny", "imdb", "misread", 7))
    keys = ("settings", "pattern_sha256", "data_sha256", "seed", "machine")
    assert study_cells.equal_cell({key: content[key] for key in keys}, paths.RESULTS) is None


def test_a_learned_pattern_is_fitted_to_the_full_cell_of_the_same_study_and_seed(
    sources: Path,
) -> None:
    make_cells("learned")
    content = read_cell(studies.cell_folder("tiny", "imdb", "learned", 7))
    assert content["mode"] == "learned" and content["density"]["train"] < 1
    shutil.rmtree(studies.cell_folder("tiny", "imdb", "learned", 7))
    source = classifier.load(studies.weights_folder("tiny", "imdb", "full", 7))
    with torch.no_grad():
        for name, weights in source.model.named_parameters():
            if "query" in name or "key" in name:
                weights.normal_(generator=torch.Generator().manual_seed(3))
    folder = studies.weights_folder("tiny", "imdb", "full", 7)
    classifier.save(folder, source.model, source.tokenizer, 12)
    make_cells("learned")
    again = read_cell(studies.cell_folder("tiny", "imdb", "learned", 7))
    assert again["pattern_sha256"] != content["pattern_sha256"]


@pytest.mark.parametrize(("arm", "source"), [("misread", "hard"), ("learned", "full")])
def test_an_arm_whose_source_is_missing_raises_an_error_that_names_it(
    sources: Path, arm: str, source: str
) -> None:
    shutil.rmtree(studies.weights_folder("tiny", "imdb", source, 7))
    with pytest.raises(UserError, match=f"{arm} needs the weights of {source}-7.*trains {source}"):
        make_cells(arm)


def test_a_source_is_taken_up_only_with_its_weights(sources: Path) -> None:
    trained = studies.cell_folder("tiny", "imdb", "hard", 7)
    corpora = {"imdb": {"base": None, "arms": ["hard", "misread"], "seeds": [7]}}
    write_study("other", corpora=corpora)
    study_cells.plan("other", "imdb")
    study_cells.train_cell("other", "imdb", "hard", 7)
    taken = studies.cell_folder("other", "imdb", "hard", 7)
    assert read_cell(taken)["taken_from"] == "tiny/imdb/hard-7"
    ours, theirs = (studies.weights_folder(name, "imdb", "hard", 7) for name in ("other", "tiny"))
    weights = "model.safetensors"
    assert (ours / weights).read_bytes() == (theirs / weights).read_bytes()
    shutil.rmtree(taken)
    for folder in (ours, theirs):
        shutil.rmtree(folder)
    study_cells.train_cell("other", "imdb", "hard", 7)
    assert read_cell(taken)["taken_from"] is None
    predictions = [folder / "predictions.parquet" for folder in (taken, trained)]
    assert predictions[0].read_bytes() == predictions[1].read_bytes()


# The stages of a study.


def test_the_stages_of_a_study_are_written_if_they_are_missing_or_outdated(
    workspace: Path,
) -> None:
    study = studies.load("tiny")
    assert graph.write_graph(study)
    assert not graph.write_graph(study)
    assert graph.write_graph(write_study(arms={**STUDY["arms"], "window": {}}, corpora={
        "sst2": {"base": None, "arms": ["window"], "seeds": [1]}}))  # fmt: skip


def test_arms_are_made_by_stages_that_keep_what_others_need(workspace: Path) -> None:
    study = studies.load("tiny")
    stages = yaml.safe_load(graph.graph(study))["stages"]
    assert {name for name in stages if name.endswith("imdb")} == {
        *("plan_imdb", "source_imdb", "derive_imdb", "compare_imdb")
    }
    assert {name for name in stages if name.endswith("sst2")} == {
        *("plan_sst2", "train_sst2", "compare_sst2")
    }
    assert stages["source_imdb"]["matrix"] == {"arm": ["full", "hard"], "seed": [7]}
    assert stages["derive_imdb"]["matrix"] == {"arm": ["learned", "misread"], "seed": [7]}
    weights = [f"runs/tiny-imdb/{arm}-${{item.seed}}" for arm in ("full", "hard")]
    assert set(weights) < set(stages["derive_imdb"]["deps"])
    assert "runs/tiny-imdb/${item.arm}-${item.seed}" in stages["source_imdb"]["outs"]
    assert "GGSA_DATA=data/probe " in stages["train_probe"]["cmd"]
    assert "GGSA_DATA=data " in stages["train_sst2"]["cmd"]


# The runner.


@pytest.fixture
def dvc(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called dvc that records its calls, knows what is finished, and fails on request."""
    program = workspace / "bin" / "dvc"
    artifacts.write_text(program, FAKE_DVC.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    shutil.copy(ROOT / "dvc.yaml", workspace)
    for corpus, plan in studies.load("tiny").corpora.items():
        for arm, seed in ((arm, seed) for arm in plan.arms for seed in plan.seeds):
            stub = {"settings": {}, "data_sha256": "", "seed": seed, "pattern": {"mode": arm}}
            artifacts.write_json(studies.plan_file("tiny", corpus, arm, seed), stub)
    return workspace / "calls"


def calls(log: Path) -> list[str]:
    """Every `dvc repro`, as it was called."""
    return [line for line in log.read_text().splitlines() if " repro " in line]


def targets(log: Path) -> list[str]:
    return [line.split()[-1] for line in calls(log)]


FILE = "studies/tiny/dvc.yaml"
TRAINED = [f"{FILE}:train_sst2@{cell}" for cell in CELLS]


def test_the_runner_prepares_plans_trains_every_cell_in_order_and_compares(dvc: Path) -> None:
    runner.run_study("tiny", "sst2", jobs=1, seeds=None)
    assert targets(dvc) == ["tag", f"{FILE}:plan_sst2", *TRAINED, f"{FILE}:compare_sst2"]
    for line in calls(dvc)[1:]:
        assert " --single-item " in line  # a finished cell stays as it is, whatever else changed


def test_the_runner_writes_the_stages_first(dvc: Path) -> None:
    runner.run_study("tiny", "sst2", jobs=1, seeds=None)
    assert Path(FILE).read_text() == graph.graph(studies.load("tiny"))


def test_all_corpora_run_unless_one_is_chosen(dvc: Path) -> None:
    runner.run_study("tiny", None, jobs=2, seeds=None)
    compared = [target for target in targets(dvc) if "compare" in target]
    assert compared == [f"{FILE}:compare_{corpus}" for corpus in ("sst2", "imdb", "probe")]


@pytest.mark.parametrize("jobs", [1, 2])
def test_sources_are_trained_before_the_arms_that_need_them(dvc: Path, jobs: int) -> None:
    runner.run_study("tiny", "imdb", jobs=jobs, seeds=None)
    made = [target.partition(":")[2] for target in targets(dvc) if "@" in target]
    assert sorted(made[:2]) == ["source_imdb@full-7", "source_imdb@hard-7"]
    assert sorted(made[2:]) == ["derive_imdb@learned-7", "derive_imdb@misread-7"]


def test_sentences_to_adapt_on_are_drawn_before_the_cells_are_planned(dvc: Path) -> None:
    recipe = config.load().train.recipes["pretrained"].model_dump()
    declared = write_study(
        "adapting",
        adaptation={"sentences": 8, "seed": 1, "recipe": recipe},
        arms={"full": None, "hard": None, "hard-adapted": {"mode": "hard", "adapted": True}},
        corpora={"sst2": {"base": None, "seeds": [7, 42]}},
        families=[],
    )
    for arm, seed in declared.cells("sst2"):
        stub = {"settings": {}, "data_sha256": "", "seed": seed, "pattern": {"mode": arm}}
        artifacts.write_json(studies.plan_file("adapting", "sst2", arm, seed), stub)
    runner.run_study("adapting", "sst2", jobs=1, seeds=None)
    made = [target.partition(":")[2] for target in targets(dvc)]
    assert made[1:3] == ["unlabeled_sst2", "plan_sst2"]
    cells = {"train_sst2@full-7", "train_sst2@hard-42", "train_sst2@hard-adapted-7"}
    assert cells < set(made[3:])


def test_two_cells_at_a_time_are_each_run_once(dvc: Path) -> None:
    runner.run_study("tiny", "sst2", jobs=2, seeds=None)
    assert sorted(target for target in targets(dvc) if "@" in target) == sorted(TRAINED)


def test_cells_at_a_time_wait_for_the_lock_of_dvc(dvc: Path) -> None:
    runner.run_study("tiny", "sst2", jobs=2, seeds=None)
    assert all(line.startswith("--wait-for-lock ") for line in dvc.read_text().splitlines())


def test_a_study_on_other_assets_prepares_these(dvc: Path) -> None:
    runner.run_study("tiny", "probe", jobs=1, seeds=None)
    assert targets(dvc) == [
        "studies/assets/dvc.yaml:tag@probe",
        f"{FILE}:plan_probe",
        f"{FILE}:train_probe@full-1",
        f"{FILE}:compare_probe",
    ]


def test_only_the_chosen_seeds_are_run(dvc: Path) -> None:
    runner.run_study("tiny", "sst2", jobs=1, seeds=[7])
    assert [t for t in targets(dvc) if "@" in t] == [t for t in TRAINED if t.endswith("-7")]


@pytest.mark.parametrize(
    ("corpus", "seeds", "said"),
    [
        ("news", None, r"no cells on news\. Choose sst2 or imdb or probe"),
        ("sst2", [7, 8, 9], r"seeds 8, 9 are not declared on sst2\. Choose from 42, 7\."),
    ],
)
def test_an_unknown_corpus_or_seed_raises_an_error_before_anything_runs(
    dvc: Path, corpus: str, seeds: list[int] | None, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        runner.run_study("tiny", corpus, jobs=1, seeds=seeds)
    assert not dvc.exists()


def test_an_archived_study_is_not_run_and_the_error_says_why(dvc: Path) -> None:
    write_study(archived="three seeds and no record of the machine.")
    with pytest.raises(UserError, match=r"tiny is archived and is not run again: three seeds"):
        runner.run_study("tiny", "sst2", jobs=1, seeds=None)
    assert not dvc.exists()


def test_a_study_without_cells_is_left_to_dvc(dvc: Path) -> None:
    artifacts.write_text(graph.graph_file("measures"), "stages: {}\n")
    runner.run_study("measures", None, jobs=1, seeds=None)
    assert calls(dvc) == ["--wait-for-lock repro studies/measures/dvc.yaml"]


@pytest.mark.parametrize("fails", ["tag", ":plan_sst2", "@strong-42", ":compare_sst2"])
def test_a_failing_stage_is_the_last_and_its_error_has_the_end_of_the_log(
    dvc: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    monkeypatch.setenv("FAILS", fails)
    with pytest.raises(UserError) as caught:
        runner.run_study("tiny", "sst2", jobs=1, seeds=None)
    message = str(caught.value)
    assert "\n\n" not in message
    assert f"{fails} failed; .cache/studies/" in message.splitlines()[0]
    assert "The corpus went for a walk." in message
    assert "ERROR: failed to reproduce" in message
    log = next(word for word in message.split() if word.endswith(".log"))
    assert "The corpus went for a walk." in Path(log).read_text()
    assert targets(dvc)[-1].endswith(fails)


@pytest.mark.parametrize("end", ["SIGKILL", "exit 1"])
def test_a_process_that_was_killed_is_told_from_one_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dvc_commands, "LOGS", tmp_path / "logs")
    command = {"SIGKILL": f"{sys.executable} -c 'import os; os.kill(os.getpid(), 9)'"}.get(end, end)
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"cell": {"cmd": command}}}))
    subprocess.run(["dvc", "init", "--quiet", "--no-scm"], check=True)
    with pytest.raises(UserError) as caught:
        dvc_commands.reproduce("cell", "cell")
    says_so = "killed from outside" in str(caught.value) and "JOBS=1" in str(caught.value)
    assert says_so == (end == "SIGKILL"), str(caught.value)


def test_a_failing_status_is_an_error_too(dvc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "write_graph", lambda study: False)  # no file to ask about
    with pytest.raises(UserError, match=r"`dvc .*status --json studies/tiny/dvc\.yaml` failed"):
        runner.run_study("tiny", "sst2", jobs=1, seeds=None)


def test_a_study_that_failed_continues_with_the_missing_cells(
    dvc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILS", "@hard-7")
    with pytest.raises(UserError):
        runner.run_study("tiny", "sst2", jobs=2, seeds=None)
    first = {target for target in targets(dvc) if "@" in target} - {f"{FILE}:train_sst2@hard-7"}
    monkeypatch.delenv("FAILS")
    dvc.unlink()
    runner.run_study("tiny", "sst2", jobs=2, seeds=None)
    second = {target for target in targets(dvc) if "@" in target}
    assert first | second == set(TRAINED) and not first & second
    dvc.unlink()
    runner.run_study("tiny", "sst2", jobs=2, seeds=None)
    assert not any("@" in target for target in targets(dvc))


def test_the_runner_says_what_it_will_train_and_how_long_that_takes(
    dvc: Path, capsys: pytest.CaptureFixture
) -> None:
    artifacts.write_text(
        studies.seconds_file("tiny", "sst2"), "cell,seconds\nhard-42,50\nhard-7,70\nrandom-7,60\n"
    )
    runner.run_study("tiny", "sst2", jobs=2, seeds=None)
    said = capsys.readouterr().err
    assert f"tiny on sst2: {STUDY['question']}" in said
    assert "tiny: 6 cells to train, 2 at a time, about 3 min 00 s." in said
    runner.run_study("tiny", "sst2", jobs=2, seeds=None)
    assert "tiny: every cell is finished." in capsys.readouterr().err
    runner.run_study("tiny", "imdb", jobs=1, seeds=None)
    said = capsys.readouterr().err
    assert (
        "tiny: 3 cells to train, 1 at a time; 1 cell to evaluate with the weights of another."
        in said
    )


def test_seconds_of_core_tell_how_long_cells_take_and_those_of_other_studies_do_not(
    dvc: Path, capsys: pytest.CaptureFixture
) -> None:
    artifacts.write_text(studies.seconds_file("other", "sst2"), "cell,seconds\nhard-42,20\n")
    runner.run_study("tiny", "sst2", jobs=1, seeds=[42])
    assert "about" not in capsys.readouterr().err
    artifacts.write_text(paths.CORE_SECONDS, "cell,seconds\nhard-42,20\n")
    runner.run_study("tiny", "sst2", jobs=1, seeds=[7])
    assert "3 cells to train, 1 at a time, about 1 min 00 s." in capsys.readouterr().err


def test_the_runner_counts_the_equal_cells_that_will_be_taken_up(
    finished: Path, dvc: Path, capsys: pytest.CaptureFixture
) -> None:
    write_study("other", corpora={"sst2": {"base": None, "arms": [*ARMS], "seeds": [42]}})
    study_cells.plan("other", "sst2")
    runner.run_study("other", "sst2", jobs=1, seeds=None)
    said = capsys.readouterr().err
    assert "other: 2 cells to train, 1 at a time; 1 cell to take up from equal ones" in said
    assert len([target for target in targets(dvc) if "@" in target]) == 3  # DVC records them all


def write_cell_of(arm: str, seed: int, where: dict[str, Any]) -> Path:
    folder = studies.cell_folder("tiny", "sst2", arm, seed)
    artifacts.write_json(folder / cell.CELL, {"machine": where})
    with Path("finished").open("a") as file:
        file.write(f"{FILE}:train_sst2@{arm}-{seed}\n")
    return folder


def here() -> dict[str, Any]:
    return machine.machine(loop.prepare(studies.load("tiny").params("full")))


def test_seconds_of_a_gpu_do_not_tell_how_long_cells_take_on_a_cpu(
    dvc: Path, capsys: pytest.CaptureFixture
) -> None:
    seconds = "cell,seconds\nhard-42,60\nrandom-42,2\nstrong-42,4\n"
    artifacts.write_text(studies.seconds_file("tiny", "sst2"), seconds)
    for arm in ("random", "strong"):
        write_cell_of(arm, 42, here() | {"device": "NVIDIA H200"})
    runner.run_study("tiny", "sst2", jobs=1, seeds=[7])
    assert "3 cells to train, 1 at a time, about 3 min 00 s." in capsys.readouterr().err


def test_an_unfinished_seed_makes_the_cells_of_another_machine_again_and_says_so(
    dvc: Path, capsys: pytest.CaptureFixture
) -> None:
    there = here() | {"cpu_model": "another"}
    ours = write_cell_of("hard", 42, here())
    theirs = write_cell_of("strong", 42, there)
    whole = [write_cell_of(cell.partition("-")[0], 7, there) for cell in CELLS if "-7" in cell]
    runner.run_study("tiny", "sst2", jobs=1, seeds=None)
    assert all(folder.exists() for folder in (ours, theirs, *whole))  # the stage replaces it
    made = [line for line in calls(dvc) if "train_sst2@" in line]
    forced = [line.split("train_sst2@")[1] for line in made if " --force " in line]
    assert forced == ["strong-42"]
    assert sorted(line.split("@")[1] for line in made) == ["random-42", "strong-42"]  # not seed 7
    assert "tiny on sst2 has 1 cell of another machine in seeds" in capsys.readouterr().err


@pytest.mark.parametrize("other", [CELLS, CELLS[:2]], ids=["all", "some"])
def test_a_finished_study_of_another_machine_is_left_alone(
    dvc: Path, capsys: pytest.CaptureFixture, other: list[str]
) -> None:
    for name in CELLS:
        arm, _, seed = name.partition("-")
        there = here() | {"torch": "another"} if name in other else here()
        write_cell_of(arm, int(seed), there)
    runner.run_study("tiny", "sst2", jobs=1, seeds=None)
    assert not any("@" in target for target in targets(dvc))
    assert "another machine" not in capsys.readouterr().err
    assert all((studies.results("tiny", "sst2") / "cells" / cell).exists() for cell in CELLS)


def test_weights_alone_are_made_again_only_if_a_cell_is_missing(
    dvc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner.run_study("tiny", "imdb", jobs=1, seeds=None)
    lost = {f"{FILE}:source_imdb@{arm}-7": f"runs/tiny-imdb/{arm}-7" for arm in ("full", "hard")}
    lost[f"{FILE}:derive_imdb@learned-7"] = "runs/tiny-imdb/full-7"
    monkeypatch.setenv("DELETED", json.dumps(lost))
    dvc.unlink()
    runner.run_study("tiny", "imdb", jobs=1, seeds=None)
    assert not any("@" in target for target in targets(dvc))
    lost[f"{FILE}:derive_imdb@misread-7"] = "reports/published/studies/tiny/imdb/cells/misread-7"
    monkeypatch.setenv("DELETED", json.dumps(lost))
    dvc.unlink()
    runner.run_study("tiny", "imdb", jobs=1, seeds=None)
    assert {target for target in targets(dvc) if "@" in target} == set(lost)


def test_the_cells_of_core_are_trained_some_at_a_time_and_only_if_they_are_missing(
    dvc: Path, capsys: pytest.CaptureFixture
) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["grid"] = {"modes": ["full", "hard"], "seeds": [3, 1]}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    stage = {"matrix": {"mode": ["full", "hard"], "seed": [3, 1]}}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"tag": {}, "train": stage}}))
    Path("finished").write_text("train@hard-3\n")
    runner.run_core(jobs=1)
    assert targets(dvc) == ["train@full-3", "train@full-1", "train@hard-1"]
    assert all(" --single-item " in line for line in calls(dvc))
    assert "core: 3 cells to train, 1 at a time." in capsys.readouterr().err
    dvc.unlink()
    runner.run_core(jobs=2)
    assert targets(dvc) == [] if dvc.exists() else True


def test_as_many_cells_are_trained_at_a_time_as_their_threads_leave_cores(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: 6)

    def jobs(threads: int | str) -> int:
        changes = {"train.device": "cpu", "train.threads": threads}
        return runner._jobs(config.load(overrides=changes))

    assert [jobs(threads) for threads in (1, 2, 4, 9, "auto")] == [6, 3, 1, 1, 1]


def test_two_studies_at_a_time_run_one_after_the_other_and_the_second_says_so(
    dvc: Path, capsys: pytest.CaptureFixture
) -> None:
    entered = []

    def run(name: str) -> None:
        with runner._alone(name):
            entered.append(name)

    with runner._alone("tiny"):
        second = threading.Thread(target=run, args=["other"])
        second.start()
        second.join(timeout=0.5)
        assert second.is_alive() and not entered
    second.join(timeout=20)
    assert entered == ["other"]
    assert "other waits for tiny, which is running in this folder." in capsys.readouterr().err


def test_the_command_line_ends_a_failure_without_a_traceback(
    dvc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILS", ":plan_sst2")
    monkeypatch.setattr(sys, "argv", ["study", "tiny"])
    with pytest.raises(SystemExit, match="plan_sst2 failed"):
        runner.main()


def test_the_command_line_passes_corpus_seeds_and_jobs_on(
    dvc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["study", "tiny", "--corpus", "sst2", "--seeds", "7", "42", "--jobs", "2"]
    monkeypatch.setattr(sys, "argv", arguments)
    runner.main()
    assert sorted(target for target in targets(dvc) if "@" in target) == sorted(TRAINED)
