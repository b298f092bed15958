"""How long cells will take, from the seconds of finished ones."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ggsa.training import studies
from ggsa.training.cell import CELL
from ggsa.training.studies import Study
from ggsa.workspace import artifacts, paths
from ggsa.workspace.paths import CORE
from ggsa.workspace.tables import read_csv


def of_study(study: Study, corpus: str, arms: Sequence[str], device: str | None) -> float | None:
    """Return the seconds of cells of a study, one after the other; None if nothing is known.

    An arm without a finished cell is taken for a typical one of the study. If the study has none,
    cells of core are asked, which have the same data and recipe unless the study has a base.

    Args:
        study: Its declaration.
        corpus: One of the study's.
        arms: One for each cell.
        device: That trains them; cells of another device tell nothing.
    """
    folder = studies.results(study.name, corpus) / "cells"
    own = _by_arm(studies.seconds_file(study.name, corpus), folder, device)
    if own.empty and study.plan(corpus).base is None:
        return of_core(arms, device)
    return _total(own, arms)


def of_core(modes: Sequence[str], device: str | None) -> float | None:
    """Return the seconds of cells of core, as `of_study` does."""
    return _total(_by_arm(studies.seconds_file(CORE, ""), paths.RUNS / CORE, device), modes)


def _total(known: pd.Series, arms: Sequence[str]) -> float | None:
    """Return the seconds of one cell of each arm, from those known by arm."""
    return None if known.empty else float(known.reindex(arms).fillna(known.median()).sum())


def _by_arm(file: Path, cells: Path, device: str | None) -> pd.Series:
    """Return the median seconds of each arm in a file, without cells that another device trained."""
    if not file.is_file():
        return pd.Series(dtype=float)
    table = read_csv(file)
    files = {cell: cells / cell / CELL for cell in set(table["cell"])}
    elsewhere = [
        cell
        for cell, path in files.items()
        if path.is_file() and artifacts.read_json(path)["machine"]["device"] != device
    ]
    table = table[~table["cell"].isin(elsewhere)]
    return table["seconds"].groupby(table["cell"].str.rsplit("-", n=1).str[0]).median()
