"""The report's tables of attention weights: by pair of tags, and of the example sentences.

They describe the first seed of every mode. No text of the corpus is written: the sentences in the
second table are `corpus.examples`.
"""

import numpy as np
import pandas as pd
import torch

from ggsa.model import classifier
from ggsa.model.attention_weights import attention_weights, mass_by_tag, tags_of
from ggsa.model.classifier import Classifier
from ggsa.tagging.alignment import TaggedPieces
from ggsa.tagging.splits import read_split
from ggsa.workspace import paths
from ggsa.workspace.config import Params
from ggsa.workspace.progress import track
from ggsa.workspace.tables import write_table
from ggsa.workspace.vocabulary import TAGS


def write_tables(params: Params, study: str = paths.CORE) -> None:
    """Write `attention_by_tag.csv` and `attention_examples.csv`."""
    validation, examples = (
        read_split(name, params.train.max_pieces).sentences for name in ("validation", "examples")
    )
    by_tag, by_pair = [], []
    seed = params.grid.seeds[0]
    for mode in track(params.grid.modes, len(params.grid.modes), "attention", "mode"):
        model = classifier.load(paths.cell(study, mode, seed), implementation="dense")
        by_tag.append(_labeled(weights_by_tag(model, validation), mode, seed))
        by_pair.append(_labeled(example_weights(model, examples), mode, seed))
    write_table(paths.TABLES / "attention_by_tag.csv", pd.concat(by_tag))
    write_table(paths.TABLES / "attention_examples.csv", pd.concat(by_pair))


def weights_by_tag(model: Classifier, sentences: TaggedPieces) -> pd.DataFrame:
    """Return the share of its attention that a token of one tag gives to all tokens of another.

    It is averaged over heads and over query tokens, so the rows of one layer and query tag sum to
    one. `count` is the number of query tokens.
    """
    layers, size = model.model.config.num_hidden_layers, len(TAGS)
    mass, count = np.zeros((layers, size, size)), np.zeros(size, np.int64)
    for batch, weights in attention_weights(model.model, model.mask, sentences):
        count += tags_of(batch).sum((0, 1)).long().numpy()
        mass += mass_by_tag(weights.mean(dim=2), batch).sum(axis=0)
    return pd.DataFrame(
        [
            {
                "layer": layer,
                "query_tag": TAGS[query],
                "key_tag": TAGS[key],
                "weight_mean": mass[layer, query, key] / count[query],
                "count": count[query],
            }
            for layer, query, key in np.ndindex(mass.shape)
            if count[query]
        ]
    )


def example_weights(model: Classifier, sentences: TaggedPieces) -> pd.DataFrame:
    """Return every attention weight of every sentence, by layer, head, query and key."""
    rows = []
    for batch, weights in attention_weights(model.model, model.mask, sentences):
        allowed = torch.isfinite(model.mask.bias(batch))[:, 0]  # [batch, query, key]
        for i, sentence in enumerate(batch.rows.tolist()):
            pieces = model.tokenizer.convert_ids_to_tokens(sentences.pieces[sentence].tolist())
            tags = [TAGS[tag] for tag in sentences.tags[sentence]]
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
                    "weight": float(weights[i, layer, head, query, key]),
                    "allowed": bool(allowed[i, query, key]),
                }
                for layer, head in np.ndindex(*weights.shape[1:3])
                for query in range(len(pieces))
                for key in range(len(pieces))
            ]
    table = pd.DataFrame(rows)
    return table.sort_values(["sentence", "layer", "head", "query", "key"], kind="stable")


def _labeled(table: pd.DataFrame, mode: str, seed: int) -> pd.DataFrame:
    table.insert(0, "mode", mode)
    table.insert(1, "seed", seed)
    return table
