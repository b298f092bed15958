"""From raw text to words, for corpora that do not come split as SST-2 does.

NLTK's Treebank tokenizer splits as the treebanks do on which taggers are trained, and needs no data
that would have to be downloaded. It wants one sentence at a time, since it takes only a last full
stop off its word; sentences are found by Punkt with the abbreviations listed here instead of a
trained model.
"""

import importlib.metadata
import re

from nltk.tokenize import NLTKWordTokenizer
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "sr",
        "jr",
        "st",
        "vs",
        "etc",
        "no",
        "vol",
        "dept",
        "gen",
        "col",
        "lt",
        "sgt",
        "capt",
        "rev",
        "hon",
        "i.e",
        "e.g",
        "a.m",
        "p.m",
        "u.s",
        "u.k",
        "l.a",
        "d.c",
    ]
)
"""Words after whose full stop a sentence goes on."""

_MARKUP = re.compile(r"</?[A-Za-z][^<>]{0,30}>")
_BREAK = re.compile(r"</?(br|p|hr)\b[^<>]{0,20}>", re.IGNORECASE)
_GLUED = re.compile(r"(?<=[a-z)\"'])([.!?]+)(?=[A-Z])")  # "awful.The": no space between sentences


def _punkt() -> PunktSentenceTokenizer:
    parameters = PunktParameters()
    parameters.abbrev_types = set(ABBREVIATIONS)
    return PunktSentenceTokenizer(parameters)


_SENTENCES, _WORDS = _punkt(), NLTKWordTokenizer()


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a raw text, punctuation apart; markup is dropped.

    Args:
        text: Any text; upper and lower case are kept.
    """
    plain = _GLUED.sub(r"\1 ", _MARKUP.sub("", _BREAK.sub(" \n ", text)))
    return tuple(
        word
        for sentence in _SENTENCES.tokenize(plain)
        for word in _WORDS.tokenize(sentence)
        if word.strip()
    )


def version() -> str:
    """Return by what raw texts are split, for provenance.json."""
    return f"NLTK {importlib.metadata.version('nltk')}"
