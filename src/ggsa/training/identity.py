"""What decides the bits of a trained cell, so that equal cells are recognized and others are not.

Two cells with the same identity are bit-identical: the same settings, pattern, data and seed on the
same kind of machine.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch

from ggsa.patterns.pattern import Pattern, pattern_as_json
from ggsa.training import distributed
from ggsa.training.recipe import recipe_for
from ggsa.workspace import paths
from ggsa.workspace.config import Params
from ggsa.workspace.machine import machine

VERSION = 2
"""Raise it whenever a change of the code changes what a cell predicts."""

NOT_SETTINGS = ("device", "threads", "recipes", "recipe", "select_on")
"""Keys of the block `train` that the machine records, or that are written in another form."""


def settings(params: Params, adaptation: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return everything that decides a cell except pattern, data, seed and machine.

    Args:
        params: Of the cell.
        adaptation: What decides the encoder that it starts from, if that was adapted.
    """
    train = {k: v for k, v in params.train.model_dump().items() if k not in NOT_SETTINGS}
    recipe = recipe_for(params)
    return {
        "version": VERSION,
        **train,
        "select_on": params.train.select_on if params.train.checkpoint == "best" else None,
        "recipe": recipe,
        **{f"recipe_{key}": value for key, value in params.train.recipes[recipe]},
        "keep_projections": params.encoder.keep_projections,
        "attention": params.attention.implementation,
        **({"adaptation": dict(adaptation)} if adaptation else {}),
    }


def identity(
    params: Params,
    pattern: Pattern,
    seed: int,
    device: torch.device,
    adaptation: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what decides a cell's bits. Call it after the number of threads is set."""
    return {
        "settings": settings(params, adaptation),
        "pattern_sha256": digest(pattern_as_json(pattern)),
        "data_sha256": data_sha256(),
        "seed": seed,
        "machine": machine(device, distributed.world_size()),
    }


def digest(content: Any) -> str:
    """Return the SHA-256 of JSON content, regardless of the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def data_sha256() -> str:
    """Return a digest of the sentences, their tags and the encoder that a cell reads."""
    total = hashlib.sha256()
    inputs = [f(split) for split in paths.SPLITS for f in (paths.corpus_split, paths.tags_split)]
    for path in (*inputs, *sorted(paths.ENCODER.iterdir())):
        total.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(2**20):
                total.update(block)
    return total.hexdigest()
