"""How many word pieces of each tag every sentence has: what rules, density and cost are made of."""

import numpy as np

from ggsa.model import build
from ggsa.tagging import alignment
from ggsa.workspace import paths
from ggsa.workspace.tables import CORPUS_COLUMNS, TAG_COLUMNS, read_table

MEASURED_SPLITS = ("train", "selection", "validation", "test")


def split_counts(max_pieces: int) -> dict[str, np.ndarray]:
    """Return pieces per tag of every sentence, `[sentence, tag]`, for every split of the corpus."""
    tokenizer = build.tokenizer(paths.ENCODER)
    counts = {}
    for split in MEASURED_SPLITS:
        corpus = read_table(paths.corpus_split(split), CORPUS_COLUMNS)
        words = list(corpus["words"])
        counts[split] = alignment.tag_counts(tokenizer, words, word_tags(split), max_pieces)
    return counts


def word_tags(split: str) -> list[list[str]]:
    """Return the tag of every word of every sentence of a split."""
    return list(read_table(paths.tags_split(split), TAG_COLUMNS)["tags"])
