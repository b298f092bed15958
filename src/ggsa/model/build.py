"""A new classifier: a stock transformers encoder whose attention takes a pattern."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)

from ggsa.model import attention
from ggsa.workspace.blocks import Recipe
from ggsa.workspace.errors import UserError
from ggsa.workspace.progress import quiet_loading
from ggsa.workspace.provenance import SENTIMENT

WEIGHTS = "model.safetensors"
PROJECTIONS = ("query", "key", "value", "q_lin", "k_lin", "v_lin")
DROPOUTS = {
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "seq_classif_dropout": "dropout",
}
"""Names of the two dropout rates in the configurations of BERT and DistilBERT, and in a recipe."""


def build(
    folder: Path,
    recipe: Recipe,
    seed: int,
    reset_projections: bool,
    classes: Sequence[str] = SENTIMENT,
) -> PreTrainedModel:
    """Return a classifier, pretrained if the folder holds weights, else randomly initialized.

    The same seed gives the same weights in every mode, so that modes differ only in their pattern.

    Args:
        folder: Holds `config.json` and, if pretrained, `model.safetensors`.
        recipe: Sets the dropout rates.
        seed: Of every weight that is not pretrained.
        reset_projections: Draw the query, key and value projections again (defect D1).
        classes: Names of the classes, in the order of the labels.

    Raises:
        UserError: If the checkpoint's architecture is not supported, or its weights do not fit it.
    """
    config = AutoConfig.from_pretrained(
        folder,
        id2label=dict(enumerate(classes)),
        label2id={name: number for number, name in enumerate(classes)},
    )
    set_dropout(config, recipe)
    torch.manual_seed(seed)
    try:
        if (Path(folder) / WEIGHTS).exists():
            with quiet_loading():
                model = AutoModelForSequenceClassification.from_pretrained(
                    folder, config=config, attn_implementation=attention.NAME, dtype=torch.float32
                )
        else:
            model = AutoModelForSequenceClassification.from_config(
                config, attn_implementation=attention.NAME
            )
    except (ValueError, KeyError, RuntimeError) as error:  # RuntimeError: weights of other sizes
        raise UserError(
            f"encoder.checkpoint: the architecture {config.model_type} cannot be trained on "
            f"{len(classes)} classes ({error}). Use a BERT or DistilBERT checkpoint."
        ) from error
    if reset_projections:
        _reset_projections(model)
    return model


def set_dropout(config: PretrainedConfig, recipe: Recipe) -> None:
    """Set the dropout rates of a configuration to those of a recipe."""
    for name, source in DROPOUTS.items():
        if hasattr(config, name):
            setattr(config, name, getattr(recipe, source))


def parameter_count(model: PreTrainedModel) -> int:
    """Return the number of trained parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _reset_projections(model: PreTrainedModel) -> None:
    """Draw every query, key and value projection again from PyTorch's default, as defect D1 does."""
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name.rsplit(".", 1)[-1] in PROJECTIONS:
            module.reset_parameters()
