"""Where the sentences come from: SST-2 or IMDB, of the Hub or a mirror, or the probe corpus.

Each source gives the same three splits, in the same order, with every row checked and each split
verified by its canonical sha256, so that what is written does not depend on the source. `obtain`
makes tables and provenance of any corpus that is registered in `ggsa.assets.corpora`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ggsa.assets import corpora, corpus, hub, policy, probe, raw_text, reviews
from ggsa.assets.corpora import Read
from ggsa.assets.corpus import UNKNOWN, Checksums, Corpus, Sentence
from ggsa.assets.policy import Unavailable
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError

TSV = {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"}
LABELS = "test_labels.tsv"
TEST_UNLABELLED = "The labels of the test split cannot be had: it is left out of every accuracy."


@dataclass(frozen=True)
class Obtained:
    """The sentences, the tables to write, and what provenance.json says of them."""

    splits: Corpus
    tables: dict
    provenance: dict[str, Any]
    substitutes: tuple[str, ...]


def obtain(params: Params, checksums: Checksums) -> Obtained:
    """Return the corpus that `corpus.name` names, with the selection split cut off.

    Raises:
        UserError: If it cannot be had, or what was had is not what it should be.
    """
    read = corpora.CORPORA[params.corpus.name](params, checksums)
    count, seed = params.corpus.selection_sentences, params.corpus.seed
    select = {"sentences": corpus.select, "documents": corpus.select_documents}.get(read.selection)
    selection = select(read.splits["train"], count, seed) if select else None
    tables = corpus.tables(read.splits, selection)
    substitutes = read.substitutes
    labeled = read.splits["test"][0].label != UNKNOWN
    if not labeled:
        policy.notice(TEST_UNLABELLED)
        substitutes += (TEST_UNLABELLED,)
    description = {
        **read.description,
        "test_labeled": labeled,
        "whole_sentences": len(selection.whole if selection else read.splits["train"]),
        "leaking_rows": len(selection.leaking) if selection else 0,
    }
    return _finished(params, read.splits, tables, description, substitutes)


# SST-2.


def sst2(params: Params, checksums: Checksums) -> Read:
    """Return SST-2 from the first source that has it, or the probe corpus in its place.

    Raises:
        UserError: If no source that may be asked has it, or what one gave is not SST-2.
    """
    attempts = {
        "hub": lambda: _from_hub(params, checksums),
        "mirror": lambda: _from_mirror(params, checksums),
        "embedded": lambda: None,
    }
    source, splits = policy.first_available("corpus", params, attempts)
    if splits is None:
        return _instead_of("SST-2", params)
    description = {
        "source": source,
        "name": "sst2",
        "repository": params.corpus.repository if source == "hub" else None,
        "revision": params.corpus.revision if source == "hub" else None,
    }
    return Read(splits, description, "sentences")


def _from_mirror(params: Params, checksums: Checksums) -> Corpus:
    """Return SST-2 as GLUE publishes it, in a mirror's `sst2/`."""
    folder = params.assets.mirror_folder()
    if folder is None:
        raise Unavailable(f"there is no folder {params.assets.mirror}")
    folder = folder / "sst2"
    for name in TSV.values():
        if not (folder / name).is_file():
            raise Unavailable(f"{folder} has no {name}")
        expected = checksums.files.get(name)
        if expected is not None:
            corpus.verify(str(folder / name), "md5", expected, corpus.md5(folder / name))
    splits = {
        "train": corpus.read_labeled_tsv(folder / TSV["train"]),
        "validation": corpus.read_labeled_tsv(folder / TSV["validation"]),
        "test": corpus.read_unlabeled_tsv(folder / TSV["test"]),
    }
    _verify_rows(str(folder), splits, checksums)
    if not (folder / LABELS).is_file():
        return splits
    labels = corpus.read_labels_tsv(folder / LABELS)
    if len(labels) != len(splits["test"]):
        raise UserError(
            f"{folder / LABELS} has {len(labels)} labels; {len(splits['test'])} were expected, one "
            f"per row of {TSV['test']}. Obtain it again, or remove it to go without them."
        )
    test = [Sentence(row.words, label) for row, label in zip(splits["test"], labels, strict=True)]
    found = corpus.canonical_sha256(test)
    corpus.verify(
        f"{TSV['test']} with {folder / LABELS}", "canonical sha256", checksums.labeled_test, found
    )
    return {**splits, "test": test}


def _from_hub(params: Params, checksums: Checksums) -> Corpus:
    """Return SST-2 of the Hub through `datasets`, the labels of its test split from another copy.

    `datasets` may answer from its cache with another revision than was asked for; the checksums
    tell.
    """
    repository, timeout = params.corpus.repository, params.assets.hub_timeout_seconds
    hub.require_hub(timeout)
    loaded = _load_dataset(repository, params.corpus.revision, timeout)
    absent = [split for split in TSV if split not in loaded]
    if absent:
        raise UserError(
            f"corpus.repository: {repository} has the splits {', '.join(loaded)} and lacks "
            f"{', '.join(absent)}. Name a repository of SST-2."
        )
    splits = {
        split: _checked(f"{repository}, {split}", loaded[split], "sentence", labels)
        for split, labels in (("train", (0, 1)), ("validation", (0, 1)), ("test", (UNKNOWN,)))
    }
    _verify_rows(repository, splits, checksums)
    test = _labeled_test(params, splits["test"], checksums)
    return {**splits, "test": test} if test else splits


