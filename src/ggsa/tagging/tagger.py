"""One universal tag per word, by Stanza, stored so that no sentence is tagged twice.

The only module that runs Stanza's pipeline. Tags are stored per sentence in one SQLite file per
tagger (`.cache/tags/`) and committed chunk by chunk. A killed run resumes after its last chunk, and
of a larger corpus only the new sentences are tagged. The corpus is streamed from its files, so that
memory does not grow with it.
"""

import hashlib
import multiprocessing
import os
import re
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import stanza
import torch

from ggsa.assets import corpora
from ggsa.tagging.distinct import BETWEEN_WORDS, Distinct, Words
from ggsa.workspace import artifacts, paths
from ggsa.workspace.config import Params, Tagger
from ggsa.workspace.errors import UserError
from ggsa.workspace.progress import note_kept, progress_bar
from ggsa.workspace.provenance import read_provenance
from ggsa.workspace.tables import read_batches, write_batches
from ggsa.workspace.vocabulary import UNIVERSAL_TAGS

CHUNK_WORDS = 20_000
"""Words per chunk, which is tagged and committed to the store as a whole."""

AHEAD = 2
"""Chunks that wait in memory for each worker, the one that it tags included."""

CACHE_KIB = 64 * 1024
"""Memory in which SQLite keeps pages of the store."""

LOOKUPS = 1_000
"""Sentences that the store is asked for at a time; SQLite takes at most 32,766."""

LONGEST_SENTENCE, LONGEST_PASSAGE = 64, 200
"""In words. No sentence of SST-2 or of the probe corpus is longer than the first."""

LISTED_TAGS = 20
"""Largest number of tags that a message lists."""

FULL_STOP = re.compile(r"\.+|[!?]+")
CLOSING = ("''", ")")
"""Follow a full stop and belong to its sentence."""

Chunk = list[Words]
Tags = list[list[str]]
"""One native tag of the tagger per word of every sentence of a chunk."""

Pool = Callable[[Iterable[Chunk]], Generator[tuple[Chunk, Tags], None, None]]
"""Tags chunks, and yields each with its tags, in any order; see `tag_chunks`."""

_worker: dict[str, Any] = {}  # in a worker process: folder, batch size and pipeline


def tag_corpus(params: Params, pool: Pool | None = None) -> None:
    """Write the tags of every split.

    Args:
        params: Of the corpus and of the tagger.
        pool: Tags what the store lacks; None is processes on this machine.

    Raises:
        UserError: If the tagger cannot be loaded, or `tagger.mapping` lacks one of its tags.
    """
    description = artifacts.read_json(paths.TAGGER / "tagger.json")
    mapping, counts = params.tagger.mapping, Counter[str]()
    with closing(open_store(paths.TAG_STORE, description["sha256"])) as store, ExitStack() as stack:
        fill_store(store, _corpus_passages(), pool or local_pool(params.tagger))
        gold = gold_tags(params) if params.tagger.gold else {}
        for split in paths.SPLITS:
            file = stack.enter_context(artifacts.atomic_write(paths.tags_split(split)))
            write_batches(file, _tagged(store, split, gold, mapping, counts))
        _require_universal(counts, mapping)  # before any of the files takes its place
    artifacts.write_json(paths.TAGS / "tagger.json", {"sha256": description["sha256"]})


def _corpus_passages() -> Iterator[Words]:
    for split in paths.SPLITS:
        for table in read_batches(paths.corpus_split(split), ("words",)):
            for words in table["words"]:
                yield from passages(tuple(words))


def _tagged(
    store: sqlite3.Connection,
    split: str,
    gold: Mapping[Words, list[str]],
    mapping: Mapping[str, str],
    counts: Counter[str],
) -> Iterator[pd.DataFrame]:
    """Yield ids and universal tags of a split, and count the native tags."""
    for table in read_batches(paths.corpus_split(split), ("id", "words")):
        sentences = [tuple(words) for words in table["words"]]
        stored = _text_tags(store, sentences)
        native = [gold.get(words) or tags for words, tags in zip(sentences, stored, strict=True)]
        counts.update(tag for row in native for tag in row)
        tags = [[mapping.get(tag, tag) for tag in row] for row in native]
        yield pd.DataFrame({"id": table["id"], "tags": tags})


