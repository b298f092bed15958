"""Tagging a corpus of any size: its distinct sentences, the store, and what a pool has to do."""

import tempfile
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_corpus import SENTENCES, WORDS, write_corpus

from ggsa.tagging import distinct, tagger
from ggsa.tagging.distinct import Distinct, Words
from ggsa.tagging.tagger import Chunk, Tags
from ggsa.workspace import artifacts, config, paths, tables
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import write_table

SHA256 = "0123456789abcdef" * 4
MANY = [(f"w{i % 50}",) * (1 + i % 7) for i in range(500)]
PARAMS = config.load()
SPLIT_WORDS = st.text("ab.\x00é𝔸", min_size=1, max_size=3)


def tags_of(words: Words) -> list[str]:
    """Return tags that depend on the words alone."""
    return ["NOUN" if len(word) % 2 else "VERB" for word in words]


def pool(chunks: Iterable[Chunk]) -> Generator[tuple[Chunk, Tags], None, None]:
    """Tag all chunks and return the last one first."""
    for chunk in [*chunks][::-1]:
        yield chunk, [tags_of(words) for words in chunk]


@settings(deadline=None)
@given(st.lists(st.lists(SPLIT_WORDS, min_size=1, max_size=4).map(tuple)), st.integers(1, 40))
def test_distinct_sentences_come_in_one_order_whatever_fits_in_memory(
    sentences: list[Words], run_words: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(distinct, "RUN_WORDS", run_words)
        found = Distinct(iter(sentences), Path(folder))
        assert [*found] == sorted(set(sentences), key=lambda words: (len(words), words))
        assert [*found] == [*found]  # again, from the start
        assert not [*Path(folder).iterdir()]  # a killed process leaves nothing


def test_chunks_hold_every_sentence_once_whatever_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tagger, "CHUNK_WORDS", 100)
    chunks = [*tagger._chunks(Distinct(MANY, tmp_path))]
    assert sorted(w for chunk in chunks for w in chunk) == sorted(set(MANY)) and len(chunks) > 5
    for run_words in (1, 90, 10_000):
        monkeypatch.setattr(distinct, "RUN_WORDS", run_words)
        assert [*tagger._chunks(Distinct(reversed(MANY), tmp_path))] == chunks


def test_a_damaged_tag_store_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "0123456789abcdef.sqlite").write_bytes(b"no database" * 100)
    store = tagger.open_store(tmp_path, SHA256)
    assert tagger.read_tags(store, [("a", "film")]) == [None]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator:
    monkeypatch.setattr(paths, "TAG_STORE", tmp_path / "tags")
    monkeypatch.setattr(tagger, "CHUNK_WORDS", 100)
    with closing(tagger.open_store(paths.TAG_STORE, SHA256)) as opened:
        yield opened


def test_every_sentence_is_tagged_once_in_whatever_order_chunks_come_back(store) -> None:
    assert tagger.fill_store(store, iter(MANY), pool) == len(set(MANY))
    assert tagger.read_tags(store, MANY) == [tags_of(words) for words in MANY]
    assert tagger.read_tags(store, [("b",), MANY[0]]) == [None, tags_of(MANY[0])]
    assert tagger.fill_store(store, MANY, pool) == 0
    given: list[Words] = []

    def noted(chunks: Iterable[Chunk]) -> Generator[tuple[Chunk, Tags], None, None]:
        for chunk, rows in pool(chunks):
            given.extend(chunk)
            yield chunk, rows

    assert tagger.fill_store(store, [*MANY, ("new", "film"), ("new",)], noted) == 2
    assert sorted(given) == [("new",), ("new", "film")]


def test_a_tagging_that_fails_keeps_its_chunks_and_resumes_with_the_same_ones(store) -> None:
    chunks: list[Chunk] = []

    def first_three(waiting: Iterable[Chunk]) -> Generator[tuple[Chunk, Tags], None, None]:
        for chunk in waiting:
            if len(chunks) == 3:
                raise UserError("stopped")
            chunks.append(chunk)
            yield chunk, [tags_of(words) for words in chunk]

    def rest(waiting: Iterable[Chunk]) -> Generator[tuple[Chunk, Tags], None, None]:
        for chunk in waiting:
            chunks.append(chunk)
            yield chunk, [tags_of(words) for words in chunk]

    with pytest.raises(UserError, match="stopped"):
        tagger.fill_store(store, MANY, first_three)
    assert tagger.fill_store(store, MANY, rest) == len(set(MANY)) - sum(map(len, chunks[:3]))
    assert chunks == [*tagger._chunks(Distinct(MANY, paths.TAG_STORE))]


