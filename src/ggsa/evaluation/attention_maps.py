"""Where trained models really look: attention weights by tag pair, and on sentences of our own.

Reads the first seed's cell of every mode; writes two tables of the report. No corpus text is
written: the sentences shown are those of `corpus.examples` in params.yaml.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from ggsa.model import batches
from ggsa.model.attention import Mask
from ggsa.patterns.pattern import read_pattern
from ggsa.tagging.alignment import tokenizer as load_tokenizer
from ggsa.tagging.splits import Split
from ggsa.training.loop import read_splits
from ggsa.workspace import paths
from ggsa.workspace.config import Params
from ggsa.workspace.progress import track
from ggsa.workspace.tables import write_table
from ggsa.workspace.vocabulary import TAGS

BATCH = 64


def write_tables(params: Params, study: str = "core") -> None:
    """Write `attention_by_tag.csv` and `attention_examples.csv`."""
    tokenizer = load_tokenizer(paths.ENCODER)
    validation, examples = read_splits(params, ("validation", "examples")).values()
    by_tag, shown = [], []
    seed = params.grid.seeds[0]
    for mode in track(params.grid.modes, len(params.grid.modes), "look at", "mode"):
        model = AutoModelForSequenceClassification.from_pretrained(
            paths.cell(study, mode, seed), attn_implementation="eager"
        ).eval()
        mask = Mask(read_pattern(paths.rule_table(mode)), torch.device("cpu"))
        by_tag.append(weights_by_tag(model, mask, validation).assign(mode=mode, seed=seed))
        shown.append(example_weights(model, mask, examples, tokenizer).assign(mode=mode, seed=seed))
    for name, tables in {"attention_by_tag": by_tag, "attention_examples": shown}.items():
        table = pd.concat(tables)
        front = ["mode", "seed"]
        table = table[[*front, *(column for column in table.columns if column not in front)]]
        write_table(paths.TABLES / f"{name}.csv", table)


def weights_by_tag(model: PreTrainedModel, mask: Mask, split: Split) -> pd.DataFrame:
    """Return how much of its attention a token of one tag gives to all tokens of another.

    Averaged over heads and over the query tokens of the split, so a row of one layer and query tag
    sums to one. `count` is the number of query tokens.
    """
    layers, size = model.config.num_hidden_layers, len(TAGS)
    mass, count = np.zeros((layers, size, size)), np.zeros(size, np.int64)
    for batch, weights in _weights(model, mask, split):
        one_hot = torch.nn.functional.one_hot(batch.tags, size).float()
        one_hot[batch.is_padding] = 0  # [batch, token, tag]
        count += one_hot.sum((0, 1)).long().numpy()
        for layer, values in enumerate(weights):
            heads = values.mean(dim=1)  # [batch, query, key]
            mass[layer] += torch.einsum("bqs,bqk,bkt->st", one_hot, heads, one_hot).numpy()
    return pd.DataFrame(
        [
            {
                "layer": layer,
                "query_tag": TAGS[query],
                "key_tag": TAGS[key],
                "weight_mean": mass[layer, query, key] / count[query],
                "count": count[query],
            }
            for layer in range(layers)
            for query in range(size)
            for key in range(size)
            if count[query]
        ]
    )


def example_weights(
    model: PreTrainedModel, mask: Mask, split: Split, tokenizer: object
) -> pd.DataFrame:
    """Return every attention weight of every example, one row per layer, head, query and key."""
    rows = []
    for batch, weights in _weights(model, mask, split):
        open_pairs = torch.isfinite(mask.bias(batch))[:, 0]
        for i, sentence in enumerate(batch.rows.tolist()):
            length = int((~batch.is_padding[i]).sum())
            pieces = tokenizer.convert_ids_to_tokens(batch.pieces[i, :length].tolist())
            tags = [TAGS[tag] for tag in batch.tags[i, :length].tolist()]
            rows += [
                {
                    "sentence": sentence,
                    "layer": layer,
                    "head": head,
                    "query": query,
                    "key": key,
                    "query_piece": pieces[query],
                    "key_piece": pieces[key],
                    "query_tag": tags[query],
                    "key_tag": tags[key],
                    "weight": float(values[i, head, query, key]),
                    "allowed": bool(open_pairs[i, query, key]),
                }
                for layer, values in enumerate(weights)
                for head in range(values.shape[1])
                for query in range(length)
                for key in range(length)
            ]
    table = pd.DataFrame(rows)
    return table.sort_values(["sentence", "layer", "head", "query", "key"], kind="stable")


def _weights(
    model: PreTrainedModel, mask: Mask, split: Split
) -> Iterator[tuple[batches.Batch, tuple[Tensor, ...]]]:
    """Yield batches with the attention weights of every layer, `[batch, head, query, key]`."""
    with torch.inference_mode():
        for rows in batches.evaluation_order(split.lengths, BATCH):
            batch = batches.collate(split.sentences, split.labels, rows)
            bias = mask.bias(batch)
            output = model(input_ids=batch.pieces, attention_mask=bias, output_attentions=True)
            yield batch, output.attentions
