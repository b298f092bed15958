"""Trainings that two processes share; each scenario of the tests is a function.

Under `torchrun` this is one of its processes. By itself it starts the processes of each scenario as
`torchrun` does, but forks them, because importing everything takes most of their time.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from small_models import table
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from ggsa.training import distributed, loop
from ggsa.training.loop import Cell
from ggsa.workspace import config, paths
from ggsa.workspace.errors import UserError
from stages import run


def train(dropout: float = 0.0, seed: int = 42) -> Cell:
    params = config.load(overrides={"train.recipes.from_scratch.dropout": dropout})
    return loop.train(params, table(), seed, "hard-42", "core")


def after_step(step: int, action: Callable[[], None]) -> None:
    """Do something as soon as a step is done."""
    train_step, steps = loop.train_step, iter(range(1, sys.maxsize))

    def counted(*arguments: object) -> torch.Tensor:
        loss = train_step(*arguments)
        if next(steps) == step:
            action()
        return loss

    loop.train_step = counted


class Stopped(Exception):
    pass


def resume() -> None:
    """An interrupted training with dropout ends with the bits of an uninterrupted one."""
    train_step = loop.train_step
    whole = train(dropout=0.3)
    if distributed.is_first():
        shutil.rmtree(paths.CHECKPOINTS)

    def stop() -> None:
        raise Stopped

    after_step(3, stop)  # it was saved after step 2
    try:
        train(dropout=0.3)
    except Stopped:
        loop.train_step = train_step
    resumed = train(dropout=0.3)
    pd.testing.assert_frame_equal(resumed.history, whole.history, check_exact=True)
    logits = [np.stack(list(cell.predictions["logits"])) for cell in (whole, resumed)]
    assert np.array_equal(*logits)
    weights, expected = resumed.model.state_dict(), whole.model.state_dict()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def error() -> None:
    """The second process fails while the first waits for it."""

    def fail() -> None:
        raise UserError("The second process has a problem.")

    if not distributed.is_first():
        after_step(3, fail)
    train()


def common_error() -> None:
    """All processes fail for the same reason."""
    raise UserError("All processes have a problem.")


def unlike() -> None:
    """The processes train cells with different seeds."""
    train(seed=42 + distributed.rank())


def killed() -> None:
    """The second process is killed."""
    if not distributed.is_first():
        after_step(3, lambda: os.kill(os.getpid(), signal.SIGKILL))
    train()


def interrupted() -> None:
    """Ctrl-C, which a terminal sends to torchrun."""
    if distributed.is_first():
        after_step(3, lambda: os.kill(os.getppid(), signal.SIGINT))
    train()


def start(scenario: str) -> None:
    def main() -> None:
        with distributed.processes():
            globals()[scenario]()

    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # forked processes have torchrun's handler
    run(main)


def launch(scenario: str) -> None:
    """Run a scenario in two processes, and print whether both ended well."""
    config = LaunchConfig(
        1,
        1,
        2,
        start_method="fork",
        max_restarts=0,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
    )
    print(f"scenario {scenario}", file=sys.stderr)
    try:
        elastic_launch(config, start)(scenario)
    except ChildFailedError:
        print("It failed.", file=sys.stderr)


if __name__ == "__main__":
    for scenario in sys.argv[1:]:
        (start if dist.is_torchelastic_launched() else launch)(scenario)
