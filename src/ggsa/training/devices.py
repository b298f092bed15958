"""On what is trained: the device that params.yaml asks for, or the best that is there."""

import torch

from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError


def chosen(params: Params) -> torch.device:
    """Return the device to train on.

    Raises:
        UserError: If the device asked for is not there, or the precision needs another one.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    wanted = params.train.device
    name = next(name for name in there if there[name]) if wanted == "auto" else wanted
    if not there[name]:
        raise UserError(
            f"params.yaml: train.device is {name}, which PyTorch does not find here. "
            f"Choose auto or {', '.join(n for n in there if there[n])}."
        )
    if params.train.precision == "bfloat16" and name == "cpu":
        raise UserError(
            "params.yaml: train.precision is bfloat16, which wants a GPU, and the device is cpu. "
            "Choose auto or float32."
        )
    return torch.device(name)
