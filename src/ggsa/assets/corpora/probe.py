"""The embedded probe corpus, which also replaces SST-2 and IMDB where these are unavailable."""

from collections.abc import Sequence

from ggsa.assets import policy
from ggsa.assets import probe as grammar
from ggsa.assets.corpora import Read, Registration, Words
from ggsa.assets.corpus import Sentence
from ggsa.workspace.config import Params


def read(params: Params) -> Read:
    """Return the generated sentences; the selection split is generated too, so nothing leaks it."""
    splits = {
        split: [Sentence(tuple(row.words), int(row.label)) for row in rows]
        for split, rows in grammar.generate(params.corpus.seed).items()
    }
    description = {"source": "embedded", "name": "probe", "repository": None, "revision": None}
    return Read(splits, description)


def instead_of(label: str, params: Params) -> Read:
    """Return the probe corpus in place of another one, with a warning."""
    warning = f"The corpus is the embedded probe corpus, not {label}."
    policy.notice(warning)
    generated = read(params)
    return Read(generated.splits, generated.description, (warning,))


def _sentences(seed: int) -> list[grammar.ProbeSentence]:
    return [row for rows in grammar.generate(seed).values() for row in rows]


def gold_tags(seed: int) -> dict[Words, Sequence[str]]:
    """Return the tags that the grammar gives to every sentence."""
    return {row.words: row.tags for row in _sentences(seed)}


def phenomena(seed: int) -> dict[Words, Sequence[str]]:
    """Return the phenomena that every sentence shows."""
    return {row.words: row.phenomena for row in _sentences(seed)}


CORPUS = Registration(
    label="the probe corpus",
    read=read,
    about=lambda _: "the probe corpus (generated sentences)",
    recipe="probe",
    gold_tags=gold_tags,
    phenomena=phenomena,
)