@pytest.mark.parametrize("workers", [1, 3])
def test_processes_take_few_chunks_ahead_and_give_every_chunk_back(
    workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    numbered = [[("film",) * (1 + i)] for i in range(20)]

    def executor(max_workers: int, **_: object) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers)

    monkeypatch.setattr(tagger, "ProcessPoolExecutor", executor)
    monkeypatch.setattr(tagger, "_tag_chunk", lambda chunk: [tags_of(words) for words in chunk])
    options = PARAMS.tagger.model_copy(update={"workers": workers})
    chunks = (taken.append(1) or chunk for chunk in numbered)
    back = []
    for chunk, rows in tagger.tag_chunks(chunks, Path(), options):
        back.append(chunk)
        assert rows == [tags_of(words) for words in chunk]
        assert len(taken) - len(back) < tagger.AHEAD * workers
    assert sorted(back, key=str) == sorted(numbered, key=str)


def test_what_a_worker_raises_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(chunk: Chunk) -> Tags:
        raise UserError(f"no tagger for {threading.current_thread().name[:6]}")

    monkeypatch.setattr(
        tagger, "ProcessPoolExecutor", lambda max_workers, **_: ThreadPoolExecutor()
    )
    monkeypatch.setattr(tagger, "_tag_chunk", fails)
    with pytest.raises(UserError, match="no tagger"):
        next(tagger.tag_chunks([[("a",)]], Path(), PARAMS.tagger))


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CORPUS", "TAGGER", "ENCODER", "TAGS", "TAG_STORE"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    write_corpus()
    artifacts.write_json(paths.TAGGER / "tagger.json", {"sha256": SHA256})


def written() -> dict[str, bytes]:
    return {split: paths.tags_split(split).read_bytes() for split in paths.SPLITS}


def test_the_files_of_tags_are_those_of_the_sentences_whatever_fits_in_memory(
    corpus: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = [[*(WORDS * 9)[: 70 + row], "."] for row in range(SENTENCES)]  # tagged by passages
    table = pd.DataFrame({"id": map(str, range(SENTENCES)), "words": long, "label": 0})
    write_table(paths.corpus_split("test"), table)
    tagger.tag_corpus(PARAMS, pool)
    first = written()
    for split in paths.SPLITS:
        table = pd.read_parquet(paths.corpus_split(split))
        tags = [tags_of(tuple(words)) for words in table["words"]]
        write_table(paths.tags_split(split), pd.DataFrame({"id": table["id"], "tags": tags}))
    assert written() == first
    assert artifacts.read_json(paths.TAGS / "tagger.json") == {"sha256": SHA256}
    for store in paths.TAG_STORE.iterdir():
        store.unlink()
    monkeypatch.setattr(distinct, "RUN_WORDS", 50)
    monkeypatch.setattr(tagger, "CHUNK_WORDS", 30)
    monkeypatch.setattr(tables, "BATCH_ROWS", 7)
    tagger.tag_corpus(PARAMS, pool)
    assert written() == first


def test_a_tag_that_is_not_mapped_leaves_the_old_files(corpus: None) -> None:
    tagger.tag_corpus(PARAMS, pool)
    before = written(), sorted(paths.TAGS.iterdir())

    def native(chunks: Iterable[Chunk]) -> Generator[tuple[Chunk, Tags], None, None]:
        for chunk, rows in pool(chunks):
            yield chunk, [["NN" if tag == "NOUN" else tag for tag in row] for row in rows]

    artifacts.write_json(paths.TAGGER / "tagger.json", {"sha256": "f" * 64})
    with pytest.raises(UserError, match=r"not all universal: NN \([\d,]+ words\)"):
        tagger.tag_corpus(PARAMS, native)
    assert (written(), sorted(paths.TAGS.iterdir())) == before
    mapped = PARAMS.tagger.model_copy(update={"mapping": {"NN": "PROPN"}})
    tagger.tag_corpus(PARAMS.model_copy(update={"tagger": mapped}), native)
    tags = pd.read_parquet(paths.tags_split("test"))["tags"]
    assert {tag for row in tags for tag in row} <= {"PROPN", "VERB"}
