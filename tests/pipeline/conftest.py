"""What tests of the pipeline share: a tagger that is trained in seconds."""

from pathlib import Path

import pytest

from ggsa import probe
from ggsa.probe.treebank import OPTIONS


@pytest.fixture(scope="session")
def own_tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Stanza model of a few steps, as a user may bring one."""
    model = tmp_path_factory.mktemp("tagger") / "pos.pt"
    options = OPTIONS | {"max_steps": 60, "eval_interval": 30, "max_steps_before_stop": 60}
    probe.trained_on(probe.treebank(1), model, 1, options)
    return model
