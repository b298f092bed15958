"""How weights are changed: the optimizer and its learning rate, the same for every mode."""

from typing import Any

import torch
from transformers import PreTrainedModel

from ggsa.workspace.blocks import Recipe


def optimizer_for(model: PreTrainedModel, recipe: Recipe) -> torch.optim.AdamW:
    """Return fused AdamW over a model's weights; biases and layer norms are not decayed."""
    groups = _weight_decay_groups(model, recipe.weight_decay)
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)


def learning_rate(step: int, total_steps: int, recipe: Recipe) -> float:
    """Return the rate of a step (from 0): linear warm-up, then linear decay to zero."""
    warmup = min(recipe.warmup_steps, total_steps // 2)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    return recipe.learning_rate * (total_steps - step) / max(1, total_steps - warmup)


def _weight_decay_groups(model: PreTrainedModel, weight_decay: float) -> list[dict[str, Any]]:
    """Return parameters in two groups: biases and layer norms are not decayed."""
    decayed = [p for n, p in model.named_parameters() if p.ndim > 1]
    rest = [p for n, p in model.named_parameters() if p.ndim <= 1]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
