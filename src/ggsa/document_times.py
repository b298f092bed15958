"""What a document costs in seconds and memory, by its length, under each mode of a study.

Times do not depend on what a model has learned, so that they are taken with fresh weights of the
study's encoder, on the first pieces of real documents of at least that length. All modes take turns
in the same rounds; each is computed as `attention.implementation: auto` chooses for it.
"""

import multiprocessing
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

from ggsa import bars, batches, encoder, inference, optimisation, paths, training
from ggsa.alignment import TaggedPieces
from ggsa.attention import Mask
from ggsa.batches import Batch
from ggsa.config import Params
from ggsa.errors import UserError
from ggsa.patterns import Pattern
from ggsa.timing import interleaved, peak_mib, ratio
from ggsa.training import Split

LENGTHS = (256, 512, 1024, 2048)
TOKENS = 8_192
"""Of a batch: as many documents as have so many together."""

SECONDS = 20.0
TRAINING, INFERENCE = "training step", "inference"
PEER = "full"


def measure(params: Params, patterns: dict[str, Pattern]) -> pd.DataFrame:
    """Return a line for each length, pass and mode.

    Columns: `length, documents` (of a batch)`, what, mode, seconds_per_document, ratio, ratio_low,
    ratio_high` (to full: median and quartiles over rounds)`, rounds, density, peak_mib` (of a training
    step above that of a short one).

    Args:
        params: Those of the study.
        patterns: By mode; `full` must be among them.

    Raises:
        UserError: If no document is as long.
    """
    torch.set_num_threads(1)
    params = _on_cpu(params)
    split = training.read_split("train", encoder.tokenizer(paths.ENCODER), params)
    lines = []
    for length in bars.over(LENGTHS, len(LENGTHS), "time", "length"):
        batch = documents(split, length)
        for what in (TRAINING, INFERENCE):
            calls = {mode: _call(params, p, batch, what) for mode, p in patterns.items()}
            times = interleaved(calls, SECONDS)
            for mode, pattern in patterns.items():
                low, middle, high = ratio(times[mode], times[PEER])
                lines.append(
                    {
                        "length": length,
                        "documents": len(batch.rows),
                        "what": what,
                        "mode": mode,
                        "seconds_per_document": float(np.median(times[mode])) / len(batch.rows),
                        "ratio": middle,
                        "ratio_low": low,
                        "ratio_high": high,
                        "rounds": len(times[mode]),
                        "density": _density(pattern, batch),
                        "peak_mib": _peak(params, pattern, batch) if what == TRAINING else np.nan,
                    }
                )
    return pd.DataFrame(lines)


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
        pieces=[found.pieces[row][:length] for row in rows],
        tags=[found.tags[row][:length] for row in rows],
        identities=found.identities[rows],
    )
    return batches.collate(cut, split.labels[rows], range(len(rows)))


def _call(params: Params, pattern: Pattern, batch: Batch, what: str) -> Callable[[], Any]:
    name, device = training.recipe_for(params), torch.device("cpu")
    recipe = params.train.recipes[name]
    model = encoder.build(paths.ENCODER, recipe, 13, False)
    mask = Mask(
        pattern, device, training.implementation_for(params, recipe, name, device), model.config
    )
    if what == TRAINING:
        optimiser = optimisation.optimiser_for(model, recipe)
        return lambda: training.train_step(model, mask, optimiser, batch, params, recipe)

    def infer() -> None:
        model.eval()
        with torch.inference_mode():
            inference.batch_logits(model, mask, batch, training.half(params))

    return infer


def _density(pattern: Pattern, batch: Batch) -> float:
    allowed = torch.isfinite(Mask(pattern, torch.device("cpu")).bias(batch))
    return float(allowed.double().mean())


def _peak(params: Params, pattern: Pattern, batch: Batch) -> float:
    """Return by how much memory rises in a training step, in MiB, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_of_a_step, (params, pattern, batch))


def _peak_of_a_step(params: Params, pattern: Pattern, batch: Batch) -> float:
    torch.set_num_threads(1)
    short = {name: getattr(batch, name)[:1, :16] for name in ("pieces", "tags", "is_padding")}
    rest = {name: getattr(batch, name)[:1] for name in ("labels", "identities", "rows")}
    _call(params, pattern, Batch(**short, **rest), TRAINING)()
    return peak_mib(_call(params, pattern, batch, TRAINING))
