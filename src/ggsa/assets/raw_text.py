"""Splits raw text into words, for corpora that are not split already as SST-2 is.

NLTK's Treebank tokenizer splits text like the treebanks that taggers are trained on, and needs no
download. It separates only the last full stop of a text, so it is given one sentence at a time.
Punkt finds the sentences, with the abbreviations below instead of a trained model.
"""

import functools
import importlib.metadata
import re
from typing import Any

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
"""Words whose full stop does not end a sentence."""

_MARKUP = re.compile(r"</?[A-Za-z][^<>]{0,30}>")
_BREAK = re.compile(r"</?(br|p|hr)\b[^<>]{0,20}>", re.IGNORECASE)
_GLUED = re.compile(r"(?<=[a-z)\"'])([.!?]+)(?=[A-Z])")  # "awful.The": no space between sentences


@functools.cache
def _tokenizers() -> tuple[Any, Any]:
    """Return what finds sentences, and what finds words; NLTK takes a second to import."""
    from nltk.tokenize import NLTKWordTokenizer
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    parameters = PunktParameters()
    parameters.abbrev_types = set(ABBREVIATIONS)
    return PunktSentenceTokenizer(parameters), NLTKWordTokenizer()


def words_of(text: str) -> tuple[str, ...]:
    """Return the words and punctuation marks of a raw text, without markup, in their own case."""
    sentences, words = _tokenizers()
    plain = _GLUED.sub(r"\1 ", _MARKUP.sub("", _BREAK.sub(" \n ", text)))
    return tuple(
        word
        for sentence in sentences.tokenize(plain)
        for word in words.tokenize(sentence)
        if word.strip()
    )


def version() -> str:
    """Return name and version of the tokenizer, for provenance.json."""
    return f"NLTK {importlib.metadata.version('nltk')}"
