"""The sentences of a run: the chosen corpus, its selection split, and the report's examples."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ggsa.assets import corpora, corpus, policy
from ggsa.assets.corpus import UNKNOWN, Corpus, Sentence
from ggsa.workspace.config import Params
from ggsa.workspace.words import is_word

TEST_UNLABELED = "No labels of the test split are available: it is left out of every accuracy."


@dataclass(frozen=True)
class Obtained:
    """A corpus that is ready to be written.

    Attributes:
        splits: Its rows.
        tables: The same, with the columns of the written files.
        provenance: Its entry in provenance.json.
        substitutes: What it replaces or lacks, as sentences for the report's banner.
    """

    splits: Corpus
    tables: dict[str, pd.DataFrame]
    provenance: dict[str, Any]
    substitutes: tuple[str, ...]


def obtain(params: Params) -> Obtained:
    """Return the corpus that `corpus.name` chooses, with its selection split.

    `corpus.limit` shortens every split after the selection split has been cut from train.

    Raises:
        UserError: If no allowed source has the corpus, or what a source has is wrong.
    """
    read = corpora.get(params.corpus.name).read(params)
    selection = None
    if "selection" not in read.splits:
        phrases = corpora.get(read.description["name"]).phrases  # a substitute has another name
        select = corpus.select if phrases else corpus.select_documents
        train = read.splits["train"]
        count = corpus.selection_size(params.corpus.selection_sentences, len(train))
        selection = select(train, count, params.corpus.seed)
    substitutes = read.substitutes
    labeled = read.splits["test"][0].label != UNKNOWN
    if not labeled:
        policy.notice(TEST_UNLABELED)
        substitutes += (TEST_UNLABELED,)
    limit = params.corpus.limit
    tables = corpus.tables(read.splits, selection)
    tables = {split: table.head(limit) if limit else table for split, table in tables.items()}
    tables["examples"] = corpus.table("examples", examples(params.corpus.examples))
    kept = {split: corpus.rows_of(table) for split, table in tables.items()}
    provenance = {
        **read.description,
        "test_labeled": labeled,
        "whole_sentences": len(selection.whole if selection else read.splits["train"]),
        "leaking_rows": len(selection.leaking) if selection else 0,
        "seed": params.corpus.seed,
        "limit": limit,
        "rows": {split: len(rows) for split, rows in kept.items()},
        "sha256": {split: corpus.canonical_sha256(rows) for split, rows in kept.items()},
    }
    return Obtained(kept, tables, provenance, substitutes)


def examples(texts: Iterable[str]) -> list[Sentence]:
    """Return the sentences that the report may print, labels unknown."""
    return [Sentence(tuple(filter(is_word, corpus.words_of(text))), UNKNOWN) for text in texts]
