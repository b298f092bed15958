"""Whether training goes the same way with grouped attention and with the dense mask, on IMDB.

`GGSA_DATA=data/imdb python -m benchmarks.curves` trains the arm `hard` of the study `long` twice
from the same weights, over the same batches and without dropout, and prints by how much the losses
part. `make study NAME=long` gets its data and plan.
"""

import argparse
import sys

import numpy as np
import torch

from ggsa.model import batches, build
from ggsa.model.attention import Mask
from ggsa.patterns.pattern import pattern_from_json
from ggsa.training import loop, optimization, studies
from ggsa.training.recipe import recipe_for
from ggsa.workspace import artifacts, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.progress import track

STUDY, CORPUS, ARM, SEED = "long", "imdb", "hard", 13
DENSE, GROUPED = "dense", "grouped"


def losses(implementation: str, steps: int, batch_size: int) -> np.ndarray:
    """Return the loss of every training step, `[step]`.

    Args:
        implementation: Of attention.
        steps: How many.
        batch_size: Documents of each.

    Raises:
        UserError: If the study's data or plan are not there.
    """
    params = studies.load(STUDY).params(ARM)
    plain = {"dropout": 0.0, "attention_dropout": 0.0, "batch_size": batch_size}
    plain |= {"warmup": 0.1}  # of the few steps, so that something is learned
    recipe = params.train.recipes[recipe_for(params)].model_copy(update=plain)
    split = loop.read_splits(params, ("train",), SEED)["train"]
    model = build.build(paths.ENCODER, recipe, SEED, False)
    planned = studies.plan_file(STUDY, CORPUS, ARM, SEED)
    pattern = pattern_from_json(artifacts.read_json(planned)["pattern"], planned)
    mask = Mask(pattern, torch.device("cpu"), implementation)
    optimizer = optimization.optimizer_for(model, recipe)
    order = batches.training_order(split.lengths, batch_size, SEED, 0)[:steps]
    found = []
    schedule = optimization.schedule_for(optimizer, steps, recipe)
    for rows in track(order, len(order), implementation, "step"):
        batch = batches.collate(split.sentences, split.labels, rows)
        found.append(loop.train_step(model, mask, optimizer, batch, params, recipe))
        schedule.step()
    return torch.stack(found).numpy()


def main() -> None:
    """Print the losses at some steps, and where they part most."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves", description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    try:
        dense, grouped = (
            losses(name, arguments.steps, arguments.batch_size) for name in (DENSE, GROUPED)
        )
    except UserError as error:
        sys.exit(f"\n{error}\n")
    for step in range(0, len(dense), max(1, len(dense) // 10)):
        print(f"step {step:4}: dense {dense[step]:.6f}, grouped {grouped[step]:.6f}")
    apart = np.abs(dense - grouped)
    print(f"{len(dense)} steps; most apart: {apart.max():.2e}, at step {apart.argmax()}")


if __name__ == "__main__":
    main()
