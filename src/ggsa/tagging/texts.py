"""Words and tags of a user's texts; the project's tagger tags those that come without tags.

Texts that come as words with tags need only the packages that a trained model needs. Raw strings
are split by NLTK and tagged by Stanza, which the extra `pipeline` installs.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ggsa.assets.raw_text import words_of
from ggsa.workspace import paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import UNIVERSAL_TAGS
from ggsa.workspace.words import check_characters, is_word

Words = tuple[str, ...]


def words_of_texts(texts: Sequence[str | Sequence[str]]) -> list[Words]:
    """Return the words of every text.

    Args:
        texts: Strings, which the Treebank tokenizer splits, or lists of words.

    Raises:
        UserError: If `texts` is no list, or a text is neither a string nor a list, has no words, an
            invalid character or, as a list, a word without characters that become word pieces.
    """
    if isinstance(texts, str):
        raise UserError(
            "texts: expected a list of texts, got one string. Put it into a list: [text]."
        )
    if not isinstance(texts, Iterable):
        raise UserError(f"texts: expected a list of texts, got {texts!r:.80}.")
    words = []
    for number, text in enumerate(texts):
        place = f"texts[{number}]"
        if isinstance(text, str):
            check_characters(text, place)
            row = _split(text)
        elif isinstance(text, Iterable):
            row = _given(text, place)
        else:  # None or NaN, for example, from a table with a missing value
            raise UserError(
                f"{place}: expected a string or a list of words, got {text!r:.80}. Remove the row, "
                f"or give it a text."
            )
        if not row:
            raise UserError(f"{place}: expected at least one word, got {text!r}.")
        words.append(row)
    return words


def _given(words: Iterable[Any], place: str) -> Words:
    words = tuple(words)
    for number, word in enumerate(words):
        if not isinstance(word, str):
            raise UserError(f"{place}: expected a list of words, got {word!r:.80} as a word.")
        check_characters(word, f"{place}, word {number}")
        if len(word.split()) > 1:  # two texts, perhaps, meant as a pair
            raise UserError(
                f"{place}: expected words without spaces, got {word!r:.80} as a word. Split it into "
                f"words, or give the whole text as one string."
            )
        if not is_word(word):
            raise UserError(
                f"{place}: word {number} is {word!r}, which has no character that becomes a word "
                f"piece. Remove the word and its tag."
            )
    return words


def tags_of_texts(
    words: Sequence[Words], tags: Sequence[Sequence[str]] | None = None
) -> list[list[str]]:
    """Return one universal tag per word of every text.

    Args:
        words: The words of every text; see `words_of_texts`.
        tags: The tags of every text; None has the project's tagger tag them.

    Raises:
        UserError: If tags do not fit the words, are not universal, or there is no tagger.
    """
    if tags is None:
        return project_tagger()(words) if words else []
    if isinstance(tags, str) or len(tags) != len(words):
        raise UserError(
            f"tags: expected one list of tags per text ({len(words)}), got {tags!r:.80}."
        )
    for number, (row, given) in enumerate(zip(words, tags, strict=True)):
        place = f"tags[{number}]" if len(words) > 1 else "tags"
        if isinstance(given, str) or len(given) != len(row):
            raise UserError(
                f"{place}: expected one tag for each of the {len(row)} words "
                f"({' '.join(row)[:80]}), got {given!r:.80}."
            )
        for tag in given:
            if tag not in UNIVERSAL_TAGS:
                raise UserError(
                    f"{place}: unknown tag {tag}. Expected one of the universal tags: "
                    f"{', '.join(UNIVERSAL_TAGS)}."
                )
    return [list(row) for row in tags]


def project_tagger() -> Callable[[Sequence[Words]], list[list[str]]]:
    """Return the function that tags texts as the corpus was tagged, given their words.

    Raises:
        UserError: If there is no tagger yet, or Stanza is not installed.
    """
    try:  # imported here, because only the extra installs Stanza
        from ggsa.tagging import tagger
        from ggsa.workspace import config
    except ModuleNotFoundError as error:
        raise _needs_extra(error, "Texts without tags are tagged by Stanza") from error
    description = paths.TAGGER / "tagger.json"
    if not description.is_file():
        raise UserError(
            f"{paths.TAGGER.resolve()} has no tagger, so the words have no tags. Run this in the "
            f"project's folder, after `make repro`, or give one universal tag per word."
        )
    options = config.load().tagger
    pipeline = _loaded(paths.TAGGER.resolve(), options.batch_size, description.stat().st_mtime_ns)
    return lambda texts: tagger.tag_texts(pipeline, texts, options.mapping)


@functools.lru_cache(maxsize=1)
def _loaded(folder: Path, batch_size: int, changed: int) -> Any:
    """Return Stanza's pipeline; it is loaded again when the tagger has changed."""
    from ggsa.tagging import tagger

    return tagger.load_tagger(folder, batch_size)


def _split(text: str) -> Words:
    try:
        return tuple(filter(is_word, words_of(text)))
    except ModuleNotFoundError as error:  # only the extra installs NLTK
        raise _needs_extra(error, "Strings are split into words by NLTK") from error


def _needs_extra(error: ModuleNotFoundError, purpose: str) -> UserError:
    return UserError(
        f"{purpose}, and {error.name} is not installed. Install the extra, "
        f"pip install 'ggsa[pipeline]', or give each text as a list of words with one tag per word."
    )
