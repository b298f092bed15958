"""Control patterns that are drawn or fitted, each at the density of the hard table.

They keep one part of what a grammatical table is and destroy the rest: `shuffled` keeps the form (a
table over tag pairs) and loses the linguistics, `separator` goes by places and punctuation as in
SepLLM, `learned` lets a trained model choose the pairs. `random` and `window` need no fitting and
follow from the rules (`ggsa.patterns.rules`, `ggsa.patterns.positional`).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ggsa.model import build
from ggsa.patterns import positional
from ggsa.patterns.pattern import Pattern
from ggsa.patterns.positional import Positional
from ggsa.patterns.tag_tables import INDEX, blocked_outside, open_cls
from ggsa.tagging import alignment
from ggsa.tagging.alignment import TaggedPieces
from ggsa.tagging.counting import MEASURED_SPLITS, word_tags
from ggsa.workspace import paths
from ggsa.workspace.config import Rules
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import CORPUS_COLUMNS, read_table
from ggsa.workspace.vocabulary import TAGS

TOLERANCE = 0.02
"""By which share a control's density may miss that of the hard table."""

CHUNK = 256
DRAWS = 200
LARGEST_REACH = 12


def shuffled(
    rules: Rules, hard: np.ndarray, counts: Mapping[str, np.ndarray], seed: int
) -> Pattern:
    """Return a table of tag pairs drawn at random whose density is hard's.

    Own tags and the open row of `[CLS]` stay, as in the hard table. Pairs of other tags are drawn
    one by one until train is as dense; a table that misses the tolerance on any split is drawn
    anew.

    Args:
        rules: The rules block of params.yaml.
        hard: Which tag may attend which, bool `[tag, tag]`.
        counts: Pieces per tag of the sentences of every split, `[sentence, tag]`.
        seed: Draws the pairs.

    Raises:
        UserError: If no draw comes within the tolerance.
    """
    own = np.eye(len(TAGS), dtype=bool)
    kept = (own & hard) | open_cls(rules)
    candidates = np.argwhere(~kept & ~own)
    together = np.einsum("sq,sk->qk", counts["train"], counts["train"])  # pairs, [tag, tag]
    target = _pairs(hard, together, counts["train"])
    wanted = {split: _table(hard).density(rows) for split, rows in counts.items()}
    stream = np.random.default_rng(seed)
    for _ in range(DRAWS):
        table, reached = kept.copy(), _pairs(kept, together, counts["train"])
        for query, key in stream.permutation(candidates):
            gained = together[query, key]
            if reached + gained <= target * (1 + TOLERANCE / 2):
                table[query, key] = True
                reached += gained
            if reached >= target:
                break
        found = {split: _table(table).density(rows) for split, rows in counts.items()}
        if all(abs(found[split] / wanted[split] - 1) <= TOLERANCE for split in counts):
            return Pattern("shuffled", TAGS, blocked_outside(table))
    raise UserError(
        f"shuffled: no random table with seed {seed} comes within {TOLERANCE:.0%} of the hard "
        f"table's density on every split. Choose another seed."
    )


def _table(allowed: np.ndarray) -> Pattern:
    return Pattern("", TAGS, blocked_outside(allowed))


def separator(rules: Rules, hard: np.ndarray, train: TaggedPieces) -> Pattern:
    """Return the separator pattern whose neighborhood brings its density closest to hard's."""
    base = blocked_outside(open_cls(rules))
    target = density(Pattern("hard", TAGS, blocked_outside(hard)), train)
    options = [
        Pattern("separator", TAGS, base, Positional("separator", reach=reach))
        for reach in range(LARGEST_REACH)
    ]
    return min(options, key=lambda pattern: abs(density(pattern, train) - target))


def learned(rules: Rules, hard: np.ndarray, counts: np.ndarray, seed: int, used: Path) -> Pattern:
    """Return the table of the tag pairs that trained full attention uses most, at hard's density.

    Pairs are taken by falling attention per allowed pair of pieces, as the trained model gives it
    on the selection split (layers and heads averaged; dynamic attention mask, arXiv 2506.11104).

    Args:
        rules: The rules block of params.yaml.
        hard: Which tag may attend which, bool `[tag, tag]`.
        counts: Pieces per tag of the training sentences, `[sentence, tag]`.
        seed: Of the full model that is asked.
        used: attention_selection.csv of `ggsa.evaluation.interpretability`.

    Raises:
        UserError: If that table is missing or holds nothing of the seed.
    """
    table = read_table(used, ("seed", "query_tag", "key_tag", "weight_per_pair"))
    rows = table[table["seed"] == seed]
    if rows.empty:
        raise UserError(
            f"learned: {used} holds nothing of seed {seed}; full attention has to be trained with "
            f"it first (grid.seeds in params.yaml)."
        )
    together = np.einsum("sq,sk->qk", counts, counts)
    target = _pairs(hard, together, counts)
    allowed = (np.eye(len(TAGS), dtype=bool) & hard) | open_cls(rules)
    reached = _pairs(allowed, together, counts)
    # What a pair adds: tokens see themselves in any case.
    together = together - np.diag(counts.sum(axis=0))
    for row in rows.sort_values("weight_per_pair", ascending=False).itertuples():
        query, key = INDEX[row.query_tag], INDEX[row.key_tag]
        gained = together[query, key]
        if allowed[query, key] or reached + gained > target * (1 + TOLERANCE / 2):
            continue
        allowed[query, key] = True
        reached += gained
    return Pattern("learned", TAGS, blocked_outside(allowed))


def _pairs(table: np.ndarray, together: np.ndarray, counts: np.ndarray) -> int:
    """Return the pairs of pieces that a table allows over all sentences."""
    itself = counts.sum(axis=0) * ~np.diag(table)
    return int((together * table).sum() + itself.sum())


def tagged_splits(max_pieces: int) -> dict[str, TaggedPieces]:
    """Return the pieces and tags of every measured split."""
    tokenizer = build.tokenizer(paths.ENCODER)
    return {
        split: alignment.align(
            tokenizer,
            list(read_table(paths.corpus_split(split), CORPUS_COLUMNS)["words"]),
            word_tags(split),
            max_pieces,
        )
        for split in MEASURED_SPLITS
    }


def density(pattern: Pattern, sentences: TaggedPieces) -> float:
    """Return allowed pairs / all pairs, both summed over the sentences; for any pattern."""
    if pattern.positional is None or pattern.positional.match is not None:
        counts = np.stack([np.bincount(row, minlength=len(TAGS)) for row in sentences.tags])
        return pattern.density(counts)
    allowed = total = 0
    for tags, is_padding, identities in _padded(sentences):
        pairs = positional.allowed_pairs(
            pattern.positional, pattern.allowed, tags, is_padding, identities
        )
        allowed += int(pairs.sum())
        total += int(((~is_padding).sum(axis=1) ** 2).sum())
    return allowed / total


def _padded(sentences: TaggedPieces) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    lengths = np.array([len(row) for row in sentences.tags])
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), CHUNK):
        rows = order[start : start + CHUNK]
        tags = np.zeros((len(rows), lengths[rows].max()), np.int64)
        is_padding = np.ones(tags.shape, bool)
        for i, row in enumerate(rows):
            tags[i, : lengths[row]] = sentences.tags[row]
            is_padding[i, : lengths[row]] = False
        yield tags, is_padding, sentences.identities[rows]
