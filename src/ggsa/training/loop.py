"""One cell: a model trained under one pattern with one seed, and what it predicts.

An interrupted training resumes from its last evaluation and ends with the same bits as an
uninterrupted one, on one machine with one number of threads.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from ggsa.model import batches, build, carried, classifier
from ggsa.model.attention import Mask, require_open_rows
from ggsa.patterns.pattern import Pattern
from ggsa.tagging.alignment import tokenizer as load_tokenizer
from ggsa.tagging.splits import Split, read_split, trained_rows
from ggsa.training import distributed, optimization, resume
from ggsa.training.identity import digest, identity
from ggsa.training.recipe import recipe_for
from ggsa.training.vocabulary_subset import VocabularySubset
from ggsa.workspace import paths
from ggsa.workspace.blocks import Recipe
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.progress import note_kept, progress_bar
from ggsa.workspace.vocabulary import FRESH

EXAMPLES = "examples"
"""The split of sentences that the report prints."""


@dataclass
class Progress:
    """What a resumed training needs in addition to the model and the optimizer."""

    step: int = 0
    losses: list[float] = field(default_factory=list)  # since the last evaluation
    history: list[dict[str, Any]] = field(default_factory=list)
    best_accuracy: float = -1.0
    best_step: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Start:
    """An adapted encoder.

    Attributes:
        folder: Holds its configuration and weights.
        adaptation: What decides it; see `ggsa.training.identity.settings`.
    """

    folder: Path
    adaptation: dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """A trained model and its predictions.

    Attributes:
        model: The weights of the last step or of the best evaluation, with the whole vocabulary.
        predictions: Columns `split, id, label, logits`.
        history: One row per evaluation: `step, epoch, loss, selection_accuracy`, and
            `validation_accuracy` where that decides which weights are kept.
        identity: What decides the bits of the cell; see `ggsa.training.identity`.
        summary: Recipe, sentences, steps, the step of the kept weights, parameters.
        checkpoint: From which an interrupted training resumes; to be removed once the cell is
            written.
    """

    model: PreTrainedModel
    predictions: pd.DataFrame
    history: pd.DataFrame
    identity: dict[str, Any]
    summary: dict[str, Any]
    checkpoint: Path


def train(
    params: Params,
    pattern: Pattern,
    seed: int,
    name: str,
    study: str,
    start: Start | None = None,
) -> Cell:
    """Return a trained cell; an interrupted training resumes from its checkpoint.

    Every process of `ggsa.training.distributed.processes` returns it; the first writes it.

    Args:
        params: How to train.
        pattern: Which tokens may attend to which.
        seed: Draws initial weights, the order of batches and dropout.
        name: Name of the cell in the progress bar and of its checkpoint.
        study: Directory of the checkpoint.
        start: The adapted encoder to start from; None for the encoder of the assets.

    Raises:
        UserError: If a needed file is missing or malformed, the device is unavailable, or the loss
            is not finite.
    """
    device = prepare(params)
    recipe_name = recipe_for(params)
    recipe = params.train.recipes[recipe_name]
    implementation = implementation_for(params, recipe, recipe_name)
    tokenizer = load_tokenizer(paths.ENCODER)
    predicted = predicted_splits(params)
    splits = read_splits(params, ("train", *predicted), seed)
    reset = pattern.mode != "full" and not params.encoder.keep_projections
    classes = splits["train"].class_names
    folder = start.folder if start else paths.ENCODER
    model = build.build(folder, recipe, seed, reset, classes).to(device)
    if params.train.max_pieces > model.config.max_position_embeddings:
        raise UserError(
            f"train.max_pieces is {params.train.max_pieces}, but the encoder has only "
            f"{model.config.max_position_embeddings} positions. Lower train.max_pieces to that."
        )
    mask = Mask(pattern, device, implementation, model.config)
    subset = VocabularySubset(
        (block for split in splits.values() for block in split.sentences.pieces.blocks()),
        tokenizer.pad_token_id,
        [tokenizer.mask_token_id] if params.train.token_masking else [],
    )
    splits = {name: subset.renumber_split(split) for name, split in splits.items()}
    whole_table = subset.shrink(model)
    decides = identity(params, pattern, seed, device, start.adaptation if start else None)
    distributed.require_equal(decides)
    checkpoint = paths.CHECKPOINTS / study / f"{name}-{digest(decides)[:16]}.pt"
    mask_piece = int(subset.renumber(np.array([tokenizer.mask_token_id]))[0])
    progress = _optimize(model, mask, splits, params, recipe, seed, checkpoint, name, mask_piece)
    kept_step = progress.step
    if params.train.checkpoint == "best":
        model.load_state_dict(progress.best_weights)
        kept_step = progress.best_step
    predictions = predict_splits(model, mask, splits, params, predicted)
    subset.restore(model, whole_table, tokenizer.pad_token_id)
    carried.carry(model, pattern)
    history = pd.DataFrame(progress.history)
    return Cell(
        model=model,
        predictions=predictions,
        history=history,
        identity=decides,
        summary={
            "recipe": recipe_name,
            "train_sentences": len(splits["train"].ids),
            "steps": progress.step,
            "checkpoint": params.train.checkpoint,
            "checkpoint_step": kept_step,
            "selection_accuracy": float(
                history.loc[history["step"] == kept_step, "selection_accuracy"].iloc[0]
            ),
            "parameters": build.parameter_count(model),
        },
        checkpoint=checkpoint,
    )


def prepare(params: Params) -> torch.device:
    """Set threads and determinism, and return the device."""
    # Without it, cuBLAS refuses to be deterministic (PyTorch's notes on reproducibility). It reads
    # it once, so nothing may start CUDA before.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    device = optimization.device_for(params)
    torch.use_deterministic_algorithms(True)
    threads = params.train.threads
    if threads == "auto":  # PyTorch knows no quota of a container, and joblib does
        threads = min(torch.get_num_threads(), joblib.cpu_count())
    torch.set_num_threads(threads)
    return device


def implementation_for(params: Params, recipe: Recipe, recipe_name: str) -> str:
    """Return the implementation of attention: with attention dropout, only `dense` has one.

    Raises:
        UserError: If another one is configured and the recipe drops attention weights.
    """
    configured = params.attention.implementation
    if not recipe.attention_dropout:
        return configured
    if configured == "grouped":
        raise UserError(
            f"attention.implementation is grouped, which has no attention dropout, and "
            f"train.recipes.{recipe_name}.attention_dropout is {recipe.attention_dropout}. Set the "
            f"first to dense or auto, or the second to 0."
        )
    return "dense"


def predicted_splits(params: Params) -> tuple[str, ...]:
    """Return the splits that a cell predicts."""
    fresh = (FRESH,) if params.train.rows == "sentences" else ()
    return ("selection", "validation", "test", *fresh, EXAMPLES)


def read_splits(params: Params, names: tuple[str, ...], seed: int) -> dict[str, Split]:
    """Return splits as a cell reads them; the seed draws the tags that are corrupted."""
    return {
        name: read_split(
            name,
            params.train.max_pieces,
            rows=trained_rows(params.train),
            corrupted=params.train.corrupted_tags,
            seed=seed,
        )
        for name in names
    }


def predict(model: PreTrainedModel, mask: Mask, split: Split, params: Params) -> np.ndarray:
    """Return the logits of every sentence, float32 `[sentence, class]`, in the split's order."""
    return classifier.logits(model, mask, split.sentences, half(params))


