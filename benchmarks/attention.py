"""Attention alone: the allowed pairs against all of them, and against a dense mask.

The peer is PyTorch's fused attention over all pairs. Each call of ours includes the planning of the
batch, and of the dense mask its building: what a layer would pay if it were the model's only one.
"""

import argparse
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import torch
from scipy.optimize import nnls
from torch.nn.functional import scaled_dot_product_attention
from transformers import BertConfig

from benchmarks import texts, timing
from benchmarks.timing import interleaved
from ggsa.model.attention import Mask, choice
from ggsa.model.attention.dense import dense_attention
from ggsa.model.attention.grouped import grouped_attention
from ggsa.model.attention.plan import compile_table, counts_by_rank
from ggsa.model.batches import Batch
from ggsa.patterns.modes import PatternData, pattern_for
from ggsa.patterns.pattern import Pattern, read_pattern
from ggsa.tagging.alignment import TaggedPieces
from ggsa.workspace import config, paths

DIM = 64
FULL, DENSE, GROUPED, AUTO = "full", "dense mask", "grouped", "auto"
FORWARD, BOTH = "forward", "forward and backward"
SECONDS = 3.0
LARGE = 4 * 10**8
"""Pairs over all heads from which on a call takes seconds."""
CASES: tuple[tuple[int, int, int, str, str, int], ...] = (
    # length, batch, heads, tags, direction, threads
    *product((128, 512, 2048, 8192), (1,), (12, 2), (texts.REAL,), (FORWARD, BOTH), (1,)),
    *product((128, 512, 2048), (8,), (12, 2), (texts.REAL,), (BOTH,), (1,)),
    *product((512, 2048), (1,), (12,), (texts.INDEPENDENT,), (BOTH,), (1,)),
    *product((512, 2048, 8192), (1,), (12,), (texts.REAL,), (BOTH,), (2,)),
)


def run(source: TaggedPieces, hard: Pattern, window: Pattern) -> Iterator[list[dict[str, Any]]]:
    """Yield the lines of every case.

    Args:
        source: Sentences to join.
        hard: The rule table's pattern.
        window: Its control at equal density.
    """
    for length, batch, heads, tags, direction, threads in CASES:
        torch.set_num_threads(threads)
        texts_ = texts.joined(source, batch, length, tags)
        about = {"length": length, "batch": batch, "heads": heads, "tags": tags}
        about |= {"direction": direction, "threads": threads}
        yield case(texts_, {"hard": hard}, heads, direction == BOTH, about)
    torch.set_num_threads(1)
    for length in (512, 2048):  # the control at equal density, in the same rounds
        about = {"length": length, "batch": 1, "heads": 12, "tags": texts.REAL}
        about |= {"direction": BOTH, "threads": 1}
        texts_ = texts.joined(source, 1, length, texts.REAL)
        lines = case(texts_, {"hard": hard, "window": window}, 12, True, about)
        yield [line for line in lines if line["case"] == "window"]  # hard has lines already


