"""The density of a pattern: allowed pairs / all pairs of word pieces, for any pattern."""

from collections.abc import Iterator

import numpy as np

from ggsa.patterns import positional
from ggsa.patterns.pattern import Pattern
from ggsa.tagging.alignment import TaggedPieces

CHUNK = 256


def density(pattern: Pattern, sentences: TaggedPieces) -> float:
    """Return allowed pairs / all pairs, both summed over the sentences, for any pattern."""
    if pattern.countable:
        return pattern.density(sentences.tag_counts())
    allowed = total = 0
    for pairs, _, is_padding in allowed_pairs(pattern, sentences):
        allowed += int(pairs.sum())
        total += int(((~is_padding).sum(axis=1) ** 2).sum())
    return allowed / total


def allowed_pairs(
    pattern: Pattern, sentences: TaggedPieces
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield which tokens may attend to which, for some sentences at a time, shortest first.

    Yields:
        Bool `[sentence, query, key]`; the tag of every token, `[sentence, token]`; and where a
        sentence has ended, bool `[sentence, token]`.
    """
    for tags, is_padding, identities in _padded(sentences):
        if pattern.positional is None:
            present = ~(is_padding[:, :, None] | is_padding[:, None, :])
            pairs = positional.pairs_of_table(pattern.allowed, tags) & present
        else:
            pairs = positional.allowed_pairs(
                pattern.positional, pattern.allowed, tags, is_padding, identities
            )
        yield pairs, tags, is_padding


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
