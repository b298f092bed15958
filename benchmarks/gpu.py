"""Attention and a whole encoder on a GPU, in bfloat16: `python -m benchmarks.gpu`. It needs CUDA.

- *attention*: PyTorch's flash and cuDNN attention over all pairs (the peers), and the hard table by the
  dense mask and by `grouped`. Making the mask and planning are timed separately: a model does either
  once per batch, and computes attention once per layer. The lines `planned once per 12 layers` include
  their share.
- *model*: a training step and inference of a BERT with 12 layers, 768 wide, with bfloat16 weights. The
  peer is stock transformers over all pairs, as PyTorch chooses its kernel and by cuDNN.

Times are GPU times between two events. Every round runs each contestant once, in random order.
"""

import argparse
import platform
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention
from transformers import AutoModelForSequenceClassification, BertConfig, PreTrainedModel

import ggsa
from benchmarks import texts, timing
from ggsa.model.attention import Mask, choice, segments
from ggsa.model.attention.dense import dense_attention
from ggsa.model.attention.varlen import FLASH as FLASH_KERNEL
from ggsa.model.attention.varlen import Kernel, segment_attention
from ggsa.model.batches import Batch
from ggsa.patterns.pattern import Pattern, read_pattern
from ggsa.tagging.alignment import TaggedPieces
from ggsa.workspace import artifacts, checksums, config, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import write_table
from ggsa.workspace.vocabulary import TAGS

HEADS, DIM, LAYERS = 12, 64, 12
LENGTHS = (128, 512, 2048, 4096, 8192, 16384, 32768)
TOKENS = 65_536
"""Tokens of a batch of attention: the longest texts come two at a time."""

MODEL_LENGTHS = (512, 2048, 8192)
MODEL_TOKENS = 32_768
"""Tokens of a batch of the model: what a training step keeps for its backward pass must fit."""

SECONDS = 110.0
ROUNDS = (5, 30)
"""Fewest and most rounds of a case."""

WARM_UPS = 2
FLASH, CUDNN = "flash", "cuDNN"
SDPA, SDPA_CUDNN = "full, sdpa", "full, sdpa by cuDNN"
DENSE, DENSE_CUDNN, GROUPED = "hard, dense", "hard, dense by cuDNN", "hard, grouped"
MAKING, PLANNING = "hard, making the mask", "hard, planning"
AUTO, ONCE = "hard, auto", f", planned once per {LAYERS} layers"
FORWARD, BOTH = "forward", "forward and backward"
INFERENCE, STEP = "inference", "training step"
Call = Callable[[], Any]
Clock = Callable[[Call], float]
Lines = list[dict[str, Any]]


