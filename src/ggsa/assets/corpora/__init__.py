"""The corpora that `corpus.name` can be: one module each, which reads the corpus and describes it.

A module of this package is a corpus of the module's name, and holds a `Registration` as `CORPUS`.
Nothing else has to be changed to add one; docs/extending.md shows how.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ggsa.assets.corpus import Corpus
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError, unknown

Words = tuple[str, ...]


@dataclass(frozen=True)
class Read:
    """A corpus as it was read.

    Attributes:
        splits: Rows of train, validation and test. A split `selection` is added where the corpus
            has its own; elsewhere it is cut from train.
        description: For provenance.json: `source` and `name`, `classes` (their names, in the order
            of the labels 0, 1, ...) unless they are negative and positive, and what else is known.
        substitutes: What the corpus replaces, as sentences for the report's banner.
    """

    splits: Corpus
    description: dict[str, Any]
    substitutes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Registration:
    """A corpus that can be chosen.

    Attributes:
        label: Its name in headings, tables and captions: `SST-2`.
        read: Obtains it; raises a UserError where no source has it, or what a source has is wrong.
        about: From provenance.json to what the report says that a run was on.
        phrases: Whether rows of train are phrases of each other, as in SST-2. The selection split
            is then cut from train by whole sentences instead of by rows.
        is_local: Whether `read` needs nothing but files of this folder, so that `make check` reads
            it too.
        recipe: The training recipe that `auto` chooses; None: the encoder decides.
        gold_tags: From `corpus.seed` to the tags of every sentence, where the corpus has any.
        phenomena: From `corpus.seed` to the phenomena that every sentence shows, where they are
            known.
    """

    label: str
    read: Callable[[Params], Read]
    about: Callable[[Mapping[str, Any]], str]
    phrases: bool = False
    is_local: bool = False
    recipe: str | None = None
    gold_tags: Callable[[int], Mapping[Words, Sequence[str]]] | None = None
    phenomena: Callable[[int], Mapping[Words, Sequence[str]]] | None = None


def names() -> tuple[str, ...]:
    """Return the names of all corpora, without importing their modules."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def get(name: str) -> Registration:
    """Return the corpus of a name.

    Raises:
        UserError: If there is no such corpus.
    """
    if name not in names():
        raise UserError(f"corpus.name: {unknown(name, 'corpus', names())}")
    # Imported here because the readers import large libraries, and `names` needs none of them.
    return importlib.import_module(f"{__name__}.{name}").CORPUS
