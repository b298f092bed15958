"""The time that a study announces: from finished cells of the same arm, or of a typical one."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from ggsa.training import durations
from ggsa.workspace import artifacts, paths
from ggsa.workspace.tables import write_table

DEVICES = {"full-7": "cpu", "full-13": "cpu", "full-42": "cuda", "hard-window-7": "cpu"}
SECONDS = {"full-7": 10.0, "full-13": 30.0, "full-42": 1.0, "hard-window-7": 100.0}


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "seconds.csv"
    monkeypatch.setattr(paths, "RUNS", tmp_path)
    monkeypatch.setattr(durations.studies, "seconds_file", lambda *_: file)
    for cell, device in DEVICES.items():
        artifacts.write_json(
            tmp_path / paths.CORE / cell / durations.CELL, {"machine": {"device": device}}
        )
    write_table(file, pd.DataFrame({"cell": list(SECONDS), "seconds": list(SECONDS.values())}))
    return file


@pytest.mark.parametrize(
    ("arms", "device", "seconds"),
    [
        (["full", "full"], "cpu", 40.0),
        (["hard-window"], "cpu", 100.0),
        (["full", "never-trained"], "cpu", 20.0 + 60.0),
        (["full"], "cuda", 1.0),
        (["full"], "mps", None),
        ([], "cpu", 0.0),
    ],
)
def test_arms_take_what_their_cells_took_on_this_device(
    core: Path, arms: Sequence[str], device: str, seconds: float | None
) -> None:
    assert durations.of_core(arms, device) == seconds


def test_a_table_without_a_cell_tells_nothing(core: Path) -> None:
    write_table(core, pd.DataFrame({"cell": [], "seconds": []}))
    assert durations.of_core(["full"], "cpu") is None
    core.unlink()
    assert durations.of_core(["full"], "cpu") is None
