"""Studies: named grids of cells around one question, each in `studies/<name>/`.

A study's `params.yaml` says what its arms change in the root `params.yaml`; its `dvc.yaml` runs the
same stages. An *arm* is a mode with its overrides; a *cell* is one arm with one seed. What a study
finds is small (predictions, no models) and kept by Git under `reports/published/studies/`, so that
a finished cell is never trained again, on no machine.

`plan` fixes for every cell its pattern and its settings in one file, and a cell depends on that
file and on the provenance of its data alone. A parameter that a cell does not use, or a
refactoring, does not make hours of training void; each cell records which code trained it.
"""

import functools
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from pydantic import ValidationError, field_validator, model_validator

from ggsa import (
    artifacts,
    config,
    controls,
    counting,
    paths,
    patterns,
    rule_statistics,
    rules,
    training,
)
from ggsa.alignment import TaggedPieces
from ggsa.config import Block, Params
from ggsa.errors import UserError
from ggsa.vocabulary import MODES, STUDY_MODES

CORPORA = ("sst2", "probe")
UNSTORED_SPLITS = ("examples",)
MODULES = (
    *("alignment", "attention", "batches", "corruption", "encoder", "patterns", "positional"),
    *("training", "vocabulary_subset"),
)
"""The modules that decide what a trained cell predicts."""


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
    sst2: Side
    probe: Side

    @field_validator("arms", "overrides", mode="before")
    @classmethod
    def _empty_is_a_mapping(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: {} if item is None else item for key, item in value.items()}
        return value

    @model_validator(mode="after")
    def _arms_exist(self) -> "Study":
        absent = [arm for arm in (*self.sst2.arms, *self.probe.arms) if arm not in self.arms]
        if absent:
            raise ValueError(f"{', '.join(absent)} stands under sst2 or probe but not under arms")
        for arm in self.arms:
            if self.mode(arm) not in MODES:
                raise ValueError(
                    f"arms.{arm}: {self.mode(arm)} is no mode; there are {', '.join(MODES)}"
                )
        return self

    def side(self, corpus: str) -> Side:
        """Return what runs on a corpus."""
        return self.sst2 if corpus == "sst2" else self.probe

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
    """Return the names of all studies that train cells."""
    folders = (path.parent.name for path in paths.STUDIES.glob("*/params.yaml"))
    return sorted(name for name in folders if name != "assets")


def results(study: str, corpus: str) -> Path:
    """Return the folder of what a study found on a corpus."""
    return paths.RESULTS / study / corpus


def plan_file(study: str, corpus: str, arm: str, seed: int) -> Path:
    """Return the file that fixes one cell."""
    return results(study, corpus) / "plan" / f"{arm}-{seed}.json"


def cell_file(study: str, corpus: str, arm: str, seed: int) -> Path:
    """Return the file with the predictions of one cell; its summary lies beside it as .json."""
    return results(study, corpus) / "cells" / f"{arm}-{seed}.parquet"


# The plan.


def plan(name: str, corpus: str) -> None:
    """Write the plan of every cell of a study on a corpus, and the density of each.

    Raises:
        UserError: If the study or a needed file is wrong.
    """
    study = load(name)
    folder = results(name, corpus) / "plan"
    rows = []
    for arm, seed in study.cells(corpus):
        params = study.params(arm)
        pattern = _pattern(study.mode(arm), params, seed)
        content = {
            "arm": arm,
            "seed": seed,
            "settings": settings(params),
            "pattern": patterns.as_json(pattern),
        }
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        artifacts.write_text(plan_file(name, corpus, arm, seed), text + "\n")
        sentences = _tagged(params.train.max_pieces)
        rows += [
            {
                "arm": arm,
                "seed": seed,
                "split": split,
                "density": controls.density(pattern, tagged),
            }
            for split, tagged in sentences.items()
        ]
    artifacts.write_table(folder / "density.csv", pd.DataFrame(rows))
    expected = {plan_file(name, corpus, arm, seed).name for arm, seed in study.cells(corpus)}
    for stale in folder.glob("*.json"):
        if stale.name not in expected:
            stale.unlink()


def settings(params: Params) -> dict[str, Any]:
    """Return everything but the pattern, the seed and the data that decides a cell."""
    train = params.train.model_dump()
    recipe = training.recipe_for(params)
    for name in ("device", "threads", "recipes", "recipe"):
        train.pop(name)
    return {
        **train,
        "recipe": recipe,
        **{f"recipe_{key}": value for key, value in params.train.recipes[recipe]},
        "keep_projections": params.encoder.keep_projections,
    }


@functools.cache
def _counts(max_pieces: int) -> dict[str, np.ndarray]:
    return counting.split_counts(max_pieces)


@functools.cache
def _tagged(max_pieces: int) -> dict[str, TaggedPieces]:
    return controls.tagged_splits(max_pieces)


def _pattern(mode: str, params: Params, seed: int) -> patterns.Pattern:
    """Return the pattern of a cell."""
    by_split = _counts(params.train.max_pieces)
    counts = by_split["train"]
    statistics = None
    if params.rules.source == "corpus":
        statistics = rule_statistics.tag_pairs(counting.word_tags("train"), counts)
    hard = rules.hard_table(params.rules, statistics, counts)
    if mode not in STUDY_MODES:
        return rules.pattern(mode, params.rules, hard, seed)
    if mode == "shuffled":
        return controls.shuffled(params.rules, hard, by_split, seed)
    if mode == "separator":
        return controls.separator(params.rules, hard, _tagged(params.train.max_pieces)["train"])
    return controls.learned(params, hard, counts, seed)


# A cell.


def train_cell(name: str, corpus: str, arm: str, seed: int) -> None:
    """Train one planned cell and keep its predictions.

    Raises:
        UserError: If the plan is missing or older than the parameters, or training fails.
    """
    study = load(name)
    params = study.params(arm)
    path = plan_file(name, corpus, arm, seed)
    content = artifacts.read_json(path)
    if content["settings"] != json.loads(json.dumps(settings(params))):
        raise UserError(
            f"{path} was planned with other parameters. Run `make study NAME={name}`, which plans "
            f"before it trains."
        )
    started = time.monotonic()
    pattern = patterns.from_json(content["pattern"], path)
    cell = training.trained(params, pattern, seed, f"{arm}-{seed}", f"{name}-{corpus}")
    predictions = cell.predictions[~cell.predictions["split"].isin(UNSTORED_SPLITS)]
    target = cell_file(name, corpus, arm, seed)
    artifacts.write_table(target, predictions)
    artifacts.write_json(
        target.with_suffix(".json"),
        {
            "arm": arm,
            "mode": pattern.mode,
            "seed": seed,
            "code_sha256": code_sha256(),
            **cell.summary,
            "history": cell.history.to_dict("records"),
        },
    )
    cell.checkpoint.unlink(missing_ok=True)
    _note_seconds(name, corpus, f"{arm}-{seed}", time.monotonic() - started)


def code_sha256() -> str:
    """Return a digest of the modules that decide what a cell predicts."""
    digest = hashlib.sha256()
    for module in MODULES:
        digest.update((Path(__file__).parent / f"{module}.py").read_bytes())
    return digest.hexdigest()[:16]


def _note_seconds(name: str, corpus: str, cell: str, seconds: float) -> None:
    """Add a line to what the study took; kept beside the results, outside of DVC."""
    path = results(name, corpus) / "seconds.csv"
    if not path.exists():
        artifacts.write_text(path, "cell,seconds\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{cell},{seconds:.0f}\n")
