"""The cells of a study: planned, taken up or trained, and written.

`plan` fixes the settings, data and pattern of every cell in one file, and a cell depends on that
file alone: a refactoring, or a parameter that a cell does not use, does not retrain it.
"""

import dataclasses
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pandas as pd

from ggsa.model import build, classifier
from ggsa.model.attention import Mask
from ggsa.model.attention_weights import mean_attention_by_tag_pair
from ggsa.patterns.modes import PatternData, pattern_for
from ggsa.patterns.pattern import Pattern, pattern_as_json, pattern_from_json
from ggsa.tagging.splits import read_split
from ggsa.training import adaptation, distributed, loop, studies
from ggsa.training.adaptation import Adapted
from ggsa.training.cell import CELL, FILES, note_seconds, save_weights, write_cell
from ggsa.training.identity import data_sha256, digest, identity, settings
from ggsa.training.studies import Study
from ggsa.workspace import artifacts, checksums, paths
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.provenance import corpus_name, read_provenance
from ggsa.workspace.tables import write_table

Plans = dict[str, dict[str, Any]]
"""From the name of a cell, `<arm>-<seed>`, to what its plan holds."""


def plan(name: str, corpus: str) -> None:
    """Write the plan of every cell of a study on a corpus, in place of all older plans.

    Raises:
        UserError: If the study is wrong, if the assets are not those of the corpus, or if a cell
            that Git keeps would be trained again with other settings or data.
    """
    study = studies.load(name)
    require_corpus(corpus)
    data, plans = data_sha256(), Plans()
    for arm, seed in study.cells(corpus):
        params = study.params(arm)
        mode = study.arms[arm].mode
        pattern = None
        if study.source_of(arm) is None or study.arms[arm].weights_of:
            pattern = pattern_as_json(pattern_for(mode, params.rules, seed, PatternData(params)))
        content = {
            "arm": arm,
            "mode": mode,
            "seed": seed,
            "settings": settings(params, adaptation_of(study, arm)),
            "data_sha256": data,
            "pattern": pattern,
        }
        if pattern is None:  # it will be fitted to another cell, by these rules
            content["rules"] = params.rules.model_dump(mode="json")
        plans[f"{arm}-{seed}"] = json.loads(json.dumps(content, sort_keys=True))
    _require_kept_cells(study, corpus, plans)
    with artifacts.atomic_folder(studies.results(name, corpus) / "plan") as folder:
        for cell, content in plans.items():
            text = json.dumps(content, separators=(",", ":"))
            artifacts.write_text(folder / f"{cell}.json", text + "\n")


def require_corpus(corpus: str) -> None:
    """Check that the workspace holds the corpus that the results will be named after.

    Raises:
        UserError: If it holds another one, such as a substitute or a limited SST-2.
    """
    provenance = read_provenance()
    if provenance["corpus"]["name"] != corpus or (corpus == "sst2" and not provenance["is_sst2"]):
        name = corpus_name(provenance)
        raise UserError(
            f"{paths.CORPUS} holds the corpus {name}, and the study needs {corpus}; nothing was run. "
            f"Obtain the whole of {corpus} (see assets.source, and set corpus.limit to null)."
        )


def _require_kept_cells(study: Study, corpus: str, plans: Plans) -> None:
    """Check that every finished cell that Git keeps is as it is planned now.

    Raises:
        UserError: If one differs, because it would be overwritten.
    """
    folder = studies.results(study.name, corpus) / "cells"
    kept = _kept_by_git(folder)
    cells, keys = _unlike(folder, {c: plan for c, plan in plans.items() if c in kept})
    if cells:
        raise UserError(
            f"{folder} holds cells that Git keeps and that would be trained again, because they "
            f"are planned with other {' and '.join(keys)}: {_first(cells)}. Nothing was run. Undo "
            f"the change of params.yaml (such as corpus.limit), of the study or of its assets. To "
            f"replace the cells, delete them first."
        )


