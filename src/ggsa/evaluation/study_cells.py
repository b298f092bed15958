"""The finished cells of all studies, ready to be compared.

Reads only what Git keeps: `reports/published/studies/` and the published core run. Cells of one
*base* (the same corpus, assets and encoder) stand side by side, whatever study trained them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ggsa.evaluation.outcomes import POOLED, SCORED_SPLITS
from ggsa.training import studies
from ggsa.workspace import config, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import PREDICTION_COLUMNS, read_table

CORE = "core"
SCRATCH, PRETRAINED, PROBE, IMDB = "scratch", "pretrained", "probe", "imdb"
IRRELEVANT = ("device", "threads", "recipes", "examples")
"""Keys that may differ: they decide nothing, or each cell's own plan records them."""

BASES = {"data": SCRATCH, "data/pretrained": PRETRAINED, "data/probe": PROBE, "data/imdb": IMDB}


@dataclass(frozen=True)
class Arm:
    """Every finished seed of one arm on one base.

    Attributes:
        name: Unique within its base.
        study: That trained it; `core` for the published core run.
        mode: Its pattern.
        right: For every seed, which sentences it got right, in the order of `Sentences`.
        density: On validation, mean over seeds; NaN where no plan says.
    """

    name: str
    study: str
    mode: str
    right: dict[int, npt.NDArray[np.bool_]]  # seed -> [sentence]
    density: float

    @property
    def seeds(self) -> list[int]:
        """The seeds that are finished, in ascending order."""
        return sorted(self.right)

    def stacked(self, seeds: list[int]) -> npt.NDArray[np.bool_]:
        """Return which seeds are right on which sentences, array [seed, sentence]."""
        return np.stack([self.right[seed] for seed in seeds])


def sentences(corpus: str) -> pd.DataFrame:
    """Return the marks of all scored sentences of a corpus; see `ggsa.evaluation.baselines`.

    Raises:
        UserError: If they were not written.
    """
    path = studies.results("answers", corpus) / "sentences.parquet"
    return read_table(path, ("split", "id", "label", "bag_probability"))


def arms(corpus: str, base: str) -> dict[str, Arm]:
    """Return the finished arms of a base, the core study's first.

    Raises:
        UserError: If a cell holds other sentences than the marks.
    """
    marks = sentences(corpus)
    found = {}
    if base == SCRATCH:
        found = _core_arms(marks)
    for name in studies.names():
        study = studies.load(name)
        if BASES.get(study.side(corpus).data) != base:
            continue
        densities = _densities(name, corpus)
        for arm in study.side(corpus).arms:
            right = {
                seed: _right(path, marks)
                for seed in study.side(corpus).seeds
                if (path := studies.cell_file(name, corpus, arm, seed)).is_file()
            }
            if not right:
                continue
            if arm in found:  # the same arm with more seeds
                found[arm].right.update(right)
                continue
            found[arm] = Arm(arm, name, study.mode(arm), right, densities.get(arm, float("nan")))
    return found


def _core_arms(marks: pd.DataFrame) -> dict[str, Arm]:
    """Return the published core run's arms.

    Raises:
        UserError: If it was trained with other parameters than studies are now.
    """
    published = config.load(paths.PUBLISHED / "params.yaml")
    now = config.load()
    for block in ("train", "encoder", "rules", "corpus"):
        before, after = (getattr(params, block).model_dump() for params in (published, now))
        changed = [key for key in after if after[key] != before[key] and key not in IRRELEVANT]
        if changed:
            raise UserError(
                f"The published core run had other values of {block}.{changed[0]} than params.yaml "
                f"has now, so that studies cannot be held against it. Undo the change, or run "
                f"`make repro` and `make publish`."
            )
    results = read_table(paths.PUBLISHED / "tables" / "results.csv", ("mode", "split", "density"))
    densities = results[results["split"] == "validation"].set_index("mode")["density"]
    runs = read_table(paths.PUBLISHED / "tables" / "runs.csv", ("mode", "seed"))
    found = {}
    for mode, part in runs.groupby("mode", sort=False):
        right = {
            int(seed): _right(paths.PUBLISHED / "runs" / f"{mode}-{seed}.parquet", marks)
            for seed in part["seed"].unique()
        }
        found[mode] = Arm(mode, CORE, mode, right, float(densities[mode]))
    return found


def _densities(name: str, corpus: str) -> dict[str, float]:
    path = studies.results(name, corpus) / "plan" / "density.csv"
    if not path.is_file():
        return {}
    table = read_table(path, ("arm", "split", "density"))
    rows = table[table["split"] == "validation"]
    return rows.groupby("arm")["density"].mean().to_dict()


def _right(path: object, marks: pd.DataFrame) -> npt.NDArray[np.bool_]:
    table = read_table(path, PREDICTION_COLUMNS)
    table = table[table["split"].isin(SCORED_SPLITS)]
    agree = len(table) == len(marks) and all(
        (table[column].to_numpy() == marks[column].to_numpy()).all()
        for column in ("split", "id", "label")
    )
    if not agree:
        raise UserError(
            f"{path} holds other sentences or labels than the rest of its corpus, so that it cannot "
            f"be compared. Delete it and run `make study` again."
        )
    return np.stack(list(table["logits"])).argmax(axis=1) == marks["label"].to_numpy()


def rows_of(marks: pd.DataFrame, split: str) -> npt.NDArray[np.bool_]:
    """Return which rows belong to a split, `pooled` being both, bool [sentence]."""
    if split == POOLED:
        return np.ones(len(marks), bool)
    return (marks["split"] == split).to_numpy()
