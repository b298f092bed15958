"""`params.yaml`, read and checked as a whole before any work starts.

Frozen models mirror the file block by block. There are no defaults here: the file shows everything.
Whatever is wrong (unknown keys, wrong types, impossible combinations) is collected and reported
together, each with its key, its value and what would be right.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from ggsa import modes, paths
from ggsa.errors import UserError
from ggsa.problems import described, names_a_type, unknown
from ggsa.vocabulary import UNIVERSAL_TAGS, parse_rule


def _known_mode(name: str) -> str:
    if name not in modes.names():
        raise ValueError(unknown(name, "mode", modes.names()))
    return name


Mode = Annotated[str, AfterValidator(_known_mode)]
Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Table = dict[str, tuple[str, ...]]


class Block(BaseModel):
    """A block of params.yaml: frozen, strict about types, with no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _lists_are_tuples(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


class Grid(Block):
    """Which cells are trained: every mode with every seed."""

    modes: Annotated[tuple[Mode, ...], Field(min_length=1)]
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], Field(min_length=1)]

    @field_validator("modes", "seeds")
    @classmethod
    def _no_repetition(cls, values: tuple) -> tuple:
        repeated = sorted({str(value) for value in values if values.count(value) > 1})
        if repeated:
            raise ValueError(f"{', '.join(repeated)} stands there twice; name each once")
        return values


class Protocol(Block):
    """What a protocol sets, key by key; each can be set alone instead."""

    keep_projections: bool
    select_on: Literal["selection", "validation"]
    use_leaking_rows: bool
    recipe: str
    evaluate_every: Count


AsProtocol = Literal["protocol"]
"""In place of a value: the one of the protocol in force."""


class Assets(Block):
    """Where corpus, tagger and encoder may come from."""

    source: Literal["auto", "hub", "mirror", "embedded"]
    mirror: str
    hub_timeout_seconds: Annotated[float, Field(gt=0, strict=False)]

    def mirror_folder(self) -> Path | None:
        """Return the mirror's folder, `$GGSA_MIRROR` first, or None where there is none."""
        folder = Path(os.environ.get("GGSA_MIRROR") or self.mirror).expanduser()
        return folder if folder.is_dir() else None


class Corpus(Block):
    """The sentences."""

    name: Literal["sst2", "probe", "imdb"]
    repository: str
    revision: str
    test_labels_repository: str
    reviews_repository: str
    reviews_revision: str
    selection_sentences: Count
    validation_reviews: Count
    seed: int
    limit: Annotated[int, Field(ge=8)] | None
    examples: Annotated[tuple[str, ...], Field(min_length=1)]

    @field_validator("examples")
    @classmethod
    def _examples_hold_words(cls, sentences: tuple[str, ...]) -> tuple[str, ...]:
        if any(not sentence.split() for sentence in sentences):
            raise ValueError("one of the sentences is empty; write words split by spaces")
        return sentences


class Tagger(Block):
    """The part-of-speech tagger."""

    language: str
    package: str
    gold: bool
    batch_size: Count
    workers: Annotated[int, Field(ge=1)] | Literal["auto"]


class Encoder(Block):
    """The model that is trained."""

    checkpoint: str
    revision: str | None
    initialisation: Literal["auto", "pretrained", "from_scratch"]
    layers: Count
    hidden: Count
    heads: Count
    feed_forward: Count
    positions: Annotated[int, Field(ge=8)]
    initializer_range: Annotated[float, Field(gt=0.0, le=1.0)]
    vocabulary: Annotated[int, Field(ge=200)]
    keep_projections: bool | AsProtocol

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> "Encoder":
        if self.hidden % self.heads:
            raise ValueError(
                f"hidden {self.hidden} cannot be split over heads {self.heads}; "
                f"take a multiple of {self.heads}"
            )
        return self


class CorpusRules(Block):
    """How `rules.source: corpus` derives its table."""

    score: Literal["pmi_adjacent", "pmi_near", "frequency"]
    density: Annotated[float, Field(gt=0.0, le=1.0, strict=False)]


