import errno
from pathlib import Path

import pandas as pd
import pytest

from ggsa.tagging import tagger
from ggsa.workspace import artifacts
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import read_table, write_table


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), artifacts.atomic_write(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


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


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    table = pd.DataFrame({"id": ["a", "b"], "words": [["x"], ["y", "z"]]})
    for name in ("one.parquet", "two.parquet"):
        write_table(tmp_path / name, table.copy())
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_a_damaged_tag_store_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "0123456789abcdef.sqlite").write_bytes(b"no database" * 100)
    store = tagger.open_store(tmp_path, "0123456789abcdef" * 4)
    assert tagger.read_tags(store, ("a", "film")) is None


def test_chunks_hold_every_sentence_once_whatever_its_order() -> None:
    sentences = [(f"w{i % 50}",) * (1 + i % 7) for i in range(500)]
    chunks = list(tagger._chunks(sentences))
    assert sorted(w for chunk in chunks for w in chunk) == sorted(set(sentences))
    assert list(tagger._chunks(reversed(sentences))) == chunks
