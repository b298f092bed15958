"""Peak memory of grouped attention against length, forward and backward, 2 heads of 64.

Each length is measured in a process of its own. The peer is a dense mask of that length alone, four
bytes a pair, computed and not measured: from some length on it would not fit.
"""

import multiprocessing
from collections.abc import Iterator
from typing import Any

import torch

from benchmarks import texts, timing
from benchmarks.timing import peak_mib
from ggsa.model.attention import Mask
from ggsa.model.attention.grouped import grouped_attention
from ggsa.patterns.pattern import Pattern, read_pattern
from ggsa.tagging.alignment import TaggedPieces
from ggsa.workspace import config, paths

LENGTHS = (2048, 8192, 16384, 32768)
HEADS, DIM = 2, 64


def run(source: TaggedPieces, hard: Pattern) -> Iterator[list[dict[str, Any]]]:
    """Yield a line for each length."""
    context = multiprocessing.get_context("spawn")
    for length in LENGTHS:
        batch = texts.joined(source, 1, length, texts.REAL)
        with context.Pool(1) as pool:
            ours = pool.apply(_peak, (hard, batch))
        mask = length**2 * 4 / 2**20
        yield [
            {
                **dict.fromkeys(timing.COLUMNS, float("nan")),
                "benchmark": "memory",
                "case": "hard",
                "length": length,
                "batch": 1,
                "heads": HEADS,
                "tags": texts.REAL,
                "direction": "forward and backward",
                "threads": 1,
                "ours": "grouped",
                "peer": "a dense mask alone",
                "unit": "MiB",
                "value_ours": ours,
                "value_peer": mask,
                "ratio": ours / mask,
                "rounds": 1,
            }
        ]


def _peak(hard: Pattern, batch: Any) -> float:
    """Return by how much memory rises in one pass, in MiB, once everything was loaded."""
    torch.set_num_threads(1)
    _pass(hard, _first_tokens(batch, 256))
    return peak_mib(lambda: _pass(hard, batch))


def _first_tokens(batch: Any, length: int) -> Any:
    """Return the first tokens of a batch."""
    cut = {name: getattr(batch, name)[:, :length] for name in ("pieces", "tags", "is_padding")}
    return type(batch)(**cut, labels=batch.labels, identities=batch.identities, rows=batch.rows)


def _pass(hard: Pattern, batch: Any) -> None:
    plan = Mask(hard, torch.device("cpu")).plan(batch)
    shape = (1, HEADS, batch.tags.shape[1], DIM)
    inputs = [torch.randn(shape, requires_grad=True) for _ in range(3)]
    grouped_attention(*inputs, plan).sum().backward()


def main() -> None:
    """Measure memory."""
    source, hard = texts.sentences(config.load()), read_pattern(paths.rule_table("hard"))
    for lines in run(source, hard):
        timing.show(timing.table(lines))


if __name__ == "__main__":
    main()
