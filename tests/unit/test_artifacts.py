import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ggsa.workspace import artifacts, paths, tables
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import read_batches, read_table, write_batches, write_table

WORDS = ("null", "NA", "nan", "None", "N/A", "#N/A", "-inf", "true", "True", "1", "007", "1e5", "a")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), artifacts.atomic_write(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640)])
def test_a_new_file_has_the_permissions_of_the_umask(umask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        artifacts.write_text(tmp_path / "new", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == mode


def contents(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a study with two old files."""
    monkeypatch.chdir(tmp_path)
    folder = paths.RESULTS / "tiny/sst2/tables"
    for name in ("arms.csv", "old.csv"):
        artifacts.write_text(folder / name, "old")
    return folder


def test_a_folder_is_replaced_as_a_whole_or_stays(results: Path) -> None:
    published = contents(paths.PUBLISHED)
    with pytest.raises(KeyboardInterrupt), artifacts.atomic_folder(results) as new:
        (new / "arms.csv").write_text("half")
        assert contents(paths.PUBLISHED) == published
        raise KeyboardInterrupt
    assert contents(paths.PUBLISHED) == published
    with artifacts.atomic_folder(results) as new:
        (new / "arms.csv").write_text("new")
    assert contents(results) == {"arms.csv": "new"}
    assert list(paths.PUBLISHED.parent.iterdir()) == [paths.PUBLISHED]


def test_a_folder_outside_of_what_is_published_is_replaced_too(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with artifacts.atomic_folder(tmp_path / "deep/out") as new:
            (new / f"{text}.csv").write_text(text)
    assert contents(tmp_path) == {"deep/out/two.csv": "two"}


def test_what_a_killed_process_left_is_removed_and_a_folder_in_transit_is_moved_back(
    results: Path,
) -> None:
    before = contents(results)
    with artifacts.atomic_folder(paths.RESULTS / "tiny/sst2/tables") as new:
        (new / "arms.csv").write_text("old")
        (new / "old.csv").write_text("old")
        left, old = Path(new), Path(f"{new}.old")
    left.mkdir()
    (left / "half.csv").write_text("half")
    results.rename(old)
    with pytest.raises(RuntimeError), artifacts.atomic_folder(results) as new:
        assert contents(results) == before and not list(new.iterdir())
        raise RuntimeError
    assert contents(results) == before and not left.exists() and not old.exists()


def test_a_full_disk_is_reported_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with (
        pytest.raises(UserError, match=r"table\.csv could not be written \(No space left"),
        artifacts.atomic_write(path),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("gone.parquet", None, "does not exist"),
        ("half.parquet", b"PAR1 and then nothing", "cannot be read"),
        ("other.csv", b"a,b\n1,2\n", "lacks the column id"),
        ("empty.csv", b"id,tags\n", "has no rows"),
    ],
)
def test_a_table_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, content: bytes | None, problem: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=problem):
        read_table(tmp_path / name, ("id", "tags"))
    if name.endswith(".parquet"):
        with pytest.raises(UserError, match=problem):
            next(read_batches(tmp_path / name, ("id", "tags")))


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    table = pd.DataFrame({"id": ["a", "b"], "words": [["x"], ["y", "z"]]})
    for name in ("one.parquet", "two.parquet"):
        write_table(tmp_path / name, table.copy())
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


@settings(deadline=None, max_examples=50)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=9), group=st.integers(1, 12))
def test_rows_that_are_written_in_batches_give_the_bytes_of_the_whole_table(
    sizes: list[int], group: int
) -> None:
    rows = [{"id": f"r{i}", "words": [*"abcdefg"[: i % 7 + 1]]} for i in range(sum(sizes))]
    table = pd.DataFrame(rows)
    ends = np.cumsum(sizes)
    batches = [table.iloc[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        whole, parts = Path(folder) / "whole.parquet", Path(folder) / "parts.parquet"
        write_table(whole, table)
        write_batches(parts, batches)
        assert parts.read_bytes() == whole.read_bytes()
        patch.setattr(tables, "GROUP_ROWS", group)  # several row groups: other bytes, equal rows
        write_batches(parts, batches)
        patch.setattr(tables, "BATCH_ROWS", 4)
        read = [*read_batches(parts, ("id", "words"))]
    assert [len(batch) for batch in read[:-1]] == [4] * (len(read) - 1)
    assert [id for batch in read for id in batch["id"]] == [*table["id"]]
    assert [[*words] for batch in read for words in batch["words"]] == [*table["words"]]


def test_a_batch_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, pd.DataFrame({"id": ["a"]}))
    before = path.read_bytes()

    def batches() -> Iterator[pd.DataFrame]:
        yield pd.DataFrame({"id": ["b"]})
        raise UserError("no more")

    with pytest.raises(UserError, match="no more"):
        write_batches(path, batches())
    assert [*tmp_path.iterdir()] == [path] and path.read_bytes() == before


@given(words=st.lists(st.sampled_from(WORDS) | st.text("na1.e-T", min_size=1), min_size=1))
def test_a_word_is_text_whatever_it_looks_like(words: list[str]) -> None:
    table = pd.DataFrame({"query_piece": words, "arm": words, "other": [*words[:-1], "x"]})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        write_table(path, table)
        read = read_table(path, ())
    assert read["query_piece"].tolist() == read["arm"].tolist() == words
    assert not read["other"].isna().any()


def test_an_empty_cell_is_a_missing_number(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", pd.DataFrame({"arm": ["a", None], "p": [0.5, float("nan")]}))
    table = read_table(tmp_path / "t.csv", ("arm", "p"))
    assert table["p"].dtype == float and table.isna().to_numpy().tolist() == [
        [False] * 2,
        [True] * 2,
    ]
