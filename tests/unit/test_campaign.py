"""What the campaign counts as survived, on commands that are planted to fail."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ggsa.workspace.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/campaign"))

import malformed  # noqa: E402
from outcomes import Outcomes  # noqa: E402


def refuses() -> None:
    raise UserError("input: expected a number, got a text. Correct it.")


def refuses_after_writing() -> None:
    Path("half").write_text("")
    refuses()


def refuses_without_a_sentence() -> None:
    raise UserError("oops")


def breaks() -> None:
    raise KeyError("label")


@pytest.mark.parametrize(
    ("command", "end"),
    [
        (refuses, "refused"),
        (lambda: None, "still valid"),
        (refuses_after_writing, "refused, but wrote half"),
        (refuses_without_a_sentence, "refused without a clear message"),
        (breaks, "KeyError: 'label'"),
        (lambda: sys.exit(3), "exit status 3 without a message"),
    ],
)
def test_only_a_clear_refusal_that_writes_nothing_survives(
    tmp_path: Path, command: Callable[[], None], end: str
) -> None:
    (tmp_path / "valid").mkdir()
    (tmp_path / "valid/input").write_text("1")
    kind = malformed.Kind(command, ("input",), 1.0, {}, ())
    got = malformed.trial(tmp_path, kind, lambda path: path.write_text("x"), "input")
    assert got.startswith(end)
    outcomes = Outcomes()
    outcomes.add("kind", "trial", got)
    assert bool(outcomes.failures) == (end not in ("refused", "still valid"))


def test_the_table_has_a_row_for_each_kind() -> None:
    outcomes = Outcomes()
    for end in ("refused", "refused", "broken"):
        outcomes.add("corpus", "trial", end)
    row = [cell.strip() for cell in outcomes.table().splitlines()[-1].strip("|").split("|")]
    assert row == ["corpus", "3", "2", "1 failed, 2 refused"]
