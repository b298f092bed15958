"""The same attention on a GPU, in bfloat16: `python -m benchmarks.gpu`. It needs CUDA.

Contestants: PyTorch's flash and cuDNN attention over all pairs (the peers), and the dense masks of
the hard table and of the window at equal density. Making a mask is timed separately, because a model
makes it once per batch and computes attention once per layer. Times are GPU times between two events,
and every round runs each contestant once, in random order.
"""

import argparse
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from benchmarks import texts, timing
from ggsa.model.attention import Mask
from ggsa.model.attention.dense import dense_attention
from ggsa.patterns.modes import PatternData, pattern_for
from ggsa.patterns.pattern import Pattern, read_pattern
from ggsa.workspace import checksums, config, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.progress import track
from ggsa.workspace.tables import write_table
from ggsa.workspace.vocabulary import TAGS

HEADS, DIM = 12, 64
LENGTHS = (512, 1024, 2048, 4096, 8192, 16384, 32768)
TOKENS = 65_536
"""Tokens of a batch: the longest texts come two at a time."""

ROUNDS = 20
FLASH, CUDNN, BUILD = "flash", "cuDNN", "hard, making the mask"
Call = Callable[[], Any]


def run(source: Any, named: dict[str, Pattern], device: torch.device) -> list[dict[str, Any]]:
    """Return a line for each contestant, peer, length and direction."""
    lines: list[dict[str, Any]] = []
    for length in track(LENGTHS, len(LENGTHS), "time", "length"):
        batch = max(1, TOKENS // length)
        text = texts.joined(source, batch, length, texts.REAL)
        for backward in (False, True):
            shape = (batch, HEADS, length, DIM)
            torch.manual_seed(13)
            inputs = [
                torch.randn(shape, device=device, dtype=torch.bfloat16, requires_grad=backward)
                for _ in range(3)
            ]
            weights = torch.randn(shape, device=device, dtype=torch.bfloat16)
            calls: dict[str, Call] = {
                FLASH: _call(_backend(SDPBackend.FLASH_ATTENTION, inputs), inputs, weights),
                CUDNN: _call(_backend(SDPBackend.CUDNN_ATTENTION, inputs), inputs, weights),
            }
            limits = {}
            for name, pattern in named.items():
                bias = Mask(pattern, device).bias(text).to(torch.bfloat16)
                calls[f"{name}, dense"] = _call(
                    lambda bias=bias, inputs=inputs: dense_attention(*inputs, bias), inputs, weights
                )
                counts = np.stack([np.bincount(row, minlength=len(TAGS)) for row in text.tags])
                limits[f"{name}, dense"] = pattern.density(counts)
            hard = Mask(named["hard"], device)
            calls[BUILD] = lambda hard=hard, text=text: hard.bias(text)
            times = _measured(calls)
            about = {"benchmark": "gpu", "case": "bfloat16", "length": length, "batch": batch}
            about |= {"heads": HEADS, "tags": texts.REAL}
            about |= {"direction": "forward and backward" if backward else "forward"}
            lines += [
                timing.line(times, ours, peer, limits.get(ours), **about)
                for ours in calls
                for peer in (FLASH, CUDNN)
                if ours != peer and peer in times and ours in times
            ]
    return lines


def _backend(backend: SDPBackend, inputs: list[torch.Tensor]) -> Call:
    def attend() -> torch.Tensor:
        with sdpa_kernel(backend):
            return scaled_dot_product_attention(*inputs)

    return attend


def _call(attend: Call, inputs: list[torch.Tensor], weights: torch.Tensor) -> Call:
    def forward() -> torch.Tensor:
        with torch.no_grad():
            return attend()

    def both() -> Any:
        return torch.autograd.grad(attend(), inputs, weights)

    return both if inputs[0].requires_grad else forward


def _measured(calls: dict[str, Call]) -> dict[str, np.ndarray]:
    """Return seconds of every contestant in every round, without those that this GPU cannot run."""
    working = {}
    for name, call in calls.items():
        try:
            for _ in range(3):  # warms up
                call()
            torch.cuda.synchronize()
            working[name] = call
        except RuntimeError as error:
            print(f"{name} cannot run here: {str(error).splitlines()[0]}", file=sys.stderr)
    times: dict[str, list[float]] = {name: [] for name in working}
    order, stream = list(working), random.Random(13)
    for _ in range(ROUNDS):
        stream.shuffle(order)
        for name in order:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            working[name]()
            end.record()
            end.synchronize()
            times[name].append(start.elapsed_time(end) / 1000)
    return {name: np.array(values) for name, values in times.items()}


def main() -> None:
    """Time attention on the GPU, print the table and write it where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=paths.BENCHMARK / "gpu.csv")
    out = parser.parse_args().out
    try:
        if not torch.cuda.is_available():
            raise UserError(
                "benchmarks.gpu: PyTorch finds no CUDA device. Run it on a machine with one and with a "
                "build of PyTorch for it; `make bench` measures the CPU."
            )
        params = config.load()
        source = texts.sentences(params)
    except UserError as error:
        sys.exit(f"\n{error}\n")
    hard = read_pattern(paths.rule_table("hard"))
    window = pattern_for("window", params.rules, 0, PatternData(params))
    lines = run(source, {"hard": hard, "window": window}, torch.device("cuda"))
    table = timing.table(lines).assign(tags=f"{texts.REAL}; {torch.cuda.get_device_name()}")
    write_table(out, table)
    manifest = paths.BENCHMARK / paths.MANIFEST.name
    checksums.write_manifest(manifest, checksums.listed_files(manifest))
    timing.show(table)


if __name__ == "__main__":
    main()
