"""A trained cell as a directory, and the cells of the core study."""

import time
from pathlib import Path

from ggsa.model import classifier
from ggsa.patterns.density import density
from ggsa.patterns.pattern import Pattern, read_pattern
from ggsa.tagging.alignment import tokenizer as load_tokenizer
from ggsa.tagging.splits import tagged_splits
from ggsa.training import distributed, loop
from ggsa.workspace import artifacts, paths
from ggsa.workspace.config import Params
from ggsa.workspace.tables import write_table

CELL = "cell.json"
FILES = ("predictions.parquet", "history.csv", CELL)
"""What a cell keeps; core, and cells that others need, also keep their weights."""


def train_core_cell(params: Params, mode: str, seed: int) -> None:
    """Train one mode of the core study with one seed and write its directory, weights included.

    Raises:
        UserError: See `ggsa.training.loop.train`.
    """
    started = time.monotonic()
    pattern, name = read_pattern(paths.rule_table(mode)), f"{mode}-{seed}"
    cell = loop.train(params, pattern, seed, name, paths.CORE)
    if not distributed.is_first():
        return
    folder = paths.cell(paths.CORE, mode, seed)
    save_weights(folder, cell, params)
    write_cell(folder, mode, pattern, cell, params)
    cell.checkpoint.unlink(missing_ok=True)
    note_seconds(paths.CORE_SECONDS, name, time.monotonic() - started)


def save_weights(folder: Path, cell: loop.Cell, params: Params) -> None:
    """Write a cell's model, tokenizer and pattern."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = load_tokenizer(paths.ENCODER)
    classifier.save(folder, cell.model, tokenizer, params.train.max_pieces)


def write_cell(
    folder: Path,
    arm: str,
    pattern: Pattern,
    cell: loop.Cell,
    params: Params,
) -> None:
    """Write predictions, history and, last, cell.json: a cell that has it is whole.

    Args:
        folder: Of the cell.
        arm: Its name in the study.
        pattern: Under which it was trained.
        cell: What training returned.
        params: With which it was trained.
    """
    write_table(folder / "predictions.parquet", cell.predictions)
    write_table(folder / "history.csv", cell.history)
    tagged = tagged_splits(params.train.max_pieces, params.train.rows)
    content = {
        "arm": arm,
        "mode": pattern.mode,
        **cell.identity,
        "weights_of": None,
        "taken_from": None,
        "density": {name: density(pattern, sentences) for name, sentences in tagged.items()},
        "summary": cell.summary,
    }
    artifacts.write_json(folder / CELL, content)


def note_seconds(path: Path, cell: str, seconds: float) -> None:
    """Add a line to a file of seconds, which is no output of a stage."""
    if not path.exists():
        artifacts.write_text(path, "cell,seconds\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{cell},{seconds:.0f}\n")
