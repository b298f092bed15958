"""What tests of the pipeline share: a finished run, and a tagger that is trained in seconds."""

from pathlib import Path

import pytest
import yaml
from workspace import SHORT, commit, copy_to, edit, keep, make

from ggsa.assets.probe import treebank


@pytest.fixture(scope="session")
def own_tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Stanza model of a few steps, as a user may bring one."""
    model = tmp_path_factory.mktemp("tagger") / "pos.pt"
    treebank.trained_on(treebank.treebank(1), model, 1, SHORT)
    return model


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished `make repro` of the embedded substitutes: two short trainings per mode."""
    folder = tmp_path_factory.mktemp("clone")
    copy_to(folder)
    content = yaml.safe_load((folder / "params.yaml").read_text())
    content["train"]["recipes"]["probe"] |= {"epochs": 1, "batch_size": 2}  # 300 steps
    content["train"]["evaluate_every"] = 50
    (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    edit(
        folder,
        assets__source="embedded",
        corpus__limit=600,
        grid__modes=["full", "hard"],
        grid__seeds=[13, 42],
        evaluate__bootstrap_samples=200,
        report__figure_dpi=60,
    )
    commit(folder)
    (folder / "repro.log").write_text(make(folder, "repro", "JOBS=2"))
    keep(folder)
    return folder


@pytest.fixture(scope="session")
def experiment(clone: Path) -> str:
    """What the README's experiment without VERB->NOUN prints."""
    return make(clone, "experiment", 'SET=rules.drop=["VERB->NOUN"]')
