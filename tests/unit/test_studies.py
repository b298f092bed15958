"""Studies: what an arm is, what a plan fixes, and how the runner goes through the cells."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from transformers import BertConfig, BertTokenizerFast

from ggsa.training import cells, loop, runner, studies
from ggsa.workspace import artifacts, config, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import write_table

ROOT = Path(__file__).resolve().parents[2]
ARMS = {"hard": {}, "strong": {"mode": "soft", "rules.soft_strength": 9.0}, "random": {}}
STUDY = {
    "study": "tiny",
    "question": "Does anything happen?",
    "overrides": {"train.max_pieces": 12},
    "arms": {"full": {}, **ARMS},
    "sst2": {"data": "data", "arms": list(ARMS), "seeds": [42, 7]},
    "probe": {"data": "data/probe", "arms": ["full"], "seeds": [1]},
}
CELLS = ["hard-42", "strong-42", "random-42", "hard-7", "strong-7", "random-7"]
FAKE_DVC = """#!{python}
import os, pathlib, sys
target = sys.argv[-1]
with open("calls", "a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
print("Running stage", target)
if target.endswith(os.environ.get("FAILS", "nothing")):
    print("\\n\\nThe corpus went for a walk.\\n")
    print("ERROR: failed to reproduce", target, file=sys.stderr)
    sys.exit(1)
"""


def write_study(**changes: object) -> None:
    path = paths.STUDIES / "tiny" / "params.yaml"
    artifacts.write_text(path, yaml.safe_dump({**STUDY, **changes}, sort_keys=False))


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml and one study, and nothing of what the study needs."""
    monkeypatch.chdir(tmp_path)
    for name, path in {
        "PARAMS": "params.yaml", "DATA": "data", "CORPUS": "data/corpus", "TAGS": "data/tags",
        "ENCODER": "data/encoder",
    }.items():  # fmt: skip
        monkeypatch.setattr(paths, name, Path(path))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    write_study()
    stages = {
        f"{stage}_{corpus}": {} for stage in ("plan", "train") for corpus in ("sst2", "probe")
    }
    Path("studies/tiny/dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    return tmp_path


@pytest.fixture
def data(workspace: Path) -> Path:
    """The workspace with a small tagged corpus and an encoder, so that it can be planned."""
    words = ["a", "dog", "that", "barks", "loud", "."]
    tags = ["DET", "NOUN", "PRON", "VERB", "ADV", "PUNCT"]
    for draw, split in enumerate(paths.SPLITS):
        random = np.random.default_rng(draw)
        rows = [random.integers(0, len(words), random.integers(1, 9)) for _ in range(20)]
        about = {"id": range(20), "label": 0}
        corpus = pd.DataFrame({**about, "words": [[words[i] for i in row] for row in rows]})
        tagged = pd.DataFrame({**about, "tags": [[tags[i] for i in row] for row in rows]})
        write_table(paths.corpus_split(split), corpus)
        write_table(paths.tags_split(split), tagged)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, "##s"]
    BertTokenizerFast(vocab={piece: i for i, piece in enumerate(pieces)}).save_pretrained(
        paths.ENCODER
    )
    BertConfig(vocab_size=len(pieces)).save_pretrained(paths.ENCODER)
    provenance = {"corpus": {"name": "sst2"}, "encoder": {"pretrained": False}}
    artifacts.write_json(paths.provenance(), provenance)
    return workspace


@pytest.fixture
def dvc(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called dvc that writes down how it is called, and fails where it is told to."""
    program = workspace / "bin" / "dvc"
    artifacts.write_text(program, FAKE_DVC.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return workspace / "calls"


def planned() -> dict[str, bytes]:
    folder = studies.results("tiny", "sst2") / "plan"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# Studies and their arms.


def test_cells_go_seed_by_seed() -> None:
    study = studies.Study.model_validate(STUDY)
    assert [f"{arm}-{seed}" for arm, seed in study.cells("sst2")] == CELLS
    assert study.cells("probe") == [("full", 1)]


def test_an_arm_is_the_mode_that_it_names_or_the_mode_of_its_name(workspace: Path) -> None:
    study = studies.load("tiny")
    assert [study.mode(arm) for arm in ("hard", "strong")] == ["hard", "soft"]


def test_an_arm_changes_what_it_names_and_nothing_else(workspace: Path) -> None:
    study, root = studies.load("tiny"), config.load()
    assert study.params().train.max_pieces == 12
    assert study.params("strong").rules.soft_strength == 9.0
    content = study.params("strong").model_dump()
    content["rules"]["soft_strength"] = root.rules.soft_strength
    content["train"]["max_pieces"] = root.train.max_pieces
    assert content == root.model_dump()


def test_an_arm_overrides_what_every_arm_changes(workspace: Path) -> None:
    write_study(arms={**STUDY["arms"], "hard": {"train.max_pieces": 5}})
    study = studies.load("tiny")
    assert study.params("hard").train.max_pieces == 5
    assert study.params("full").train.max_pieces == 12


def test_an_arm_without_changes_may_be_left_empty(workspace: Path) -> None:
    write_study(arms={arm: changes or None for arm, changes in STUDY["arms"].items()})
    assert studies.load("tiny") == studies.Study.model_validate(STUDY)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"sst2": {**STUDY["sst2"], "arms": ["hard", "hrad"]}}, "hrad stands under a corpus"),
        ({"probe": {**STUDY["probe"], "arms": ["flul"]}}, "flul stands under a corpus"),
        ({"arms": {**STUDY["arms"], "odd": {"mode": "hrad"}}}, "arms.odd: hrad is no mode"),
        ({"arms": {**STUDY["arms"], "odd": {}}}, "arms.odd: odd is no mode"),
        ({"armz": {}}, "armz"),
        ({"question": None}, "question"),
    ],
)
def test_a_wrong_study_is_refused_with_its_file_and_what_is_wrong(
    workspace: Path, changes: dict, named: str
) -> None:
    write_study(**changes)
    with pytest.raises(UserError) as caught:
        studies.load("tiny")
    assert "studies/tiny/params.yaml is wrong; nothing was run" in str(caught.value)
    assert named in str(caught.value)


def test_a_study_that_is_not_there_is_refused_with_those_that_are(workspace: Path) -> None:
    with pytest.raises(UserError, match=r"tinny is no study. There are: tiny"):
        studies.load("tinny")


def test_an_arm_that_is_not_declared_is_refused_by_name(workspace: Path) -> None:
    study = studies.load("tiny")
    for ask in (study.params, study.mode):
        with pytest.raises(
            UserError, match=r"strnog is no arm of this study\. Its arms are: full, "
        ):
            ask("strnog")
    with pytest.raises(UserError, match="strnog is no arm"):
        cells.train_cell("tiny", "sst2", "strnog", 42)


@pytest.mark.parametrize("key", ["train.max_peices", "trian.max_pieces", "protocol.recipe"])
def test_an_arm_that_changes_what_is_not_there_is_refused_by_its_key(
    workspace: Path, key: str
) -> None:
    write_study(arms={**STUDY["arms"], "hard": {key: 3}})
    with pytest.raises(UserError) as caught:
        studies.load("tiny").params("hard")
    message = str(caught.value)
    assert "params.yaml with the changes asked for has one problem" in message
    assert any(part in message for part in key.split("."))
    assert len(message.splitlines()) == 2


# Plans.


def test_a_plan_has_one_file_per_cell_and_the_density_of_each_on_every_split(data: Path) -> None:
    cells.plan("tiny", "sst2")
    assert set(planned()) == {"density.csv", *(f"{cell}.json" for cell in CELLS)}
    density = pd.read_csv(studies.results("tiny", "sst2") / "plan" / "density.csv")
    assert len(density) == len(CELLS) * 4
    by_arm = density.set_index(["arm", "seed", "split"])["density"]
    for seed in (42, 7):
        for split in ("train", "selection", "validation", "test"):
            assert by_arm["strong", seed, split] == 1.0
            assert by_arm["random", seed, split] == by_arm["hard", seed, split] < 1.0


def test_planning_twice_gives_the_same_bytes(data: Path) -> None:
    cells.plan("tiny", "sst2")
    first = planned()
    cells.plan("tiny", "sst2")
    assert planned() == first


def test_a_plan_of_a_cell_that_is_no_more_is_removed(data: Path) -> None:
    cells.plan("tiny", "sst2")
    write_study(sst2={**STUDY["sst2"], "seeds": [42]})
    cells.plan("tiny", "sst2")
    assert set(planned()) == {"density.csv", *(f"{cell}.json" for cell in CELLS[:3])}


def test_a_plan_changes_with_its_own_arm_alone(data: Path) -> None:
    cells.plan("tiny", "sst2")
    before = planned()
    write_study(arms={**STUDY["arms"], "strong": {"mode": "soft", "rules.soft_strength": 1.0}})
    cells.plan("tiny", "sst2")
    after = planned()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"strong-42.json", "strong-7.json"}


def test_settings_name_no_device_no_threads_and_no_recipe_that_is_not_used(data: Path) -> None:
    params = studies.load("tiny").params("hard")
    found = cells.settings(params)
    assert not {"device", "threads", "recipes"} & set(found)
    used = params.train.recipes[found["recipe"]].model_dump()
    assert {f"recipe_{key}": value for key, value in used.items()}.items() <= found.items()
    elsewhere = config.load(
        overrides={
            "train.max_pieces": 12,
            "train.device": "cpu",
            "train.threads": 2,
            "train.recipes.probe.epochs": 9,
            "evaluate.seed": 1,
        }
    )
    assert cells.settings(elsewhere) == found
    assert found == json.loads(json.dumps(found))


@pytest.mark.parametrize(
    "changes",
    [
        {"train.max_pieces": 11},
        {"train.token_masking": 0.1},
        {"train.corrupted_tags": 0.1},
        {"train.select_on": "validation"},
        {"train.use_leaking_rows": True},
        {"train.evaluate_every": 7},
        {"train.recipe": "pretrained"},
        {"train.recipes.from_scratch.learning_rate": 0.1},
        {"encoder.keep_projections": False},
        {"protocol": "released"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_plan_made_with_other_parameters_is_refused_before_training(
    data: Path, monkeypatch: pytest.MonkeyPatch, changes: dict
) -> None:
    cells.plan("tiny", "sst2")
    write_study(overrides={**STUDY["overrides"], **changes})
    monkeypatch.setattr(loop, "trained", lambda *_: pytest.fail("something was trained"))
    with pytest.raises(UserError) as caught:
        cells.train_cell("tiny", "sst2", "hard", 42)
    assert "plan/hard-42.json was planned with other parameters" in str(caught.value)
    assert "make study NAME=tiny" in str(caught.value)


def test_a_cell_is_trained_with_the_pattern_and_the_settings_that_were_planned(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells.plan("tiny", "sst2")
    seen = {}
    predictions = pd.DataFrame(
        {"split": ["validation", "examples"], "id": [0, 0], "label": [1, -1],
         "logits": [[0.0, 1.0], [1.0, 0.0]]}
    )  # fmt: skip

    def trained(params, pattern, seed, name, study):
        seen.update(params=params, pattern=pattern, seed=seed)
        history = pd.DataFrame({"step": [1]})
        return loop.Cell(None, predictions, history, {"recipe": "x"}, data / "none.pt")

    monkeypatch.setattr(loop, "trained", trained)
    cells.train_cell("tiny", "sst2", "random", 7)
    plan = artifacts.read_json(studies.plan_file("tiny", "sst2", "random", 7))
    assert seen["params"] == studies.load("tiny").params("random")
    assert seen["seed"] == seen["pattern"].positional.seed == 7
    assert plan["pattern"]["positional"]["kind"] == "random"
    kept = studies.cell_file("tiny", "sst2", "random", 7)
    assert pd.read_parquet(kept)["split"].tolist() == ["validation"]  # examples are not kept
    summary = artifacts.read_json(kept.with_suffix(".json"))
    assert (summary["arm"], summary["mode"], summary["seed"]) == ("random", "random", 7)
    assert summary["code_sha256"] == cells.code_sha256()
    assert not {"seconds", "host"} & set(summary)


# The runner.


def calls(log: Path) -> list[str]:
    return log.read_text().splitlines()


def targets(log: Path) -> list[str]:
    return [line.split()[-1] for line in calls(log)]


def test_the_runner_prepares_and_plans_and_then_trains_every_cell_in_order(dvc: Path) -> None:
    runner.run("tiny", "sst2", jobs=1)
    file = "studies/tiny/dvc.yaml"
    expected = ["rules", f"{file}:plan_sst2", *(f"{file}:train_sst2@{cell}" for cell in CELLS)]
    assert targets(dvc)[: len(expected)] == expected
    for line in calls(dvc)[1 : len(expected)]:
        assert " --single-item " in line  # a cell that is finished stays so, whatever else changed


def test_two_cells_at_a_time_are_each_run_once(dvc: Path) -> None:
    runner.run("tiny", "sst2", jobs=2)
    trained = [target.partition("@")[2] for target in targets(dvc) if "train_sst2@" in target]
    assert sorted(trained) == sorted(CELLS)


def test_cells_at_a_time_wait_for_each_other_where_dvc_is_locked(dvc: Path) -> None:
    runner.run("tiny", "sst2", jobs=2)
    assert all(line.startswith("--wait-for-lock repro ") for line in calls(dvc))


def test_a_study_on_other_assets_prepares_these(dvc: Path) -> None:
    runner.run("tiny", "probe", jobs=1)
    assert targets(dvc)[:3] == [
        "studies/assets/dvc.yaml:tag@probe",
        "studies/tiny/dvc.yaml:plan_probe",
        "studies/tiny/dvc.yaml:train_probe@full-1",
    ]


def test_a_corpus_on_which_a_study_has_no_cells_is_refused_with_those_that_it_has(
    dvc: Path,
) -> None:
    with pytest.raises(UserError, match=r"names no cells on imdb\. Choose CORPUS=sst2 or probe"):
        runner.run("tiny", "imdb", jobs=1)


@pytest.mark.parametrize("fails", ["rules", ":plan_sst2", "@strong-42"])
def test_a_failing_stage_is_reported_with_its_log_in_one_paragraph_and_is_the_last(
    dvc: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    monkeypatch.setenv("FAILS", fails)
    with pytest.raises(UserError) as caught:
        runner.run("tiny", "sst2", jobs=1)
    message = str(caught.value)
    assert "\n\n" not in message
    assert f"{fails} failed; .cache/studies/" in message.splitlines()[0]
    assert "The corpus went for a walk." in message
    assert "ERROR: failed to reproduce" in message
    log = next(word for word in message.split() if word.endswith(".log"))
    assert "The corpus went for a walk." in Path(log).read_text()
    assert targets(dvc)[-1].endswith(fails)


def test_a_study_that_failed_goes_on_when_asked_again(
    dvc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILS", "@hard-7")
    with pytest.raises(UserError):
        runner.run("tiny", "sst2", jobs=2)
    monkeypatch.delenv("FAILS")
    dvc.unlink()
    runner.run("tiny", "sst2", jobs=2)
    assert {f"studies/tiny/dvc.yaml:train_sst2@{cell}" for cell in CELLS} <= set(targets(dvc))


def test_the_command_line_ends_a_failure_without_a_traceback(
    dvc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILS", ":plan_sst2")
    monkeypatch.setattr(sys, "argv", ["study", "tiny"])
    with pytest.raises(SystemExit, match="plan_sst2 failed"):
        runner.main()


def test_a_substitute_is_never_planned_under_the_name_of_the_corpus(data: Path) -> None:
    path = paths.provenance()
    provenance = json.loads(path.read_text())
    provenance["corpus"]["name"] = "probe"
    path.write_text(json.dumps(provenance))
    with pytest.raises(UserError, match="holds probe, and the study asks for sst2"):
        cells.plan("tiny", "sst2")
