"""The stage `rules`: one pattern per mode, and what the rules do on the corpus."""

import itertools
from typing import Any

import numpy as np
import pandas as pd

from ggsa.patterns import rules
from ggsa.patterns.modes import PatternData, pattern_for
from ggsa.patterns.pattern import Pattern, write_pattern
from ggsa.patterns.tag_pairs import piece_pairs
from ggsa.patterns.tag_tables import INDEX, blocked_outside
from ggsa.workspace import artifacts, paths
from ggsa.workspace.config import Params
from ggsa.workspace.tables import read_table, write_table
from ggsa.workspace.vocabulary import TAGS, UNIVERSAL_TAGS

LENGTH_EDGES = (2, 11, 16, 21, 31, 41, 61, 129, 513)
"""Shortest sentence of every length group, in word pieces; the last edge is exclusive."""

RULE_COLUMNS = [
    *("rule", "query_tag", "key_tag", "source", "fires", "sentences", "density_share"),
    "saving_if_dropped",
]


def write_rules(params: Params) -> dict[str, list[str]]:
    """Write data/rules/<mode>.json for every mode of the grid, and data/rules/statistics.

    Returns:
        See `notices`.

    Raises:
        UserError: If the corpus is not tagged yet, or a mode cannot be built.
    """
    data = PatternData(params)
    hard = data.hard_table(params.rules)
    patterns = [pattern_for(mode, params.rules, 0, data) for mode in params.grid.modes]
    for pattern in patterns:
        write_pattern(paths.rule_table(pattern.mode), pattern)
    table = rule_table(rules.listed(params.rules, hard), hard, data.counts["train"])
    pairs = data.tag_pairs
    statistics = paths.RULES / "statistics"
    for name, content in {
        "tag_frequencies": tag_frequencies(data.counts),
        "tag_pairs": pairs.assign(
            allowed_hard=as_column(hard, pairs),
            count_validation=as_column(piece_pairs(data.counts["validation"]), pairs),
        ),
        "rules": table,
        "density": densities(patterns, data.counts),
        "density_by_length": densities_by_length(patterns, data.counts),
    }.items():
        write_table(statistics / f"{name}.csv", content)
    noticed = notices(table, hard)
    artifacts.write_json(statistics / "notices.json", noticed)
    return noticed


def tag_frequencies(counts: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return how many word pieces have each tag.

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


def rule_table(
    rows: list[tuple[str, str, str]], hard: np.ndarray, counts: np.ndarray
) -> pd.DataFrame:
    """Return what every active rule does on the training sentences.

    Args:
        rows: Rules as (query, key, source); see `rules.listed`.
        hard: The tag pairs that the hard table allows, bool `[tag, tag]`.
        counts: Pieces per tag, `[sentence, tag]`.

    Returns:
        One row per rule. `fires`: pairs of pieces that it allows; `sentences`: with at least one;
        `density_share`: its share of all allowed pairs; `saving_if_dropped`: the decrease in density
        without it. A token attends to itself even without an own-tag rule, so those pairs are not
        saved.
    """
    allowed = Pattern("hard", TAGS, blocked_outside(hard)).allowed_pairs(counts).sum()
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
    return pd.DataFrame(table, columns=RULE_COLUMNS)


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
    """Return the rules that never fire, and the tags that attend to no other tag."""
    only_self = [tag for tag in UNIVERSAL_TAGS if not np.delete(hard[INDEX[tag]], INDEX[tag]).any()]
    return {
        "never_fires": [
            row.rule for row in table.itertuples() if row.fires == 0 and row.source != "own tag"
        ],
        "only_self": only_self,
    }


def as_column(table: np.ndarray, pairs: pd.DataFrame) -> list[Any]:
    """Return the value of a table `[tag, tag]` for every row of a table of tag pairs."""
    return [
        table[INDEX[query], INDEX[key]]
        for query, key in zip(pairs["query_tag"], pairs["key_tag"], strict=True)
    ]


def active_rules() -> pd.DataFrame:
    """Return the active rules with how often each fires, as the stage `rules` wrote them.

    Raises:
        UserError: If the stage has not run.
    """
    columns = ("rule", "source", "fires", "sentences", "density_share", "saving_if_dropped")
    return read_table(paths.RULES / "statistics" / "rules.csv", columns)