class Rules(Block):
    """Which tag may attend which."""

    source: Literal["paper", "corpus"]
    self: bool
    cls_attends_all: bool
    soft_strength: Annotated[float, Field(ge=0.0, le=1000.0, strict=False)]
    drop: tuple[str, ...]
    add: tuple[str, ...]
    hard: Table
    soft_released: Table
    corpus: CorpusRules

    @field_validator("hard", "soft_released", mode="before")
    @classmethod
    def _rows_are_tuples(cls, table: Any) -> Any:
        if not isinstance(table, dict):
            return table
        return {tag: tuple(row) if isinstance(row, list) else row for tag, row in table.items()}

    @field_validator("hard", "soft_released")
    @classmethod
    def _known_tags(cls, table: Table) -> Table:
        wrong = [tag for row in table.items() for tag in (row[0], *row[1])]
        wrong = sorted({tag for tag in wrong if tag not in UNIVERSAL_TAGS})
        if wrong:
            raise ValueError(" ".join(unknown(tag, "tag", UNIVERSAL_TAGS) for tag in wrong))
        return table

    @field_validator("drop", "add")
    @classmethod
    def _known_rules(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        problems = []
        for rule in rules:
            try:
                tags = parse_rule(rule)
            except ValueError as error:
                problems.append(str(error))
                continue
            problems += [
                f"in the rule {rule}, {unknown(tag, 'tag', UNIVERSAL_TAGS)}"
                for tag in tags
                if tag not in UNIVERSAL_TAGS
            ]
        if problems:
            raise ValueError(" ".join(problems))
        return rules

    @model_validator(mode="after")
    def _dropped_rules_exist(self) -> "Rules":
        both = sorted(set(self.drop) & set(self.add))
        if both:
            raise ValueError(f"{', '.join(both)} is both dropped and added; choose one")
        if self.source == "paper":
            rules = {f"{query}->{key}" for query, row in self.hard.items() for key in row}
            if self.self:
                rules |= {f"{tag}->{tag}" for tag in UNIVERSAL_TAGS}
            absent = [rule for rule in self.drop if rule not in rules]
            if absent:
                raise ValueError(
                    f"drop names {', '.join(absent)}, which is no rule of the hard table; "
                    f"its rules stand under rules.hard, e.g. {min(rules)}"
                )
        return self


class Attention(Block):
    """How attention is computed; whatever is chosen, the results differ by rounding alone."""

    implementation: Literal["auto", "dense", "grouped", "flex"]


class Recipe(Block):
    """How a model is optimised; the same for every mode of a comparison."""

    batch_size: Count
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)]
    epochs: Count
    warmup_steps: Annotated[int, Field(ge=0)]
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0, strict=False)]
    clip_norm: Annotated[float, Field(gt=0.0, strict=False)]
    dropout: Annotated[Fraction, Field(strict=False)]
    attention_dropout: Annotated[Fraction, Field(strict=False)]


class Train(Block):
    """How each cell is trained."""

    recipe: str
    select_on: Literal["selection", "validation", "protocol"]
    use_leaking_rows: bool | AsProtocol
    max_pieces: Annotated[int, Field(ge=3)]
    device: Literal["auto", "cpu", "cuda", "mps"]
    token_masking: Annotated[Fraction, Field(strict=False)]
    corrupted_tags: Annotated[Fraction, Field(strict=False)]
    precision: Literal["auto", "float32", "bfloat16"]
    threads: Annotated[int, Field(ge=1)] | Literal["auto"]
    evaluate_every: Count | AsProtocol
    recipes: dict[str, Recipe]

    def absent_recipes(self, recipe: str) -> list[str]:
        """Return the recipes that a name stands for and that are not there."""
        needed = ("from_scratch", "pretrained", "probe") if recipe == "auto" else (recipe,)
        return [name for name in needed if name not in self.recipes]


class Evaluate(Block):
    """What is computed over the finished cells."""

    equivalence_margin_points: Annotated[float, Field(gt=0.0, strict=False)]
    bootstrap_samples: Annotated[int, Field(ge=100)]
    seed: int
    cost_lengths: Annotated[tuple[Count, ...], Field(min_length=1)]


class Report(Block):
    """How the report is rendered."""

    figure_dpi: Annotated[int, Field(ge=50, le=600)]
    timeout_seconds: Count


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


def load(path: Path = paths.PARAMS, overrides: Mapping[str, Any] | None = None) -> Params:
    """Return the checked parameters.

    Args:
        path: The file.
        overrides: Values that a study sets in place of the file's, by dotted key.

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
    source = f"{path} as a study changes it" if overrides else str(path)
    for key, value in (overrides or {}).items():
        _override(content, key, value, source)
    return parse(content, source)


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


def parse(content: Any, source: str = "params.yaml") -> Params:
    """Return checked parameters from plain YAML content; see `load`."""
    if not isinstance(content, dict):
        raise UserError(f"{source} must hold the blocks {', '.join(Params.model_fields)}.")
    try:
        return Params.model_validate(content).with_protocol()
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
