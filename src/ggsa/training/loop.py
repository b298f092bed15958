"""One cell of a study: one mode, one seed, trained, selected and made to predict.

Reads the corpus, its tags, the encoder and one rule table; writes `runs/<study>/<mode>-<seed>/`.
A run that is killed goes on from its last look at the selection split, and ends with the same bits
as an undisturbed one (on one machine, with one number of threads).
"""

import hashlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from ggsa.model import batches, build, classifier, inference
from ggsa.model.attention import Mask, require_open_rows
from ggsa.patterns.pattern import Pattern, pattern_as_json, read_pattern
from ggsa.tagging.alignment import tokenizer as load_tokenizer
from ggsa.tagging.splits import Split, read_split
from ggsa.training import devices, optimization
from ggsa.training.vocabulary_subset import VocabularySubset
from ggsa.workspace import artifacts, interruption, paths
from ggsa.workspace.blocks import Recipe
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.progress import progress_bar
from ggsa.workspace.tables import write_table

PREDICTED_SPLITS = ("selection", "validation", "test", "examples")


@dataclass
class Progress:
    """Everything that a resumed run needs, besides the model and the optimizer."""

    step: int = 0
    losses: list[float] = field(default_factory=list)  # since the last look at selection
    history: list[dict[str, Any]] = field(default_factory=list)
    best_accuracy: float = -1.0
    best_step: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)


def train_cell(params: Params, mode: str, seed: int) -> None:
    """Train one mode of the core study with one seed and write its folder.

    Raises:
        UserError: See `trained`.
    """
    cell = trained(params, read_pattern(paths.rule_table(mode)), seed, f"{mode}-{seed}", "core")
    folder = paths.cell("core", mode, seed)
    folder.mkdir(parents=True, exist_ok=True)
    classifier.save(folder, cell.model, load_tokenizer(paths.ENCODER), params.train.max_pieces)
    write_table(folder / "history.csv", cell.history)
    write_table(folder / "predictions.parquet", cell.predictions)
    artifacts.write_json(folder / "training.json", {"mode": mode, "seed": seed, **cell.summary})
    cell.checkpoint.unlink(missing_ok=True)


@dataclass(frozen=True)
class Cell:
    """A trained model and what it did.

    Attributes:
        model: The best checkpoint, with the whole vocabulary.
        predictions: Columns `split, id, label, logits`.
        history: What was seen at every look at the split that checkpoints are chosen on.
        summary: Recipe, sentences, steps and best step.
        checkpoint: Where an interrupted run would go on; to be removed once the cell is written.
    """

    model: PreTrainedModel
    predictions: pd.DataFrame
    history: pd.DataFrame
    summary: dict[str, Any]
    checkpoint: Path


def trained(params: Params, pattern: Pattern, seed: int, name: str, study: str) -> Cell:
    """Return a trained cell, taken up from its checkpoint if an earlier run was interrupted.

    Args:
        params: How to train.
        pattern: Who may look at whom.
        seed: Draws initial weights, order of batches and dropout.
        name: Of the cell, for the progress bar and the checkpoint.
        study: Of the cell, for the checkpoint.

    Raises:
        UserError: If a needed file is missing or malformed, the device is not there, or the loss
            stops being a number.
    """
    device = devices.chosen(params)
    torch.use_deterministic_algorithms(True)
    if params.train.threads != "auto":
        torch.set_num_threads(params.train.threads)
    recipe_name = recipe_for(params)
    recipe = params.train.recipes[recipe_name]
    implementation = implementation_for(params, recipe, recipe_name, device)
    tokenizer = load_tokenizer(paths.ENCODER)
    splits = read_splits(params, ("train", *PREDICTED_SPLITS), seed)
    reset = pattern.mode != "full" and not params.encoder.keep_projections
    model = build.build(paths.ENCODER, recipe, seed, reset, splits["train"].class_names).to(device)
    if params.train.max_pieces > model.config.max_position_embeddings:
        raise UserError(
            f"params.yaml: train.max_pieces is {params.train.max_pieces}, but the encoder has only "
            f"{model.config.max_position_embeddings} positions. Lower it to that."
        )
    mask = Mask(pattern, device, implementation, model.config)
    padding = tokenizer.pad_token_id
    subset = VocabularySubset(
        (pieces for split in splits.values() for pieces in split.sentences.pieces),
        padding,
        [tokenizer.mask_token_id] if params.train.token_masking else [],
    )
    splits = {name: subset.renumber_split(split) for name, split in splits.items()}
    whole_table = subset.shrink(model)
    checkpoint = paths.CHECKPOINTS / study / f"{name}-{_fingerprint(params, pattern)}.pt"
    mask_piece = int(subset.renumber(np.array([tokenizer.mask_token_id]))[0])
    progress = _optimize(model, mask, splits, params, recipe, seed, checkpoint, name, mask_piece)
    model.load_state_dict(progress.best_weights)
    predictions = pd.concat(
        [
            _predictions(split, splits[split], predict(model, mask, splits[split], params))
            for split in PREDICTED_SPLITS
        ]
    )
    subset.restore(model, whole_table, padding)
    classifier.carry(model, pattern)
    return Cell(
        model=model,
        predictions=predictions,
        history=pd.DataFrame(progress.history),
        summary={
            "recipe": recipe_name,
            "train_sentences": len(splits["train"].ids),
            "steps": progress.step,
            "best_step": progress.best_step,
            "selection_accuracy": progress.best_accuracy,
            "parameters": build.parameter_count(model),
        },
        checkpoint=checkpoint,
    )


