"""The blocks of `params.yaml`, one frozen model each; `ggsa.workspace.config` combines them.

There are no defaults: the file shows every value. A block checks itself; `ggsa.workspace.config`
checks what depends on two blocks.
"""

import os
import re
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
from ggsa.workspace.errors import unknown
from ggsa.workspace.vocabulary import UNIVERSAL_TAGS, parse_rule
from ggsa.workspace.words import SURROGATE, is_word


def _known(kind: str) -> AfterValidator:
    """Return a validator that rejects names missing from the validation context's `kind`, if any."""

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
    """A block of params.yaml: frozen, with strict types and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _lists_are_tuples(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


class Grid(Block):
    """The cells to train: every mode with every seed."""

    modes: Annotated[tuple[Mode, ...], Field(min_length=1)]
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**32)], ...], Field(min_length=1)]

    @field_validator("modes", "seeds")
    @classmethod
    def _no_repetition(cls, values: tuple) -> tuple:
        repeated = sorted({str(value) for value in values if values.count(value) > 1})
        if repeated:
            raise ValueError(f"{', '.join(repeated)} appears twice; list each once")
        return values


class Protocol(Block):
    """The values that a protocol gives to keys of other blocks; each key can be set alone."""

    keep_projections: bool
    checkpoint: Literal["last", "best"]
    select_on: Literal["selection", "validation"]
    use_leaking_rows: bool
    recipe: str
    evaluate_every: Count


AsProtocol = Literal["protocol"]
"""Written in place of a value: take the active protocol's."""


class Assets(Block):
    """Where corpus, tagger and encoder come from."""

    source: Literal["auto", "hub", "mirror", "embedded"]
    mirror: str
    hub_timeout_seconds: Annotated[float, Field(gt=0, strict=False)]

    def mirror_folder(self) -> Path | None:
        """Return `$GGSA_MIRROR`, else the mirror of the file; None if it is not a folder."""
        folder = Path(os.environ.get("GGSA_MIRROR") or self.mirror).expanduser()
        return folder if folder.is_dir() else None


def _untracked(path: str) -> str | None:
    """Return why DVC would not notice a change of a user's own file; None if it would.

    The download stage depends on the folder of such files. DVC looks neither behind a link to a
    folder nor into the folders that .dvcignore names, which are hidden or `__pycache__`.
    """
    parts = Path(path).parts
    if parts[:1] != paths.CORPORA.parts or ".." in parts:
        return f"expected a file under {paths.CORPORA}/, where changes are tracked, got {path}"
    for folder in [*Path(path).parents][:-2]:  # below corpora/ itself
        if folder.is_symlink() or folder.name.startswith((".", "__pycache__")):
            kind = "a link" if folder.is_symlink() else "a hidden folder"
            return (
                f"expected a file in a folder where changes are tracked, got {path}, and {folder} "
                f"is {kind}; put the file itself, or a link to the file, under {paths.CORPORA}/"
            )
    return None


class Files(Block):
    """The user's own sentences, for `corpus.name: files`."""

    train: str | None
    validation: str | None
    test: str | None
    held_out: Annotated[float, Field(gt=0.0, lt=0.5)]
    text: str | None
    words: str | None
    label: str

    def paths(self) -> dict[str, str]:
        """Return the file of each split that has one, by split."""
        named = {split: getattr(self, split) for split in ("train", "validation", "test")}
        return {split: path for split, path in named.items() if path is not None}

    def problems(self) -> list[str]:
        """Return why the block does not name a corpus; only `corpus.name: files` reads it."""
        problems = []
        if self.train is None:
            problems.append(
                f"corpus.files.train: expected a file under {paths.CORPORA}/, for example "
                f"{paths.CORPORA}/mine/train.csv, got null"
            )
        for split, path in self.paths().items():
            if reason := _untracked(path):
                problems.append(f"corpus.files.{split}: {reason}")
            if Path(path).suffix.lower() not in CORPUS_ENDINGS:
                problems.append(
                    f"corpus.files.{split}: expected a file that ends in one of "
                    f"{', '.join(CORPUS_ENDINGS)}, got {path}"
                )
        if (self.text is None) == (self.words is None):
            given = "neither" if self.text is None else "both"
            problems.append(
                f"corpus.files: expected a column for text or words, got {given}; set one and "
                f"leave the other null"
            )
        return problems


