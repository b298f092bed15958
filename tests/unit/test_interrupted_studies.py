"""Whenever a study is interrupted, what Git keeps of it is as it was or as it is when finished."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from test_studies import data, small_encoder, workspace, write_study  # noqa: F401

from ggsa.evaluation.interpretability import measure
from ggsa.training import graph, studies, study_cells
from ggsa.workspace import artifacts, checksums, config, paths
from ggsa.workspace.tables import write_table
from stages import compare

ROOT = Path(__file__).resolve().parents[2]
RUN = {"base": None, "arms": ["full", "hard"], "seeds": [7]}
RESULTS = studies.results("tiny", "sst2")
TABLES = paths.interpretability("sst2")


def state(folder: Path) -> dict[str, str]:
    """Return the checksum of a file, or of every file of a folder, by name."""
    files = [folder, *sorted(folder.rglob("*"))]
    return {path.name: checksums.sha256(path) for path in files if path.is_file()}


class Interrupted:
    """Ctrl-C before the move of a file or folder with a given number, and none after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.moves, self.at = 0, 0
        for name in ("rename", "replace"):
            monkeypatch.setattr(Path, name, self._counting(getattr(Path, name)))

    def _counting(self, move: Callable) -> Callable:
        def counted(path: Path, target: Path) -> Path:
            self.moves += 1
            if self.moves == self.at:
                raise KeyboardInterrupt
            return move(path, target)

        return counted

    def run(self, work: Callable[[], Any], at: int = 0) -> bool:
        """Do the work, interrupt it, and return whether it came to its end."""
        self.moves, self.at = 0, at
        try:
            work()
        except KeyboardInterrupt:
            return False
        return True


def check_every_moment(
    work: Callable[[], Any],
    outputs: list[Path],
    before: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Interrupt some work at each of its moves; an output is as it was before, or as at the end."""
    interrupted = Interrupted(monkeypatch)
    before()
    old, names = {path: state(path) for path in outputs}, {*paths.PUBLISHED.rglob("*")}
    interrupted.run(work)
    last, new = interrupted.moves, {path: state(path) for path in outputs}
    assert last >= 2 and all(old[path] != new[path] for path in outputs)
    names |= {*paths.PUBLISHED.rglob("*")}
    for at in range(1, last + 1):
        before()
        assert not interrupted.run(work, at)
        for path in outputs:
            assert state(path) in (old[path], new[path]), (at, path)
        assert {*paths.PUBLISHED.rglob("*")} <= names  # nothing lies beside them
    assert interrupted.run(work)
    assert {path: state(path) for path in outputs} == new


@pytest.fixture
def finished(data: Path) -> Path:  # noqa: F811
    """A finished study of two arms with one seed; its tables are older than its cells."""
    write_study(corpora={"sst2": RUN})
    study_cells.plan("tiny", "sst2")
    for arm in ("full", "hard"):
        study_cells.train_cell("tiny", "sst2", arm, 7)
    for name in ("arms", "of_an_arm_that_is_gone"):
        artifacts.write_text(RESULTS / "tables" / f"{name}.csv", "old\n")
    artifacts.write_text(RESULTS / "sentences.parquet", "old")
    shutil.copytree(paths.RESULTS, "kept")
    return data


def restore() -> None:
    """Go back to the finished study."""
    shutil.rmtree(paths.RESULTS)
    shutil.copytree("kept", paths.RESULTS)


def test_plans_are_those_of_before_or_those_of_now(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_encoder(hidden=32)
    work = lambda: study_cells.plan("tiny", "sst2")  # noqa: E731
    check_every_moment(work, [RESULTS / "plan"], restore, monkeypatch)


@pytest.mark.parametrize("arm", ["full", "hard"])
def test_a_cell_is_that_of_before_or_that_of_now(
    finished: Path, monkeypatch: pytest.MonkeyPatch, arm: str
) -> None:
    write_study(corpora={"sst2": RUN}, overrides={"train.max_pieces": 11})
    shutil.rmtree("kept")
    study_cells.plan("tiny", "sst2")
    shutil.copytree(paths.RESULTS, "kept")
    work = lambda: study_cells.train_cell("tiny", "sst2", arm, 7)  # noqa: E731
    check_every_moment(work, [RESULTS / "cells" / f"{arm}-7"], restore, monkeypatch)


def test_tables_are_those_of_before_or_those_of_now(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["compare", "--study", "tiny", "--corpus", "sst2"])
    outputs = [RESULTS / "tables", RESULTS / "sentences.parquet"]
    check_every_moment(compare.main, outputs, restore, monkeypatch)
    assert "of_an_arm_that_is_gone.csv" not in state(RESULTS / "tables")


def test_measures_of_interpretability_are_those_of_before_or_those_of_now(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("measures", "findings", "notes")
    found = {name: pd.DataFrame({"topic": ["new"]}) for name in names}
    monkeypatch.setattr(measure, "measured", lambda *_: found)
    monkeypatch.setattr(measure, "read_results", lambda *_: None)
    monkeypatch.setattr(measure.studies, "core", lambda *_: None)  # it has at least one seed
    params = config.load()
    params = params.model_copy(update={"grid": params.grid.model_copy(update={"seeds": ()})})

    def before() -> None:
        shutil.rmtree(TABLES, ignore_errors=True)
        for name in (*names, "of_a_measure_that_is_gone"):
            write_table(TABLES / f"{name}.csv", pd.DataFrame({"topic": ["old"]}))

    work = lambda: measure.measure("sst2", params, None, TABLES)  # noqa: E731
    check_every_moment(work, [TABLES], before, monkeypatch)
    assert set(state(TABLES)) == {f"{name}.csv" for name in names}


@pytest.mark.parametrize("name", ["controls", "interpretability"])
def test_dvc_keeps_what_git_keeps_when_a_stage_fails(tmp_path: Path, name: str) -> None:
    stages = yaml.safe_load((ROOT / graph.graph_file(name)).read_text(encoding="utf-8"))["stages"]
    kept = []
    for stage in stages.values():
        outs = [out for out in stage["outs"] if isinstance(out, dict)]
        item = {key: str(values[0]) for key, values in stage.get("matrix", {}).items()}
        for key in item:
            outs = [
                {path.replace(f"${{item.{key}}}", item[key]): how for path, how in out.items()}
                for out in outs
            ]
        paths_of = [path for out in outs for path in out]
        kept += [tmp_path / path for path in paths_of]
        stage.update(cmd="false", outs=outs)
        for key in ("deps", "params", "matrix"):
            stage.pop(key, None)
    for path in kept:
        artifacts.write_text(path if path.suffix else path / "file.csv", "old")
    artifacts.write_text(tmp_path / graph.graph_file(name), yaml.safe_dump({"stages": stages}))
    in_copy = {"cwd": tmp_path, "capture_output": True, "text": True}
    subprocess.run(["dvc", "init", "--no-scm", "--quiet"], check=True, **in_copy)
    command = ["dvc", "repro", "--keep-going", "--force", str(graph.graph_file(name))]
    done = subprocess.run(command, **in_copy)
    assert done.returncode and done.stdout.count("> false") == len(stages), done.stderr
    assert all(path.exists() for path in kept)
