"""Studies: named grids of cells around one question, each in `studies/<name>/`.

A study's `params.yaml` says what its arms change in the root `params.yaml`; its `dvc.yaml` runs the
same stages. An *arm* is a mode with its overrides; a *cell* is one arm with one seed. What a study
finds is small (predictions, no models) and kept by Git under `reports/published/studies/`, so that
a finished cell is never trained again, on no machine.

Here is what a study says; `ggsa.training.cells` plans and trains it, `ggsa.evaluation.study_cells` reads what
its cells found.
"""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError, field_validator, model_validator

from ggsa.patterns.modes import MODES
from ggsa.workspace import config, paths
from ggsa.workspace.blocks import Block
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError

CORPORA = ("sst2", "probe", "imdb")
NOTHING: dict[str, Any] = {"data": "", "arms": (), "seeds": ()}


class Side(Block):
    """What a study runs on one corpus."""

    data: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...]


class Study(Block):
    """The whole of studies/<name>/params.yaml."""

    study: str
    question: str
    overrides: dict[str, Any]
    arms: dict[str, dict[str, Any]]
    sst2: Side = Side(**NOTHING)
    probe: Side = Side(**NOTHING)
    imdb: Side = Side(**NOTHING)

    @field_validator("arms", "overrides", mode="before")
    @classmethod
    def _empty_is_a_mapping(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: {} if item is None else item for key, item in value.items()}
        return value

    @model_validator(mode="after")
    def _arms_exist(self) -> "Study":
        run = [arm for corpus in CORPORA for arm in self.side(corpus).arms]
        absent = [arm for arm in run if arm not in self.arms]
        if absent:
            raise ValueError(f"{', '.join(absent)} stands under a corpus but not under arms")
        for arm in self.arms:
            if self.mode(arm) not in MODES:
                raise ValueError(
                    f"arms.{arm}: {self.mode(arm)} is no mode; there are {', '.join(MODES)}"
                )
        return self

    def side(self, corpus: str) -> Side:
        """Return what runs on a corpus; on one that the study does not name, nothing."""
        return getattr(self, corpus)

    @property
    def corpora(self) -> list[str]:
        """The corpora on which the study has cells."""
        return [corpus for corpus in CORPORA if self.side(corpus).arms]

    def cells(self, corpus: str) -> list[tuple[str, int]]:
        """Return every (arm, seed) on a corpus, seed by seed."""
        side = self.side(corpus)
        return [(arm, seed) for seed in side.seeds for arm in side.arms]

    def mode(self, arm: str) -> str:
        """Return the mode of an arm: the one it names, else its own name."""
        return str(self._own(arm).get("mode", arm))

    def params(self, arm: str | None = None) -> Params:
        """Return the root parameters with the overrides of the study and of an arm.

        Raises:
            UserError: If they are wrong.
        """
        own = self._own(arm) if arm is not None else {}
        changes = {**self.overrides, **own}
        changes.pop("mode", None)
        return config.load(overrides=changes)

    def _own(self, arm: str) -> dict[str, Any]:
        """Return what an arm changes.

        Raises:
            UserError: If the study has no such arm.
        """
        if arm not in self.arms:
            path = paths.STUDIES / self.study / "params.yaml"
            raise UserError(
                f"{path}: {arm} is no arm of this study. Its arms are: {', '.join(self.arms)}."
            )
        return self.arms[arm]


def load(name: str) -> Study:
    """Return a study.

    Raises:
        UserError: If there is none of that name, or its params.yaml is wrong.
    """
    path = paths.STUDIES / name / "params.yaml"
    if not path.is_file():
        known = ", ".join(names())
        raise UserError(f"{name} is no study. There are: {known}. Each is a folder of studies/.")
    try:
        return Study.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise UserError(f"{path} is wrong; nothing was run.\n  {error}") from error


def names() -> list[str]:
    """Return the names of all studies that have cells."""
    folders = (path.parent.name for path in paths.STUDIES.glob("*/params.yaml"))
    return sorted(name for name in folders if name != "assets")


def trains(name: str) -> bool:
    """Return whether a study trains its cells; others read the models of the core study."""
    return name in names() and any(stage.startswith("train_") for stage in stages_of(name))


def stages_of(name: str) -> list[str]:
    """Return the names of the stages of a study's dvc.yaml."""
    path = paths.STUDIES / name / "dvc.yaml"
    return list(yaml.safe_load(path.read_text(encoding="utf-8"))["stages"])


def results(study: str, corpus: str) -> Path:
    """Return the folder of what a study found on a corpus."""
    return paths.RESULTS / study / corpus


def plan_file(study: str, corpus: str, arm: str, seed: int) -> Path:
    """Return the file that fixes one cell."""
    return results(study, corpus) / "plan" / f"{arm}-{seed}.json"


def cell_file(study: str, corpus: str, arm: str, seed: int) -> Path:
    """Return the file with the predictions of one cell; its summary lies beside it as .json."""
    return results(study, corpus) / "cells" / f"{arm}-{seed}.parquet"
