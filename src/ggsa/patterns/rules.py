"""From rules to one pattern per mode.

Reads `params.yaml`, and the corpus statistics where the table is derived from them; writes
`data/rules/<mode>.json`. Everything after this stage reads the pattern, never the rules, so that an
edited rule reruns only the modes whose table it changes.
"""

import numpy as np
import pandas as pd

from ggsa.patterns import modes
from ggsa.patterns.pattern import Pattern
from ggsa.patterns.tag_tables import INDEX, open_cls, own_tags, pairs
from ggsa.workspace.config import Rules
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import TAGS, UNIVERSAL_TAGS, parse_rule


def pattern(mode: str, rules: Rules, hard: np.ndarray, seed: int = 0) -> Pattern:
    """Return the pattern of a mode; `ggsa.patterns.modes` says what each allows.

    Args:
        mode: Any of `modes.names()`; see `ggsa.patterns.controls` for those that a study draws or fits.
        rules: The rules block of params.yaml.
        hard: Which tag may attend which, bool `[tag, tag]`; see `hard_table`.
        seed: Draws the random pairs of `random`, and which of the outermost ring `window` allows.

    Raises:
        ValueError: If there is no such mode, or it takes a study.
    """
    if mode not in modes.names():
        raise ValueError(f"{mode} is no mode that follows from the rules alone")
    made = modes.MODES[mode].table(rules, hard, seed)
    bias, extra = made if isinstance(made, tuple) else (made, None)
    return Pattern(mode=mode, tags=TAGS, bias=bias, positional=extra)


def hard_table(rules: Rules, statistics: pd.DataFrame, counts: np.ndarray) -> np.ndarray:
    """Return which tag may attend which, bool `[tag, tag]`, with `drop` and `add` applied.

    Args:
        rules: The rules block of params.yaml.
        statistics: Tag pairs with their scores; see `rule_statistics.tag_pairs`.
        counts: Pieces per tag of the training sentences, `[sentence, tag]`.

    Raises:
        UserError: If a rule to be dropped is not in the table that the corpus gave.
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
                f"params.yaml: rules.drop names {rule}, which is not in the table derived from the "
                f"corpus. data/rules/hard.json shows what is."
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
    """Return the table that the corpus suggests: the best pairs until the density is reached.

    Pairs of different tags are taken by falling `rules.corpus.score`; the last one taken is the
    first that reaches `rules.corpus.density` on the training sentences.

    Raises:
        UserError: If own tags and `[CLS]` alone exceed the density asked for.
    """
    table = special_rows(rules)

    def density() -> float:
        return Pattern("hard", TAGS, np.where(table, 0, -np.inf)).density(counts)

    if density() > rules.corpus.density:
        raise UserError(
            f"params.yaml: rules.corpus.density is {rules.corpus.density}, but own tags and [CLS] "
            f"alone come to {density():.3f}. Ask for more, or set rules.self to false."
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
    """Return every rule in force between universal tags as (query, key, where it comes from)."""
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
