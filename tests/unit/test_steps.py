"""A training of too few steps is an error, before anything is trained."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from preloaded import Preloaded
from small_corpus import write_corpus

from ggsa.tagging.splits import read_words
from ggsa.training.recipe import require_steps
from ggsa.workspace import artifacts, config, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.steps import FEWEST_STEPS

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_corpus()
    return tmp_path


def content(epochs: int, batch_size: int = 4, **corpus: object) -> dict:
    loaded = yaml.safe_load((ROOT / "params.yaml").read_text())
    loaded["train"]["recipes"]["from_scratch"] |= {"epochs": epochs, "batch_size": batch_size}
    loaded["corpus"] |= corpus
    return loaded


def steps(epochs: int, batch_size: int) -> int:
    return -(-len(read_words("train", "without_leaks")) // batch_size) * epochs


@pytest.mark.parametrize("batch_size", [1, 4, 7])
def test_the_named_number_of_epochs_is_the_smallest_that_is_accepted(batch_size: int) -> None:
    with pytest.raises(UserError) as caught:
        require_steps(config.parse(content(2, batch_size)))
    message = str(caught.value)
    assert message.startswith("params.yaml: train.recipes.from_scratch.epochs is 2, ")
    assert f"which is {steps(2, batch_size)} optimizer steps" in message
    epochs = int(message.partition("Set it to ")[2].partition(",")[0])
    assert steps(epochs - 1, batch_size) < FEWEST_STEPS <= steps(epochs, batch_size)
    require_steps(config.parse(content(epochs, batch_size)))
    with pytest.raises(UserError):
        require_steps(config.parse(content(epochs - 1, batch_size)))


def test_rows_that_are_not_trained_on_do_not_count() -> None:
    params = config.parse(content(20))
    train = params.train.model_copy(update={"use_leaking_rows": True})
    require_steps(params.model_copy(update={"train": train}))
    with pytest.raises(UserError):
        require_steps(params)


def test_a_limited_corpus_is_named_as_the_reason() -> None:
    with pytest.raises(UserError, match=r"or raise corpus\.limit\.$"):
        require_steps(config.parse(content(2, limit=60)))
    with pytest.raises(UserError, match=r"or add rows\.$"):
        require_steps(config.parse(content(2)))


def stage(python: Preloaded, *arguments: str) -> str:
    """What a stage prints that must fail."""
    done = python.run(Path.cwd(), *arguments, path=[ROOT / "src", ROOT])
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    return done.stderr


def test_the_stage_rules_refuses_and_writes_nothing(python: Preloaded) -> None:
    Path("params.yaml").write_text(yaml.safe_dump(content(2)))
    assert "Expected at least 300" in stage(python, "stages.rules")
    assert not paths.RULES.exists()


def test_the_plan_of_a_study_refuses_the_arm_and_writes_nothing(python: Preloaded) -> None:
    Path("params.yaml").write_text(yaml.safe_dump(content(1000)))
    declared = {
        "title": "Short", "question": "Is it?", "reference": "full",
        "arms": {"full": None, "brief": {"mode": "full", "train.recipes.from_scratch.epochs": 2}},
        "corpora": {"toy": {"base": None, "seeds": [1]}},
    }  # fmt: skip
    artifacts.write_text(paths.STUDIES / "short/params.yaml", yaml.safe_dump(declared))
    printed = stage(python, "stages.plan", "--study", "short", "--corpus", "toy")
    assert "studies/short/params.yaml, arm brief: train.recipes.from_scratch.epochs is 2" in printed
    assert not paths.RESULTS.exists()


def test_every_published_cell_was_trained_for_enough_steps() -> None:
    cells = [*(ROOT / "reports/published").rglob("cell.json")]
    trained = pd.DataFrame([artifacts.read_json(path)["summary"] for path in cells])
    assert len(trained) and (trained["steps"] >= FEWEST_STEPS).all()