def run(
    source: TaggedPieces, hard: Pattern, device: torch.device, seconds: float
) -> Iterator[Lines]:
    """Yield the lines of every case; a case that fails is printed and left out.

    Args:
        source: Sentences to join.
        hard: The rule table's pattern.
        device: A GPU.
        seconds: About how long to go on for.
    """
    cases: list[Callable[[float], Lines]] = [
        lambda budget, case=(length, backward): attention_case(
            source, hard, device, *case, max(1, TOKENS // case[0]), budget
        )
        for length in LENGTHS
        for backward in (False, True)
    ]
    cases += [
        lambda budget, case=(length, training): model_case(
            source, hard, device, *case, max(1, MODEL_TOKENS // case[0]), budget
        )
        for length in MODEL_LENGTHS
        for training in (False, True)
    ]
    for case in cases:
        try:
            yield case(seconds / len(cases))
        except Exception as error:  # the other cases are worth having
            print(f"A case failed: {_first_line(error)}", file=sys.stderr, flush=True)
        if device.type == "cuda":
            torch.cuda.empty_cache()


def attention_case(
    source: TaggedPieces,
    hard: Pattern,
    device: torch.device,
    length: int,
    backward: bool,
    batch: int,
    budget: float,
    heads: int = HEADS,
    kernel: Kernel = FLASH_KERNEL,
) -> Lines:
    """Return a line for each contestant of attention alone and each peer."""
    text = texts.joined(source, batch, length, texts.REAL)
    counts = np.stack([np.bincount(row, minlength=len(TAGS)) for row in text.tags])
    density = hard.density(counts)
    text = text.to(device)
    torch.manual_seed(13)
    shape = (batch, length, heads, DIM)  # as a projection leaves them
    *inputs, weights = (
        torch.randn(shape, device=device, dtype=torch.bfloat16).transpose(1, 2) for _ in range(4)
    )
    inputs = [x.requires_grad_(backward) for x in inputs]
    mask = Mask(hard, device)
    bias = mask.bias(text).to(torch.bfloat16)
    groups = segments.compile_groups(hard.allowed, device)

    def planning() -> segments.Segments:
        return segments.plan(groups, text.tags, text.is_padding)

    laid = planning()
    attend: dict[str, Callable[[], Tensor]] = {
        FLASH: by(SDPBackend.FLASH_ATTENTION, lambda: scaled_dot_product_attention(*inputs)),
        CUDNN: by(SDPBackend.CUDNN_ATTENTION, lambda: scaled_dot_product_attention(*inputs)),
        DENSE: lambda: dense_attention(*inputs, bias),
        DENSE_CUDNN: by(SDPBackend.CUDNN_ATTENTION, lambda: dense_attention(*inputs, bias)),
        GROUPED: lambda: segment_attention(*inputs, laid, kernel=kernel),
    }
    calls = {name: attending(call, inputs, weights) for name, call in attend.items()}
    calls[MAKING] = lambda: mask.bias(text).to(torch.bfloat16)
    calls[PLANNING] = planning
    times = measured(calls, budget, clock_of(device))
    for ours, once in ((DENSE, MAKING), (GROUPED, PLANNING)):
        if ours in times and once in times:
            times[ours + ONCE] = times[ours] + times[once] / LAYERS
    chosen = (GROUPED if choice.segments_are_faster(length) else DENSE) + ONCE
    if chosen in times:
        times[AUTO + ONCE] = times[chosen]
    about = {"benchmark": "gpu", "case": "attention", "length": length, "batch": batch}
    about |= {"heads": heads, "direction": BOTH if backward else FORWARD}
    return lines_of(times, (FLASH, CUDNN), {GROUPED: density}, about)


def model_case(
    source: TaggedPieces,
    hard: Pattern,
    device: torch.device,
    length: int,
    training: bool,
    batch: int,
    budget: float,
    sizes: dict[str, Any] | None = None,
) -> Lines:
    """Return a line for each contestant of the whole model and each peer."""
    text = texts.joined(source, batch, length, texts.REAL).to(device)
    full = model_of(length, device, sizes or {})
    inputs = {"input_ids": text.pieces}
    unmasked = working(full, inputs, text, training)
    calls = {SDPA: unmasked, SDPA_CUDNN: by(SDPBackend.CUDNN_ATTENTION, unmasked)}
    for name, implementation in ((DENSE, "dense"), (GROUPED, "grouped")):
        model = ggsa.attach(model_of(length, device, sizes or {}), hard, implementation)
        calls[name] = working(model, inputs | {"tags": text.tags}, text, training)
    times = measured(calls, budget, clock_of(device))
    about = {"benchmark": "gpu", "case": "model", "length": length, "batch": batch}
    about |= {"heads": full.config.num_attention_heads}
    about |= {"direction": STEP if training else INFERENCE}
    return lines_of(times, (SDPA, SDPA_CUDNN), {}, about)


def model_of(length: int, device: torch.device, sizes: dict[str, Any]) -> PreTrainedModel:
    """Return a BERT with bfloat16 weights and its own configuration, which `attach` changes."""
    torch.manual_seed(13)
    own = BertConfig(
        max_position_embeddings=length, attention_probs_dropout_prob=0.0, num_labels=2, **sizes
    )
    with device:  # weights are drawn there, which is faster
        model = AutoModelForSequenceClassification.from_config(own, attn_implementation="sdpa")
    return model.to(torch.bfloat16)


def working(model: PreTrainedModel, inputs: dict[str, Tensor], text: Batch, training: bool) -> Call:
    """Return a call of a training step or of inference."""
    model.train(training)

    def inference() -> Tensor:
        with torch.inference_mode():
            return model(**inputs).logits

    if not training:
        return inference
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

    def step() -> None:
        model(**inputs, labels=text.labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def by(backend: SDPBackend, call: Call) -> Call:
    """Return a call under one of PyTorch's kernels."""

    def restricted() -> Any:
        with sdpa_kernel(backend):
            return call()

    return restricted


def attending(attend: Callable[[], Tensor], inputs: list[Tensor], weights: Tensor) -> Call:
    """Return a call of attention, with its gradients if the inputs require them."""

    def forward() -> Tensor:
        with torch.no_grad():
            return attend()

    def both() -> Any:
        return torch.autograd.grad(attend(), inputs, weights)

    return both if inputs[0].requires_grad else forward


def clock_of(device: torch.device) -> Clock:
    """Return what measures the seconds of a call: events on a GPU, the wall clock elsewhere."""

    def by_events(call: Call) -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1000

    def by_wall_clock(call: Call) -> float:
        started = time.perf_counter()
        call()
        return time.perf_counter() - started

    return by_events if device.type == "cuda" else by_wall_clock


def measured(calls: dict[str, Call], budget: float, clock: Clock) -> dict[str, np.ndarray]:
    """Return seconds of every contestant in every round, without those that fail on this device.

    Args:
        calls: By name.
        budget: About how many seconds to go on for, warm-up included, once the fewest rounds are done.
        clock: Measures a call.
    """
    end = time.perf_counter() + budget
    working = {}
    for name, call in calls.items():
        try:
            for _ in range(WARM_UPS):
                clock(call)
            working[name] = call
        except Exception as error:  # every backend raises its own class
            print(f"{name} cannot run here: {_first_line(error)}", file=sys.stderr, flush=True)
    times: dict[str, list[float]] = {name: [] for name in working}
    order, stream = list(working), random.Random(13)
    fewest, most = ROUNDS
    for done in range(most if working else 0):
        if done >= fewest and time.perf_counter() > end:
            break
        stream.shuffle(order)
        for name in order:
            times[name].append(clock(working[name]))
    return {name: np.array(values) for name, values in times.items()}


def lines_of(
    times: dict[str, np.ndarray],
    peers: tuple[str, ...],
    limits: dict[str, float],
    about: dict[str, Any],
) -> Lines:
    """Return a line for each contestant and each peer."""
    return [
        timing.line(times, ours, peer, limits.get(ours), tags=texts.REAL, **about)
        for ours in times
        for peer in peers
        if ours != peer and peer in times
    ]


def machine(seconds: float) -> dict[str, Any]:
    """Return what the times were taken on."""
    return {
        "card": torch.cuda.get_device_name(),
        "capability": list(torch.cuda.get_device_capability()),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "python": platform.python_version(),
        "precision": "bfloat16 weights and activations",
        "corpus": artifacts.read_json(paths.provenance())["corpus"]["name"],
        "seconds": seconds,
    }


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"


def main() -> None:
    """Time attention and a model on the GPU, print the tables and write them where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=paths.BENCHMARK / "gpu.csv")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="about how long to measure")
    options = parser.parse_args()
    started = time.monotonic()
    try:
        if not torch.cuda.is_available():
            raise UserError(
                "benchmarks.gpu: PyTorch finds no CUDA device. Run it on a machine with one and with a "
                "build of PyTorch for it; `make bench` measures the CPU."
            )
        source = texts.sentences(config.load())
    except UserError as error:
        sys.exit(f"\n{error}\n")
    hard, device = read_pattern(paths.rule_table("hard")), torch.device("cuda")
    lines: Lines = []
    for found in run(source, hard, device, options.seconds):
        lines += found
        timing.show(timing.table(found))
        write_table(options.out, timing.table(lines))  # kept if the rest is interrupted
        artifacts.write_json(options.out.with_suffix(".json"), machine(time.monotonic() - started))
    if options.out.parent == paths.BENCHMARK:
        manifest = paths.BENCHMARK / paths.MANIFEST.name
        checksums.write_manifest(manifest, checksums.listed_files(manifest))


if __name__ == "__main__":
    main()
