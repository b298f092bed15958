"""Attention weights of a trained model under its pattern, batch by batch and by pair of tags.

The rest of this package does not import this module, so that it works without pandas.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import one_hot
from transformers import PreTrainedModel

from ggsa.model import batches
from ggsa.model.attention import Mask
from ggsa.model.batches import Batch
from ggsa.tagging.alignment import TaggedPieces
from ggsa.workspace.vocabulary import TAGS

BATCH = 64
"""Sentences of a batch at most; every layer's weights of a batch are in memory together."""


def batches_of(sentences: TaggedPieces) -> Iterator[Batch]:
    """Yield the batches in which sentences are measured; `rows` says which sentences these are."""
    lengths = sentences.lengths
    unknown = np.full(len(lengths), -1)
    for rows in batches.evaluation_order(lengths, BATCH):
        yield batches.collate(sentences, unknown, rows)


def attention_weights(
    model: PreTrainedModel, mask: Mask, sentences: TaggedPieces
) -> Iterator[tuple[Batch, Tensor]]:
    """Yield every batch with its attention weights, float32 `[batch, layer, head, query, key]`.

    Until the last batch is taken, the model computes transformers' eager attention under the dense
    mask, because the implementations of this package never keep their weights.

    Args:
        model: A classifier on the mask's device, with dropout switched off.
        mask: The pattern that the model was trained with.
        sentences: Word pieces with tags.
    """
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        for batch in batches_of(sentences):
            with torch.inference_mode():
                output = model(
                    input_ids=batch.pieces.to(mask.device),
                    attention_mask=mask.bias(batch),
                    output_attentions=True,
                )
            yield batch, torch.stack(output.attentions, dim=1).cpu()
    finally:
        model.set_attn_implementation(before)


def tags_of(batch: Batch) -> Tensor:
    """Return the tag of every token as 0 or 1, `[batch, token, tag]`; padding has none."""
    tags = one_hot(batch.tags, len(TAGS)).float()
    tags[batch.is_padding] = 0
    return tags


def mass_by_tag(attention: Tensor, batch: Batch) -> np.ndarray:
    """Return the attention that queries of a tag give to keys of a tag, summed over pairs.

    Args:
        attention: `[batch, ..., query, key]`.
        batch: The batch that the attention belongs to; its padding is left out.

    Returns:
        `[batch, ..., query tag, key tag]`.
    """
    tags = tags_of(batch)
    return torch.einsum("bqs,b...qk,bkt->b...st", tags, attention, tags).numpy()


def mean_attention_by_tag_pair(
    model: PreTrainedModel, mask: Mask, sentences: TaggedPieces
) -> pd.DataFrame:
    """Return the mean attention weight of a pair of pieces, by the tags of query and key.

    Layers and heads are averaged. Pairs of tags that never occur in one sentence are left out.

    Args:
        model: Trained with full attention.
        mask: A pattern that allows every pair.
        sentences: Word pieces with tags.

    Returns:
        Columns `query_tag, key_tag, weight_per_pair`.
    """
    mass = np.zeros((len(sentences.pieces), len(TAGS), len(TAGS)))
    for batch, weights in attention_weights(model, mask, sentences):
        mass[batch.rows.numpy()] = mass_by_tag(weights.mean(dim=(1, 2)), batch)
    counts = np.stack([np.bincount(row, minlength=len(TAGS)) for row in sentences.tags])
    mean = weight_per_pair(mass, counts)
    return pd.DataFrame(
        [
            {
                "query_tag": TAGS[query],
                "key_tag": TAGS[key],
                "weight_per_pair": mean[query, key],
            }
            for query, key in np.argwhere(np.isfinite(mean))
        ]
    )


def weight_per_pair(mass: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the mean weight of a pair of pieces, `[tag, tag]`; NaN where there is no pair.

    Args:
        mass: `[sentence, tag, tag]`, under a pattern that allows every pair; see `mass_by_tag`.
        counts: Pieces of each tag, `[sentence, tag]`.
    """
    pairs = np.einsum("sq,sk->qk", counts, counts).astype(float)
    return np.divide(mass.sum(0), pairs, out=np.full(pairs.shape, np.nan), where=pairs > 0)
