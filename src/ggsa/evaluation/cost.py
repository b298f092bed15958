"""The theoretical cost of attention under a pattern: pairs, operations and bytes.

Place in the data flow: `ggsa.evaluation.core` hands in how many pieces of each tag every sentence has;
nothing here reads or writes a file. The paper speaks of lower theoretical work and computes none
(claim C5); this is the computation.

What is counted, with n pieces, hidden width d, feed-forward width f, L layers and c classes:

- A *pair* is a query piece and a key piece of one sentence, special tokens included, padding
  excluded. A piece may always attend itself. A bias that blocks nothing (the soft modes, defect
  D4) allows all n^2 pairs and saves nothing, whatever its strength.
- One multiply-add is 2 FLOPs, as `torch.utils.flop_counter` counts; look-ups, softmax,
  normalization, activation functions and biases are not counted there and not here.
- Scores (query . key over all heads) cost 2 d per allowed pair, the weighted sum of values
  another 2 d; the number of heads cancels. This is what "attention FLOPs" means below: the query,
  key, value and output projections do not depend on the pattern and count toward the model.
- Whole model: L (8 n d^2 for the four projections + 4 n d f for the feed-forward) + attention
  + 2 d^2 for the pooler + 2 d c for the classifier.
- Bytes: every allowed pair reads one key and one value of width d in every layer, without reuse
  between queries. Caches do better; the ratio between patterns is what these bytes are for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ggsa.patterns.pattern import Pattern
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import CLS, MODEL_PREFIX, SEP

SPECIAL_TAGS = (CLS, SEP)
BYTES_PER_NUMBER = 4  # float32

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Architecture:
    """The sizes of an encoder with a classification head that decide its FLOPs."""

    layers: int
    hidden: int
    feed_forward: int
    classes: int = 2


BERT_BASE = Architecture(layers=12, hidden=768, feed_forward=3072)


def architecture(configuration: Mapping[str, Any], classes: int = 2) -> Architecture:
    """Return the sizes named in the config.json of a BERT or DistilBERT checkpoint.

    DistilBERT's head (`pre_classifier` and `classifier`) has the shapes of BERT's pooler and
    classifier, so that one formula holds for both.

    Raises:
        UserError: If the configuration is neither's.
    """
    names = {
        "bert": ("num_hidden_layers", "hidden_size", "intermediate_size"),
        "distilbert": ("n_layers", "dim", "hidden_dim"),
    }.get(configuration.get("model_type", "").removeprefix(MODEL_PREFIX))
    if names is None or any(name not in configuration for name in names):
        raise UserError(
            f"The cost of a checkpoint of type {configuration.get('model_type')!r} is not known: "
            f"its config.json does not hold the sizes of a BERT or DistilBERT. Name such a "
            f"checkpoint under encoder.checkpoint."
        )
    layers, hidden, feed_forward = (int(configuration[name]) for name in names)
    return Architecture(layers, hidden, feed_forward, classes)


def all_pairs(tag_counts: Counts) -> Counts:
    """Return n x n of every sentence: what full attention computes, padding excluded."""
    return np.asarray(tag_counts, dtype=np.int64).sum(axis=1) ** 2


def expected_pairs(length: int, tag_counts: Counts, pattern: Pattern) -> float:
    """Return the expected allowed pairs of one text of a given length in pieces.

    Assumption: one [CLS], one [SEP], and otherwise pieces whose tags are drawn independently
    with the shares that they have in `tag_counts`, array [sentence, tag].

    Raises:
        UserError: If the text has no room for [CLS], one piece and [SEP].
    """
    if length < len(SPECIAL_TAGS) + 1:
        raise UserError(
            f"evaluate.cost_lengths holds {length}, but the shortest text has three "
            f"pieces ([CLS], a word, [SEP]). Remove it or name a larger length."
        )
    special = np.array([tag in SPECIAL_TAGS for tag in pattern.tags], dtype=np.float64)
    words = np.where(special == 1, 0, np.asarray(tag_counts).sum(axis=0)).astype(np.float64)
    shares = words / words.sum()
    number = length - len(SPECIAL_TAGS)

    def expected(allowed: npt.NDArray[np.bool_]) -> float:
        table = allowed.astype(np.float64)
        between_words = number * (number - 1) * (shares @ table @ shares)
        with_special = number * (special @ table @ shares + shares @ table @ special)
        between_special = special @ table @ special - special @ np.diagonal(table)
        return float(between_words + with_special + between_special + length)  # + each with itself

    extra = pattern.positional
    if extra is None:
        return expected(pattern.allowed)
    if not extra.countable:
        raise UserError(
            f"The cost by length of the mode {pattern.mode} is not defined: its pairs depend on the "
            f"position of words. Remove it from grid.modes."
        )
    pairs = expected(extra.match)
    if extra.kind == "complement":  # it cannot draw more pairs than are blocked
        return min(pairs, expected(pattern.allowed | ~extra.match))
    return pairs


def score_flops(pairs: Any, sizes: Architecture) -> Any:
    """Return the FLOPs of the query-key products of one layer: 2 d per pair."""
    return 2 * sizes.hidden * pairs


def value_flops(pairs: Any, sizes: Architecture) -> Any:
    """Return the FLOPs of the weighted sum of values in one layer: 2 d per pair."""
    return 2 * sizes.hidden * pairs


def attention_flops(pairs: Any, sizes: Architecture) -> Any:
    """Return the FLOPs of scores and weighted values in all layers: 4 L d per pair."""
    return sizes.layers * (score_flops(pairs, sizes) + value_flops(pairs, sizes))


def rest_flops(pieces: Any, sentences: Any, sizes: Architecture) -> Any:
    """Return the FLOPs that no pattern changes: projections, feed-forward, pooler, classifier."""
    projections = 4 * 2 * pieces * sizes.hidden**2
    feed_forward = 2 * 2 * pieces * sizes.hidden * sizes.feed_forward
    head = 2 * sizes.hidden**2 + 2 * sizes.hidden * sizes.classes
    return sizes.layers * (projections + feed_forward) + sentences * head


def model_flops(pieces: Any, sentences: Any, pairs: Any, sizes: Architecture) -> Any:
    """Return the FLOPs of a whole forward pass over so many pieces, sentences and pairs."""
    return rest_flops(pieces, sentences, sizes) + attention_flops(pairs, sizes)


def key_value_bytes(pairs: Any, sizes: Architecture) -> Any:
    """Return the bytes of keys and values read in all layers, in float32, without reuse."""
    return sizes.layers * 2 * sizes.hidden * BYTES_PER_NUMBER * pairs


def split_cost(tag_counts: Counts, pattern: Pattern, sizes: Architecture) -> dict[str, float]:
    """Return one row of the cost table: a mode's totals over the sentences of a split.

    Args:
        tag_counts: Pieces of each tag, array [sentence, tag], padding excluded.
        pattern: Which tokens may attend to which.
        sizes: The encoder's.
    """
    sentences, pieces = len(tag_counts), int(tag_counts.sum())
    pairs = int(all_pairs(tag_counts).sum())
    permitted = int(pattern.allowed_pairs(tag_counts).sum())
    return {
        "sentences": sentences,
        "pieces_mean": pieces / sentences,
        "pairs": pairs,
        "allowed_pairs": permitted,
        **_against_full(pieces, sentences, pairs, permitted, sizes),
        "key_value_bytes": key_value_bytes(permitted, sizes),
    }


def length_cost(
    length: int, tag_counts: Counts, pattern: Pattern, sizes: Architecture
) -> dict[str, float]:
    """Return one row of the cost by length: one text, tags drawn as in `expected_pairs`."""
    permitted = expected_pairs(length, tag_counts, pattern)
    return {"length": length, **_against_full(length, 1, length**2, permitted, sizes)}


def _against_full(
    pieces: int, sentences: int, pairs: int, permitted: float, sizes: Architecture
) -> dict[str, float]:
    attention, full = attention_flops(permitted, sizes), attention_flops(pairs, sizes)
    model = model_flops(pieces, sentences, permitted, sizes)
    full_model = model_flops(pieces, sentences, pairs, sizes)
    return {
        "density": permitted / pairs,
        "attention_flops": attention,
        "full_attention_flops": full,
        "model_flops": model,
        "full_model_flops": full_model,
        "attention_share": full / full_model,
        "saving_attention": 1 - attention / full,
        "saving_model": 1 - model / full_model,
    }