def recipe_for(params: Params) -> str:
    """Return the name of the recipe: the one asked for, or the one that the assets call for."""
    if params.train.recipe != "auto":
        return params.train.recipe
    provenance = artifacts.read_json(paths.provenance())
    if provenance["corpus"]["name"] == "probe":
        return "probe"
    return "pretrained" if provenance["encoder"]["pretrained"] else "from_scratch"


def implementation_for(
    params: Params, recipe: Recipe, recipe_name: str, device: torch.device
) -> str:
    """Return the implementation of attention: under dropout the dense one, which alone has it.

    Raises:
        UserError: If another was asked for by name and the recipe drops attention weights, or the
            device cannot train with it.
    """
    wanted = params.attention.implementation
    if wanted == "flex" and device.type != "cuda":
        raise UserError(
            f"params.yaml: attention.implementation is flex, which trains on CUDA alone, and the "
            f"device is {device.type}. Choose auto or dense."
        )
    if not recipe.attention_dropout:
        return wanted
    if wanted in ("grouped", "flex"):
        raise UserError(
            f"params.yaml: attention.implementation is {wanted}, which has no dropout, and "
            f"train.recipes.{recipe_name}.attention_dropout is {recipe.attention_dropout}. Set the "
            f"one to dense or auto, or the other to 0."
        )
    return "dense"


def read_splits(params: Params, names: tuple[str, ...], seed: int = 0) -> dict[str, Split]:
    """Return splits as a cell reads them; the seed draws the tags that are corrupted."""
    train = params.train
    rows = "all" if train.use_leaking_rows else "without_leaks"
    return {
        name: read_split(
            name, train.max_pieces, rows=rows, corrupted=train.corrupted_tags, seed=seed
        )
        for name in names
    }


def predict(model: PreTrainedModel, mask: Mask, split: Split, params: Params) -> np.ndarray:
    """Return the logits of every sentence, float32 `[sentence, class]`, in the split's order."""
    return inference.logits(model, mask, split.sentences, half(params))


def half(params: Params) -> bool:
    """Return whether forward passes are computed in bfloat16."""
    return params.train.precision == "bfloat16"


