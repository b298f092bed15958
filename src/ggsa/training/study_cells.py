"""The cells of a study: planned, taken up or trained, and written.

`plan` fixes the settings, data and pattern of every cell in one file, and a cell depends on that
file alone: a refactoring, or a parameter that a cell does not use, does not retrain it.
"""

import dataclasses
import json
import shutil
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
from ggsa.training import adaptation, loop, studies
from ggsa.training.adaptation import Adapted
from ggsa.training.cell import CELL, FILES, note_seconds, save_weights, write_cell
from ggsa.training.identity import data_sha256, identity, settings
from ggsa.training.studies import Study
from ggsa.workspace import artifacts, checksums, paths
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.provenance import read_provenance
from ggsa.workspace.tables import write_table


def plan(name: str, corpus: str) -> None:
    """Write the plan of every cell of a study on a corpus, and remove those of other cells.

    Raises:
        UserError: If the study is wrong, or the assets are not those of the corpus.
    """
    study = studies.load(name)
    _require_corpus(corpus)
    data, written = data_sha256(), set()
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
        path = studies.plan_file(name, corpus, arm, seed)
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        artifacts.write_text(path, text + "\n")
        written.add(path)
    for path in (studies.results(name, corpus) / "plan").glob("*.json"):
        if path not in written:
            path.unlink()


def _require_corpus(corpus: str) -> None:
    """Check that the workspace holds the corpus that the results will be named after.

    Raises:
        UserError: If it holds another one, such as a substitute.
    """
    name = read_provenance()["corpus"]["name"]
    if name != corpus:
        raise UserError(
            f"{paths.CORPUS} holds the corpus {name}, and the study needs {corpus}; nothing was run. "
            f"Obtain {corpus} (see assets.source), or run the study on {name}."
        )


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
        _evaluate(study, corpus, arm, seed, params, planned, folder)
        return
    pattern = _pattern(study, corpus, arm, seed, params, planned)
    device = loop.prepare(params)
    keeps_weights = arm in study.sources(corpus)
    decides = identity(params, pattern, seed, device, adaptation_of(study, arm))
    equal = equal_cell(decides, with_weights=keeps_weights)
    if equal:
        if keeps_weights:
            target = studies.weights_folder(name, corpus, arm, seed)
            shutil.copytree(_weights_of(equal), target, dirs_exist_ok=True)
        _take_up(equal, folder, arm)
        return
    wanted = decides["settings"].get("adaptation")
    start = _adapted(study, corpus, arm, wanted) if wanted else None
    started = time.monotonic()
    cell = loop.train(
        params, pattern, seed, f"{arm}-{seed}", f"{name}-{corpus}",
        loop.Start(start.folder, wanted) if start else None,
    )  # fmt: skip
    if start:
        cell = dataclasses.replace(cell, summary={**cell.summary, **start.distances})
    if keeps_weights:
        save_weights(studies.weights_folder(name, corpus, arm, seed), cell, params)
    cell = dataclasses.replace(cell, predictions=_without_examples(cell.predictions))
    write_cell(folder, arm, pattern, cell, params)
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
    write_table(folder / "predictions.parquet", predictions)
    shutil.copyfile(
        studies.cell_folder(study.name, corpus, source, seed) / "history.csv",
        folder / "history.csv",
    )
    artifacts.write_json(folder / CELL, content)


def equal_cell(decides: dict[str, Any], with_weights: bool = False) -> Path | None:
    """Return the directory of a finished cell with this identity, from any study, or None.

    Args:
        decides: See `ggsa.training.identity`.
        with_weights: Only a cell whose weights were kept.
    """
    wanted = json.loads(json.dumps(decides))
    for folder in studies.finished_cells():
        content = artifacts.read_json(folder / CELL)
        whole = all((folder / file).is_file() for file in FILES)
        if with_weights and not (_weights_of(folder) / build.WEIGHTS).is_file():
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
    write_table(folder / "predictions.parquet", _without_examples(predictions))
    shutil.copyfile(source / "history.csv", folder / "history.csv")
    artifacts.write_json(folder / CELL, {**content, "arm": arm, "taken_from": origin})


def _without_examples(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions that a study keeps; `core` also keeps those of the report's examples."""
    return predictions[predictions["split"] != loop.EXAMPLES]


def _name_of(folder: Path) -> str:
    """Return `study/corpus/cell` of a finished cell's directory; `core/cell` of one of core."""
    if paths.RUNS in folder.parents:
        return folder.relative_to(paths.RUNS).as_posix()
    return folder.relative_to(paths.RESULTS).as_posix().replace("/cells/", "/")
