"""Adaptation: an encoder learns, under a pattern, what it computed under full attention.

A pretrained encoder grew up without a mask, so a loss under one might only be the surprise of it.
Before fine-tuning, an adapted arm's encoder is trained under the arm's pattern to reproduce its own
last hidden states under full attention, on sentences without labels. The loss is the mean squared
error over word pieces, padding excluded.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel, PreTrainedModel

from ggsa.model import attention, batches, build
from ggsa.model.attention import Mask
from ggsa.model.batches import Batch
from ggsa.patterns.pattern import Pattern, pattern_as_json
from ggsa.tagging.alignment import TaggedPieces, align
from ggsa.tagging.alignment import tokenizer as load_tokenizer
from ggsa.training import loop, optimization, resume
from ggsa.training.identity import data_sha256, digest
from ggsa.workspace import artifacts, paths
from ggsa.workspace.blocks import Recipe
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.machine import machine
from ggsa.workspace.progress import note_kept, progress_bar, quiet_loading
from ggsa.workspace.tables import read_table

UNLABELED_COLUMNS = ("source", "words", "tags")
ABOUT = "adaptation.json"


@dataclass(frozen=True)
class Adapted:
    """An encoder that was adapted to a pattern.

    Attributes:
        folder: Holds its configuration and weights.
        distances: `distance_before` and `distance_after`: its mean squared distance from the encoder
            under full attention, on held-out sentences.
        is_new: Whether it was adapted now, and not found in the cache.
    """

    folder: Path
    distances: dict[str, float]
    is_new: bool


def read_unlabeled(max_pieces: int) -> TaggedPieces:
    """Return the pieces and tags of the unlabeled sentences.

    Raises:
        UserError: If they are missing or damaged.
    """
    table = read_table(paths.unlabeled(), UNLABELED_COLUMNS)
    words, tags = ([list(row) for row in table[name]] for name in ("words", "tags"))
    return align(load_tokenizer(paths.ENCODER), words, tags, max_pieces)


def adapted(
    params: Params,
    pattern: Pattern,
    settings: dict[str, Any],
    sentences: TaggedPieces,
    held_out: TaggedPieces,
    name: str,
) -> Adapted:
    """Return an encoder adapted to a pattern, from the cache if the same machine made it before.

    An interrupted adaptation resumes from its checkpoint.

    Args:
        params: Device, threads, and the steps between checkpoints.
        pattern: Under which the student attends.
        settings: What decides the adaptation: `seed`, `recipe` and more.
        sentences: To train on.
        held_out: To measure the distance on.
        name: Of the arm, for the progress bar.

    Raises:
        UserError: If the encoder has no weights, or the loss is not finite.
    """
    device = loop.prepare(params)
    recipe = Recipe.model_validate(settings["recipe"])
    if not (paths.ENCODER / build.WEIGHTS).is_file():
        raise UserError(
            f"{paths.ENCODER} holds no weights, so there is nothing to adapt. Set "
            f"encoder.initialization to pretrained."
        )
    decides = {
        "settings": settings,
        "pattern_sha256": digest(pattern_as_json(pattern)),
        "data_sha256": data_sha256(),
        "machine": machine(device),
    }
    folder = paths.ADAPTED / digest(decides)
    if (folder / ABOUT).is_file():
        return Adapted(folder, artifacts.read_json(folder / ABOUT)["distances"], is_new=False)
    teacher, student = _teacher(device), _student(recipe, settings["seed"], device)
    mask = Mask(pattern, device)
    before = distance(student, teacher, mask, held_out)
    checkpoint = folder.with_suffix(".pt")
    history = _train(
        student, teacher, mask, sentences, params, recipe, settings["seed"], checkpoint, name
    )
    after = distance(student, teacher, mask, held_out)
    distances = {"distance_before": before, "distance_after": after}
    student.save_pretrained(folder)
    content = {**decides, "name": name, "distances": distances, "history": history}
    artifacts.write_json(folder / ABOUT, content)  # last: a folder that has it is whole
    checkpoint.unlink(missing_ok=True)
    return Adapted(folder, distances, is_new=True)


def distance(
    student: PreTrainedModel, teacher: PreTrainedModel, mask: Mask, sentences: TaggedPieces
) -> float:
    """Return the mean squared distance of the last hidden states, over pieces and dimensions."""
    student.eval()
    lengths = sentences.lengths
    total, pieces = 0.0, 0
    with torch.inference_mode():
        for rows in batches.evaluation_order(lengths, batch_size=64):
            batch = _batch(sentences, rows)
            count = int((~batch.is_padding).sum())
            total += count * float(_loss(student, teacher, mask, batch))
            pieces += count
    return total / pieces


def _teacher(device: torch.device) -> PreTrainedModel:
    with quiet_loading():
        teacher = AutoModel.from_pretrained(paths.ENCODER, dtype=torch.float32)
    return teacher.to(device).eval().requires_grad_(False)


def _student(recipe: Recipe, seed: int, device: torch.device) -> PreTrainedModel:
    config = AutoConfig.from_pretrained(paths.ENCODER)
    build.set_dropout(config, recipe)
    torch.manual_seed(seed)
    with quiet_loading():
        student = AutoModel.from_pretrained(
            paths.ENCODER, config=config, attn_implementation=attention.NAME, dtype=torch.float32
        )
    return student.to(device)


def _train(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    mask: Mask,
    sentences: TaggedPieces,
    params: Params,
    recipe: Recipe,
    seed: int,
    checkpoint: Path,
    name: str,
) -> list[dict[str, float]]:
    """Train the student; return the mean loss since the last row, by step."""
    lengths = sentences.lengths
    order = [
        rows
        for epoch in range(recipe.epochs)
        for rows in batches.training_order(lengths, recipe.batch_size, seed, epoch)
    ]
    optimizer = optimization.optimizer_for(student, recipe)
    schedule = optimization.schedule_for(optimizer, len(order), recipe)
    torch.manual_seed(seed)
    resumed = resume.restore(resume.read(checkpoint), student, optimizer, schedule)
    progress = resumed or {"step": 0, "history": []}
    bar = progress_bar(f"adapt {name}", len(order), "step", progress["step"])
    losses: list[Tensor] = []
    for rows in order[progress["step"] :]:
        student.train()
        loss = _loss(student, teacher, mask, _batch(sentences, rows))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), recipe.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        losses.append(loss.detach())
        progress["step"] += 1
        bar.update()
        if progress["step"] % params.train.evaluate_every == 0 or progress["step"] == len(order):
            mean = float(torch.stack(losses).mean())
            if not np.isfinite(mean):
                raise UserError(
                    f"{name}: the loss of the adaptation is {mean} at step {progress['step']}. Lower "
                    f"adaptation.recipe.learning_rate."
                )
            progress["history"].append({"step": progress["step"], "loss": mean})
            losses = []
            bar.set_postfix_str(f"loss {mean:.4f}")
            resume.save(checkpoint, student, optimizer, schedule, progress)
            note_kept(f"The adaptation of {name} is saved up to step {progress['step']:,}.")
    bar.close()
    return progress["history"]


def _batch(sentences: TaggedPieces, rows: np.ndarray) -> Batch:
    unknown = np.full(len(sentences.pieces), -1)
    return batches.collate(sentences, unknown, rows)


def _loss(student: PreTrainedModel, teacher: PreTrainedModel, mask: Mask, batch: Batch) -> Tensor:
    """Return the mean squared error of the student's last hidden states, padding excluded."""
    batch = batch.to(mask.device)
    with torch.no_grad():
        wanted = teacher(
            input_ids=batch.pieces, attention_mask=(~batch.is_padding).long()
        ).last_hidden_state
    found = student(**mask.inputs(batch)).last_hidden_state
    squared = (found - wanted).square().mean(-1)  # [batch, token]
    return squared[~batch.is_padding].mean()
