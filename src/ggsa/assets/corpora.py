"""The corpora that `corpus.name` may name, one function each, registered here and nowhere else.

Between params.yaml and `ggsa.assets.sentences`, which asks the function of the name for the splits,
sets aside what checkpoints are chosen on and describes what was read. `ggsa.workspace.blocks` accepts what is
registered here, therefore nothing heavy is imported before a corpus is read. docs/extending.md adds
one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # ggsa.workspace.blocks asks which corpora there are
    from ggsa.assets.corpus import Checksums, Corpus
    from ggsa.workspace.config import Params


@dataclass(frozen=True)
class Read:
    """A corpus as it was read.

    Attributes:
        splits: Sentences of train, validation and test, and of selection where the corpus has one.
        description: For provenance.json: `source` and `name`, `classes` (names, in the order of
            the labels 0, 1, ...) where these are not negative and positive, and what else is known.
        selection: What the selection split is cut from: `sentences`, whole ones, where rows are
            phrases of each other; `documents`, where rows stand alone; None where it was read.
        substitutes: What it replaces, as sentences for the banner of the report.
    """

    splits: "Corpus"
    description: dict[str, Any]
    selection: Literal["sentences", "documents"] | None
    substitutes: tuple[str, ...] = ()


Reader = Callable[["Params", "Checksums"], Read]
"""From the parameters, and the checksums of SST-2, to a corpus."""

CORPORA: dict[str, Reader] = {}
"""Every corpus by its name."""


def corpus(name: str) -> Callable[[Reader], Reader]:
    """Return the decorator that registers a function as the corpus of that name.

    Raises:
        ValueError: If there is a corpus of that name already.
    """
    if name in CORPORA:
        raise ValueError(f"the corpus {name} is registered twice")

    def register(reader: Reader) -> Reader:
        CORPORA[name] = reader
        return reader

    return register


def names() -> tuple[str, ...]:
    """Return what `corpus.name` may be."""
    return tuple(CORPORA)


@corpus("sst2")
def sst2(params: "Params", checksums: "Checksums") -> Read:
    """Return SST-2 of the Hub or a mirror, or the probe corpus in its place."""
    from ggsa.assets import sentences

    return sentences.sst2(params, checksums)


@corpus("imdb")
def imdb(params: "Params", checksums: "Checksums") -> Read:
    """Return IMDB's film reviews of the Hub or a mirror, or the probe corpus in their place."""
    from ggsa.assets import sentences

    return sentences.imdb(params)


@corpus("probe")
def probe(params: "Params", checksums: "Checksums") -> Read:
    """Return the embedded probe corpus."""
    from ggsa.assets import sentences

    return sentences.generated(params)


@corpus("files")
def files(params: "Params", checksums: "Checksums") -> Read:
    """Return the user's own files, which `corpus.files` names."""
    from ggsa.assets import files

    return files.read(params.corpus)