def _optimize(
    model: PreTrainedModel,
    mask: Mask,
    splits: dict[str, Split],
    params: Params,
    recipe: Recipe,
    seed: int,
    checkpoint: Path,
    name: str,
    mask_piece: int,
) -> Progress:
    """Train to the end, from the checkpoint where there is one; return what was achieved."""
    train, judge = splits["train"], splits[params.train.select_on]
    lengths = train.lengths
    optimizer = optimization.optimizer_for(model, recipe)
    torch.manual_seed(seed)
    progress = _resume(checkpoint, model, optimizer) or Progress()
    epoch_steps = -(-len(lengths) // recipe.batch_size)
    total_steps = epoch_steps * recipe.epochs
    require_open_rows(_shortest_bias(train, mask))
    bar = progress_bar(f"train {name}", total_steps, "step", progress.step)
    interruption.keeps(_kept(name, progress.step, total_steps))
    for epoch in range(progress.step // epoch_steps, recipe.epochs):
        order = batches.training_order(lengths, recipe.batch_size, seed, epoch)
        for rows in order[progress.step - epoch * epoch_steps :]:
            batch = batches.collate(train.sentences, train.labels, rows)
            if params.train.token_masking:
                batch = batches.with_masked_tokens(batch, params.train.token_masking, mask_piece)
            for group in optimizer.param_groups:
                group["lr"] = optimization.learning_rate(progress.step, total_steps, recipe)
            loss = train_step(model, mask, optimizer, batch, params, recipe)
            progress.step += 1
            progress.losses.append(loss)
            bar.update()
            if progress.step % params.train.evaluate_every == 0 or progress.step == total_steps:
                _look(progress, model, mask, judge, params, epoch_steps, name)
                seen = progress.history[-1]
                bar.set_postfix_str(
                    f"loss {seen['loss']:.3f}, selection {seen['selection_accuracy']:.4f}"
                )
                if progress.step < total_steps:
                    _save(checkpoint, model, optimizer, progress)
                    interruption.keeps(_kept(name, progress.step, total_steps))
    bar.close()
    return progress


def _kept(name: str, step: int, total: int) -> str:
    upto = f"up to step {step:,} of {total:,}" if step else "from no step yet"
    return f"The cell {name} is kept {upto}, and finished cells are kept whole."


def train_step(
    model: PreTrainedModel,
    mask: Mask,
    optimizer: torch.optim.Optimizer,
    batch: batches.Batch,
    params: Params,
    recipe: Recipe,
) -> Tensor:
    """Change the weights by one batch and return its loss, on the device: nothing waits for it."""
    model.train()
    logits = inference.batch_logits(model, mask, batch, half(params)).float()
    loss = cross_entropy(logits, batch.labels.to(mask.device))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.detach()


def _look(
    progress: Progress,
    model: PreTrainedModel,
    mask: Mask,
    judge: Split,
    params: Params,
    epoch_steps: int,
    name: str,
) -> None:
    """Measure accuracy on the selection split, and keep the weights if they are the best yet."""
    loss = float(torch.stack(progress.losses).mean())
    if not np.isfinite(loss):
        raise UserError(
            f"{name}: the loss is {loss} at step {progress.step}. Lower the learning_rate of its "
            f"recipe in params.yaml."
        )
    accuracy = float((predict(model, mask, judge, params).argmax(1) == judge.labels).mean())
    progress.history.append(
        {
            "step": progress.step,
            "epoch": progress.step / epoch_steps,
            "loss": loss,
            "selection_accuracy": accuracy,
        }
    )
    progress.losses = []
    if accuracy > progress.best_accuracy:
        progress.best_accuracy, progress.best_step = accuracy, progress.step
        progress.best_weights = {k: v.detach().clone() for k, v in model.state_dict().items()}


def _shortest_bias(train: Split, mask: Mask) -> Tensor:
    """Return the bias of a shortest sentence, where a query is soonest blind, to see that none is."""
    batch = batches.collate(train.sentences, train.labels, [int(train.lengths.argmin())])
    return mask.bias(batch)


def _predictions(name: str, split: Split, logits: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {"split": name, "id": split.ids, "label": split.labels, "logits": list(logits)}
    )


def _fingerprint(params: Params, pattern: Pattern) -> str:
    """Return a name for everything that decides a run, so that no other run is resumed."""
    digest = hashlib.sha256(
        json.dumps(
            [
                params.train.model_dump(),
                params.encoder.model_dump(),
                params.attention.model_dump(),
                torch.__version__,
                torch.get_num_threads(),
            ],
            sort_keys=True,
        ).encode()
    )
    digest.update(json.dumps(pattern_as_json(pattern), sort_keys=True).encode())
    inputs = sorted(paths.ENCODER.iterdir())
    inputs += [f(split) for split in paths.SPLITS for f in (paths.corpus_split, paths.tags_split)]
    for path in inputs:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _save(
    checkpoint: Path, model: PreTrainedModel, optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": vars(progress),
        "random": torch.get_rng_state(),
        "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    with artifacts.written_whole(checkpoint) as temporary:
        torch.save(state, temporary)


def _resume(
    checkpoint: Path, model: PreTrainedModel, optimizer: torch.optim.Optimizer
) -> Progress | None:
    """Bring model, optimizer and random numbers to where a killed run left them."""
    for stale in checkpoint.parent.glob(f"{checkpoint.stem.rsplit('-', 1)[0]}-*.pt"):
        if stale != checkpoint:
            stale.unlink()
    if not checkpoint.exists():
        return None
    try:
        state = torch.load(checkpoint, weights_only=True)
    except Exception as error:  # a damaged checkpoint costs time, not the run
        print(f"{checkpoint} is damaged ({error}); starting this run anew.", file=sys.stderr)
        checkpoint.unlink()
        return None
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"])
    if state["cuda_random"]:
        torch.cuda.set_rng_state_all(state["cuda_random"])
    progress = Progress(**state["progress"])
    print(f"{checkpoint.stem}: going on from step {progress.step}.", file=sys.stderr)
    return progress
