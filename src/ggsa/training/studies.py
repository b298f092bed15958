"""Studies: named grids of cells around one question, each declared in `studies/<name>/params.yaml`.

An *arm* is a mode with its overrides of the root parameters; a *cell* is one arm with one seed. All
that there is to know about a study is declared in its file. `core` is declared by `grid` in the root
parameters and becomes the same `Study` object.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from ggsa.patterns.modes import MODES
from ggsa.workspace import config, paths
from ggsa.workspace.blocks import Block, Recipe
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.paths import CORE

BASELINE = "full"
NO_ATTENTION = "diagonal"
"""The mode without attention between words, against which headroom is measured."""

Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Arm(Block):
    """A mode with its overrides.

    Attributes:
        mode: Of the pattern.
        weights_of: The arm whose trained weights are evaluated; None for an arm that is trained.
        adapted: Whether the encoder is adapted to the pattern before it is fine-tuned.
        overrides: Changes of the root parameters, by dotted key.
    """

    mode: str
    weights_of: str | None = None
    adapted: bool = False
    overrides: Annotated[dict[str, Any], Field(default_factory=dict)]

    @model_validator(mode="before")
    @classmethod
    def _other_keys_are_overrides(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "overrides" in value:
            return value
        own = {key: value[key] for key in ("mode", "weights_of", "adapted") if key in value}
        return {**own, "overrides": {k: v for k, v in value.items() if k not in own}}


class CorpusPlan(Block):
    """What a study runs on one corpus.

    Attributes:
        base: Assets of studies/assets/params.yaml; None for those of the root parameters.
        seeds: One cell per arm and seed.
        arms: The arms that run on this corpus, by default all of the study.
    """

    base: str | None
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    arms: tuple[str, ...] = ()

    @property
    def data(self) -> Path:
        """Directory of the assets."""
        return Path("data") / self.base if self.base else Path("data")


class Adaptation(Block):
    """How the encoder of an arm is adapted to its pattern; see `ggsa.training.adaptation`.

    Attributes:
        sentences: Unlabeled sentences: half from the train split of the corpus, half from IMDB.
        seed: Draws the sentences and their order, the drawn pairs of a pattern, and dropout.
        recipe: Of the optimization.
    """

    sentences: Annotated[int, Field(ge=2)]
    seed: int
    recipe: Recipe


class Question(Block):
    """A declared comparison of two arms.

    Attributes:
        kind: `gate`: is the difference shown to be positive? `equivalence`: does it lie within the
            margin? `difference`: does it differ from zero? `share`: how much of the way from
            `floor` to the reference does the arm cover?
        arm: The arm that is compared.
        reference: What it is compared with; the difference is arm minus reference.
        floor: For `share`, the arm that counts 0, where the reference counts 1.
        split: The scored split on which it is answered; by default all of them together.
        text: The question in words.
    """

    kind: Literal["gate", "equivalence", "difference", "share"]
    arm: str
    reference: str
    floor: str | None = None
    split: Literal["validation", "test"] | None = None
    text: str

    @model_validator(mode="after")
    def _a_share_has_a_floor(self) -> "Question":
        if (self.kind == "share") != (self.floor is not None):
            raise ValueError(
                f"a question of kind {self.kind} {'needs' if self.kind == 'share' else 'has no'} "
                f"floor; floor names the arm that counts 0 in a share"
            )
        return self


class Family(Block):
    """Questions whose p values are corrected together (Holm)."""

    name: str
    questions: Annotated[tuple[Question, ...], Field(min_length=1)]


class Study(Block):
    """The declaration of a study.

    Attributes:
        name: Directory under studies/.
        title: Heading of its chapter.
        question: What it asks.
        note: What a reader must know about its design.
        archived: Why the study is no longer run; None for one that is.
        reference: The arm with which every arm is compared in the table of differences.
        overrides: Changes of the root parameters in every arm.
        adaptation: Of the adapted arms; None if no arm is adapted.
        arms: By name; an arm without `mode` is the mode of its name.
        corpora: What runs on each corpus.
        families: The declared questions.
    """

    name: str
    title: str
    question: str
    note: str = ""
    archived: str | None = None
    reference: str
    overrides: Annotated[dict[str, Any], Field(default_factory=dict)]
    adaptation: Adaptation | None = None
    arms: Annotated[dict[str, Arm], Field(min_length=1)]
    corpora: Annotated[dict[str, CorpusPlan], Field(min_length=1)]
    families: tuple[Family, ...] = ()

    @field_validator("arms", mode="before")
    @classmethod
    def _arm_is_its_mode(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            name: {"mode": name, **(arm or {})} if arm is None or isinstance(arm, dict) else arm
            for name, arm in value.items()
        }

    @field_validator("corpora")
    @classmethod
    def _all_arms_by_default(cls, plans: dict[str, CorpusPlan], info: Any) -> dict[str, CorpusPlan]:
        every = tuple(info.data.get("arms", ()))
        return {
            corpus: plan if plan.arms else plan.model_copy(update={"arms": every})
            for corpus, plan in plans.items()
        }

    @model_validator(mode="after")
    def _names_exist(self) -> "Study":
        problems = []
        for name, arm in self.arms.items():
            if arm.mode not in MODES:
                problems.append(f"arms.{name}: unknown mode {arm.mode}; choose {', '.join(MODES)}")
            if arm.adapted and arm.weights_of:
                problems.append(f"arms.{name}: weights_of trains nothing; remove adapted")
        for where, name in self._named_arms():
            if name not in self.arms:
                problems.append(f"{where}: unknown arm {name}; choose {', '.join(self.arms)}")
        if any(arm.adapted for arm in self.arms.values()) != (self.adaptation is not None):
            problems.append("adaptation: state it if, and only if, an arm has `adapted: true`")
        questions = [question for family in self.families for question in family.questions]
        gates = {question.arm for question in questions if question.kind == "gate"}
        problems += [
            f"families: equivalence with {reference} needs shown headroom; add a question of kind gate "
            f"whose arm is {reference}"
            for reference in sorted({q.reference for q in questions if q.kind == "equivalence"})
            if reference not in gates
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _named_arms(self) -> list[tuple[str, str]]:
        """Return every arm that the declaration refers to, and where."""
        named = [("reference", self.reference)]
        named += [
            (f"arms.{name}.weights_of", arm.weights_of)
            for name, arm in self.arms.items()
            if arm.weights_of
        ]
        for corpus, plan in self.corpora.items():
            named += [(f"corpora.{corpus}.arms", arm) for arm in plan.arms]
        for family in self.families:
            for question in family.questions:
                where = f"families: {family.name}"
                arms = (question.arm, question.reference, question.floor)
                named += [(where, arm) for arm in arms if arm is not None]
        return named

    def cells(self, corpus: str) -> list[tuple[str, int]]:
        """Return every (arm, seed) on a corpus, seed by seed."""
        plan = self.plan(corpus)
        return [(arm, seed) for seed in plan.seeds for arm in plan.arms]

    def plan(self, corpus: str) -> CorpusPlan:
        """Return what runs on a corpus.

        Raises:
            UserError: If the study has nothing on it.
        """
        if corpus not in self.corpora:
            raise UserError(
                f"The study {self.name} has no cells on {corpus}. Choose {' or '.join(self.corpora)}."
            )
        return self.corpora[corpus]

    def source_of(self, arm: str) -> str | None:
        """Return the arm whose trained weights an arm needs first; None if it needs none."""
        declared = self.arms[arm]
        if declared.weights_of:
            return declared.weights_of
        return BASELINE if "attention" in MODES[declared.mode].needs else None

    def sources(self, corpus: str) -> list[str]:
        """Return the arms whose weights other arms of the corpus need."""
        arms = self.plan(corpus).arms
        needed = {self.source_of(arm) for arm in arms}
        return [arm for arm in arms if arm in needed]

    def adapted(self, corpus: str) -> list[str]:
        """Return the arms of a corpus whose encoder is adapted to their pattern."""
        return [arm for arm in self.plan(corpus).arms if self.arms[arm].adapted]

    def params(self, arm: str) -> Params:
        """Return the root parameters with the overrides of the study and of an arm.

        Raises:
            UserError: If they are wrong, or the study has no such arm.
        """
        if arm not in self.arms:
            raise UserError(
                f"{declaration(self.name)}: unknown arm {arm}. Choose {', '.join(self.arms)}."
            )
        return config.load(overrides={**self.overrides, **self.arms[arm].overrides})


def load(name: str) -> Study:
    """Return the study of a name.

    Raises:
        UserError: If there is none of that name, or its declaration is wrong.
    """
    path = declaration(name)
    if name not in names():
        raise UserError(f"Unknown study {name}. Choose {', '.join(names())}.")
    content = config.read_yaml(path, "Restore it from Git.")
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected the keys {', '.join(Study.model_fields)}.")
    try:
        return Study.model_validate({"name": name, **content})
    except ValidationError as error:
        problems = "\n  ".join(_problem(problem) for problem in error.errors())
        raise UserError(f"{path} is wrong; nothing was run.\n  {problems}") from error


def _problem(problem: ErrorDetails) -> str:
    """Return what pydantic reports as one sentence, with its key."""
    key = ".".join(map(str, problem["loc"]))
    wordings = {"extra_forbidden": "unknown key", "missing": "missing key"}
    text = wordings.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    return f"{key}: ".removeprefix(": ") + text + "."


def core(params: Params, corpus: str) -> Study:
    """Return the core study: the modes and seeds of `grid` on the corpus of the workspace.

    Its questions: is there headroom, and does each mode keep the accuracy of full attention? They
    need `full` (and the first also `diagonal`) in the grid.
    """
    modes = params.grid.modes
    families = []
    if BASELINE in modes and NO_ATTENTION in modes:
        text = "Is attention between words worth anything here?"
        gate = Question(kind="gate", arm=BASELINE, reference=NO_ATTENTION, text=text)
        families.append(Family(name="headroom", questions=(gate,)))
        kept = tuple(
            Question(
                kind="equivalence",
                arm=mode,
                reference=BASELINE,
                text=f"Does {mode} keep the accuracy of full attention?",
            )
            for mode in modes
            if mode not in (BASELINE, NO_ATTENTION)
        )
        if kept:
            families.append(Family(name="accuracy is kept", questions=kept))
    return Study(
        name=CORE,
        title="The replication",
        question="Do the paper's masks keep the accuracy of full attention?",
        reference=BASELINE if BASELINE in modes else modes[0],
        arms={mode: Arm(mode=mode) for mode in modes},
        corpora={corpus: CorpusPlan(base=None, seeds=params.grid.seeds, arms=tuple(modes))},
        families=tuple(families),
    )


def names() -> list[str]:
    """Return the names of all declared studies."""
    declared = (path.parent.name for path in paths.STUDIES.glob("*/params.yaml"))
    return sorted(name for name in declared if name != "assets")


def declaration(name: str) -> Path:
    """Return the file that declares a study."""
    return paths.STUDIES / name / "params.yaml"


def results(study: str, corpus: str) -> Path:
    """Return the directory of what a study measured on a corpus."""
    return paths.RESULTS / study / corpus


def plan_file(study: str, corpus: str, arm: str, seed: int) -> Path:
    """Return the file that fixes one cell."""
    return results(study, corpus) / "plan" / f"{arm}-{seed}.json"


def cell_folder(study: str, corpus: str, arm: str, seed: int) -> Path:
    """Return the directory of one cell: predictions, history and cell.json."""
    if study == CORE:
        return paths.cell(CORE, arm, seed)
    return results(study, corpus) / "cells" / f"{arm}-{seed}"


def weights_folder(study: str, corpus: str, arm: str, seed: int) -> Path:
    """Return the directory of a cell's model, for cells whose weights are kept."""
    if study == CORE:
        return paths.cell(CORE, arm, seed)
    return paths.RUNS / f"{study}-{corpus}" / f"{arm}-{seed}"


def seconds_file(study: str, corpus: str) -> Path:
    """Return the file with the seconds that each cell took; it is no output of a stage."""
    if study == CORE:
        return paths.CORE_SECONDS
    return results(study, corpus) / "seconds.csv"


def finished_cells() -> list[Path]:
    """Return the directories of all finished cells in this workspace, of core and of every study."""
    patterns = [(paths.RESULTS, "*/*/cells/*/cell.json"), (paths.RUNS, f"{CORE}/*/cell.json")]
    return sorted(path.parent for folder, pattern in patterns for path in folder.glob(pattern))