def predict_splits(
    model: PreTrainedModel,
    mask: Mask,
    splits: dict[str, Split],
    params: Params,
    names: tuple[str, ...],
) -> pd.DataFrame:
    """Return the predictions of some splits: columns `split, id, label, logits`."""
    tables = []
    for name in names:
        split = splits[name]
        logits = list(predict(model, mask, split, params))
        columns = {"split": name, "id": split.ids, "label": split.labels, "logits": logits}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables)


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
    """Train to the last step, from the checkpoint if there is one."""
    train = splits["train"]
    lengths = train.lengths
    optimizer = optimization.optimizer_for(model, recipe)
    epoch_steps = -(-len(lengths) // recipe.batch_size)
    total_steps = epoch_steps * recipe.epochs
    schedule = optimization.schedule_for(optimizer, total_steps, recipe)
    torch.manual_seed(seed)
    progress = Progress(
        **resume.restore(
            distributed.from_first(lambda: resume.read(checkpoint)), model, optimizer, schedule
        )
    )
    rank, world_size = distributed.rank(), distributed.world_size()
    parallel = distributed.parallel(model)
    distributed.draw_apart(seed, progress.step)
    require_open_rows(_shortest_bias(train, mask))
    bar = progress_bar(f"train {name}", total_steps, "step", progress.step, hidden=rank > 0)
    note_kept(_saved(name, progress.step, total_steps))
    for epoch in range(progress.step // epoch_steps, recipe.epochs):
        order = batches.training_order(lengths, recipe.batch_size, seed, epoch)
        for rows in order[progress.step - epoch * epoch_steps :]:
            own, weight = distributed.share(rows, rank, world_size)
            batch = batches.collate(train.sentences, train.labels, own)
            if params.train.token_masking:
                batch = batches.with_masked_tokens(batch, params.train.token_masking, mask_piece)
            loss = train_step(parallel, mask, optimizer, batch, params, recipe, weight)
            schedule.step()
            progress.step += 1
            progress.losses.append(loss)
            bar.update()
            if progress.step % params.train.evaluate_every == 0 or progress.step == total_steps:
                _evaluate(progress, model, mask, splits, params, epoch_steps, name)
                last = progress.history[-1]
                bar.set_postfix_str(
                    f"loss {last['loss']:.3f}, selection {last['selection_accuracy']:.4f}"
                )
                if progress.step < total_steps:
                    if rank == 0:
                        resume.save(checkpoint, model, optimizer, schedule, vars(progress))
                    distributed.draw_apart(seed, progress.step)
                    note_kept(_saved(name, progress.step, total_steps))
    bar.close()
    return progress


def _saved(name: str, step: int, total: int) -> str:
    upto = f"is saved up to step {step:,} of {total:,}" if step else "has no checkpoint yet"
    return f"The cell {name} {upto}; finished cells are kept."


def train_step(
    model: torch.nn.Module,
    mask: Mask,
    optimizer: torch.optim.Optimizer,
    batch: batches.Batch,
    params: Params,
    recipe: Recipe,
    weight: float = 1.0,
) -> Tensor:
    """Change the weights by one batch and return its loss, on the device: nothing waits for it.

    Args:
        model: As `ggsa.training.distributed.parallel` returns it.
        mask: The pattern.
        optimizer: Of the model.
        batch: On any device.
        params: How to train.
        recipe: Holds the norm at which gradients are clipped.
        weight: Of the loss; see `ggsa.training.distributed.share`.
    """
    model.train()
    logits = classifier.batch_logits(model, mask, batch, half(params)).float()
    loss = cross_entropy(logits, batch.labels.to(mask.device)) * weight
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.detach()


def _evaluate(
    progress: Progress,
    model: PreTrainedModel,
    mask: Mask,
    splits: dict[str, Split],
    params: Params,
    epoch_steps: int,
    name: str,
) -> None:
    """Add the mean loss and the accuracy to the history; under `best`, keep the best weights."""
    loss = float(distributed.mean(torch.stack(progress.losses).mean()))
    if not np.isfinite(loss):
        raise UserError(
            f"{name}: the loss is {loss} at step {progress.step}. Lower "
            f"train.recipes.{recipe_for(params)}.learning_rate."
        )
    judge = params.train.select_on if params.train.checkpoint == "best" else "selection"
    accuracy = {
        split: float(
            (predict(model, mask, splits[split], params).argmax(1) == splits[split].labels).mean()
        )
        for split in dict.fromkeys(("selection", judge))
    }
    progress.history.append(
        {
            "step": progress.step,
            "epoch": progress.step / epoch_steps,
            "loss": loss,
            **{f"{split}_accuracy": value for split, value in accuracy.items()},
        }
    )
    progress.losses = []
    if params.train.checkpoint == "best" and accuracy[judge] > progress.best_accuracy:
        progress.best_accuracy, progress.best_step = accuracy[judge], progress.step
        progress.best_weights = {k: v.detach().clone() for k, v in model.state_dict().items()}


def _shortest_bias(train: Split, mask: Mask) -> Tensor:
    """Return the bias of a shortest sentence, where a query without any key would show first."""
    batch = batches.collate(train.sentences, train.labels, [int(train.lengths.argmin())])
    return mask.bias(batch)
