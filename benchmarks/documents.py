"""What a document costs in seconds and memory, by its length, under each mode of a study.

Times do not depend on what a model has learned, so that they are taken with fresh weights of the
study's encoder, on the first pieces of real documents of at least that length. All modes take turns
in the same rounds; each is computed as `attention.implementation: auto` chooses for it.
"""

import multiprocessing
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.timing import interleaved, peak_mib, ratio
from ggsa.model import batches, build, classifier
from ggsa.model.attention import Mask
from ggsa.model.batches import Batch
from ggsa.patterns.modes import PatternData, pattern_for
from ggsa.patterns.pattern import Pattern
from ggsa.tagging.alignment import Ragged, TaggedPieces
from ggsa.tagging.splits import Split
from ggsa.training import loop, optimization, studies
from ggsa.training.recipe import recipe_for
from ggsa.workspace import paths
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.progress import track

LENGTHS = (256, 512, 1024, 2048)
TOKENS = 8_192
"""Of a batch: as many documents as have so many together."""

SECONDS = 20.0
TRAINING, INFERENCE = "training step", "inference"
WHOLE = "training, documents as they come"
WHOLE_BATCHES = 12
FEWEST = {TRAINING: 5, INFERENCE: 5, WHOLE: 3}
"""Rounds at least."""

PEER = "full"
STUDY = "long"
SEED = 13


def measure(params: Params, patterns: dict[str, Pattern]) -> pd.DataFrame:
    """Return a line for each length, pass and mode, and for training on documents as they come.

    Columns: `length` (pieces; of `WHOLE` their mean)`, documents` (of a pass)`, what, mode,
    seconds_per_document, ratio, ratio_low, ratio_high` (to full: median and quartiles over
    rounds)`, rounds, density, peak_mib` (of a training step above that of a short one).

    Args:
        params: Those of the study.
        patterns: By mode; `full` must be among them.

    Raises:
        UserError: If no document is as long.
    """
    torch.set_num_threads(1)
    params = _on_cpu(params)
    split = loop.read_splits(params, ("train",), SEED)["train"]
    passes = [(WHOLE, typical(split, params))]
    for length in LENGTHS:
        batch = documents(split, length)
        passes += [(what, [batch]) for what in (TRAINING, INFERENCE)]
    lines = []
    for what, made in track(passes, len(passes), "time", "case"):
        calls = {mode: _call(params, p, made, what) for mode, p in patterns.items()}
        times = interleaved(calls, SECONDS, FEWEST[what], warm_up=what != WHOLE)
        count = sum(len(batch.rows) for batch in made)
        for mode, pattern in patterns.items():
            low, middle, high = ratio(times[mode], times[PEER])
            lines.append(
                {
                    "length": round(sum(_pieces(batch) for batch in made) / count),
                    "documents": count,
                    "what": what,
                    "mode": mode,
                    "seconds_per_document": float(np.median(times[mode])) / count,
                    "ratio": middle,
                    "ratio_low": low,
                    "ratio_high": high,
                    "rounds": len(times[mode]),
                    "density": _density(pattern, made),
                    "peak_mib": _peak(params, pattern, made[0]) if what == TRAINING else np.nan,
                }
            )
    return pd.DataFrame(lines)


def typical(split: Split, params: Params) -> list[Batch]:
    """Return some batches of an epoch, spread evenly over its lengths: what a whole run is made of."""
    size = params.train.recipes[recipe_for(params)].batch_size
    chosen = spread(split.lengths, size, WHOLE_BATCHES)
    return [batches.collate(split.sentences, split.labels, rows) for rows in chosen]


def spread(lengths: np.ndarray, batch_size: int, count: int) -> list[np.ndarray]:
    """Return the rows of some batches of an epoch, spread evenly over its batches by length."""
    order = batches.training_order(lengths, batch_size, 13, 0)
    order = sorted(order, key=lambda rows: int(lengths[rows].max()))
    places = (np.arange(count) + 0.5) * len(order) / count
    return [order[int(place)] for place in places]


def _on_cpu(params: Params) -> Params:
    """Return the parameters with which times are taken, whatever device trains."""
    train = params.train.model_copy(update={"device": "cpu", "precision": "float32"})
    attention = params.attention.model_copy(update={"implementation": "auto"})
    return params.model_copy(update={"train": train, "attention": attention})


def documents(split: Split, length: int) -> Batch:
    """Return a batch of the first pieces of documents that have as many and more.

    Raises:
        UserError: If there are too few.
    """
    wanted = max(1, TOKENS // length)
    rows = np.flatnonzero(split.lengths >= length)[:wanted]
    if len(rows) < wanted:
        raise UserError(
            f"Only {len(rows)} documents have {length} pieces, and {wanted} are timed. Raise "
            f"train.max_pieces of the study, or take a longer corpus."
        )
    found = split.sentences
    cut = TaggedPieces(
        pieces=Ragged.of([found.pieces[row][:length] for row in rows]),
        tags=Ragged.of([found.tags[row][:length] for row in rows]),
        identities=found.identities[rows],
    )
    return batches.collate(cut, split.labels[rows], range(len(rows)))


def _call(params: Params, pattern: Pattern, made: Sequence[Batch], what: str) -> Callable[[], Any]:
    """Return a pass over some batches, by fresh weights."""
    name, device = recipe_for(params), torch.device("cpu")
    recipe = params.train.recipes[name]
    model = build.build(paths.ENCODER, recipe, 13, False)
    mask = Mask(pattern, device, loop.implementation_for(params, recipe, name), model.config)
    if what == INFERENCE:
        model.eval()

        def infer() -> None:
            with torch.inference_mode():
                for batch in made:
                    classifier.batch_logits(model, mask, batch, loop.half(params))

        return infer
    optimizer = optimization.optimizer_for(model, recipe)

    def train() -> None:
        for batch in made:
            loop.train_step(model, mask, optimizer, batch, params, recipe)

    return train


def _pieces(batch: Batch) -> int:
    return int((~batch.is_padding).sum())


def _density(pattern: Pattern, made: Sequence[Batch]) -> float:
    """Return allowed over all pairs of some batches, padding excluded."""
    mask, allowed, pairs = Mask(pattern, torch.device("cpu")), 0, 0
    for batch in made:
        there = ~batch.is_padding
        both = (there[:, :, None] & there[:, None, :])[:, None]
        allowed += int((torch.isfinite(mask.bias(batch)) & both).sum())
        pairs += int(both.sum())
    return allowed / pairs


def _peak(params: Params, pattern: Pattern, batch: Batch) -> float:
    """Return by how much memory rises in a training step, in MiB, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_of_a_step, (params, pattern, batch))


def _peak_of_a_step(params: Params, pattern: Pattern, batch: Batch) -> float:
    torch.set_num_threads(1)
    short = {name: getattr(batch, name)[:1, :16] for name in ("pieces", "tags", "is_padding")}
    rest = {name: getattr(batch, name)[:1] for name in ("labels", "identities", "rows")}
    _call(params, pattern, [Batch(**short, **rest)], TRAINING)()
    return peak_mib(_call(params, pattern, [batch], TRAINING))


def main() -> None:
    """Print the times of the arms of the study `long`; needs its data in $GGSA_DATA."""
    study = studies.load(STUDY)
    params = study.params(PEER)
    data = PatternData(params)
    patterns = {
        arm: pattern_for(declared.mode, params.rules, SEED, data)
        for arm, declared in study.arms.items()
    }
    print(measure(params, patterns).to_string(index=False))


if __name__ == "__main__":
    main()