class Corpus(Block):
    """The sentences."""

    name: Annotated[str, _known("corpus")]
    files: Files
    repository: str
    revision: str
    test_labels_repository: str
    reviews_repository: str
    reviews_revision: str
    selection_sentences: Count | Literal["auto"]
    validation_reviews: Count
    seed: int
    limit: Annotated[int, Field(ge=8)] | None
    examples: Annotated[tuple[str, ...], Field(min_length=1)]

    @field_validator("examples")
    @classmethod
    def _examples_hold_words(cls, sentences: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(is_word, sentences)):
            raise ValueError("a sentence is empty; write words separated by spaces")
        if any(map(SURROGATE.search, sentences)):
            raise ValueError("a sentence has an invalid surrogate character; remove it")
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
        reason = _untracked(package) if package.endswith(".pt") else None
        if reason:
            raise ValueError(reason)
        return package

    @field_validator("mapping")
    @classmethod
    def _known_tags(cls, mapping: dict[str, str]) -> dict[str, str]:
        wrong = [(own, tag) for own, tag in mapping.items() if tag not in UNIVERSAL_TAGS]
        if wrong:
            raise ValueError(
                " ".join(f"{own}: {unknown(tag, 'tag', UNIVERSAL_TAGS)}" for own, tag in wrong)
            )
        return mapping


class Encoder(Block):
    """The model to train."""

    checkpoint: str
    revision: str | None
    sha256: str | None
    initialization: Literal["auto", "pretrained", "from_scratch"]
    layers: Count
    hidden: Count
    heads: Count
    feed_forward: Count
    positions: Annotated[int, Field(ge=8)]
    initializer_range: Annotated[float, Field(gt=0.0, le=1.0)]
    vocabulary: Annotated[int, Field(ge=200)]
    keep_projections: bool | AsProtocol

    @field_validator("sha256")
    @classmethod
    def _sha256_is_one(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch("[0-9a-f]{64}", value):
            raise ValueError(f"expected 64 hexadecimal digits in lower case or null, got {value}")
        return value

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> "Encoder":
        if self.hidden % self.heads:
            raise ValueError(
                f"hidden {self.hidden} is not divisible by heads {self.heads}; "
                f"choose a multiple of {self.heads}"
            )
        return self


class CorpusRules(Block):
    """How `rules.source: corpus` derives its table."""

    score: Literal["pmi_adjacent", "pmi_near", "frequency"]
    density: Annotated[float, Field(gt=0.0, le=1.0, strict=False)]


class Rules(Block):
    """Which tags may attend to which."""

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
                f"{rule}: {unknown(tag, 'tag', UNIVERSAL_TAGS)}"
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
            raise ValueError(f"{', '.join(both)} is in both drop and add; remove it from one")
        if self.source == "paper":
            rules = {f"{query}->{key}" for query, row in self.hard.items() for key in row}
            if self.self:
                rules |= {f"{tag}->{tag}" for tag in UNIVERSAL_TAGS}
            absent = [rule for rule in self.drop if rule not in rules]
            if absent:
                raise ValueError(
                    f"drop: {', '.join(absent)} is not a rule of the hard table; expected a rule of "
                    f"rules.hard, e.g. {_example(self.hard)}, or, with rules.self true, of a tag "
                    f"to itself, e.g. NOUN->NOUN"
                )
        return self


class Attention(Block):
    """How attention is computed; the choice changes results by rounding only."""

    implementation: Literal["auto", "dense", "grouped"]


class Recipe(Block):
    """Hyperparameters of the optimization; the same for every mode of a comparison."""

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
    rows: Literal["all", "sentences"]
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
        """Return the recipes that a name needs and that are missing; `auto` needs three."""
        needed = ("from_scratch", "pretrained", "probe") if recipe == "auto" else (recipe,)
        return [name for name in needed if name not in self.recipes]


class Evaluate(Block):
    """How the finished cells are evaluated."""

    equivalence_margin_points: Annotated[float, Field(gt=0.0, strict=False)]
    bootstrap_samples: Annotated[int, Field(ge=100)]
    seed: int
    cost_lengths: Annotated[tuple[Count, ...], Field(min_length=1)]


class Report(Block):
    """How the report is rendered."""

    figure_dpi: Annotated[int, Field(ge=50, le=600)]
    timeout_seconds: Count


def _example(table: Table) -> str:
    """Return a rule of the table, for a message."""
    query, row = next((item for item in table.items() if item[1]), ("ADJ", ("NOUN",)))
    return f"{query}->{row[0]}"
