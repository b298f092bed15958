"""The plan of a study, and the training of its cells.

`plan` fixes for every cell its pattern and its settings in one file, and a cell depends on that
file and on the provenance of its data alone. A parameter that a cell does not use, or a
refactoring, does not make hours of training void; each cell records which code trained it.
"""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from transformers import AutoModelForSequenceClassification

from ggsa.evaluation.outcomes import SCORED_SPLITS
from ggsa.model.attention import Mask
from ggsa.patterns import controls
from ggsa.patterns.modes import MODES, PatternData, pattern_for
from ggsa.patterns.pattern import Pattern, pattern_as_json, pattern_from_json, read_pattern
from ggsa.tagging.splits import tagged_splits
from ggsa.training import loop
from ggsa.training.studies import cell_file, load, plan_file, results
from ggsa.workspace import artifacts, paths
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import read_table, write_table

UNSTORED_SPLITS = ("examples",)
MODULES = (
    *("alignment", "attention", "batches", "corruption", "encoder", "optimization"),
    *("patterns", "positional", "training", "vocabulary_subset"),
)
"""The modules that decide what a trained cell predicts."""


def plan(name: str, corpus: str) -> None:
    """Write the plan of every cell of a study on a corpus, and the density of each.

    Raises:
        UserError: If the study or a needed file is wrong.
    """
    study = load(name)
    _require_corpus(corpus)
    folder = results(name, corpus) / "plan"
    rows = []
    for arm, seed in study.cells(corpus):
        params = study.params(arm)
        pattern = _pattern(study.mode(arm), params, seed)
        content = {
            "arm": arm,
            "seed": seed,
            "settings": settings(params),
            "pattern": pattern_as_json(pattern),
        }
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        artifacts.write_text(plan_file(name, corpus, arm, seed), text + "\n")
        sentences = tagged_splits(params.train.max_pieces)
        rows += [
            {
                "arm": arm,
                "seed": seed,
                "split": split,
                "density": controls.density(pattern, tagged),
            }
            for split, tagged in sentences.items()
        ]
    write_table(folder / "density.csv", pd.DataFrame(rows))
    expected = {plan_file(name, corpus, arm, seed).name for arm, seed in study.cells(corpus)}
    for stale in folder.glob("*.json"):
        if stale.name not in expected:
            stale.unlink()


def _require_corpus(corpus: str) -> None:
    """Refuse to plan on another corpus than the one that results will be named after.

    A cell needs its plan, so that nothing is trained either.

    Raises:
        UserError: If a substitute stands in the place of the corpus.
    """
    there = artifacts.read_json(paths.provenance())["corpus"]["name"]
    if there != corpus:
        raise UserError(
            f"{paths.CORPUS} holds {there}, and the study asks for {corpus}: nothing was run. Obtain "
            f"{corpus} (assets in params.yaml: the Hub, or a mirror), or choose CORPUS=probe."
        )


def settings(params: Params) -> dict[str, Any]:
    """Return everything but the pattern, the seed and the data that decides a cell."""
    train = params.train.model_dump()
    recipe = loop.recipe_for(params)
    for name in ("device", "threads", "recipes", "recipe"):
        train.pop(name)
    return {
        **train,
        "recipe": recipe,
        **{f"recipe_{key}": value for key, value in params.train.recipes[recipe]},
        "keep_projections": params.encoder.keep_projections,
    }


def _pattern(mode: str, params: Params, seed: int) -> Pattern:
    """Return the pattern of a cell."""
    attention = None
    if mode in MODES and "attention" in MODES[mode].needs:
        corpus = artifacts.read_json(paths.provenance())["corpus"]["name"]
        used = paths.interpretability(corpus) / "attention_selection.csv"
        table = read_table(used, ("seed", "query_tag", "key_tag", "weight_per_pair"))
        attention = table[table["seed"] == seed]
    return pattern_for(mode, params.rules, seed, PatternData(params, attention))


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
    pattern = pattern_from_json(content["pattern"], path)
    cell = loop.trained(params, pattern, seed, f"{arm}-{seed}", f"{name}-{corpus}")
    predictions = cell.predictions[~cell.predictions["split"].isin(UNSTORED_SPLITS)]
    target = cell_file(name, corpus, arm, seed)
    write_table(target, predictions)
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


# A cell that is only read again.


def misread_cells(name: str, corpus: str) -> None:
    """Let the core study's models predict from the tags of each arm, and keep the predictions.

    Raises:
        UserError: If a model of the core study is missing.
    """
    study = load(name)
    for arm, seed in study.cells(corpus):
        params, mode = study.params(arm), study.mode(arm)
        folder = paths.cell("core", mode, seed)
        if not (folder / "config.json").is_file():
            raise UserError(f"{folder} holds no model. Run `dvc repro train` (or `dvc pull`).")
        pattern = read_pattern(paths.rule_table(mode))
        model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        mask = Mask(pattern, torch.device("cpu"))
        tables = []
        for split in SCORED_SPLITS:
            read = loop.read_splits(params, (split,), seed)[split]
            logits = list(loop.predict(model, mask, read, params))
            columns = {"split": split, "id": read.ids, "label": read.labels, "logits": logits}
            tables.append(pd.DataFrame(columns))
        target = cell_file(name, corpus, arm, seed)
        write_table(target, pd.concat(tables))
        summary = {"arm": arm, "mode": mode, "seed": seed, "code_sha256": code_sha256()}
        artifacts.write_json(target.with_suffix(".json"), summary)


def code_sha256() -> str:
    """Return a digest of the modules that decide what a cell predicts."""
    digest = hashlib.sha256()
    source = Path(__file__).parent
    for module in MODULES:
        for path in sorted(source.glob(f"{module}/*.py")) or [source / f"{module}.py"]:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _note_seconds(name: str, corpus: str, cell: str, seconds: float) -> None:
    """Add a line to what the study took; kept beside the results, outside of DVC."""
    path = results(name, corpus) / "seconds.csv"
    if not path.exists():
        artifacts.write_text(path, "cell,seconds\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{cell},{seconds:.0f}\n")
