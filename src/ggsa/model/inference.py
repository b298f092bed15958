"""Logits of tagged sentences: the forward pass that training, prediction and measurement share."""

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from ggsa.model import batches
from ggsa.model.attention import Mask
from ggsa.tagging.alignment import TaggedPieces

BATCH = 256


def batch_logits(
    model: PreTrainedModel, mask: Mask, batch: batches.Batch, half: bool = False
) -> Tensor:
    """Return the logits of a batch, `[batch, class]`; the pattern is laid over it once.

    Args:
        model: On the mask's device, its attention being `attention.NAME`.
        mask: The pattern.
        batch: On any device.
        half: Compute in bfloat16 where PyTorch holds that safe.
    """
    inputs = mask.inputs(batch)
    with torch.autocast(mask.device.type, dtype=torch.bfloat16, enabled=half):
        return model(**inputs).logits


def logits(
    model: PreTrainedModel, mask: Mask, sentences: TaggedPieces, half: bool = False
) -> np.ndarray:
    """Return the logits of sentences, float32 `[sentence, class]`, in their order."""
    model.eval()
    lengths = np.array([len(pieces) for pieces in sentences.pieces])
    unknown = np.full(len(lengths), -1)
    found = torch.empty(len(lengths), model.config.num_labels)
    with torch.inference_mode():
        for rows in batches.evaluation_order(lengths, BATCH):
            batch = batches.collate(sentences, unknown, rows)
            found[batch.rows] = batch_logits(model, mask, batch, half).float().cpu()
    return found.numpy()
