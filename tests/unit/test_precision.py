"""Trainings in bfloat16, and trainings on a GPU, whose bits do not depend on the run."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import table
from test_studies import data, workspace  # noqa: F401

from ggsa.training import loop
from ggsa.training.loop import Cell
from ggsa.workspace import config

ROOT = Path(__file__).resolve().parents[2]
RECIPE = "train.recipes.from_scratch"


def train(device: str, precision: str, implementation: str) -> Cell:
    overrides = {
        "train.device": device,
        "train.precision": precision,
        "attention.implementation": implementation,
        "train.max_pieces": 12,
        "train.evaluate_every": 2,
        "train.recipe": "from_scratch",
        f"{RECIPE}.batch_size": 8,
        f"{RECIPE}.dropout": 0.2 if device == "cuda" else 0.0,
    }
    cell = loop.train(config.load(overrides=overrides), table(), 42, "hard-42", "core")
    cell.checkpoint.unlink()  # or the next training would resume from it
    return cell


def logits(cell: Cell) -> np.ndarray:
    return np.stack(list(cell.predictions["logits"]))


@pytest.mark.parametrize("implementation", ["dense", "grouped"])
def test_bfloat16_trains_nearly_as_float32_and_keeps_the_weights_in_float32(
    data: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    implementation: str,
) -> None:
    cpu = torch.device("cpu")  # which users are refused: it is slow there
    monkeypatch.setattr(loop.optimization, "device_for", lambda _: cpu)
    whole, half = (train("cpu", precision, implementation) for precision in ("float32", "bfloat16"))
    expected, losses = whole.history["loss"], half.history["loss"]
    assert np.isfinite(losses).all() and len(losses) > 3
    np.testing.assert_allclose(losses, expected, rtol=0.03)
    assert not losses.equals(expected)  # something was computed in bfloat16
    assert np.abs(logits(half) - logits(whole)).mean() < 0.05
    assert logits(half).dtype == np.float32
    assert {weights.dtype for weights in half.model.parameters()} == {torch.float32}


def test_nothing_starts_cuda_before_cublas_is_told_to_be_deterministic(
    workspace: Path,  # noqa: F811
) -> None:
    program = """
import os, torch

def refuse():
    raise AssertionError("CUDA was started")

torch.cuda._lazy_init = refuse
import stages.cell, stages.train
from ggsa.training import loop
from ggsa.workspace import config

assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
loop.prepare(config.load())
print(os.environ["CUBLAS_WORKSPACE_CONFIG"], torch.are_deterministic_algorithms_enabled())
"""
    environment = {k: v for k, v in os.environ.items() if k != "CUBLAS_WORKSPACE_CONFIG"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == ":4096:8 True\n", done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a GPU: PyTorch finds no CUDA device here"
)
@pytest.mark.parametrize(
    ("precision", "implementation"),
    [("float32", "dense"), ("bfloat16", "dense"), ("bfloat16", "grouped")],
)
def test_two_trainings_on_one_gpu_end_with_the_same_bits(
    data: Path,  # noqa: F811
    precision: str,
    implementation: str,
) -> None:
    first, second = (train("cuda", precision, implementation) for _ in range(2))
    assert first.identity == second.identity
    assert first.identity["machine"]["device"] == torch.cuda.get_device_name()
    assert first.history.equals(second.history)
    assert np.array_equal(logits(first), logits(second))
    weights, expected = second.model.state_dict(), first.model.state_dict()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
