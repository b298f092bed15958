"""A trained run as a Hugging Face folder: model, tokenizer and a model card."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined

from ggsa.cli import training_data
from ggsa.model import classifier
from ggsa.model.classifier import Classifier
from ggsa.patterns.modes import MODES
from ggsa.report import wording
from ggsa.workspace import artifacts, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.provenance import is_replication
from ggsa.workspace.tables import read_table

TEMPLATE = Path(__file__).with_name("model_card.md.j2")
EXAMPLE_TEXTS = [["not", "bad", "at", "all", "."]]
EXAMPLE_TAGS = [["PART", "ADJ", "ADP", "DET", "PUNCT"]]


def export(run: str | Path, folder: str | Path) -> Path:
    """Write a run as a folder that `ggsa.load` and transformers read, with a model card.

    Args:
        run: A trained run; see `classifier.find`.
        folder: New or empty.

    Returns:
        The folder.

    Raises:
        UserError: If the run cannot be loaded, the folder is not empty, or a file that the model
            card needs is missing.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(
            f"{target} is not empty. Expected a new or an empty folder: name another, or empty it."
        )
    model = classifier.load(run)
    text = card(model)
    classifier.save(target, model.model, model.tokenizer, model.max_pieces)
    provenance = training_data.provenance_of(model.folder)
    artifacts.write_json(target / training_data.PROVENANCE, provenance)
    artifacts.write_text(target / "README.md", text)
    return target


def card(model: Classifier) -> str:
    """Return the model card: data, protocol, results with intervals, limits and the rule table.

    Raises:
        UserError: If the run's tables are missing, or the data of this workspace are not those that
            it was trained on.
    """
    cell = artifacts.read_json(model.folder / "cell.json")
    mode, seed = cell["mode"], cell["seed"]
    provenance = training_data.provenance_of(model.folder)
    if provenance is None:
        raise UserError(
            f"{model.folder} was trained on other data than {paths.DATA.resolve()} holds, so the model card "
            f"cannot say on which. Run this in the project's folder, after `dvc checkout` or "
            f"`make repro`."
        )
    runs = read_table(paths.TABLES / "runs.csv", ("mode", "seed", "split", "accuracy"))
    own = runs[(runs["mode"] == mode) & (runs["seed"] == seed)]
    results = read_table(paths.TABLES / "results.csv", ("mode", "split"))
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        architecture=type(model.model).__name__,
        model_type=model.model.config.model_type,
        mode=mode,
        meaning=MODES[mode].allows,
        seed=seed,
        training=cell["summary"],
        corpus=wording.corpus_name(provenance),
        is_replication=is_replication(provenance),
        encoder=wording.encoder_name(provenance),
        tagger=provenance["tagger"]["name"],
        train_rows=provenance["corpus"]["rows"]["train"],
        substitutes=provenance["substitutes"],
        classes=model.classes,
        max_pieces=model.max_pieces,
        accuracies=[_accuracy(row) for row in own.itertuples()],
        seeds=_over_seeds(results, mode),
        rules=_rules(model),
        texts=json.dumps(EXAMPLE_TEXTS),
        tags=json.dumps(EXAMPLE_TAGS),
    )


def _accuracy(row: Any) -> dict[str, str]:
    return {
        "split": wording.split(row.split),
        "n": wording.count(row.n),
        "accuracy": wording.accuracy(row.accuracy),
        "interval": wording.interval(row.wilson_low, row.wilson_high),
    }


def _over_seeds(results: pd.DataFrame, mode: str) -> str:
    row = results[(results["mode"] == mode) & (results["split"] == "validation")].iloc[0]
    mean = f"{wording.accuracy(row.accuracy_mean)} over {wording.seeds(int(row.seeds))}"
    if row.prediction_low == row.prediction_high:
        return f"{mean}, the same with every seed"
    interval = wording.interval(row.prediction_low, row.prediction_high)
    return f"{mean} (95% interval for a new seed {interval})"


def _rules(model: Classifier) -> list[tuple[str, str]]:
    """Return for every tag the tags that it may attend to, or that it favors if none is blocked."""
    pattern = model.pattern
    table = pattern.allowed if not pattern.allowed.all() else pattern.bias > 0
    return [
        (query, ", ".join(key for key, listed in zip(pattern.tags, row, strict=True) if listed))
        for query, row in zip(pattern.tags, table, strict=True)
        if row.any()
    ]
