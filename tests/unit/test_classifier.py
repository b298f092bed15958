"""A trained run outside the pipeline."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from small_models import TAGGED, WORDS, run, table

import ggsa
from ggsa.workspace.errors import UserError

ABSENT = ("datasets", "dvc", "matplotlib", "nltk", "pandas", "papermill", "pydantic", "stanza")
ALONE = """
import sys

sys.modules.update(dict.fromkeys({absent}))  # as if they were not installed
import ggsa
model = ggsa.load({folder!r})
print(model.logits({words}, {tags}).tolist())
"""


def test_a_run_is_loaded_with_its_pattern_and_its_limits(tmp_path) -> None:
    pattern = table()
    model = ggsa.load(run(tmp_path / "run", pattern))
    assert np.array_equal(model.pattern.bias, pattern.bias)
    assert (model.max_pieces, len(model.classes)) == (16, 2)


def test_a_run_needs_nothing_but_pytorch_and_transformers(tmp_path) -> None:
    folder = run(tmp_path / "run")
    program = ALONE.format(absent=ABSENT, folder=str(folder), words=WORDS, tags=TAGGED)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ggsa.load(folder).logits(WORDS, TAGGED).tolist()


def test_predictions_are_the_likeliest_class_and_its_probabilities(tmp_path) -> None:
    model = ggsa.load(run(tmp_path / "run", classes=3))
    logits = model.logits(WORDS, TAGGED)
    for row, (label, probabilities) in zip(logits, model.predict(WORDS, TAGGED), strict=True):
        assert label == model.classes[row.argmax()]
        expected = np.exp(row) / np.exp(row).sum()
        assert np.allclose(list(probabilities.values()), expected, atol=1e-6)
    assert model.predict([], []) == []


def test_the_implementation_of_attention_changes_no_prediction(tmp_path) -> None:
    folder = run(tmp_path / "run")
    dense, grouped = (
        ggsa.load(folder, implementation=name).logits(WORDS, TAGGED)
        for name in ("dense", "grouped")
    )
    assert np.allclose(dense, grouped, atol=1e-5)


def test_weights_lie_where_the_pattern_allows_and_asking_for_them_changes_nothing(tmp_path) -> None:
    model = ggsa.load(run(tmp_path / "run"))
    before = model.logits(WORDS, TAGGED)
    weights = model.attention(WORDS[0], TAGGED[0])  # [layer, head, query, key]
    tags = model.aligned(WORDS[:1], TAGGED[:1]).tags[0]
    allowed = torch.from_numpy(
        model.pattern.allowed[np.ix_(tags, tags)] | np.eye(len(tags), dtype=bool)
    )
    assert not (weights > 0)[:, :, ~allowed].any()
    assert torch.allclose(weights.sum(dim=-1), torch.ones(()), atol=1e-5)
    assert np.array_equal(model.logits(WORDS, TAGGED), before)


def test_what_is_no_run_is_refused_with_what_there_is(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"nowhere is no folder of a trained run. `make repro`"):
        ggsa.load("nowhere")
    folder = run(tmp_path / "runs/core/hard-42")
    assert ggsa.load("hard-42").folder.resolve() == folder
    assert ggsa.load("runs/hard-42").folder.resolve() == folder
    with pytest.raises(UserError, match=r"There are: runs/core/hard-42"):
        ggsa.load("soft-42")
    config = json.loads((folder / "config.json").read_text())
    del config["ggsa_pattern"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"holds no ggsa_pattern.*make repro"):
        ggsa.load("hard-42")
    (folder / "model.safetensors").write_bytes(b"half of it")
    config["ggsa_pattern"] = {}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"cannot be loaded.*damaged"):
        ggsa.load("hard-42")
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"lacks model.safetensors"):
        ggsa.load("hard-42")
