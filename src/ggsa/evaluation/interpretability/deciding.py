"""The word of a probe sentence from which its label follows, read off words and tags.

The grammar of the probe corpus leaves no doubt: of `but`, the clause after it decides; a clause
under `although` or `though` and a noun phrase under a preposition decide nothing; of two adjectives
weighed against each other the boosted one counts. What is left holds one polar word. Reading it
back from the sentence, rather than keeping it when the sentence is made, leaves the corpus and all
that depends on it as they are; that every label is what this reading gives is a test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from ggsa.assets.probe import lexicon
from ggsa.assets.probe.grammar import NEGATORS

CONCESSIVE = ("although", "though")
WITHIN_PHRASE = ("DET", "PRON", "ADJ")

Word = tuple[int, str, str]  # place in the sentence, word, tag


@dataclass(frozen=True)
class Decided:
    """Whether `[CLS]` looks most at the deciding word of a probe sentence."""

    hits: Mapping[str, np.ndarray]  # [seed, sentence, candidates]
    chance: np.ndarray  # [sentence, candidates]: of a random candidate
    counted: np.ndarray  # [sentence, candidates]: 1 where there are two candidates or more
    phenomena: Sequence[tuple[str, ...]]


@cache
def polarities() -> dict[tuple[str, str], int]:
    """Return the sign of every polar word, by word and tag."""
    found = {}
    for sign in (lexicon.POSITIVE, lexicon.NEGATIVE):
        found |= {(word, "ADJ"): sign for word in lexicon.ADJECTIVES[sign]}
        found |= {(word, "ADV"): sign for word in lexicon.ADVERBS[sign]}
        for nouns in (lexicon.NOUNS, lexicon.QUALITIES):
            found |= {(word, "NOUN"): sign for word in nouns[sign]}
        for verbs in (lexicon.EFFECT_VERBS, lexicon.TREATMENT_VERBS, lexicon.OPINION_VERBS):
            found |= {(form, "VERB"): sign for verb in verbs[sign] for form in verb}
    return found


def polar_words(words: Sequence[str], tags: Sequence[str]) -> list[int]:
    """Return the places of all polar words, whether they decide or not."""
    known = polarities()
    return [i for i, item in enumerate(zip(words, tags, strict=True)) if item in known]


def reading(words: Sequence[str], tags: Sequence[str]) -> tuple[int, int]:
    """Return the place of the deciding word, and the label that it gives (1 positive).

    Raises:
        ValueError: If the sentence is none of the probe's grammar, with its own tags.
    """
    clauses: list[tuple[str, list[Word]]] = [("", [])]
    for place, (word, tag) in enumerate(zip(words, tags, strict=True)):
        if tag in ("PUNCT", "SCONJ") or word == "but":
            clauses.append((word, []))
        else:
            clauses[-1][1].append((place, word, tag))
    links = [link for link, _ in clauses]
    if "but" in links:
        clauses = clauses[links.index("but") :]
    heads = [
        (head, clause)
        for link, clause in clauses
        if link not in CONCESSIVE
        for head in _heads(clause)
    ]
    if len(heads) != 1:
        raise ValueError(f"{len(heads)} words decide; one was expected in {' '.join(words)!r}")
    (head, clause), known = heads[0], polarities()
    place, word, tag = clause[head]
    negated = any(before in NEGATORS for _, before, _ in clause[:head])
    return place, int(known[word, tag] * (-1 if negated else 1) > 0)


def _heads(clause: list[Word]) -> list[int]:
    """Return the polar words of a clause that stand under no preposition."""
    heads = [
        i
        for i, (_, word, tag) in enumerate(clause)
        if (word, tag) in polarities() and not _is_governed(clause, i)
    ]
    if len(heads) == 2:
        heads = [i for i in heads if i and clause[i - 1][1] in lexicon.BOOSTERS]
    return heads


def _is_governed(clause: list[Word], place: int) -> bool:
    if clause[place][2] not in ("ADJ", "NOUN"):
        return False
    before = place - 1
    while before >= 0 and clause[before][2] in WITHIN_PHRASE:
        before -= 1
    return before >= 0 and clause[before][2] == "ADP"


def found(attention: np.ndarray, candidates: Sequence[int], deciding: int) -> bool:
    """Return whether the deciding word is the most attended one of the candidates.

    Args:
        attention: Of `[CLS]` to every word, `[word]`.
        candidates: Places of words; must not be empty.
        deciding: Place of the deciding word.
    """
    places = np.asarray(candidates)
    return bool(places[attention[places].argmax()] == deciding)
