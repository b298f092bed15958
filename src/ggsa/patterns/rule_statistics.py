"""What the corpus says about tags, tag pairs and rules.

Pairs are counted in two units, each where it means something. How words of two tags keep company
(pointwise mutual information) is a matter of *words*. How often a rule fires and what it costs is a
matter of *word pieces*, because attention is between pieces, special tokens included.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ggsa.patterns.pattern import Pattern
from ggsa.patterns.tag_tables import INDEX
from ggsa.workspace import paths
from ggsa.workspace.tables import read_table
from ggsa.workspace.vocabulary import TAGS, UNIVERSAL_TAGS

NEAR = 5
"""Words within which two words count as near."""

LENGTH_EDGES = (2, 11, 16, 21, 31, 41, 61, 129, 513)
"""Where the length groups of sentences begin, in word pieces."""


def tag_frequencies(counts: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return how many word pieces carry each tag.

    Args:
        counts: For every split, pieces per tag, `[sentence, tag]`.
    """
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "split": split,
                    "tag": TAGS,
                    "count": rows.sum(axis=0),
                    "share": rows.sum(axis=0) / rows.sum(),
                }
            )
            for split, rows in counts.items()
        ]
    )


def tag_pairs(tags: Sequence[Sequence[str]], counts: np.ndarray) -> pd.DataFrame:
    """Return count, share and pointwise mutual information of every pair of universal tags.

    Args:
        tags: Tag of every word of every training sentence.
        counts: Pieces per tag of the same sentences, `[sentence, tag]`.

    Returns:
        One row per (query tag, key tag). `count`: ordered pairs of pieces in one sentence; `share`:
        of all ordered pairs, special tokens included. `pmi_adjacent`, `pmi_near`: in bits, of two
        words at distance 1, or 1 to 5, in either order; empty where the pair never occurs.
    """
    together = np.einsum("sq,sk->qk", counts, counts)
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


def neighbors(tags: Sequence[Sequence[str]], reach: int) -> np.ndarray:
    """Return how often words of two tags stand within `reach` words, int64 `[tag, tag]`.

    Both orders are counted, so the table is symmetric.
    """
    pad = len(TAGS)  # a tag of its own between sentences, so that no pair crosses them
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
    """Return log2 of how much more often two tags meet than chance has it; NaN if never."""
    joint = table / max(1, table.sum())
    chance = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(table > 0, np.log2(joint / chance), np.nan)


def rule_table(
    rows: list[tuple[str, str, str]], hard: np.ndarray, counts: np.ndarray
) -> pd.DataFrame:
    """Return what every rule in force does on the training sentences.

    Args:
        rows: Rules as (query, key, source); see `rules.listed`.
        hard: Which tag may attend which, bool `[tag, tag]`.
        counts: Pieces per tag, `[sentence, tag]`.

    Returns:
        One row per rule. `fires`: pairs of pieces that it allows; `sentences`: with at least one;
        `density_share`: its share of all allowed pairs; `saving_if_dropped`: by how much the density
        would fall. A token sees itself even without an own-tag rule, so those pairs are not saved.
    """
    allowed = Pattern("hard", TAGS, np.where(hard, 0, -np.inf)).allowed_pairs(counts).sum()
    total = (counts.sum(axis=1) ** 2).sum()
    table = []
    for query, key, source in rows:
        fires = counts[:, INDEX[query]] * counts[:, INDEX[key]]
        saved = fires.sum() - (counts[:, INDEX[query]].sum() if query == key else 0)
        table.append(
            {
                "rule": f"{query}->{key}",
                "query_tag": query,
                "key_tag": key,
                "source": source,
                "fires": fires.sum(),
                "sentences": (fires > 0).sum(),
                "density_share": fires.sum() / allowed,
                "saving_if_dropped": saved / total,
            }
        )
    columns = ["rule", "query_tag", "key_tag", "source", "fires", "sentences", "density_share"]
    return pd.DataFrame(table, columns=[*columns, "saving_if_dropped"])


def densities(patterns: list[Pattern], counts: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return the density of every mode on every split: allowed pairs / all pairs of pieces."""
    return pd.DataFrame(
        [
            {
                "mode": pattern.mode,
                "split": split,
                "density": pattern.density(rows),
                "pairs": (rows.sum(axis=1) ** 2).sum(),
                "allowed_pairs": pattern.allowed_pairs(rows).sum(),
            }
            for pattern in patterns
            for split, rows in counts.items()
        ]
    )


def densities_by_length(patterns: list[Pattern], counts: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return the density of every mode on every split, by sentence length in word pieces."""
    table = []
    for split, rows in counts.items():
        lengths = rows.sum(axis=1)
        for start, end in itertools.pairwise(LENGTH_EDGES):
            chosen = rows[(lengths >= start) & (lengths < end)]
            table += [
                {
                    "mode": pattern.mode,
                    "split": split,
                    "length_from": start,
                    "length_to": end - 1,
                    "sentences": len(chosen),
                    "density": pattern.density(chosen),
                }
                for pattern in patterns
                if len(chosen)
            ]
    return pd.DataFrame(table)


def notices(table: pd.DataFrame, hard: np.ndarray) -> dict[str, list[str]]:
    """Return the rules that never fire, and the tags that are left with nothing but themselves."""
    lonely = [tag for tag in UNIVERSAL_TAGS if not np.delete(hard[INDEX[tag]], INDEX[tag]).any()]
    return {
        "never_fires": [
            row.rule for row in table.itertuples() if row.fires == 0 and row.source != "own tag"
        ],
        "only_self": lonely,
    }


def allowed_column(pairs: pd.DataFrame, hard: np.ndarray) -> list[bool]:
    """Return, for every row of `tag_pairs`, whether the hard table allows the pair."""
    return [
        bool(hard[INDEX[query], INDEX[key]])
        for query, key in zip(pairs["query_tag"], pairs["key_tag"], strict=True)
    ]


def in_force() -> pd.DataFrame:
    """Return the rules that the rules stage found in force, with how often each fires.

    Raises:
        UserError: If the stage has not run.
    """
    columns = ("rule", "source", "fires", "sentences", "density_share", "saving_if_dropped")
    return read_table(paths.RULES / "statistics" / "rules.csv", columns)