def _text_tags(store: sqlite3.Connection, texts: Sequence[Words]) -> list[list[str]]:
    """Return the native tags of texts whose passages are all in the store."""
    parts = [passages(words) for words in texts]
    tags = iter(read_tags(store, [passage for text in parts for passage in text]))
    return [[tag for _ in text for tag in next(tags)] for text in parts]


def universal(
    native: Mapping[str, Sequence[Sequence[str]]], mapping: Mapping[str, str]
) -> dict[str, list[list[str]]]:
    """Return the universal tags of a tagger's native tags, split by split.

    Args:
        native: The native tags of every sentence, by split.
        mapping: From native to universal tags. Tags that it lacks must be universal.

    Raises:
        UserError: If a tag is neither mapped nor universal; lists them with their frequencies.
    """
    _require_universal(
        Counter(tag for rows in native.values() for row in rows for tag in row), mapping
    )
    return {
        split: [[mapping.get(tag, tag) for tag in row] for row in rows]
        for split, rows in native.items()
    }


def _require_universal(counts: Counter[str], mapping: Mapping[str, str]) -> None:
    """Raise a `UserError` if a tag is neither mapped nor universal; see `universal`."""
    known = {**dict.fromkeys(UNIVERSAL_TAGS), **mapping}
    unmapped = [(tag, count) for tag, count in counts.most_common() if tag not in known]
    if unmapped:
        tag, others = unmapped[0][0], len(unmapped) - LISTED_TAGS
        listed = ", ".join(f"{tag} ({count:,} words)" for tag, count in unmapped[:LISTED_TAGS])
        raise UserError(
            f"tagger.mapping: the tagger's tags are not all universal: {listed}"
            f"{f' and {others} more' if others > 0 else ''}. Map each to a universal tag, for "
            f"example {tag}: NOUN, or choose a tagger trained on Universal Dependencies."
        )


def passages(words: Words) -> list[Words]:
    """Return the parts in which a text is tagged: a sentence as a whole, a document by sentences.

    Texts longer than a sentence are cut after every full stop, and after `LONGEST_PASSAGE` words
    without one.
    """
    if len(words) <= LONGEST_SENTENCE:
        return [words]
    parts, start = [], 0
    ended = False
    for place, word in enumerate(words):
        full = place - start == LONGEST_PASSAGE
        if full or (ended and word not in CLOSING):
            parts.append(words[start:place])
            start = place
        ended = bool(FULL_STOP.fullmatch(word)) or (ended and word in CLOSING and not full)
    return [*parts, words[start:]]


def gold_tags(params: Params) -> dict[Words, list[str]]:
    """Return the gold tags of the corpus by sentence; `corpus.examples` have none.

    Raises:
        UserError: If the corpus has no gold tags.
    """
    name = read_provenance()["corpus"]["name"]
    known = corpora.get(name).gold_tags
    if known is None:
        raise UserError(
            f"tagger.gold is true, but the corpus {name} has no gold tags. Set tagger.gold to "
            f"false, or corpus.name to a corpus that has them, such as probe."
        )
    return {words: list(tags) for words, tags in known(params.corpus.seed).items()}


def load_tagger(folder: Path, batch_size: int) -> stanza.Pipeline:
    """Return Stanza's pipeline for sentences that are split into words; downloads nothing.

    Args:
        folder: Holds `tagger.json`, the model that it names and an empty `resources.json`.
        batch_size: Sentences per batch.

    Raises:
        UserError: If Stanza cannot load the model.
    """
    description = artifacts.read_json(folder / "tagger.json")
    options = {
        name: str(folder / value) if name.endswith("_path") else value
        for name, value in description.get("pipeline", {}).items()
    }
    try:
        return stanza.Pipeline(
            description["language"],
            dir=str(folder),
            package=None,
            processors={"tokenize": "pretokenized", "pos": "local"},
            tokenize_pretokenized=True,
            pos_model_path=str(folder / description["file"]),
            pos_batch_size=batch_size,
            download_method=None,
            allow_unknown_language=True,
            logging_level="ERROR",
            verbose=False,
            **options,
        )
    except Exception as error:  # the class depends on how the file is damaged
        raise UserError(
            f"{folder / description['file']}: Stanza {stanza.__version__} cannot load this tagger "
            f"({error}). Run `dvc repro -f download`."
        ) from error


