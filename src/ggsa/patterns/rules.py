"""From the block `rules` to the hard table: which query tags may attend to which key tags."""

import numpy as np
import pandas as pd

from ggsa.patterns.pattern import Pattern
from ggsa.patterns.tag_tables import INDEX, blocked_outside, open_cls, own_tags, pairs
from ggsa.workspace.blocks import Rules
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import TAGS, UNIVERSAL_TAGS, parse_rule


def hard_table(
    rules: Rules, statistics: pd.DataFrame | None = None, counts: np.ndarray | None = None
) -> np.ndarray:
    """Return the tag pairs that the rules allow, `drop` and `add` applied, bool `[tag, tag]`.

    Args:
        rules: The block `rules`.
        statistics: Tag pairs with their scores, if `rules.source` is `corpus`; see
            `ggsa.patterns.tag_pairs.tag_pairs`.
        counts: Pieces per tag of the training sentences, `[sentence, tag]`, if `rules.source` is
            `corpus`.

    Raises:
        UserError: If a dropped rule is not in the table derived from the corpus.
    """
    table = special_rows(rules)
    if rules.source == "corpus":
        table = corpus_table(rules, statistics, counts)
    else:
        table |= pairs(rules.hard)
    for rule in rules.drop:
        query, key = (INDEX[tag] for tag in parse_rule(rule))
        if not table[query, key]:
            raise UserError(
                f"rules.drop: {rule} is not in the table derived from the corpus. Expected one of "
                f"the pairs allowed in data/rules/hard.json. Remove it from rules.drop."
            )
        table[query, key] = False
    for rule in rules.add:
        query, key = (INDEX[tag] for tag in parse_rule(rule))
        table[query, key] = True
    return table


def special_rows(rules: Rules) -> np.ndarray:
    """Return what `self` and `cls_attends_all` allow, bool `[tag, tag]`."""
    return (own_tags() & rules.self) | open_cls(rules)


def corpus_table(rules: Rules, statistics: pd.DataFrame, counts: np.ndarray) -> np.ndarray:
    """Return the table of the highest-scoring tag pairs that reach `rules.corpus.density`.

    Pairs of different tags are added in decreasing order of `rules.corpus.score`, until the density
    on the training sentences is at least the requested one.

    Raises:
        UserError: If own tags and `[CLS]` alone exceed the requested density.
    """
    table = special_rows(rules)

    def density() -> float:
        return Pattern("hard", TAGS, blocked_outside(table)).density(counts)

    if density() > rules.corpus.density:
        raise UserError(
            f"rules.corpus.density: got {rules.corpus.density}, but own tags and [CLS] alone have "
            f"a density of {density():.3f}. Raise it, or set rules.self to false."
        )
    score = {"frequency": "count"}.get(rules.corpus.score, rules.corpus.score)
    ranked = statistics[statistics["query_tag"] != statistics["key_tag"]]
    ranked = ranked[ranked["count"] > 0].dropna(subset=[score])
    ranked = ranked.sort_values([score, "query_tag", "key_tag"], ascending=[False, True, True])
    for query, key in zip(ranked["query_tag"], ranked["key_tag"], strict=True):
        if density() >= rules.corpus.density:
            break
        table[INDEX[query], INDEX[key]] = True
    return table


def listed(rules: Rules, hard: np.ndarray) -> list[tuple[str, str, str]]:
    """Return every active rule between universal tags as (query, key, source)."""
    written = pairs(rules.hard)
    rows = []
    for query in UNIVERSAL_TAGS:
        for key in UNIVERSAL_TAGS:
            if not hard[INDEX[query], INDEX[key]]:
                continue
            if f"{query}->{key}" in rules.add:
                source = "added"
            elif rules.self and query == key:
                source = "own tag"
            elif rules.source == "paper" and written[INDEX[query], INDEX[key]]:
                source = "paper"
            else:
                source = "corpus"
            rows.append((query, key, source))
    return rows
