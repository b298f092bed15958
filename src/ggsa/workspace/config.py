"""`params.yaml`, read and checked as a whole before any work starts.

Frozen models mirror the file block by block (`ggsa.workspace.blocks`). All problems (unknown keys,
wrong types, impossible combinations) are reported together, each with its key, its value and what
was expected.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import Field, ValidationError, model_validator
from ruamel.yaml import YAML, YAMLError

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
from ggsa.workspace.errors import UserError, unknown

LIMITS = {
    **{"gt": "> {:.10g}", "ge": ">= {:.10g}", "lt": "< {:.10g}", "le": "<= {:.10g}"},
    "min_length": "with {} or more entries",
}
"""Attribute of a pydantic limit -> its wording."""


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
                f"found {', '.join(self.train.recipes) or 'none'}"
            )
        return self

    def with_protocol(self) -> "Params":
        """Return the parameters with every value `protocol` replaced by the active protocol's."""
        values = self.protocols[self.protocol].model_dump()
        encoder_keys = {"keep_projections"}  # encoder.checkpoint is not the protocol's checkpoint
        blocks = {
            name: block.model_copy(
                update={key: values[key] for key in keys if getattr(block, key) == "protocol"}
            )
            for name, block, keys in (
                ("encoder", self.encoder, encoder_keys),
                ("train", self.train, {*values} - encoder_keys),
            )
        }
        return self.model_copy(update=blocks)

    @model_validator(mode="after")
    def _sentences_do_not_leak(self) -> "Params":
        leaking = self.train.use_leaking_rows
        if leaking == "protocol":
            leaking = self.protocols[self.protocol].use_leaking_rows
        if leaking and self.train.rows == "sentences":
            raise ValueError(
                "train.rows sentences never includes the sentences of the selection split, but "
                "train.use_leaking_rows is true; set it to false, or train.rows to all"
            )
        return self

    @model_validator(mode="after")
    def _pieces_fit_the_positions(self) -> "Params":
        if self.train.max_pieces > self.encoder.positions:
            raise ValueError(
                f"train.max_pieces {self.train.max_pieces} exceeds encoder.positions "
                f"{self.encoder.positions}; lower the first or raise the second"
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
        overrides: Values that replace the file's, by dotted key.
        known: The registered names of each `mode` and `corpus`. Without them any name passes here,
            and using an unknown one raises the error.

    Raises:
        UserError: If the file is missing, is not YAML, or is wrong; the message lists every
            problem.
    """
    content = read_yaml(path, "Run this from the root of the repository.")
    source = f"{path} with the requested changes" if overrides else str(path)
    for key, value in (overrides or {}).items():
        _override(content, key, value, source)
    return parse(content, source, known)


def read_yaml(path: Path, remedy: str) -> Any:
    """Return the content of a YAML file that a user edits; see `parse_yaml`.

    Args:
        path: The file.
        remedy: What to do if it does not exist, as a sentence.

    Raises:
        UserError: If the file does not exist, is not text or is not YAML.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{path.resolve()} does not exist. {remedy}") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}). {remedy}") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text: byte {error.start} is "
            f"0x{error.object[error.start]:02x}. Save it as UTF-8."
        ) from error
    return parse_yaml(text, path)


def parse_yaml(text: str, source: Path | str) -> Any:
    """Return the content of YAML 1.2, read as DVC reads it.

    `2e-5` is a number and `yes` is text there. YAML 1.1, which PyYAML reads, has them the other way
    round, so a value that DVC writes into params.yaml would change.

    Raises:
        UserError: If the text is not YAML or a key appears twice; names the source.
    """
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(
            f"{source}{place}: not valid YAML ({problem}). Fix the indentation, brackets or "
            f"quotation marks there; a key may appear only once."
        ) from error


def base_overrides(base: str) -> dict[str, Any]:
    """Return what a base of studies/assets/params.yaml changes in params.yaml, by dotted key.

    Raises:
        UserError: If the base is unknown.
    """
    path = paths.STUDIES / "assets" / "params.yaml"
    bases = read_yaml(path, "Restore it from Git.")["bases"]
    if base not in bases:
        raise UserError(f"{path}: {unknown(base, 'base', [*bases])}")
    return dict(bases[base])


