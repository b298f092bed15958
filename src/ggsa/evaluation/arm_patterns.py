"""What the patterns of a study's arms have in common with the hard mask, on the scored sentences.

A control is only as good as it is different: the table says how many of hard's pairs it also allows.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ggsa.patterns.density import allowed_pairs
from ggsa.patterns.pattern import Pattern, pattern_from_json
from ggsa.patterns.positional import pairs_of_table
from ggsa.tagging.alignment import TaggedPieces
from ggsa.tagging.splits import read_split
from ggsa.training import studies
from ggsa.training.studies import Study
from ggsa.workspace import artifacts
from ggsa.workspace.vocabulary import CLS, SCORED_SPLITS, TAGS

HARD = "hard"
COLUMNS = ["arm", "mode", "seeds", "density", "shared_with_hard", "sentences_with_fewer"]

_CLS = TAGS.index(CLS)


def patterns_table(study: Study, corpus: str) -> pd.DataFrame:
    """Return what each arm with a planned pattern allows, mean over seeds.

    Columns: `density`; `shared_with_hard`, the share of hard's pairs that the arm also allows, without
    those of a token with itself and of `[CLS]`; `sentences_with_fewer`, the share of sentences in
    which the arm allows fewer pairs than hard. The last two are NaN in a study without the arm hard.

    Args:
        study: Its declaration.
        corpus: One of the study's, which the workspace holds.
    """
    plan = study.plan(corpus)
    length = study.params(study.reference).train.max_pieces
    sentences = [read_split(split, length).sentences for split in SCORED_SPLITS]
    hard = _planned(study, corpus, HARD, plan.seeds[0]) if HARD in plan.arms else None
    rows = []
    for arm in plan.arms:
        planned = [_planned(study, corpus, arm, seed) for seed in plan.seeds]
        patterns = [pattern for pattern in planned if pattern is not None]
        if not patterns:
            continue  # fitted to another cell when it is trained
        if patterns[0].positional is None and _equal(patterns):
            patterns = patterns[:1]
        measured = [_measure(pattern, hard, sentences) for pattern in patterns]
        rows.append((arm, study.arms[arm].mode, len(planned), *np.mean(measured, axis=0)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _planned(study: Study, corpus: str, arm: str, seed: int) -> Pattern | None:
    """Return the planned pattern of a cell; None for one that is fitted to another cell."""
    path = studies.plan_file(study.name, corpus, arm, seed)
    content = artifacts.read_json(path)["pattern"]
    return None if content is None else pattern_from_json(content, path)


def _equal(patterns: Sequence[Pattern]) -> bool:
    return all(np.array_equal(pattern.bias, patterns[0].bias) for pattern in patterns)


def _measure(
    pattern: Pattern, hard: Pattern | None, splits: Sequence[TaggedPieces]
) -> tuple[float, float, float]:
    """Return density, the share of hard's pairs, and the share of sentences with fewer of them."""
    allowed = total = shared = of_hard = fewer = sentences = 0
    for split in splits:
        for pairs, tags, is_padding in allowed_pairs(pattern, split):
            allowed += int(pairs.sum())
            total += int(((~is_padding).sum(1) ** 2).sum())
            if hard is None:
                continue
            present = ~(is_padding[:, :, None] | is_padding[:, None, :])
            every = pairs_of_table(hard.allowed, tags) & present
            free = every & ~np.eye(tags.shape[1], dtype=bool) & (tags != _CLS)[:, :, None]
            shared += int((free & pairs).sum())
            of_hard += int(free.sum())
            fewer += int((pairs.sum((1, 2)) < every.sum((1, 2))).sum())
            sentences += len(tags)
    if not of_hard:
        return allowed / total, np.nan, np.nan
    return allowed / total, shared / of_hard, fewer / sentences