def case(
    batch: Batch, named: dict[str, Pattern], heads: int, backward: bool, about: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return a line for each implementation of each pattern, all timed in the same rounds."""
    inputs, weights = tensors(batch, heads, backward)
    contestants: dict[str, Callable[[], Any]] = {
        FULL: step(lambda: scaled_dot_product_attention(*inputs), inputs, weights, backward)
    }
    limits = {}
    for name, pattern in named.items():
        allowed = torch.isfinite(Mask(pattern, torch.device("cpu")).bias(batch))
        limits[name] = float(allowed.double().mean())
        del allowed
        for implementation in (DENSE, GROUPED, AUTO):
            contestants[f"{name}, {implementation}"] = step(
                caller(pattern, implementation, batch, inputs), inputs, weights, backward
            )
    size = heads * batch.tags.numel() * batch.tags.shape[1]
    times = interleaved(
        contestants, SECONDS, fewest=3 if size >= LARGE else 5, warm_up=size < LARGE
    )
    lines = []
    for name in named:
        for implementation, peer in ((GROUPED, FULL), (DENSE, FULL), (AUTO, DENSE)):
            ours = f"{name}, {implementation}"
            theirs = peer if peer == FULL else f"{name}, {peer}"
            limit = limits[name] if implementation == GROUPED else None
            told = {"benchmark": "attention", "case": name, **about}
            lines.append(timing.line(times, ours, theirs, limit, **told))
    return lines


def tensors(batch: Batch, heads: int, backward: bool) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Return query, key and value as a projection leaves them, and a gradient for the output."""
    torch.manual_seed(13)
    count, length = batch.tags.shape
    made = [torch.randn(count, length, heads, DIM).transpose(1, 2) for _ in range(3)]
    return [x.requires_grad_(backward) for x in made], torch.randn(count, length, heads * DIM)


def step(
    attend: Callable[[], torch.Tensor],
    inputs: list[torch.Tensor],
    weights: torch.Tensor,
    backward: bool,
) -> Callable[[], Any]:
    """Return a call of attention, with its gradients where asked."""

    def forward_alone() -> torch.Tensor:
        with torch.inference_mode():
            return attend()

    def both() -> Any:
        output = attend().transpose(1, 2).reshape(weights.shape)
        return torch.autograd.grad(output, inputs, weights)

    return both if backward else forward_alone


def caller(
    pattern: Pattern, implementation: str, batch: Batch, inputs: list[torch.Tensor]
) -> Callable[[], torch.Tensor]:
    """Return attention as one implementation computes it, preparation included."""
    heads = inputs[0].shape[1]
    sizes = BertConfig(hidden_size=heads * DIM, num_hidden_layers=1, num_attention_heads=heads)
    named = {DENSE: "dense", GROUPED: "grouped", AUTO: "auto"}[implementation]
    mask = Mask(pattern, torch.device("cpu"), named, sizes)

    def attend() -> torch.Tensor:
        laid = mask.inputs(batch)
        if "plan" in laid:
            return grouped_attention(*inputs, laid["plan"])
        return dense_attention(*inputs, laid["attention_mask"])

    return attend


def fit(source: TaggedPieces, hard: Pattern) -> None:
    """Print the numbers of `choice.COSTS` that describe this machine best."""
    rows: list[list[float]] = []
    seconds: list[float] = []
    table = compile_table(hard.allowed)
    for heads, batch, length in product((2, 12), (1, 8), (64, 128, 192, 256, 384, 512, 1024)):
        text = texts.joined(source, batch, length, texts.REAL)
        inputs, weights = tensors(text, heads, True)
        contestants = {
            name: step(caller(hard, name, text, inputs), inputs, weights, True)
            for name in (DENSE, GROUPED)
        }
        times = interleaved(contestants, 1.0)
        tags, is_padding = text.tags.numpy(), text.is_padding.numpy()
        done = choice.work(table, counts_by_rank(table, tags, is_padding)[:, :-1])
        width, all_pairs = heads * DIM, batch * length**2
        rows += [
            [done.calls, width * done.rows, width * done.pairs, 0, 1],
            [0, 0, 0, width * all_pairs, 0],
        ]
        seconds += [float(np.median(times[GROUPED])), float(np.median(times[DENSE]))]
    matrix, target = np.array(rows), np.array(seconds)
    weights_ = 1 / target  # relative errors count
    numbers, _ = nnls(matrix * weights_[:, None], np.ones(len(target)))
    predicted = matrix @ numbers
    costs = choice.Costs(*(float(f"{number:.2g}") for number in numbers))
    print(f"COSTS = {costs}")
    off = np.abs(predicted / target - 1)
    grouped, dense = target[::2], target[1::2]
    chosen = predicted[::2] < choice.CAUTION * predicted[1::2]
    print(f"grouped is chosen in {chosen.sum()} of {len(chosen)} cases")
    print(f"the worst choice costs {np.where(chosen, grouped / dense, 1).max():.2f} of dense")
    print(f"the worst refusal costs {np.where(chosen, 1, dense / grouped).max():.2f} of grouped")
    print(f"relative error: median {np.median(off):.2f}, largest {off.max():.2f}")


def main() -> None:
    """Time attention, or fit the model of its times."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attention", description=__doc__)
    parser.add_argument("--fit", action="store_true", help="print the numbers for choice.COSTS")
    params = config.load()
    torch.set_num_threads(1)
    source = texts.sentences(params)
    hard = read_pattern(paths.rule_table("hard"))
    if parser.parse_args().fit:
        fit(source, hard)
        return
    for lines in run(source, hard, pattern_for("window", params.rules, 0, PatternData(params))):
        timing.show(timing.table(lines))


if __name__ == "__main__":
    main()
