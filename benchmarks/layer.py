"""One encoder layer of BERT-base's width, forward and backward: what attention is of the whole.

The peer is the same layer with PyTorch's fused attention over all pairs. Tokens are sorted before
the layer, as the model's input is; planning is included.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from transformers import BertConfig
from transformers.models.bert.modeling_bert import BertLayer

from benchmarks import texts, timing
from benchmarks.timing import interleaved
from ggsa.model.attention import NAME, Mask
from ggsa.model.batches import Batch
from ggsa.patterns.pattern import Pattern, read_pattern
from ggsa.tagging.alignment import TaggedPieces
from ggsa.workspace import config, paths

LENGTHS = (128, 512, 2048)
SECONDS = 4.0
FULL, GROUPED = "full", "hard, grouped"


def run(source: TaggedPieces, hard: Pattern) -> Iterator[list[dict[str, Any]]]:
    """Yield a line for each length."""
    torch.set_num_threads(1)
    for length in LENGTHS:
        batch = texts.joined(source, 1, length, texts.REAL)
        mask = Mask(hard, torch.device("cpu"), "grouped")
        density = mask.plan(batch).pairs / length**2
        times = interleaved(
            {FULL: _step("sdpa", None, batch), GROUPED: _step(NAME, mask, batch)}, SECONDS, fewest=3
        )
        about = {"benchmark": "layer", "case": "BERT-base layer", "length": length, "batch": 1}
        about |= {"heads": 12, "tags": texts.REAL, "direction": "forward and backward"}
        yield [timing.line(times, GROUPED, FULL, _limit(density, length), **about, threads=1)]


def _step(implementation: str, mask: Mask | None, batch: Batch) -> Callable[[], Any]:
    torch.manual_seed(13)
    settings = BertConfig(attention_probs_dropout_prob=0.0, hidden_dropout_prob=0.0)
    settings._attn_implementation = implementation
    layer = BertLayer(settings).train()
    hidden = torch.randn(*batch.tags.shape, settings.hidden_size, requires_grad=True)

    def step() -> None:
        extra = {} if mask is None else {"plan": mask.plan(batch)}
        output = layer(hidden, attention_mask=None, **extra)
        (output if isinstance(output, torch.Tensor) else output[0]).sum().backward()
        layer.zero_grad()

    return step


def _limit(density: float, length: int, hidden: int = 768) -> float:
    """Return the layer's ratio of operations: 24 n d^2 of projections and feed-forward stay."""
    rest, attention = 24 * length * hidden**2, 4 * length**2 * hidden
    return (rest + density * attention) / (rest + attention)


def main() -> None:
    """Time one layer."""
    source, hard = texts.sentences(config.load()), read_pattern(paths.rule_table("hard"))
    for lines in run(source, hard):
        timing.show(timing.table(lines))


if __name__ == "__main__":
    main()