def tag_sentences(pipeline: Any, sentences: Sequence[Words]) -> list[list[str]]:
    """Return one native tag of the tagger per word of every sentence; see `universal`.

    Raises:
        UserError: If the tagger leaves a word without a tag.
    """
    if not sentences:
        return []
    document = pipeline([list(words) for words in sentences])
    tags = [[word.upos for word in sentence.words] for sentence in document.sentences]
    for words, row in zip(sentences, tags, strict=True):
        if len(words) != len(row) or not all(row):
            raise UserError(
                f"The tagger returned the tags {row} for the words {list(words)}. Expected one tag "
                f"per word, from the column UPOS of a treebank. Use another tagger."
            )
    return tags


def tag_texts(pipeline: Any, texts: Sequence[Words], mapping: Mapping[str, str]) -> list[list[str]]:
    """Return one universal tag per word of texts of any length, as in `tag_corpus`.

    Args:
        pipeline: From `load_tagger`.
        texts: Split into words.
        mapping: From native to universal tags; see `universal`.

    Raises:
        UserError: If a tag is neither universal nor mapped.
    """
    parts = [passage for words in texts for passage in passages(tuple(words)) if passage]
    order = sorted(
        range(len(parts)), key=lambda place: len(parts[place])
    )  # so that batches need little padding
    tagged = tag_sentences(pipeline, [parts[place] for place in order])
    tags = dict(zip(order, tagged, strict=True))
    in_order = iter(tag for place in range(len(parts)) for tag in tags[place])
    native = [[next(in_order) for _ in words] for words in texts]
    return universal({"": native}, mapping)[""]


def open_store(folder: Path, tagger_sha256: str) -> sqlite3.Connection:
    """Return the store of a tagger's tags, created if needed; a damaged one is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{tagger_sha256[:16]}.sqlite"
    try:
        return _connect(path)
    except sqlite3.DatabaseError:
        print(f"{path} is damaged; tagging the corpus from scratch.", file=sys.stderr)
        path.unlink()
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    store = sqlite3.connect(path)
    store.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    store.execute(
        "CREATE TABLE IF NOT EXISTS sentence (key BLOB PRIMARY KEY, tags TEXT) WITHOUT ROWID"
    )
    store.execute("SELECT key FROM sentence LIMIT 1").fetchall()
    return store


def fill_store(store: sqlite3.Connection, sentences: Iterable[Words], pool: Pool) -> int:
    """Tag the sentences that the store lacks, and return their number.

    Chunks, and therefore tags, do not depend on the pool.

    Args:
        store: From `open_store`.
        sentences: In any order; repeated sentences are tagged once.
        pool: Tags chunks.

    Raises:
        UserError: If the tagger cannot be loaded or the store cannot be written.
    """
    distinct = Distinct(sentences, paths.TAG_STORE)
    total = words = done = 0
    for chunk in _missing(store, distinct):
        total += len(chunk)
        words += sum(map(len, chunk))
    if not total:
        return 0
    with (
        progress_bar("tag", words, "word") as bar,
        closing(pool(_missing(store, distinct))) as tagged,
    ):
        for chunk, rows in tagged:
            _commit(store, chunk, rows)
            bar.update(sum(map(len, chunk)))
            done += len(chunk)
            note_kept(
                f"Of {total:,} different sentences of all splits that had no tags yet, {done:,} "
                f"are tagged and kept."
            )
    return total


def _missing(store: sqlite3.Connection, distinct: Iterable[Words]) -> Iterator[Chunk]:
    """Yield what the store lacks of every chunk."""
    for chunk in _chunks(distinct):
        known = read_tags(store, chunk)
        missing = [words for words, tags in zip(chunk, known, strict=True) if tags is None]
        if missing:
            yield missing


def local_pool(options: Tagger) -> Pool:
    """Return `tag_chunks` by the project's tagger."""
    return partial(tag_chunks, folder=paths.TAGGER, options=options)