def require_planned_cells(study: Study, corpus: str) -> None:
    """Check that every finished cell was trained as its plan says.

    Raises:
        UserError: If one was not: it was finished before settings or data changed.
    """
    folder = studies.results(study.name, corpus) / "cells"
    files = (studies.plan_file(study.name, corpus, *cell) for cell in study.cells(corpus))
    cells, keys = _unlike(folder, {file.stem: artifacts.read_json(file) for file in files})
    if cells:
        raise UserError(
            f"{folder} holds cells that were trained with other {' and '.join(keys)} than they are "
            f"planned with: {_first(cells)}. Run `make study NAME={study.name}` without SEEDS, which "
            f"trains them again, or delete them."
        )


def _unlike(folder: Path, plans: Plans) -> tuple[list[str], list[str]]:
    """Return the finished cells that differ from their plans, and in which keys."""
    differ = {
        cell: unlike_plan(plan, artifacts.read_json(folder / cell / CELL))
        for cell, plan in plans.items()
        if (folder / cell / CELL).is_file()
    }
    cells = [cell for cell, keys in differ.items() if keys]
    return cells, sorted({key for keys in differ.values() for key in keys})


def _first(cells: list[str]) -> str:
    """Return the names of a few cells."""
    return ", ".join(cells[:3]) + (f" and {len(cells) - 3} more" if len(cells) > 3 else "")


def _kept_by_git(folder: Path) -> set[str]:
    """Return the names of the folders in a folder whose files Git tracks."""
    command = ["git", "ls-files", "-z", "--", str(folder)]
    listed = subprocess.run(command, capture_output=True, text=True).stdout.split("\0")
    return {Path(file).parent.name for file in listed if file}


def unlike_plan(planned: dict[str, Any], trained: dict[str, Any]) -> list[str]:
    """Return in what a cell differs from a plan: `mode`, `seed`, `settings`, `data_sha256`, `pattern`.

    A pattern that is fitted to another cell is not in the plan.

    Args:
        planned: The plan.
        trained: The cell's `cell.json`.
    """
    keys = ("mode", "seed", "settings", "data_sha256")
    pairs = {key: (planned[key], trained[key]) for key in keys}
    if planned["pattern"] is not None:
        pairs["pattern"] = digest(planned["pattern"]), trained["pattern_sha256"]
    return [key for key, (expected, value) in pairs.items() if expected != value]


def train_cell(name: str, corpus: str, arm: str, seed: int) -> None:
    """Take up, evaluate or train one planned cell, and keep its predictions.

    Raises:
        UserError: If the plan is missing or older than parameters or data, the arm needs weights
            that do not exist, or training fails.
    """
    study = studies.load(name)
    params = study.params(arm)
    planned = _read_plan(study, corpus, arm, seed, params)
    folder = studies.cell_folder(name, corpus, arm, seed)
    if study.arms[arm].weights_of:
        distributed.from_first(lambda: _evaluate(study, corpus, arm, seed, params, planned, folder))
        return
    pattern = _pattern(study, corpus, arm, seed, params, planned)
    device = loop.prepare(params)
    keeps_weights = arm in study.sources(corpus)
    decides = identity(params, pattern, seed, device, adaptation_of(study, arm))
    equal = distributed.from_first(lambda: equal_cell(decides, folder, keeps_weights))
    if equal:
        if not distributed.is_first():
            return
        if keeps_weights:
            target = studies.weights_folder(name, corpus, arm, seed)
            shutil.copytree(_weights_of(equal), target, dirs_exist_ok=True)
        _take_up(equal, folder, arm)
        return
    wanted = decides["settings"].get("adaptation")
    start = None
    if wanted:
        start = distributed.from_first(lambda: _adapted(study, corpus, arm, wanted))
    started = time.monotonic()
    cell = loop.train(
        params, pattern, seed, f"{arm}-{seed}", f"{name}-{corpus}",
        loop.Start(start.folder, wanted) if start else None,
    )  # fmt: skip
    if not distributed.is_first():
        return
    if start:
        cell = dataclasses.replace(cell, summary={**cell.summary, **start.distances})
    if keeps_weights:
        save_weights(studies.weights_folder(name, corpus, arm, seed), cell, params)
    cell = dataclasses.replace(cell, predictions=_without_examples(cell.predictions))
    with artifacts.atomic_folder(folder) as new:
        write_cell(new, arm, pattern, cell, params)
    cell.checkpoint.unlink(missing_ok=True)
    seconds = time.monotonic() - started
    note_seconds(studies.seconds_file(name, corpus), f"{arm}-{seed}", seconds)


