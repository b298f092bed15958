"""One training step on the corpus, and the released protocol's experiment against naive code.

- *step*: hard, under `attention.implementation: auto`, against full, batch 32; the epoch's seconds
  are the step's times their number.
- *experiment*: full, hard and soft under the recipe `released` (batch 8, three epochs), tagging
  included, ours against `benchmarks.naive`; each extrapolated from some of its batches, ours spread
  evenly over the lengths of an epoch's, the naive ones drawn as it draws them.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from transformers import AttentionMaskInterface, AutoConfig, AutoModelForSequenceClassification
from transformers.masking_utils import eager_mask

from benchmarks import naive, tagging, texts, timing
from benchmarks.documents import spread
from benchmarks.timing import interleaved
from ggsa.model import batches, build
from ggsa.model.attention import Mask
from ggsa.patterns.modes import PatternData, pattern_for
from ggsa.patterns.pattern import Pattern
from ggsa.tagging.alignment import tokenizer as load_tokenizer
from ggsa.tagging.splits import Split, read_split
from ggsa.tagging.tagger import load_tagger
from ggsa.training import optimization
from ggsa.training.loop import implementation_for, train_step
from ggsa.training.vocabulary_subset import VocabularySubset
from ggsa.workspace import config, paths
from ggsa.workspace.blocks import Recipe
from ggsa.workspace.config import Params

BATCHES = 24
NAIVE_BATCHES = 6
SECONDS = 8.0

AttentionMaskInterface.register(naive.NAME, eager_mask)


def run(params: Params, named: dict[str, Pattern], rate: float) -> Iterator[list[dict[str, Any]]]:
    """Yield the lines of the step and of the experiment.

    Args:
        params: Of the pipeline.
        named: The patterns full, hard and soft.
        rate: Words a second that one process tags.
    """
    yield from _steps(params, named)
    yield from _experiment(params, named, rate)


def _steps(params: Params, named: dict[str, Pattern]) -> Iterator[list[dict[str, Any]]]:
    recipe = params.train.recipes["pretrained"]
    split = read_split("train", params.train.max_pieces)
    epoch = -(-len(split.ids) // recipe.batch_size)
    chosen = spread(split.lengths, recipe.batch_size, BATCHES)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        contestants = {
            mode: _pass(params, named[mode], recipe, split, chosen) for mode in ("full", "hard")
        }
        times = interleaved(contestants, SECONDS)
        about = {"benchmark": "step", "batch": recipe.batch_size, "threads": threads, "heads": 2}
        line = timing.line(times, "hard", "full", **about, case="epoch", direction="training")
        scale = epoch / len(chosen)
        yield [line | {f"value_{who}": line[f"value_{who}"] * scale for who in ("ours", "peer")}]
    torch.set_num_threads(1)


def _pass(
    params: Params, pattern: Pattern, recipe: Recipe, split: Split, chosen: list
) -> Callable[[], Any]:
    """Return our training steps over some batches."""
    tokenizer = load_tokenizer(paths.ENCODER)
    model = build.build(paths.ENCODER, recipe, 13, False)
    mask = Mask(
        pattern,
        torch.device("cpu"),
        implementation_for(params, recipe, ""),
        model.config,
    )
    subset = VocabularySubset(split.sentences.pieces.blocks(), tokenizer.pad_token_id)
    split = subset.renumber_split(split)
    subset.shrink(model)
    optimizer = optimization.optimizer_for(model, recipe)

    def steps() -> None:
        for rows in chosen:
            batch = batches.collate(split.sentences, split.labels, rows)
            train_step(model, mask, optimizer, batch, params, recipe)

    return steps


def _experiment(
    params: Params, named: dict[str, Pattern], rate: float
) -> Iterator[list[dict[str, Any]]]:
    recipe = params.train.recipes["released"]
    tokenizer = load_tokenizer(paths.ENCODER)
    split = read_split("train", params.train.max_pieces)
    epoch = -(-len(split.ids) // recipe.batch_size)
    total = epoch * recipe.epochs
    chosen = spread(split.lengths, recipe.batch_size, 4 * BATCHES)
    random = np.random.default_rng(13)
    drawn = [random.choice(len(split.ids), recipe.batch_size, False) for _ in range(NAIVE_BATCHES)]
    tagger = load_tagger(paths.TAGGER, recipe.batch_size)
    table = {query: tuple(keys) for query, keys in params.rules.hard.items()}
    favored = {query: tuple(keys) for query, keys in params.rules.soft_released.items()}
    modes = {"full": (None, 0.0), "hard": (table, 0.0), "soft": (favored, 5.0)}
    contestants: dict[str, Callable[[], Any]] = {}
    for mode, (pairs, favor) in modes.items():
        contestants[f"ours {mode}"] = _pass(params, named[mode], recipe, split, chosen)
        for pad_to in (None, 128):
            loop = naive.Naive(_naive_model(recipe), tokenizer, tagger, pairs, favor, pad_to)
            contestants[f"naive {mode} {pad_to}"] = _naive_pass(loop, split, drawn)
    times = interleaved(contestants, 0.0, fewest=3)
    words = int(sum(len(sentence) for sentence in split.words))
    hours = total / 3600
    ours = sum(times[f"ours {mode}"] for mode in modes) / len(chosen) * hours + words / rate / 3600
    for pad_to, case in ((None, "padded to the longest"), (128, "padded to 128")):
        peer = sum(times[f"naive {mode} {pad_to}"] for mode in modes) / len(drawn) * hours
        about = {"benchmark": "experiment", "batch": recipe.batch_size, "threads": 1, "heads": 2}
        line = timing.line(
            {"ours": ours, "naive loops": peer}, "ours", "naive loops", **about, case=case
        )
        yield [line | {"unit": "hours", "direction": "training"}]


def _naive_model(recipe: Recipe) -> Any:
    settings = AutoConfig.from_pretrained(
        paths.ENCODER, num_labels=2, attention_probs_dropout_prob=recipe.attention_dropout
    )
    torch.manual_seed(13)
    return AutoModelForSequenceClassification.from_config(settings, attn_implementation=naive.NAME)


def _naive_pass(loop: naive.Naive, split: Split, drawn: list[np.ndarray]) -> Callable[[], Any]:
    def steps() -> None:
        for rows in drawn:
            loop.step(
                [tuple(split.words[row]) for row in rows], torch.from_numpy(split.labels[rows])
            )

    return steps


def main() -> None:
    """Time steps and the experiment."""
    params = config.load()
    texts.require_tags("train")
    data = PatternData(params)
    named = {mode: pattern_for(mode, params.rules, 0, data) for mode in ("full", "hard", "soft")}
    torch.set_num_threads(1)
    rate = next(tagging.run(params))[0]["value_ours"]
    for lines in run(params, named, rate):
        timing.show(timing.table(lines))


if __name__ == "__main__":
    main()
