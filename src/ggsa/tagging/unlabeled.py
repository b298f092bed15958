"""Sentences without labels, with their tags: half from the train split, half from IMDB's reviews.

The encoder of an adapted arm is trained on them (`ggsa.training.adaptation`).
"""

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pandas as pd

from ggsa.assets import corpora
from ggsa.assets.corpus import leaking_rows
from ggsa.tagging import tagger
from ggsa.tagging.distinct import Words
from ggsa.tagging.splits import read_words
from ggsa.workspace import artifacts, paths
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import read_table, write_table
from ggsa.workspace.vocabulary import FRESH

SHORTEST, LONGEST = 4, 50
"""Words of a sentence of a review; others are left out."""


def write_unlabeled(params: Params, count: int, seed: int) -> None:
    """Draw sentences, tag them, and write them with the columns `source, words, tags`.

    Sentences of the selection split and of `fresh`, and their phrases, are never among them.

    Args:
        params: Of the corpus and of the tagger.
        count: Number of sentences; the odd one comes from the reviews.
        seed: Of the draw.

    Raises:
        UserError: If a source has too few sentences, or IMDB is unavailable.
    """
    random = np.random.default_rng(seed)
    own = _of_train(params)
    if len(own) < count // 2:
        raise UserError(
            f"adaptation.sentences: {count:,} needs {count // 2:,} sentences of train, which has "
            f"{len(own):,} that are not held out. Lower it."
        )
    chosen = np.sort(random.choice(len(own), count // 2, replace=False))
    own = own.iloc[chosen][["words", "tags"]].assign(source="train")
    reviews = _of_reviews(params, count - count // 2, random)
    table = pd.DataFrame(
        {"words": [list(w) for w in reviews], "tags": _tagged(params, reviews), "source": "imdb"}
    )
    both = pd.concat([own, table], ignore_index=True)[["source", "words", "tags"]]
    write_table(paths.unlabeled(), both)


def _of_train(params: Params) -> pd.DataFrame:
    """Return the rows of train that share no phrase with a sentence that is held out."""
    table = read_words("train")
    columns = ("leaks_selection", "whole_sentence")
    marks = read_table(paths.corpus_split("train"), columns)
    held_out = set(read_words(FRESH)["id"]) if params.train.rows == "sentences" else set()
    fresh = np.flatnonzero(table["id"].isin(held_out))
    leaking = np.zeros(len(table), bool)
    if len(fresh):
        rows = [tuple(words) for words in table["words"]]
        whole = np.flatnonzero(marks["whole_sentence"])
        leaking[[*leaking_rows(rows, whole.tolist(), fresh.tolist())]] = True
    return table[~leaking & ~marks["leaks_selection"].to_numpy(bool)]


def _of_reviews(params: Params, count: int, random: np.random.Generator) -> list[Words]:
    """Return distinct sentences of IMDB's train split, from reviews in random order."""
    read = corpora.get("imdb").read(params)
    if read.description["name"] != "imdb":
        raise UserError(
            "The adaptation needs sentences of IMDB, which is neither on the Hub nor in a mirror "
            "here. Obtain it (see assets.source), or run a study without adapted arms."
        )
    reviews = [row.words for row in read.splits["train"]]
    found: dict[Words, None] = {}
    for sentence in _sentences(reviews[place] for place in random.permutation(len(reviews))):
        found[sentence] = None
        if len(found) == count:
            return [*found]
    raise UserError(
        f"adaptation.sentences needs {count:,} sentences of IMDB, whose train split has "
        f"{len(found):,} of {SHORTEST} to {LONGEST} words. Lower it."
    )


def _sentences(reviews: Iterator[Words]) -> Iterator[Words]:
    for words in reviews:
        for passage in tagger.passages(words):
            if SHORTEST <= len(passage) <= LONGEST:
                yield passage


def _tagged(params: Params, sentences: list[Words]) -> list[list[str]]:
    """Return the universal tags of sentences."""
    description = artifacts.read_json(paths.TAGGER / "tagger.json")
    with closing(tagger.open_store(paths.TAG_STORE, description["sha256"])) as store:
        tagger.fill_store(store, sentences, tagger.local_pool(params.tagger))
        native = tagger.read_tags(store, sentences)
    return tagger.universal({"": native}, params.tagger.mapping)[""]
