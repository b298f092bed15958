"""How weights are changed: the device, the optimizer and its schedule, the same for all modes."""

from typing import Any

import torch
from transformers import PreTrainedModel, get_linear_schedule_with_warmup

from ggsa.training import distributed
from ggsa.workspace.blocks import Recipe
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError


def device_for(params: Params) -> torch.device:
    """Return the device to train on: the one that `train.device` names, or the best available.

    Raises:
        UserError: If the device is unavailable, the precision needs another one, or there are more
            processes than GPUs.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    name = params.train.device
    if name == "auto":
        name = next(name for name in available if available[name])
    if not available[name]:
        raise UserError(
            f"train.device is {name}, which PyTorch does not find on this machine. Choose auto or "
            f"{', '.join(n for n in available if available[n])}."
        )
    if params.train.precision == "bfloat16" and name == "cpu":
        raise UserError(
            "train.precision is bfloat16, which needs a GPU, and the device is cpu. Choose auto or "
            "float32."
        )
    return distributed.own_device(name)


def optimizer_for(model: PreTrainedModel, recipe: Recipe) -> torch.optim.AdamW:
    """Return fused AdamW over a model's weights; biases and layer norms are not decayed."""
    groups = _weight_decay_groups(model, recipe.weight_decay)
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)


def schedule_for(
    optimizer: torch.optim.Optimizer, total_steps: int, recipe: Recipe
) -> torch.optim.lr_scheduler.LambdaLR:
    """Return transformers' linear warm-up from zero and linear decay to zero, over all steps."""
    warmup = recipe.warmup_steps(total_steps)
    return get_linear_schedule_with_warmup(optimizer, warmup, total_steps)


def _weight_decay_groups(model: PreTrainedModel, weight_decay: float) -> list[dict[str, Any]]:
    """Return parameters in two groups: biases and layer norms are not decayed."""
    decayed = [p for n, p in model.named_parameters() if p.ndim > 1]
    rest = [p for n, p in model.named_parameters() if p.ndim <= 1]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
