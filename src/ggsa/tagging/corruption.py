"""Random errors in tags, to measure how much a pattern depends on its tagger."""

from collections.abc import Iterable, Sequence

import numpy as np

from ggsa.workspace.paths import SPLITS
from ggsa.workspace.vocabulary import FRESH, UNIVERSAL_TAGS


def stream_of(split: str, seed: int) -> np.random.Generator:
    """Return the random numbers of a split's errors, which its sentences draw in their order."""
    return np.random.default_rng([seed, (*SPLITS, FRESH).index(split)])


def corrupted(
    tags: Iterable[Sequence[str]], share: float, stream: np.random.Generator
) -> list[list[str]]:
    """Return the tags, each replaced with probability `share` by one of the 16 other tags.

    The other tags are equally likely. The same stream and share give the same errors; a larger share
    keeps the errors of a smaller one and adds to them. A split may be given in parts, in order.

    Args:
        tags: The tags of the next sentences.
        share: From 0 to 1.
        stream: From `stream_of`.
    """
    index = {tag: i for i, tag in enumerate(UNIVERSAL_TAGS)}
    size = len(UNIVERSAL_TAGS)
    result = []
    for row in tags:
        is_wrong = stream.random(len(row)) < share
        shift = stream.integers(1, size, len(row))  # by 1 to 16 places: never the same tag
        result.append(
            [
                UNIVERSAL_TAGS[(index[tag] + step) % size] if wrong else tag
                for tag, wrong, step in zip(row, is_wrong, shift, strict=True)
            ]
        )
    return result
