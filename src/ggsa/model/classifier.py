"""A trained model outside the pipeline: its weights, its tokenizer and its pattern in one folder.

A run and an export are the same kind of folder: `model.safetensors`, `config.json` (it holds the
pattern, under `ggsa_pattern`) and the tokenizer's files. Loading one and predicting from words with
tags needs only PyTorch and transformers. Training and measurement share the forward pass here.
"""

import html
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ggsa.model import attention, batches
from ggsa.model.attention import Mask
from ggsa.model.carried import CARRIED, carried, carry, stock_class
from ggsa.patterns.pattern import Pattern
from ggsa.tagging.alignment import TaggedPieces, align, require_short
from ggsa.tagging.texts import tags_of_texts, words_of_texts
from ggsa.workspace import paths
from ggsa.workspace.errors import UserError

BATCH = 256
"""Sentences of an evaluation batch at most."""

Texts = Sequence[str | Sequence[str]]
"""Texts, each a string or a list of words."""

Tags = Sequence[Sequence[str]]
"""One universal tag for every word of every text."""


class Prediction(NamedTuple):
    """The class that a classifier predicts for a text.

    Attributes:
        label: Name of the most likely class.
        probabilities: Probability of every class, by name; they sum to 1.
    """

    label: str
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Classifier:
    """A trained model with its tokenizer and pattern.

    Attributes:
        folder: Where it was loaded from.
        model: On a CPU or a GPU; its attention takes the pattern.
        tokenizer: Truncates at the length that the model was trained on.
        pattern: Which tokens may attend to which.
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

    def aligned(self, texts: Texts, tags: Tags | None = None, cut: bool = False) -> TaggedPieces:
        """Return word pieces with tags.

        Args:
            texts: Strings, which are split into words, or lists of words.
            tags: One universal tag per word; None has the project's tagger tag the words.
            cut: Cut texts that exceed `max_pieces`, instead of raising an error.

        Raises:
            UserError: If a text has no words, or is too long and may not be cut; if its tags do not
                fit its words; or if there is no tagger.
        """
        words = words_of_texts(texts)
        if not cut:
            require_short(self.tokenizer, words, self.max_pieces)
        return align(self.tokenizer, words, tags_of_texts(words, tags), self.max_pieces)

    def logits(self, texts: Texts, tags: Tags | None = None, cut: bool = False) -> np.ndarray:
        """Return float32 `[text, class]`; see `aligned` for the arguments."""
        words = words_of_texts(texts)
        if not words:
            return np.empty((0, self.model.config.num_labels), np.float32)
        return logits(self.model, self.mask, self.aligned(words, tags, cut))

    @overload
    def predict(
        self, texts: str, tags: Sequence[str] | None = None, cut: bool = False
    ) -> Prediction: ...

    @overload
    def predict(
        self, texts: Texts, tags: Tags | None = None, cut: bool = False
    ) -> list[Prediction]: ...

    def predict(
        self, texts: str | Texts, tags: Sequence[str] | Tags | None = None, cut: bool = False
    ) -> Prediction | list[Prediction]:
        """Return label and probabilities of every text; of one string, one prediction.

        Args:
            texts: Strings, which are split into words, or lists of words; or one string.
            tags: One universal tag per word; None has the project's tagger tag the words. One
                string takes one list of tags.
            cut: Cut texts that exceed `max_pieces`, instead of raising an error.

        Raises:
            UserError: As `aligned`.
        """
        if isinstance(texts, str):
            return self.predict([texts], None if tags is None else [tags], cut)[0]
        logits = torch.from_numpy(self.logits(texts, tags, cut))
        probabilities = logits.softmax(dim=1)  # [text, class]
        return [
            Prediction(
                self.classes[int(row.argmax())], dict(zip(self.classes, row.tolist(), strict=True))
            )
            for row in probabilities
        ]

    def __repr__(self) -> str:
        return (
            f"Classifier({self.folder}: {self.pattern.mode}, classes {', '.join(self.classes)}, "
            f"at most {self.max_pieces} word pieces)"
        )

    def _repr_html_(self) -> str:
        """Return the model and its table for a notebook."""
        return f"<p>{html.escape(repr(self))}</p>{self.pattern._repr_html_()}"

    def attention(
        self, text: str | Sequence[str], tags: Sequence[str] | None = None, cut: bool = False
    ) -> Tensor:
        """Return one text's attention weights, `[layer, head, query, key]`, over word pieces.

        They are computed by transformers' eager attention under the dense mask, because the
        implementations of this package never keep them. See `aligned` for the arguments.
        """
        sentences = self.aligned([text], None if tags is None else [tags], cut)
        batch = batches.collate(sentences, np.array([-1]), [0])
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


def predict(
    texts: str | Texts,
    run: str | Path,
    tags: Sequence[str] | Tags | None = None,
    cut: bool = False,
) -> Prediction | list[Prediction]:
    """Return label and probabilities of every text, as a trained run predicts them.

    This loads the run at every call; `load(run).predict(texts)` keeps it.

    Args:
        texts: Strings, which are split into words, or lists of words. One string gives one
            prediction.
        run: A trained run or an export; see `find`.
        tags: One universal tag per word; None has the project's tagger tag the words.
        cut: Cut texts that exceed the model's longest input, instead of raising an error.

    Raises:
        UserError: If the run cannot be loaded, or its model cannot read the texts; see
            `Classifier.predict`.
    """
    return load(run).predict(texts, tags, cut)


def batch_logits(
    model: PreTrainedModel, mask: Mask, batch: batches.Batch, half: bool = False
) -> Tensor:
    """Return the logits of a batch, `[batch, class]`; the mask is made once for all layers.

    Args:
        model: On the mask's device, with the attention `attention.NAME`.
        mask: The pattern.
        batch: On any device.
        half: Compute in bfloat16 where PyTorch's autocast considers that safe.
    """
    inputs = mask.inputs(batch, torch.bfloat16 if half else model.dtype)
    with torch.autocast(mask.device.type, dtype=torch.bfloat16, enabled=half):
        return model(**inputs).logits


def logits(
    model: PreTrainedModel, mask: Mask, sentences: TaggedPieces, half: bool = False
) -> np.ndarray:
    """Return the logits of sentences, float32 `[sentence, class]`, in their order."""
    model.eval()
    lengths = sentences.lengths
    unknown = np.full(len(lengths), -1)
    rows_of_logits = torch.empty(len(lengths), model.config.num_labels)
    with torch.inference_mode():
        for rows in batches.evaluation_order(lengths, BATCH):
            batch = batches.collate(sentences, unknown, rows)
            rows_of_logits[batch.rows] = batch_logits(model, mask, batch, half).float().cpu()
    return rows_of_logits.numpy()


def save(
    folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_pieces: int
) -> None:
    """Write a model that carries its pattern, and its tokenizer, to a folder.

    safetensors lets only the owner read its file; here it gets the permissions of the others.
    """
    tokenizer.model_max_length = max_pieces
    model.save_pretrained(folder)
    for weights in Path(folder).glob("*.safetensors"):
        weights.chmod((Path(folder) / "config.json").stat().st_mode)
    tokenizer.save_pretrained(folder)


def find(run: str | Path) -> Path:
    """Return the folder of a run.

    Args:
        run: Path of a folder that holds a model, such as `runs/core/hard-42`; or, without a
            separator, `<mode>-<seed>`: `hard-42` is short for `runs/core/hard-42`.

    Raises:
        UserError: If there is no such folder, or it holds no model.
    """
    name, folder = os.fspath(run), Path(run)
    if os.sep not in name and (os.altsep or os.sep) not in name and not folder.is_dir():
        folder = paths.RUNS / paths.CORE / name
    if not folder.is_dir():
        trained = sorted(path.parent.as_posix() for path in paths.RUNS.glob("*/*/config.json"))
        hint = f"Trained here: {', '.join(trained)}." if trained else "`make repro` trains some."
        raise UserError(
            f"{folder.resolve()} does not exist. Expected the folder of a trained run or of an export. "
            f"{hint}"
        )
    absent = [
        name for name in ("config.json", "model.safetensors") if not (folder / name).is_file()
    ]
    if absent:
        raise UserError(
            f"{folder} has no {' and no '.join(absent)}. Expected the folder of a trained run, such "
            f"as {paths.RUNS / paths.CORE / 'hard-42'}, or one that `ggsa export` wrote."
        )
    return folder


def load(run: str | Path, device: str = "cpu", implementation: str = "auto") -> Classifier:
    """Return a trained classifier.

    Args:
        run: Folder of a run or an export, or `<mode>-<seed>`; see `find`.
        device: For PyTorch.
        implementation: Of attention: `auto`, `dense` or `grouped`.

    Raises:
        UserError: If the folder does not hold a model that carries a pattern, or is damaged.
    """
    folder = find(run)
    try:
        if CARRIED not in json.loads((folder / "config.json").read_text(encoding="utf-8")):
            raise UserError(
                f"{folder / 'config.json'} has no key {CARRIED}: another program or an older "
                f"version of this one trained the model. Train it again with `make repro`, or "
                f"attach a pattern with ggsa.attach."
            )
        config = AutoConfig.from_pretrained(folder)
        kind = stock_class(config, AutoModelForSequenceClassification._model_mapping)
        model, report = kind.from_pretrained(
            folder, config=config, attn_implementation=attention.NAME, output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except UserError:
        raise
    except Exception as error:  # every library raises its own class for each kind of damage
        raise UserError(
            f"{folder} cannot be loaded ({error}). The folder is damaged: train or export the "
            f"model again."
        ) from error
    unlike = sorted({*report["missing_keys"], *report["unexpected_keys"]})
    pattern = carried(model.config)
    if unlike or pattern is None:
        reason = f"{len(unlike)} weights are not those of" if unlike else f"{CARRIED} is null in"
        raise UserError(
            f"{folder} cannot be loaded: {reason} config.json. The folder is damaged: train or "
            f"export the model again."
        )
    carry(model, pattern)  # an older folder has the model type of transformers
    model = model.to(device).eval()
    mask = Mask(pattern, torch.device(device), implementation, model.config)
    return Classifier(folder, model, tokenizer, pattern, mask)
