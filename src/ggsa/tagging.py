"""One universal tag per word, by Stanza, kept so that no sentence is tagged twice.

The only module that runs Stanza's pipeline. Tags are stored per sentence in one SQLite file per
tagger (`.cache/tags/`), committed chunk by chunk: a killed run resumes where it was, and a larger
corpus tags only what is new.
"""

import hashlib
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import stanza
from tqdm import tqdm

from ggsa import artifacts, paths
from ggsa.config import Params
from ggsa.errors import UserError
from ggsa.vocabulary import UNIVERSAL_TAGS

CHUNK_WORDS = 20_000
"""Words that are tagged, and committed to the store, at a time."""

Words = tuple[str, ...]


def tag_corpus(params: Params) -> None:
    """Write the tags of every split.

    Raises:
        UserError: If the tagger cannot be loaded or gives what is no universal tag.
    """
    corpus = {
        split: artifacts.read_table(paths.corpus_split(split), artifacts.CORPUS_COLUMNS)
        for split in paths.SPLITS
    }
    sentences = [tuple(words) for table in corpus.values() for words in table["words"]]
    description = artifacts.read_json(paths.TAGGER / "tagger.json")
    with closing(open_store(paths.TAG_STORE, description["sha256"])) as store:
        fill_store(store, sentences, lambda: load_tagger(paths.TAGGER, params.tagger.batch_size))
        for split, table in corpus.items():
            tags = [read_tags(store, tuple(words)) for words in table["words"]]
            artifacts.write_table(
                paths.tags_split(split), pd.DataFrame({"id": table["id"], "tags": tags})
            )
    artifacts.write_json(paths.TAGS / "tagger.json", {"sha256": description["sha256"]})


def load_tagger(folder: Path, batch_size: int) -> stanza.Pipeline:
    """Return Stanza's pipeline for sentences that are split into words already; never downloads.

    Args:
        folder: Holds `tagger.json`, the model it names and an empty `resources.json`.
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
    except Exception as error:  # Stanza raises a class of its own per kind of damage
        raise UserError(
            f"{folder / description['file']}: Stanza {stanza.__version__} cannot load this tagger "
            f"({error}). Run `dvc repro -f download`."
        ) from error


def tag_sentences(pipeline: Any, sentences: Sequence[Words]) -> list[list[str]]:
    """Return one universal tag per word of every sentence.

    Raises:
        UserError: If the tagger's tags are not the universal ones.
    """
    document = pipeline([list(words) for words in sentences])
    tags = [[word.upos for word in sentence.words] for sentence in document.sentences]
    for words, row in zip(sentences, tags, strict=True):
        if len(words) != len(row) or not set(row) <= set(UNIVERSAL_TAGS):
            raise UserError(
                f"data/tagger gave the tags {row} for the words {list(words)}; one universal tag "
                f"per word was wanted. Use a tagger trained on Universal Dependencies."
            )
    return tags


def open_store(folder: Path, tagger_sha256: str) -> sqlite3.Connection:
    """Return the store of a tagger's tags, made if it does not exist; a damaged one is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{tagger_sha256[:16]}.sqlite"
    try:
        return _connect(path)
    except sqlite3.DatabaseError:
        print(f"{path} is damaged; tagging starts anew.", file=sys.stderr)
        path.unlink()
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    store = sqlite3.connect(path)
    store.execute(
        "CREATE TABLE IF NOT EXISTS sentence (key BLOB PRIMARY KEY, tags TEXT) WITHOUT ROWID"
    )
    store.execute("SELECT key FROM sentence LIMIT 1").fetchall()
    return store


def fill_store(
    store: sqlite3.Connection, sentences: Iterable[Words], load: Any, quiet: bool = False
) -> int:
    """Tag the sentences that the store lacks, and return how many those were.

    Args:
        store: From `open_store`.
        sentences: Sentences in any number and order; repeated ones are tagged once.
        load: Gives the pipeline; called only if there is something to tag.
        quiet: Show no progress bar.
    """
    chunks = list(_chunks(dict.fromkeys(sentences)))
    missing = [chunk for chunk in chunks if any(read_tags(store, words) is None for words in chunk)]
    if not missing:
        return 0
    pipeline = load()
    bar = tqdm(
        total=sum(len(words) for chunk in missing for words in chunk), desc="tagging", unit="word",
        unit_scale=True, file=sys.stderr, disable=quiet, dynamic_ncols=True,
        mininterval=1.0 if sys.stderr.isatty() else 60.0,
    )
    new = 0
    for chunk in missing:
        wanted = [words for words in chunk if read_tags(store, words) is None]
        rows = zip(wanted, tag_sentences(pipeline, wanted), strict=True)
        try:
            with store:  # one transaction: the chunk is stored whole or not at all
                store.executemany(
                    "INSERT OR REPLACE INTO sentence VALUES (?, ?)",
                    [(_key(words), " ".join(tags)) for words, tags in rows],
                )
        except sqlite3.OperationalError as error:
            raise UserError(
                f"{paths.TAG_STORE} cannot be written ({error}). What was tagged before is kept. "
                f"Free some space, then run `dvc repro` again: it goes on from there."
            ) from error
        new += len(wanted)
        bar.update(sum(len(words) for words in chunk))
    bar.close()
    return new


def read_tags(store: sqlite3.Connection, words: Words) -> list[str] | None:
    """Return the stored tags of a sentence, or None."""
    row = store.execute("SELECT tags FROM sentence WHERE key = ?", (_key(words),)).fetchone()
    return row[0].split(" ") if row else None


def _key(words: Words) -> bytes:
    return hashlib.blake2b("\x1f".join(words).encode(), digest_size=16).digest()


def _chunks(sentences: Iterable[Words]) -> Iterator[list[Words]]:
    """Yield sentences of like length in chunks that depend on nothing but the corpus."""
    chunk: list[Words] = []
    size = 0
    for words in sorted(sentences, key=lambda words: (len(words), words)):
        chunk.append(words)
        size += len(words)
        if size >= CHUNK_WORDS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
