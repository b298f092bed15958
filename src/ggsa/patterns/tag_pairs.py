"""How often two tags occur in one sentence, and how strongly words of two tags are associated.

Pairs are counted in two units. Association (pointwise mutual information) is a property of *words*.
How often a rule applies and what it costs is counted in *word pieces*, special tokens included,
because attention is between pieces.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ggsa.patterns.tag_tables import INDEX
from ggsa.workspace.vocabulary import TAGS, UNIVERSAL_TAGS

NEAR = 5
"""Largest distance in words at which two words count as near."""


def tag_pairs(tags: Sequence[Sequence[str]], counts: np.ndarray) -> pd.DataFrame:
    """Return count, share and pointwise mutual information of every pair of universal tags.

    Args:
        tags: Tag of every word of every training sentence.
        counts: Pieces per tag of the same sentences, `[sentence, tag]`.

    Returns:
        One row per (query tag, key tag). `count`: ordered pairs of pieces in one sentence; `share`:
        of all ordered pairs, special tokens included. `pmi_adjacent`, `pmi_near`: in bits, of two
        words at distance 1, or 1 to 5, in either order; empty if the pair never occurs.
    """
    together = piece_pairs(counts)
    total = (counts.sum(axis=1) ** 2).sum()
    information = {
        "pmi_adjacent": pointwise_mutual_information(neighbors(tags, 1)),
        "pmi_near": pointwise_mutual_information(neighbors(tags, NEAR)),
    }
    return pd.DataFrame(
        [
            {
                "query_tag": query,
                "key_tag": key,
                "count": together[INDEX[query], INDEX[key]],
                "share": together[INDEX[query], INDEX[key]] / total,
                **{name: values[INDEX[query], INDEX[key]] for name, values in information.items()},
            }
            for query in UNIVERSAL_TAGS
            for key in UNIVERSAL_TAGS
        ]
    )


def piece_pairs(counts: np.ndarray) -> np.ndarray:
    """Return how many ordered pairs of pieces in one sentence have two tags, int64 `[tag, tag]`.

    Args:
        counts: Pieces per tag, `[sentence, tag]`.
    """
    return np.einsum("sq,sk->qk", counts, counts)


def neighbors(tags: Sequence[Sequence[str]], reach: int) -> np.ndarray:
    """Return how often words of two tags are within `reach` words, int64 `[tag, tag]`.

    Both orders are counted, so the table is symmetric.
    """
    pad = len(TAGS)  # an extra tag between sentences, so that no pair spans two of them
    gap = [pad] * reach
    flat = np.array([i for row in tags for i in (*(INDEX[tag] for tag in row), *gap)])
    size = len(TAGS) + 1
    table = np.zeros((size, size), np.int64)
    for distance in range(1, reach + 1):
        codes = flat[:-distance] * size + flat[distance:]
        table += np.bincount(codes, minlength=size * size).reshape(size, size)
    table = table[:pad, :pad]
    return table + table.T


def pointwise_mutual_information(table: np.ndarray) -> np.ndarray:
    """Return log2 of the observed over the expected frequency of tag pairs; NaN if never observed.

    Args:
        table: How often each pair occurs, `[tag, tag]`.
    """
    joint = table / max(1, table.sum())
    chance = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(table > 0, np.log2(joint / chance), np.nan)
