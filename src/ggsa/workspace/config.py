"""`params.yaml`, read and checked as a whole before any work starts.

Frozen models mirror the file block by block (`ggsa.workspace.blocks`). Whatever is wrong (unknown keys, wrong
types, impossible combinations) is collected and reported together, each with its key, its value and
what would be right.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, model_validator

from ggsa.workspace import paths
from ggsa.workspace.blocks import (
    Assets,
    Attention,
    Block,
    Corpus,
    Encoder,
    Evaluate,
    Grid,
    Protocol,
    Report,
    Rules,
    Tagger,
    Train,
)
from ggsa.workspace.errors import UserError
from ggsa.workspace.problems import described, names_a_type, unknown


class Params(Block):
    """The whole of params.yaml."""

    grid: Grid
    protocol: str
    protocols: Annotated[dict[str, Protocol], Field(min_length=1)]
    assets: Assets
    corpus: Corpus
    tagger: Tagger
    encoder: Encoder
    rules: Rules
    attention: Attention
    train: Train
    evaluate: Evaluate
    report: Report

    @model_validator(mode="after")
    def _protocol_and_recipe_exist(self) -> "Params":
        if self.protocol not in self.protocols:
            raise ValueError(f"protocol: {unknown(self.protocol, 'protocol', [*self.protocols])}")
        recipe = self.train.recipe
        if recipe == "protocol":
            recipe = self.protocols[self.protocol].recipe
        absent = self.train.absent_recipes(recipe)
        if absent:
            raise ValueError(
                f"recipe {recipe} needs {', '.join(absent)} under train.recipes; "
                f"there are {', '.join(self.train.recipes) or 'none'}"
            )
        return self

    def with_protocol(self) -> "Params":
        """Return the parameters with every `protocol` replaced by what the protocol says."""
        said = self.protocols[self.protocol]
        blocks = {
            name: block.model_copy(
                update={
                    key: getattr(said, key)
                    for key in type(block).model_fields
                    if key in Protocol.model_fields and getattr(block, key) == "protocol"
                }
            )
            for name, block in (("encoder", self.encoder), ("train", self.train))
        }
        return self.model_copy(update=blocks)

    @model_validator(mode="after")
    def _pieces_fit_the_positions(self) -> "Params":
        if self.train.max_pieces > self.encoder.positions:
            raise ValueError(
                f"train.max_pieces {self.train.max_pieces} exceeds encoder.positions "
                f"{self.encoder.positions}; lower the one or raise the other"
            )
        return self


def load(
    path: Path = paths.PARAMS,
    overrides: Mapping[str, Any] | None = None,
    known: Mapping[str, Collection[str]] | None = None,
) -> Params:
    """Return the checked parameters.

    Args:
        path: The file.
        overrides: Values that a study sets in place of the file's, by dotted key.
        known: The registered names of `mode` and `corpus`. The packages that register them are not
            imported here, so without them any name passes, and its use raises the error.

    Raises:
        UserError: If the file is missing, is not YAML, or anything in it is wrong; every problem
            is listed, with its key, its value and the remedy.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist. Run from the root of the repository.") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from error
    source = f"{path} with the changes asked for" if overrides else str(path)
    for key, value in (overrides or {}).items():
        _override(content, key, value, source)
    return parse(content, source, known)


def base_overrides(base: str) -> dict[str, Any]:
    """Return what a base of studies/assets/params.yaml changes in the root params.yaml.

    Raises:
        UserError: If there is no such base.
    """
    path = paths.STUDIES / "assets" / "params.yaml"
    bases = yaml.safe_load(path.read_text(encoding="utf-8"))["bases"]
    if base not in bases:
        raise UserError(f"{path}: {unknown(base, 'base', [*bases])}")
    return dict(bases[base])


def _override(content: Any, key: str, value: Any, source: str) -> None:
    """Set a dotted key of plain YAML content; a key that is not there is left to the checks.

    Raises:
        UserError: If the key goes on beneath something that has no keys.
    """
    *steps, last = key.split(".")
    for depth, step in enumerate((*steps, last)):
        if not isinstance(content, dict):
            above = ".".join(steps[:depth]) or "the file"
            raise UserError(
                f"{source} has one problem; nothing was run.\n  {key}: {above} has no keys beneath "
                f"it; there stands {content!r}."
            )
        if depth < len(steps):
            content = content.setdefault(step, {})
    content[last] = value


def parse(
    content: Any,
    source: str = "params.yaml",
    known: Mapping[str, Collection[str]] | None = None,
) -> Params:
    """Return checked parameters from plain YAML content; see `load`."""
    if not isinstance(content, dict):
        raise UserError(f"{source} must hold the blocks {', '.join(Params.model_fields)}.")
    try:
        return Params.model_validate(content, context=known).with_protocol()
    except ValidationError as error:
        by_key: dict[tuple, list] = {}
        for problem in error.errors():
            if problem["type"] == "too_short" and problem["input"]:
                continue  # not empty: its items are wrong, and each of them is listed
            steps = [step for step in problem["loc"] if not names_a_type(step)]
            by_key.setdefault((*steps, problem["type"] == "value_error"), []).append(problem)
        problems = [described(found, content, Params) for found in by_key.values()]
        count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
        listing = "\n".join(f"  {problem}" for problem in problems)
        raise UserError(f"{source} has {count}; nothing was run.\n{listing}") from error
