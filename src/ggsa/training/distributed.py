"""One training on several devices: what the processes that `torchrun` starts share.

Each process takes its rows of every batch, and gradients are averaged, so that every process holds
the same weights after every step. The first process alone writes files and prints. Without
`torchrun` there is one process, and nothing here communicates.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from transformers import PreTrainedModel

from ggsa.workspace.errors import UserError

Result = TypeVar("Result")
LONGEST_WAIT = timedelta(days=1)
"""Of a process for the others. `torchrun` ends them all as soon as one fails, and the first process
may adapt an encoder for hours."""
LOST = re.compile(r"(closed|reset) by peer|remote process exited", re.IGNORECASE)
"""What Gloo and NCCL say when another process has ended."""


@contextmanager
def processes() -> Iterator[None]:
    """Join the processes that `torchrun` started, and afterwards end all but the first.

    If one fails, it alone reports its error; the others end without a message.

    Raises:
        UserError: If another process ended without reporting an error.
    """
    if not dist.is_torchelastic_launched() or int(os.environ["WORLD_SIZE"]) == 1:
        yield
        return
    store, own, size = next(dist.rendezvous("env://"))
    # torchrun may start all processes again, with the same store.
    store = dist.PrefixStore(os.environ["TORCHELASTIC_RESTART_COUNT"], store)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=own, world_size=size, timeout=LONGEST_WAIT)
    # No process may fail while another still connects. A barrier would start CUDA.
    dist.all_reduce(torch.zeros(1))
    try:
        yield
    except BaseException as error:
        errors = store.add("errors", 1)
        if own > 0 if isinstance(error, KeyboardInterrupt) else errors > 1:
            raise SystemExit(1) from None
        if isinstance(error, RuntimeError) and LOST.search(str(error)):
            raise UserError(
                "Another process of this training ended without a message, most often because memory "
                "ran out; the report of torchrun says which. Start fewer processes or lower the "
                "recipe's batch_size in params.yaml, then run the same command again: training "
                "continues from the last evaluation."
            ) from error
        raise
    dist.destroy_process_group()
    if own > 0:
        raise SystemExit(0)


def world_size() -> int:
    """Return the number of processes that share this training."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Return whether this process writes files and prints."""
    return rank() == 0


def own_device(kind: str) -> torch.device:
    """Return the device of this process; of several processes with CUDA, each has its own GPU.

    Args:
        kind: `cpu`, `cuda` or `mps`.

    Raises:
        UserError: If there are fewer GPUs than processes, or the device cannot be shared.
    """
    if world_size() == 1 or kind == "cpu":
        return torch.device(kind)
    gpus = torch.cuda.device_count()
    if int(os.environ["LOCAL_WORLD_SIZE"]) > gpus:
        raise UserError(
            f"torchrun started {os.environ['LOCAL_WORLD_SIZE']} processes on a machine where "
            f"PyTorch finds {gpus} GPUs with CUDA. Expected at most one process per GPU: lower "
            f"--nproc-per-node, or set train.device to cpu."
        )
    device = torch.device(kind, int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(device)
    return device


def share(rows: np.ndarray, rank: int, world_size: int) -> tuple[np.ndarray, float]:
    """Return the rows of a batch that a process takes, and the weight of their mean loss.

    The mean of the weighted losses of all processes is the mean loss of the batch. A process that
    is left without rows takes one with weight 0, because every process takes part in every step.

    Args:
        rows: Of the batch that all processes share.
        rank: Of the process.
        world_size: Number of processes.
    """
    own = rows[rank::world_size]
    if not len(own):
        return rows[:1], 0.0
    return own, world_size * len(own) / len(rows)


class _Parallel(DistributedDataParallel):
    """A model whose gradients are averaged over the processes."""

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the model's weights."""
        return self.module.dtype


def parallel(model: PreTrainedModel) -> torch.nn.Module:
    """Return a model to train; its weights become those of the first process."""
    return model if world_size() == 1 else _Parallel(model)


def mean(value: Tensor) -> Tensor:
    """Return the mean of a number over the processes."""
    if world_size() > 1:
        dist.all_reduce(value)
        value = value / world_size()
    return value


def draw_apart(seed: int, step: int) -> None:
    """Give every process but the first its own random numbers, which follow from seed and step.

    The first keeps its generator, whose state is in the checkpoint.
    """
    if not is_first():
        entropy = np.random.SeedSequence([seed, step, rank()])
        torch.manual_seed(int(entropy.generate_state(1, np.uint64)[0]))


def from_first(work: Callable[[], Result]) -> Result:
    """Return what some work returns in the first process, to every process."""
    if world_size() == 1:
        return work()
    results = [work() if is_first() else None]
    dist.broadcast_object_list(results)
    return results[0]  # type: ignore[return-value]


def require_equal(identity: Mapping[str, Any]) -> None:
    """Check that all processes train the same cell on the same data and kind of machine.

    Args:
        identity: Of the cell, as this process sees it; see `ggsa.training.identity`.

    Raises:
        UserError: If processes differ; names the keys.
    """
    if world_size() == 1:
        return
    identities: list[Any] = [None] * world_size()
    dist.all_gather_object(identities, dict(identity))
    unlike = sorted(key for key in identity if any(i[key] != identity[key] for i in identities))
    if unlike:
        raise UserError(
            f"The processes of this training differ in {', '.join(unlike)}. Expected the same "
            f"folder and the same kind of machine for each. Start them on equal machines, in copies "
            f"of one folder."
        )