def _read_plan(study: Study, corpus: str, arm: str, seed: int, params: Params) -> dict[str, Any]:
    """Return the plan of a cell.

    Raises:
        UserError: If it was made with other parameters or data.
    """
    path = studies.plan_file(study.name, corpus, arm, seed)
    planned = artifacts.read_json(path)
    known = settings(params, adaptation_of(study, arm))
    now = {"settings": json.loads(json.dumps(known)), "data_sha256": data_sha256()}
    if planned["pattern"] is None:
        now["rules"] = params.rules.model_dump(mode="json")
    stale = [key for key, value in now.items() if planned.get(key) != value]
    if stale:
        raise UserError(
            f"{path} was planned with other {' and '.join(stale)}. Run `make study "
            f"NAME={study.name}`, which plans before it trains."
        )
    return planned


def adaptation_of(study: Study, arm: str) -> dict[str, Any] | None:
    """Return what decides the adapted encoder of an arm; None for an arm that is not adapted.

    Raises:
        UserError: If the unlabeled sentences are missing.
    """
    if study.adaptation is None or not study.arms[arm].adapted:
        return None
    if not paths.unlabeled().is_file():
        raise UserError(
            f"{paths.unlabeled()} does not exist. Run `make study NAME={study.name}`, which draws "
            f"the sentences that encoders are adapted on."
        )
    return {
        **study.adaptation.model_dump(mode="json"),
        "sentences_sha256": checksums.sha256(paths.unlabeled()),
    }


def _adapted(study: Study, corpus: str, arm: str, settings: dict[str, Any]) -> Adapted:
    """Return the encoder of an arm adapted to its pattern, from the cache if this machine made it.

    Every seed of the arm starts from the same one.

    Args:
        study: Its declaration.
        corpus: One of the study's.
        arm: One that is adapted.
        settings: See `adaptation_of`.
    """
    params, mode = study.params(arm), study.arms[arm].mode
    length, started = params.train.max_pieces, time.monotonic()
    pattern = pattern_for(mode, params.rules, settings["seed"], PatternData(params))
    held_out = read_split("selection", length).sentences
    sentences = adaptation.read_unlabeled(length)
    found = adaptation.adapted(params, pattern, settings, sentences, held_out, arm)
    if found.is_new:
        seconds = time.monotonic() - started
        note_seconds(studies.seconds_file(study.name, corpus), f"adapt-{arm}", seconds)
    return found


def _pattern(
    study: Study, corpus: str, arm: str, seed: int, params: Params, planned: dict[str, Any]
) -> Pattern:
    """Return the planned pattern; of a mode that needs attention weights, fit it now."""
    if planned["pattern"] is not None:
        return pattern_from_json(
            planned["pattern"], studies.plan_file(study.name, corpus, arm, seed)
        )
    source, source_mask, _ = _load_source(study, corpus, arm, seed, params)
    tagged = loop.read_splits(params, ("selection",), seed)["selection"].sentences
    used = mean_attention_by_tag_pair(source, source_mask, tagged)
    data = PatternData(params, attention=used)
    return pattern_for(study.arms[arm].mode, params.rules, seed, data)


