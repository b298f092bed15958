"""What the trained cells of a grid predicted, side by side on the same sentences.

Place in the data flow: reads `runs/<study>/<mode>-<seed>/predictions.parquet` for the modes and
seeds of params.yaml, and nothing that merely lies beside them; `ggsa.evaluation.core` makes its tables
of the result. `ggsa.report.verification` reads the published predictions in the same way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from ggsa.evaluation import statistics
from ggsa.workspace import artifacts, paths
from ggsa.workspace.config import Grid, Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import PREDICTION_COLUMNS, read_table

BASELINE = "full"
SCORED_SPLITS = ("validation", "test")
POOLED = "pooled"


@dataclass(frozen=True)
class Outcome:
    """What every cell of the grid predicted on the sentences of one labeled split."""

    split: str
    seeds: tuple[int, ...]
    labels: npt.NDArray[np.int64]  # [sentence]
    predicted: dict[str, npt.NDArray[np.int64]]  # mode -> [seed, sentence]
    classes: int = 2

    def right(self, mode: str) -> npt.NDArray[np.bool_]:
        """Return which seeds of a mode are right on which sentences, array [seed, sentence]."""
        return self.predicted[mode] == self.labels

    def difference(self, mode: str) -> npt.NDArray[np.integer]:
        """Return a mode minus full for every seed and sentence: 1, 0 or -1."""
        return statistics.paired_difference(self.right(mode), self.right(BASELINE))

    @property
    def contenders(self) -> list[str]:
        """The modes that are compared with full; none when full is not in the grid."""
        return [mode for mode in self.predicted if mode != BASELINE and BASELINE in self.predicted]


def read_outcomes(params: Params, study: str = "core") -> dict[str, Outcome]:
    """Return what all cells of the grid predicted, by labeled split.

    Raises:
        UserError: If a cell is missing or damaged, if two cells hold different sentences or
            labels (one of them is older than the corpus), or if validation has no labels.
    """
    return outcomes_of(
        params.grid, lambda mode, seed: paths.cell(study, mode, seed) / "predictions.parquet"
    )


def outcomes_of(grid: Grid, file: Callable[[str, int], Path]) -> dict[str, Outcome]:
    """Return what all cells of a grid predicted, by labeled split, wherever their files lie.

    Args:
        grid: The modes and seeds.
        file: Gives the Parquet file of a mode and seed (columns split, id, label, logits).

    Raises:
        UserError: As `read_outcomes`.
    """
    files = {(mode, seed): file(mode, seed) for mode in grid.modes for seed in grid.seeds}
    cells = {key: _read_predictions(path, *key) for key, path in files.items()}
    outcomes = {}
    for split in SCORED_SPLITS:
        parts = {key: table[table["split"] == split] for key, table in cells.items()}
        first = next(iter(parts.values()))
        for key, part in parts.items():
            _same_sentences(split, part, first, files[key])
        labels = first["label"].to_numpy(dtype=np.int64)
        if split == "validation" and (len(labels) == 0 or (labels < 0).any()):
            raise UserError(
                "The validation split has no labels (or no rows) in the cells' predictions, so "
                "that nothing can be scored. Check data/corpus/validation.parquet, then run "
                "`dvc repro -f download`."
            )
        if len(labels) == 0 or (labels < 0).any():
            continue
        predicted = {
            mode: np.stack([_classes(parts[mode, seed]) for seed in grid.seeds])
            for mode in grid.modes
        }
        classes = len(first["logits"].iloc[0])
        outcomes[split] = Outcome(split, tuple(grid.seeds), labels, predicted, classes)
    if all(split in outcomes for split in SCORED_SPLITS):
        outcomes[POOLED] = _pool(*(outcomes[split] for split in SCORED_SPLITS))
    return outcomes


def _read_predictions(path: Path, mode: str, seed: int) -> pd.DataFrame:
    table = read_table(path, PREDICTION_COLUMNS)
    classes = len(table["logits"].iloc[0])
    if any(len(row) != max(classes, 2) or not np.isfinite(row).all() for row in table["logits"]):
        raise UserError(
            f"{path} holds logits that are not a finite number a class: the training of this cell "
            f"went astray. Lower train.recipes' learning_rate in params.yaml, or train it again with "
            f"`dvc repro -f train@{mode}-{seed}`."
        )
    return table


def _same_sentences(split: str, part: pd.DataFrame, first: pd.DataFrame, path: Path) -> None:
    agree = len(part) == len(first) and all(
        (part[column].to_numpy() == first[column].to_numpy()).all() for column in ("id", "label")
    )
    if not agree:
        raise UserError(
            f"{path} holds other {split} sentences or labels than the first cell of the grid, so "
            f"that the two cannot be compared. One of them was trained on an older corpus: run "
            f"`dvc repro`."
        )


def _classes(part: pd.DataFrame) -> npt.NDArray[np.int64]:
    return np.stack(list(part["logits"])).argmax(axis=1)


def _pool(first: Outcome, second: Outcome) -> Outcome:
    predicted = {
        mode: np.concatenate([first.predicted[mode], second.predicted[mode]], axis=1)
        for mode in first.predicted
    }
    labels = np.concatenate([first.labels, second.labels])
    return Outcome(POOLED, first.seeds, labels, predicted, first.classes)


def cells_table(params: Params, study: str) -> pd.DataFrame:
    """Return what each cell's training says of itself: recipe, sentences, steps, best step.

    Raises:
        UserError: If a cell of the grid is missing.
    """
    cells = [
        paths.cell(study, mode, seed) for mode in params.grid.modes for seed in params.grid.seeds
    ]
    return pd.DataFrame([artifacts.read_json(cell / "training.json") for cell in cells])