def _labeled_test(
    params: Params, test: list[Sentence], checksums: Checksums
) -> list[Sentence] | None:
    """Return the test split with labels, or None, aloud, if they cannot be had or do not fit."""
    repository = params.corpus.test_labels_repository
    try:
        loaded = _load_dataset(repository, None, params.assets.hub_timeout_seconds)
        if "test" not in loaded:
            raise Unavailable("it has no test split")
        rows = _checked(f"{repository}, test", loaded["test"], "text", (0, 1))
    except (Unavailable, UserError) as error:
        policy.notice(f"test labels: not from {repository} ({error}).")
        return None
    aligned = corpus.align_labels(test, rows)
    if aligned is None:
        policy.notice(
            f"test labels: the sentences of {repository} are not those of the test split."
        )
        return None
    found = corpus.canonical_sha256(aligned)
    if found != checksums.labeled_test:
        policy.notice(
            f"test labels: those of {repository} are not the treebank's (canonical sha256 {found}; "
            f"{checksums.labeled_test} was expected)."
        )
        return None
    return aligned


def _load_dataset(repository: str, revision: str | None, timeout: float) -> Any:
    """Return the splits of a data set repository; of GLUE, those of its part `sst2`."""
    import datasets  # slow to import, and needed by no other source

    part = "sst2" if repository.endswith("/glue") else None
    with hub.transfer(timeout):
        return datasets.load_dataset(repository, part, revision=revision)


def _checked(place: str, loaded: Any, column: str, labels: tuple[int, ...]) -> list[Sentence]:
    absent = [name for name in (column, "label") if name not in loaded.column_names]
    if absent:
        raise UserError(
            f"{place}: the column {', '.join(absent)} is missing; there are "
            f"{', '.join(loaded.column_names)}. Name a repository with the columns of SST-2."
        )
    if not len(loaded):
        raise UserError(f"{place}: there are no rows. Name another repository or revision.")
    rows = zip(loaded[column], loaded["label"], strict=True)
    return [
        corpus.sentence(text, label, f"{place}, row {row}", labels)
        for row, (text, label) in enumerate(rows)
    ]


def _verify_rows(where: str, splits: Corpus, checksums: Checksums) -> None:
    for split, rows in splits.items():
        found = corpus.canonical_sha256(rows)
        what = f"The {split} split of {where} ({len(rows):,} rows)"
        corpus.verify(what, "canonical sha256", checksums.rows[split], found)


# IMDB.


def imdb(params: Params) -> Read:
    """Return the reviews from the first source that has them, or the probe corpus in their place.

    Validation is drawn from train.

    Raises:
        UserError: If no source that may be asked has them, or what one gave is malformed.
    """
    attempts = {
        "hub": lambda: reviews.from_hub(params),
        "mirror": lambda: reviews.from_mirror(params),
        "embedded": lambda: None,
    }
    source, read = policy.first_available("corpus", params, attempts)
    if read is None:
        return _instead_of("IMDB", params)
    description = {
        "source": source,
        "name": "imdb",
        "repository": params.corpus.reviews_repository if source == "hub" else None,
        "revision": params.corpus.reviews_revision if source == "hub" else None,
        "tokenizer": raw_text.version(),
    }
    splits = reviews.with_validation(read, params.corpus.validation_reviews, params.corpus.seed)
    return Read(splits, description, "documents")


# The probe corpus.


def generated(params: Params, substitutes: tuple[str, ...] = ()) -> Read:
    """Return the probe corpus; its selection split is its own, and nothing leaks into it."""
    splits = {
        split: [Sentence(tuple(row.words), int(row.label)) for row in rows]
        for split, rows in probe.generate(params.corpus.seed).items()
    }
    description = {"source": "embedded", "name": "probe", "repository": None, "revision": None}
    return Read(splits, description, None, substitutes)


def _instead_of(name: str, params: Params) -> Read:
    """Return the probe corpus in the place of another, aloud."""
    sentence = f"The corpus is the embedded probe corpus, not {name}."
    policy.notice(sentence)
    return generated(params, (sentence,))


# All of them.


def examples(texts: Iterable[str]) -> list[Sentence]:
    """Return the sentences that the report may print, labels unknown."""
    return [Sentence(corpus.words_of(text), UNKNOWN) for text in texts]


def _finished(
    params: Params,
    splits: Corpus,
    tables: dict,
    description: dict[str, Any],
    substitutes: tuple[str, ...],
) -> Obtained:
    """Keep what `corpus.limit` leaves, add the examples, and describe what will be written."""
    limit = params.corpus.limit
    tables = {split: table.head(limit) if limit else table for split, table in tables.items()}
    tables["examples"] = corpus.table("examples", examples(params.corpus.examples))
    kept = {split: corpus.rows_of(table) for split, table in tables.items()}
    description = {
        **description,
        "seed": params.corpus.seed,
        "limit": limit,
        "rows": {split: len(rows) for split, rows in kept.items()},
        "sha256": {split: corpus.canonical_sha256(rows) for split, rows in kept.items()},
    }
    return Obtained(kept, tables, description, substitutes)
