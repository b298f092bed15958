"""The one reader of finished cells: what every arm and seed of a study predicted.

All cells of a study are on the same sentences, in the same order, and all cells of a seed are from
one machine; anything else raises an error, because such cells must not be compared.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ggsa.training import studies
from ggsa.training.cell import CELL
from ggsa.training.studies import Study
from ggsa.workspace import artifacts
from ggsa.workspace.errors import UserError
from ggsa.workspace.paths import CORE
from ggsa.workspace.tables import PREDICTION_COLUMNS, read_table
from ggsa.workspace.vocabulary import FRESH, POOLED, SCORED_SPLITS


@dataclass(frozen=True)
class Results:
    """The predictions of a study's finished cells on the labeled splits.

    Attributes:
        sentences: Columns `split, id, label`, one row per sentence of the labeled splits.
        seeds: The seeds with which every arm is finished.
        predicted: Arm -> predicted classes, int64 `[seed, sentence]`.
        modes: Arm -> mode.
        densities: Columns `arm, seed, split, density`.
        machines: Seed -> what trained its cells.
        classes: Number of classes.
        summaries: Columns of cell.json's summary, one row per cell.
        history: The training histories, one below the other, with columns `arm, mode, seed`.
    """

    sentences: pd.DataFrame
    seeds: tuple[int, ...]
    predicted: dict[str, npt.NDArray[np.int64]]
    modes: dict[str, str]
    densities: pd.DataFrame
    machines: dict[int, dict[str, Any]]
    classes: int
    summaries: pd.DataFrame = field(default_factory=pd.DataFrame)
    history: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """The label of every sentence."""
        return self.sentences["label"].to_numpy(np.int64)

    @property
    def splits(self) -> list[str]:
        """The scored splits, `pooled` where there is more than one, and `fresh` if there is one."""
        present = list(self.sentences["split"].unique())
        scored = [split for split in present if split in SCORED_SPLITS]
        pooled = [POOLED] if len(scored) > 1 else []
        return [*scored, *pooled, *(split for split in present if split == FRESH)]

    @property
    def family_split(self) -> str:
        """The split on which questions are answered: all sentences of the scored splits."""
        return POOLED if POOLED in self.splits else self.splits[0]

    def rows(self, split: str) -> npt.NDArray[np.bool_]:
        """Return which sentences belong to a split, bool `[sentence]`."""
        if split == POOLED:
            return self.sentences["split"].isin(SCORED_SPLITS).to_numpy()
        return (self.sentences["split"] == split).to_numpy()

    def right(self, arm: str) -> npt.NDArray[np.bool_]:
        """Return which seeds of an arm are right on which sentences, bool `[seed, sentence]`."""
        return self.predicted[arm] == self.labels

    def density(self, arm: str, split: str) -> float:
        """Return the density of an arm on a split, mean over seeds; NaN where it is unknown."""
        table = self.densities
        chosen = table[(table["arm"] == arm) & (table["split"] == split)]
        return float(chosen["density"].mean())


Folder = Callable[[str, int], Path]
"""From an arm and a seed to the directory of the cell."""


def read_results(study: Study, corpus: str, folder: Folder | None = None) -> Results | None:
    """Return what the finished cells of a study predicted; None if no seed is finished.

    A seed counts once every arm is finished with it. Every comparison is paired within a seed, so
    seeds, unlike arms, may come from different machines.

    Args:
        study: Its declaration.
        corpus: One of the study's.
        folder: Where its cells are; by default where training writes them.

    Raises:
        UserError: If a cell is damaged, if cells disagree on sentences, if those of a seed disagree
            on the machine, or if a labeled split has no labels.
    """
    plan = study.plan(corpus)
    if folder is None:
        folder = lambda arm, seed: studies.cell_folder(study.name, corpus, arm, seed)  # noqa: E731
    seeds = tuple(
        seed
        for seed in plan.seeds
        if all((folder(arm, seed) / CELL).is_file() for arm in plan.arms)
    )
    if not seeds:
        return None
    folders = {(arm, seed): folder(arm, seed) for arm in plan.arms for seed in seeds}
    about = {key: artifacts.read_json(path / CELL) for key, path in folders.items()}
    tables = {key: _predictions(path / "predictions.parquet") for key, path in folders.items()}
    first_folder, first = next(iter(folders.values())), next(iter(tables.values()))
    for key, table in tables.items():
        _same_sentences(folders[key], table, first_folder, first)
    labeled = _labeled(first, first_folder)
    predicted = {
        arm: np.stack([_classes(tables[arm, seed])[labeled] for seed in seeds]) for arm in plan.arms
    }
    return Results(
        sentences=first.loc[labeled, ["split", "id", "label"]].reset_index(drop=True),
        seeds=seeds,
        predicted=predicted,
        modes={arm: study.arms[arm].mode for arm in plan.arms},
        densities=_densities(about),
        machines={seed: _one_machine(about, seed, study) for seed in seeds},
        classes=len(first["logits"].iloc[0]),
        summaries=pd.DataFrame(
            [
                {"arm": arm, "mode": cell["mode"], "seed": seed, **cell["summary"]}
                for (arm, seed), cell in about.items()
            ]
        ),
        history=_histories(folders, study),
    )


def _one_machine(
    about: dict[tuple[str, int], dict[str, Any]], seed: int, study: Study
) -> dict[str, Any]:
    """Return the machine of all cells of a seed.

    Raises:
        UserError: If there are several.
    """
    (first, expected), *rest = (
        (arm, cell["machine"]) for (arm, of), cell in about.items() if of == seed
    )
    for arm, other in rest:
        if other == expected:
            continue
        keys = [key for key in expected | other if other.get(key) != expected.get(key)]
        absent = "not recorded"
        values = ", ".join(
            f"{key} {expected.get(key, absent)} and {other.get(key, absent)}" for key in keys
        )
        again = (
            f"`dvc repro -f train@{arm}-{seed}`"
            if study.name == CORE
            else f"`make study NAME={study.name}`, which trains them again"
        )
        raise UserError(
            f"The cells {first}-{seed} and {arm}-{seed} of the study {study.name} were trained on "
            f"different machines ({values}), so they cannot be compared: a seed identifies a run "
            f"only on one machine. Train all cells of a seed on one machine: run {again}."
        )
    return expected


def _predictions(path: Path) -> pd.DataFrame:
    """Return the predictions of a cell on the splits that are scored.

    Raises:
        UserError: If the file is missing or damaged, or a logit is not finite.
    """
    table = read_table(path, PREDICTION_COLUMNS)
    scored = table["split"].isin((*SCORED_SPLITS, FRESH))
    if not scored.any():
        raise UserError(
            f"{path} holds no predictions of {' or '.join(SCORED_SPLITS)}. It is damaged: delete "
            f"{path.parent} and run again."
        )
    table = table[scored].reset_index(drop=True)
    first = table["logits"].iloc[0]
    shape = (max(len(first), 2),) if isinstance(first, np.ndarray) else None
    if not all(
        isinstance(row, np.ndarray)
        and row.dtype.kind == "f"
        and row.shape == shape
        and np.isfinite(row).all()
        for row in table["logits"]
    ):
        raise UserError(
            f"{path} holds logits that are not one finite number per class: the training of this "
            f"cell diverged, or the file is damaged. Lower the learning rate of its recipe, delete "
            f"{path.parent} and run again."
        )
    return table


def _same_sentences(
    folder: Path, table: pd.DataFrame, first_folder: Path, first: pd.DataFrame
) -> None:
    """Check that two cells hold the same sentences and labels.

    Raises:
        UserError: If they do not.
    """
    agree = len(table) == len(first) and all(
        (table[column].to_numpy() == first[column].to_numpy()).all()
        for column in ("split", "id", "label")
    )
    if not agree:
        raise UserError(
            f"{folder} and {first_folder} hold predictions of different sentences or labels, so the "
            f"two cells cannot be compared. One of them was trained on an older corpus: run "
            f"`dvc repro`, or `make study` for a study."
        )


def _labeled(table: pd.DataFrame, folder: Path) -> npt.NDArray[np.bool_]:
    """Return the rows of the splits that have labels, bool `[row]`.

    Raises:
        UserError: If validation has none.
    """
    labels = table["label"].to_numpy(np.int64)
    kept = np.zeros(len(table), bool)
    for split in (*SCORED_SPLITS, FRESH):
        rows = (table["split"] == split).to_numpy()
        known = rows.any() and bool((labels[rows] >= 0).all())
        if split == "validation" and not known:
            raise UserError(
                f"The validation split has no labels (or no rows) in {folder}, so nothing can be "
                f"scored. Check data/corpus/validation.parquet, then run `dvc repro -f download`."
            )
        if known:
            kept |= rows
    return kept


def _classes(table: pd.DataFrame) -> npt.NDArray[np.int64]:
    return np.stack(list(table["logits"])).argmax(axis=1)


def _densities(about: dict[tuple[str, int], dict[str, Any]]) -> pd.DataFrame:
    rows = [
        (arm, seed, split, value)
        for (arm, seed), cell in about.items()
        for split, value in cell["density"].items()
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "split", "density"])


def _histories(folders: dict[tuple[str, int], Path], study: Study) -> pd.DataFrame:
    parts = [
        read_table(path / "history.csv", ("step", "loss")).assign(
            arm=arm, mode=study.arms[arm].mode, seed=seed
        )
        for (arm, seed), path in folders.items()
    ]
    return pd.concat(parts, ignore_index=True)