def _load_source(
    study: Study, corpus: str, arm: str, seed: int, params: Params
) -> tuple[Any, Mask, str]:
    """Return the trained model that an arm needs, its pattern as a mask, and the arm's name.

    Raises:
        UserError: If it was not trained.
    """
    source = str(study.source_of(arm))
    folder = studies.weights_folder(study.name, corpus, source, seed)
    if not (folder / build.WEIGHTS).is_file():
        raise UserError(
            f"The arm {arm} needs the weights of {source}-{seed}, and {folder} does not hold them. "
            f"Run `make study NAME={study.name}`, which trains {source} first."
        )
    loaded = classifier.load(folder)
    return loaded.model, loaded.mask, source


def _evaluate(
    study: Study,
    corpus: str,
    arm: str,
    seed: int,
    params: Params,
    planned: dict[str, Any],
    folder: Path,
) -> None:
    """Write the predictions of another arm's weights under this arm's parameters."""
    device = loop.prepare(params)
    model, mask, source = _load_source(study, corpus, arm, seed, params)
    names = tuple(name for name in loop.predicted_splits(params) if name != loop.EXAMPLES)
    splits = loop.read_splits(params, names, seed)
    predictions = loop.predict_splits(model, mask, splits, params, names)
    trained = artifacts.read_json(studies.cell_folder(study.name, corpus, source, seed) / CELL)
    pattern = pattern_from_json(
        planned["pattern"], studies.plan_file(study.name, corpus, arm, seed)
    )
    content = {
        "arm": arm,
        "mode": pattern.mode,
        **identity(params, pattern, seed, device),
        "weights_of": source,
        "taken_from": None,
        "density": trained["density"],
        "summary": trained["summary"],
    }
    history = studies.cell_folder(study.name, corpus, source, seed) / "history.csv"
    with artifacts.atomic_folder(folder) as new:
        write_table(new / "predictions.parquet", predictions)
        shutil.copyfile(history, new / "history.csv")
        artifacts.write_json(new / CELL, content)


def equal_cell(decides: dict[str, Any], own: Path, with_weights: bool = False) -> Path | None:
    """Return the directory of a finished cell with this identity, from any study, or None.

    Args:
        decides: See `ggsa.training.identity`.
        own: The directory that the cell is for. What it holds is about to be replaced.
        with_weights: Only a cell whose weights were kept.
    """
    wanted = json.loads(json.dumps(decides))
    for folder in studies.finished_cells():
        content = artifacts.read_json(folder / CELL)
        whole = all((folder / file).is_file() for file in FILES)
        if folder == own or (with_weights and not (_weights_of(folder) / build.WEIGHTS).is_file()):
            continue
        if whole and not content["weights_of"] and content.items() >= wanted.items():
            return folder
    return None


def _weights_of(folder: Path) -> Path:
    """Return where the weights of a finished cell are if they were kept."""
    if paths.RUNS in folder.parents:
        return folder
    study, corpus, _, cell = folder.relative_to(paths.RESULTS).parts
    return paths.RUNS / f"{study}-{corpus}" / cell


def _take_up(source: Path, folder: Path, arm: str) -> None:
    """Copy an equal cell under the name of an arm."""
    content = artifacts.read_json(source / CELL)
    origin = content["taken_from"] or _name_of(source)
    predictions = pd.read_parquet(source / "predictions.parquet")
    with artifacts.atomic_folder(folder) as new:
        write_table(new / "predictions.parquet", _without_examples(predictions))
        shutil.copyfile(source / "history.csv", new / "history.csv")
        artifacts.write_json(new / CELL, {**content, "arm": arm, "taken_from": origin})


def _without_examples(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions that a study keeps; `core` also keeps those of the report's examples."""
    return predictions[predictions["split"] != loop.EXAMPLES]


def _name_of(folder: Path) -> str:
    """Return `study/corpus/cell` of a finished cell's directory; `core/cell` of one of core."""
    if paths.RUNS in folder.parents:
        return folder.relative_to(paths.RUNS).as_posix()
    return folder.relative_to(paths.RESULTS).as_posix().replace("/cells/", "/")
