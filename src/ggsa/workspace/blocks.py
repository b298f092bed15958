"""The blocks of `params.yaml`, one frozen model each; `ggsa.workspace.config` puts them together.

There are no defaults here: the file shows everything. What is wrong within a block is found here,
with its value and what would be right; what two blocks make impossible together, in `ggsa.workspace.config`.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ggsa.workspace import paths
from ggsa.workspace.problems import unknown
from ggsa.workspace.vocabulary import UNIVERSAL_TAGS, parse_rule


def _known(kind: str) -> AfterValidator:
    """Return a check against the names of a registry, where the validation context has them."""

    def check(name: str, info: ValidationInfo) -> str:
        names = (info.context or {}).get(kind)
        if names is not None and name not in names:
            raise ValueError(unknown(name, kind, names))
        return name

    return AfterValidator(check)


Mode = Annotated[str, _known("mode")]
Count = Annotated[int, Field(ge=1)]
CORPUS_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
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
    checkpoint: Literal["last", "best"]
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


def watched(path: str) -> bool:
    """Return whether a path lies in the folder on which the download stage depends."""
    parts = Path(path).parts
    return parts[:1] == paths.CORPORA.parts and ".." not in parts


class Files(Block):
    """The user's own sentences, under `corpus.name: files`."""

    train: str | None
    validation: str | None
    test: str | None
    held_out: Annotated[float, Field(gt=0.0, lt=0.5)]
    text: str | None
    words: str | None
    label: str

    def paths(self) -> dict[str, str]:
        """Return the file of every split that has one."""
        named = {split: getattr(self, split) for split in ("train", "validation", "test")}
        return {split: path for split, path in named.items() if path is not None}

    def problems(self) -> list[str]:
        """Return what keeps the block from naming a corpus; nothing of it matters to the others."""
        found = []
        if self.train is None:
            found.append(
                f"corpus.files.train is null; name a file beneath {paths.CORPORA}/, for example "
                f"{paths.CORPORA}/mine/train.csv"
            )
        for split, path in self.paths().items():
            if not watched(path):
                found.append(
                    f"corpus.files.{split} is {path}; it must lie beneath {paths.CORPORA}/, the "
                    f"folder that is watched for changes"
                )
            if Path(path).suffix.lower() not in CORPUS_ENDINGS:
                found.append(
                    f"corpus.files.{split} is {path}; its ending must be one of "
                    f"{', '.join(CORPUS_ENDINGS)}"
                )
        if (self.text is None) == (self.words is None):
            both, link = ("neither", "nor") if self.text is None else ("both", "and")
            found.append(
                f"{both} corpus.files.text {link} corpus.files.words is given; name the column of "
                f"one and set the other to null"
            )
        return found


class Corpus(Block):
    """The sentences."""

    name: Annotated[str, _known("corpus")]
    files: Files
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

    @model_validator(mode="after")
    def _files_are_named(self) -> "Corpus":
        problems = self.files.problems() if self.name == "files" else []
        if problems:
            raise ValueError("; ".join(problems))
        return self


class Tagger(Block):
    """The part-of-speech tagger."""

    language: str
    package: str
    mapping: dict[str, str]
    gold: bool
    batch_size: Count
    workers: Annotated[int, Field(ge=1)] | Literal["auto"]

    @field_validator("package")
    @classmethod
    def _file_is_watched(cls, package: str) -> str:
        if package.endswith(".pt") and not watched(package):
            raise ValueError(
                f"{package} is a file; it must lie beneath {paths.CORPORA}/, the folder that is "
                f"watched for changes"
            )
        return package

    @field_validator("mapping")
    @classmethod
    def _known_tags(cls, mapping: dict[str, str]) -> dict[str, str]:
        wrong = [(own, tag) for own, tag in mapping.items() if tag not in UNIVERSAL_TAGS]
        if wrong:
            raise ValueError(
                " ".join(f"of {own}, {unknown(tag, 'tag', UNIVERSAL_TAGS)}" for own, tag in wrong)
            )
        return mapping


class Encoder(Block):
    """The model that is trained."""

    checkpoint: str
    revision: str | None
    initialization: Literal["auto", "pretrained", "from_scratch"]
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
                    f"its rules stand under rules.hard, e.g. {_example(self.hard)}, and of each tag "
                    f"its own, e.g. NOUN->NOUN, where rules.self is true"
                )
        return self


class Attention(Block):
    """How attention is computed; whatever is chosen, the results differ by rounding alone."""

    implementation: Literal["auto", "dense", "grouped"]


class Recipe(Block):
    """How a model is optimized; the same for every mode of a comparison."""

    batch_size: Count
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)]
    epochs: Count
    warmup: Annotated[int, Field(ge=1)] | Annotated[float, Field(ge=0.0, lt=1.0, strict=False)]
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0, strict=False)]
    clip_norm: Annotated[float, Field(gt=0.0, strict=False)]
    dropout: Annotated[Fraction, Field(strict=False)]
    attention_dropout: Annotated[Fraction, Field(strict=False)]

    def warmup_steps(self, total: int) -> int:
        """Return the steps of warm-up: a share of all steps, or a number of them, at most half."""
        steps = self.warmup if isinstance(self.warmup, int) else round(self.warmup * total)
        return min(steps, total // 2)


class Train(Block):
    """How each cell is trained."""

    recipe: str
    checkpoint: Literal["last", "best", "protocol"]
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


def _example(table: Table) -> str:
    """Return a rule of a table."""
    query, row = next((item for item in table.items() if item[1]), ("ADJ", ("NOUN",)))
    return f"{query}->{row[0]}"
