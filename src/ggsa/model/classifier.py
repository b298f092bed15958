"""A trained model outside the pipeline: its weights, its tokenizer and its pattern in one folder.

A run and an export are the same kind of folder: `model.safetensors`, `config.json` (in it the
pattern, under `ggsa_pattern`) and the tokenizer's files. Nothing here needs more than PyTorch and
transformers: `ggsa.load` works where only these are installed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ggsa.model import attention, batches, inference
from ggsa.model.attention import Mask
from ggsa.patterns.pattern import Pattern, pattern_as_json, pattern_from_json
from ggsa.tagging.alignment import TaggedPieces, align
from ggsa.workspace import paths
from ggsa.workspace.errors import UserError

CARRIED = "ggsa_pattern"
"""Key of config.json under which a model carries its pattern."""

Texts = Sequence[Sequence[str]]
"""Words, or tags, of every text."""


class Prediction(NamedTuple):
    """What a classifier says of a text.

    Attributes:
        label: The likeliest class, by name.
        probabilities: Of every class, by name; they sum to 1.
    """

    label: str
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Classifier:
    """A trained model, ready for words with tags.

    Attributes:
        folder: Where it was loaded from.
        model: On a CPU or a GPU; its attention takes the pattern.
        tokenizer: Of the model; cuts at what the model was trained on.
        pattern: Who may attend whom.
        mask: The pattern on the model's device.
    """

    folder: Path
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    pattern: Pattern
    mask: Mask

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return tuple(self.model.config.id2label[i] for i in range(self.model.config.num_labels))

    @property
    def max_pieces(self) -> int:
        """Longest text in word pieces, `[CLS]` and `[SEP]` included."""
        return min(self.tokenizer.model_max_length, self.model.config.max_position_embeddings)

    def aligned(self, words: Texts, tags: Texts) -> TaggedPieces:
        """Return word pieces with tags; what a text has beyond `max_pieces` is cut off.

        Raises:
            UserError: If a text has another number of tags than of words, or a tag is unknown.
        """
        return align(self.tokenizer, words, tags, self.max_pieces)

    def logits(self, words: Texts, tags: Texts) -> np.ndarray:
        """Return float32 `[text, class]`; see `aligned`."""
        if not len(words):
            return np.empty((0, self.model.config.num_labels), np.float32)
        return inference.logits(self.model, self.mask, self.aligned(words, tags))

    def predict(self, words: Texts, tags: Texts) -> list[Prediction]:
        """Return the classes of texts; see `aligned`."""
        found = torch.from_numpy(self.logits(words, tags)).softmax(dim=1)  # [text, class]
        return [
            Prediction(
                self.classes[int(row.argmax())], dict(zip(self.classes, row.tolist(), strict=True))
            )
            for row in found
        ]

    def attention(self, words: Sequence[str], tags: Sequence[str]) -> Tensor:
        """Return one text's attention weights, `[layer, head, query, key]`, over word pieces.

        They are computed by transformers' plain attention under the dense mask, which returns them;
        `ggsa`'s own never holds them.
        """
        batch = batches.collate(self.aligned([words], [tags]), np.array([-1]), [0])
        self.model.set_attn_implementation("eager")
        try:
            with torch.inference_mode():
                output = self.model(
                    input_ids=batch.pieces.to(self.mask.device),
                    attention_mask=self.mask.bias(batch),
                    output_attentions=True,
                )
        finally:
            self.model.set_attn_implementation(attention.NAME)
        return torch.cat(output.attentions).cpu()


def carry(model: PreTrainedModel, pattern: Pattern) -> None:
    """Put a pattern into a model's configuration, so that it is saved and loaded with it."""
    setattr(model.config, CARRIED, pattern_as_json(pattern))


def carried(model: PreTrainedModel) -> Pattern | None:
    """Return the pattern that a model's configuration holds; None where it holds none."""
    content = getattr(model.config, CARRIED, None)
    return None if content is None else pattern_from_json(content, Path("config.json"))


def save(
    folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_pieces: int
) -> None:
    """Write a model that carries its pattern, and its tokenizer, to a folder."""
    tokenizer.model_max_length = max_pieces
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def find(run: str | Path) -> Path:
    """Return the folder of a run that is named by its path or, in short, by mode and seed.

    Args:
        run: `runs/core/hard-42`, any other folder that holds a model, or `hard-42`.

    Raises:
        UserError: If there is no such folder, or it holds no model that carries a pattern.
    """
    folder = Path(run)
    if not folder.is_dir() and (paths.RUNS / "core" / folder.name).is_dir():
        folder = paths.RUNS / "core" / folder.name
    if not folder.is_dir():
        there = sorted(path.parent.as_posix() for path in paths.RUNS.glob("*/*/config.json"))
        names = f"There are: {', '.join(there)}." if there else "`make repro` trains some."
        raise UserError(f"{run} is no folder of a trained run. {names}")
    absent = [
        name for name in ("config.json", "model.safetensors") if not (folder / name).is_file()
    ]
    if absent:
        raise UserError(
            f"{folder} holds no trained model: it lacks {' and '.join(absent)}. Name a run, "
            f"such as {paths.RUNS / 'core' / 'hard-42'}, or a folder that `ggsa export` wrote."
        )
    return folder


def load(run: str | Path, device: str = "cpu", implementation: str = "auto") -> Classifier:
    """Return a trained classifier.

    Args:
        run: Folder of a run or an export, or `<mode>-<seed>`; see `find`.
        device: For PyTorch.
        implementation: Of attention: `auto`, `dense`, `grouped` or `flex`.

    Raises:
        UserError: If the folder does not hold a model that carries a pattern, or is damaged.
    """
    folder = find(run)
    try:
        if CARRIED not in json.loads((folder / "config.json").read_text(encoding="utf-8")):
            raise UserError(
                f"{folder / 'config.json'} holds no {CARRIED}: the model was trained by another "
                f"program or an older version of this one. Train it again with `make repro`, or "
                f"put a pattern on it with ggsa.attach."
            )
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, attn_implementation=attention.NAME
        )
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except UserError:
        raise
    except Exception as error:  # every library has a class of its own per kind of damage
        raise UserError(
            f"{folder} cannot be loaded ({error}). It is damaged: train it again, or export it anew."
        ) from error
    pattern = carried(model)
    model = model.to(device).eval()
    mask = Mask(pattern, torch.device(device), implementation, model.config)
    return Classifier(folder, model, tokenizer, pattern, mask)
