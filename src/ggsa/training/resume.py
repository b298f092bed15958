"""Checkpoints of an unfinished training, from which it resumes with the same bits."""

import io
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from ggsa.workspace import artifacts


def save(
    path: Path,
    model: PreTrainedModel,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    progress: dict[str, Any],
) -> None:
    """Write everything that the rest of a training depends on.

    Raises:
        UserError: If it cannot be written; the checkpoint before is unchanged.
    """
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "progress": progress,
        "random": torch.get_rng_state(),
        "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    buffer = io.BytesIO()  # where the disk is full, torch.save to a file does not say so
    torch.save(state, buffer)
    with artifacts.atomic_write(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def read(path: Path) -> dict[str, Any] | None:
    """Return a checkpoint, its tensors on the CPU; None if there is none.

    Checkpoints of the same training with other settings are deleted. A damaged one costs time,
    nothing else.

    Args:
        path: `<name>-<16 digits>.pt`; the digits follow from what decides the training.
    """
    name = path.stem.rsplit("-", 1)[0]
    for stale in path.parent.glob(f"{name}-{'?' * 16}.pt"):
        if stale != path and "-" not in stale.stem.removeprefix(f"{name}-"):
            stale.unlink()
    if not path.exists():
        return None
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # depends on how the file is damaged
        print(
            f"{path} is damaged ({error}); restarting this training from scratch.", file=sys.stderr
        )
        path.unlink()
        return None
    print(f"{path.stem}: resuming from step {state['progress']['step']}.", file=sys.stderr)
    return state


def restore(
    state: dict[str, Any] | None,
    model: PreTrainedModel,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> dict[str, Any]:
    """Restore model, optimizer and random state from a checkpoint; return its progress.

    Args:
        state: See `read`; None restores nothing, and there is no progress.
        model: On its device.
        optimizer: Of the model.
        schedule: Of the optimizer.
    """
    if state is None:
        return {}
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    torch.set_rng_state(state["random"])
    if state["cuda_random"]:
        torch.cuda.set_rng_state_all(state["cuda_random"])
    return state["progress"]