def tag_chunks(
    chunks: Iterable[Chunk], folder: Path, options: Tagger
) -> Generator[tuple[Chunk, Tags], None, None]:
    """Yield every chunk with its tags as soon as it is tagged, by processes on this machine.

    Several processes tag, one thread each, because Stanza spends half its time outside PyTorch,
    where threads do not help. Only `AHEAD` chunks for each of them are in memory.

    Args:
        chunks: Are taken when a worker needs one.
        folder: Of the tagger.
        options: The block `tagger`.

    Raises:
        UserError: If the tagger cannot be loaded.
    """
    workers = joblib.cpu_count() if options.workers == "auto" else options.workers
    with ProcessPoolExecutor(
        max_workers=workers,
        mp_context=multiprocessing.get_context("spawn"),  # starts a worker only for a chunk
        initializer=_start_worker,
        initargs=(folder, options.batch_size),
    ) as executor:
        waiting: dict[Future[Tags], Chunk] = {}
        try:
            for chunk in chunks:
                waiting[executor.submit(_tag_chunk, chunk)] = chunk
                if len(waiting) == AHEAD * workers:
                    yield from _finished(waiting)
            while waiting:
                yield from _finished(waiting)
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def _finished(waiting: dict[Future[Tags], Chunk]) -> Iterator[tuple[Chunk, Tags]]:
    """Wait for a chunk; remove and yield all that are tagged."""
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        yield waiting.pop(future), future.result()


def _start_worker(folder: Path, batch_size: int) -> None:
    """Prepare a worker process, which exits when its parent does, even if that is killed."""
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    torch.set_num_threads(1)
    _worker.update(folder=folder, batch_size=batch_size)


def _tag_chunk(chunk: Chunk) -> Tags:
    """Tag a chunk in a worker process, which loads the pipeline for its first chunk."""
    if "pipeline" not in _worker:
        _worker["pipeline"] = load_tagger(_worker["folder"], _worker["batch_size"])
    return tag_sentences(_worker["pipeline"], chunk)


def _commit(store: sqlite3.Connection, chunk: Chunk, rows: Tags) -> None:
    """Store a chunk in one transaction, in the order of the keys, which are close in the file then."""
    try:
        with store:
            store.executemany(
                "INSERT OR REPLACE INTO sentence VALUES (?, ?)",
                sorted(
                    (_key(words), " ".join(tags)) for words, tags in zip(chunk, rows, strict=True)
                ),
            )
    except sqlite3.OperationalError as error:
        raise UserError(
            f"{paths.TAG_STORE} cannot be written ({error}). Free some space and run `dvc repro` "
            f"again; it resumes after the tags that are stored."
        ) from error


def read_tags(store: sqlite3.Connection, sentences: Sequence[Words]) -> list[list[str] | None]:
    """Return the stored tags of every sentence, None for those that are not in the store."""
    keys = [_key(words) for words in sentences]
    found: dict[bytes, str] = {}
    for start in range(0, len(keys), LOOKUPS):
        asked = keys[start : start + LOOKUPS]
        marks = ",".join("?" * len(asked))
        found.update(store.execute(f"SELECT * FROM sentence WHERE key IN ({marks})", asked))
    return [found[key].split(" ") if key in found else None for key in keys]


def _key(words: Words) -> bytes:
    return hashlib.blake2b(BETWEEN_WORDS.join(words).encode(), digest_size=16).digest()


def _chunks(distinct: Iterable[Words]) -> Iterator[Chunk]:
    """Yield distinct sentences, from `Distinct`, in chunks of similar length."""
    chunk: Chunk = []
    size = 0
    for words in distinct:
        chunk.append(words)
        size += len(words)
        if size >= CHUNK_WORDS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