def _override(content: Any, key: str, value: Any, source: str) -> None:
    """Set a dotted key of plain YAML content; `parse` reports a key that the models lack.

    Raises:
        UserError: If a part of the key is a value and so cannot hold keys.
    """
    *steps, last = key.split(".")
    for depth, step in enumerate((*steps, last)):
        if not isinstance(content, dict):
            parent = ".".join(steps[:depth]) or "the file"
            raise UserError(
                f"{source} has one problem; nothing was run.\n"
                f"  {key}: expected {parent} to hold keys, got {_yaml(content)}."
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
        raise UserError(
            f"{source}: expected the blocks {', '.join(Params.model_fields)}, got {_yaml(content)}."
        )
    try:
        return Params.model_validate(content, context=known).with_protocol()
    except ValidationError as error:
        problems = _problems(error)
        count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
        listing = "\n".join(f"  {problem}" for problem in problems)
        raise UserError(f"{source} has {count}; nothing was run.\n{listing}") from error


def _problems(error: ValidationError) -> list[str]:
    """Return one sentence per problem: the key, what was expected and what was found."""
    sentences = []
    for problem in error.errors():
        key, kind = _locate(problem["loc"])
        match problem["type"]:
            case "too_short" if problem["input"]:
                continue  # the list is not empty, and each of its wrong items is reported
            case "value_error":
                text = str(problem["ctx"]["error"])
            case "extra_forbidden":
                _, block = _locate(problem["loc"][:-1])
                text = unknown(str(problem["loc"][-1]), "key", block.model_fields)
            case "missing":
                text = "missing key. Write every key, as in the committed params.yaml"
            case _:
                text = f"expected {_listed(_alternatives(kind))}, got {_yaml(problem['input'])}"
        sentences.append(f"{key}: ".removeprefix(": ") + text.removesuffix(".") + ".")
    return [*dict.fromkeys(sentences)]  # each type of a union has an error, all of one wording


def _locate(location: Sequence[int | str]) -> tuple[str, Any]:
    """Return the dotted key at a location that pydantic reports, and the type that it must have."""
    key, kind = "", Params
    for step in location:
        plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
        if get_origin(plain) is tuple:
            key, kind = f"{key}[{step}]", get_args(plain)[0]
        elif get_origin(plain) is dict:
            key, kind = f"{key}.{step}", get_args(plain)[1]
        elif isinstance(plain, type) and issubclass(plain, Block):
            key, kind = f"{key}.{step}", get_type_hints(plain, include_extras=True).get(step)
        else:
            break  # the step names a type of a union, not a key
    return key.removeprefix("."), kind


def _alternatives(kind: Any, *limits: Any) -> list[str]:
    """Return what may be written for a type: `an integer >= 1`, `"auto"`, `null`."""
    inner = get_args(kind)
    if get_origin(kind) is Annotated:
        return _alternatives(inner[0], *limits, *inner[1:])
    if get_origin(kind) in (Union, UnionType):
        return [text for member in inner for text in _alternatives(member)]
    if get_origin(kind) is Literal:
        return [_yaml(choice) for choice in inner]
    if kind is bool:
        return ["true", "false"]
    names = {int: "an integer", float: "a number", str: "text", NoneType: "null", tuple: "a list"}
    name = names.get(get_origin(kind) or kind, "a mapping")
    bounds = [
        text.format(getattr(limit, attribute))
        for field in limits
        for limit in getattr(field, "metadata", ())
        for attribute, text in LIMITS.items()
        if hasattr(limit, attribute)
    ]
    return [" ".join([name, " and ".join(bounds)]).strip()]


def _listed(texts: Sequence[str]) -> str:
    """Return texts joined with commas and a final `or`."""
    *others, last = texts
    return f"{', '.join(others)} or {last}" if others else last


def _yaml(value: Any) -> str:
    """Return a value as it would be written in YAML, on one line."""
    return json.dumps(value, ensure_ascii=False, default=str)
