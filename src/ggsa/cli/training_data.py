"""What a run was trained on, and which words of a text it or the tagger does not know.

A run's folder records a digest of its data (cell.json). Where the data of this workspace have that
digest, they say which corpus it was and which words occur in it. An export records the corpus only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ggsa.assets import corpora
from ggsa.assets.tagger_words import TaggerWords, tagger_words
from ggsa.model.classifier import Classifier
from ggsa.report import wording
from ggsa.tagging.splits import chosen_rows, rows_under
from ggsa.training.cell import CELL
from ggsa.training.identity import data_sha256
from ggsa.workspace import artifacts, paths
from ggsa.workspace.tables import CORPUS_COLUMNS, read_table

PROVENANCE = "provenance.json"
"""File of an export: the provenance of its run's data."""


@dataclass(frozen=True)
class Known:
    """What is known about the training data of a model and of the tagger that tags its input.

    Attributes:
        provenance: The content of provenance.json; None if it is unknown.
        words: The different words of the rows of train that the model was trained on, as the
            tokenizer normalizes them; None if unknown.
        rows: A hash of the normalized words of every such row; None if unknown.
        tagger: The words of the tagger's training; None if unknown, or if the input has tags.
    """

    provenance: dict[str, Any] | None
    words: frozenset[str] | None
    rows: frozenset[int] | None
    tagger: TaggerWords | None


@dataclass
class Count:
    """How many words of some texts there are, and how many of them are unknown.

    Attributes:
        words: All of them, repeated ones too.
        without_piece: Those with a piece that is `[UNK]`.
        not_trained_on: Those that do not occur in train; counted where its words are known.
        not_tagged_before: Those that the tagger does not know; counted where its words are known.
    """

    words: int = 0
    without_piece: int = 0
    not_trained_on: int = 0
    not_tagged_before: int = 0


def provenance_of(folder: Path) -> dict[str, Any] | None:
    """Return the provenance of the data that a run or an export was trained on; None if unknown."""
    if (folder / PROVENANCE).is_file():
        return artifacts.read_json(folder / PROVENANCE)
    return artifacts.read_json(paths.provenance()) if _has_data_of(folder) else None


def seed_of(folder: Path) -> int | None:
    """Return the seed of a run; None for an export, which does not record it."""
    return artifacts.read_json(folder / CELL)["seed"] if (folder / CELL).is_file() else None


def known(model: Classifier, has_tags: bool) -> Known:
    """Return what is known about the training data of a model and of the tagger.

    Args:
        model: A run or an export.
        has_tags: Whether the input has tags of its own, so that no tagger is used.
    """
    words = rows = None
    if _has_data_of(model.folder):
        settings = artifacts.read_json(model.folder / CELL)["settings"]
        chosen = chosen_rows("train", rows_under(settings["rows"], settings["use_leaking_rows"]))
        train = read_table(paths.corpus_split("train"), CORPUS_COLUMNS)["words"][chosen]
        normalized = _normalized(model, {word for row in train for word in row})
        words = frozenset(normalized.values())
        rows = frozenset(_row_hash(row, normalized) for row in train)
    return Known(provenance_of(model.folder), words, rows, None if has_tags else tagger_words())


def count(model: Classifier, data: Known, texts: Iterable[Sequence[str]], so_far: Count) -> None:
    """Add the words of texts to a count."""
    words = [word for text in texts for word in text]
    if not words:
        return
    distinct = sorted(set(words))
    pieces = model.tokenizer([[word] for word in distinct], is_split_into_words=True)["input_ids"]
    without_piece = {
        word
        for word, ids in zip(distinct, pieces, strict=True)
        if model.tokenizer.unk_token_id in ids
    }
    so_far.words += len(words)
    so_far.without_piece += sum(word in without_piece for word in words)
    if data.words is not None:
        normalized = _normalized(model, distinct)
        so_far.not_trained_on += sum(normalized[word] not in data.words for word in words)
    if data.tagger is not None:
        unseen = data.tagger.unseen(distinct)
        so_far.not_tagged_before += sum(word in unseen for word in words)


def occurring(model: Classifier, data: Known, texts: Sequence[Sequence[str]]) -> list[bool]:
    """Return for every text whether a row of train has the same words; False if that is unknown."""
    if data.rows is None:
        return [False] * len(texts)
    normalized = _normalized(model, {word for text in texts for word in text})
    return [_row_hash(text, normalized) in data.rows for text in texts]


def note(model: Classifier, data: Known, total: Count) -> str:
    """Return what a model was trained on and how many words are unknown, in sentences."""
    words = _words(data, total)
    if data.provenance is None:
        return (
            f"What {model.folder} was trained on is unknown: {paths.DATA.resolve()} holds other "
            f"data, or none. {words}"
        )
    corpus, encoder = data.provenance["corpus"], data.provenance["encoder"]
    sentences = [
        f"{model.folder} was trained on {wording.corpus_name(data.provenance)}, "
        f"{wording.count(corpus['rows']['train'])} rows in its train split.",
    ]
    if data.provenance["substitutes"]:
        sentences.append(f"Substitutes: {' '.join(data.provenance['substitutes'])}")
    sentences.append(words)
    if encoder["pretrained"] and total.not_trained_on:
        sentences.append("It may know words that its data lack from pretraining.")
    if corpora.get(corpus["name"]).phenomena is not None:
        sentences.append(
            "It knows only sentences that a small grammar generates: for other text its "
            "probabilities mean nothing."
        )
    return " ".join(sentences)


def _words(data: Known, total: Count) -> str:
    """Return the shares of unknown words; the same for a run and for an export."""
    shares = [("have a piece that is [UNK]", total.without_piece)]
    if data.words is not None:
        shares.append(("do not occur in the model's training data", total.not_trained_on))
    if data.tagger is not None:
        rare = "do not occur"
        if data.tagger.fewest > 1:
            rare = f"occur fewer than {data.tagger.fewest} times"
        shares.append((f"{rare} in the tagger's training data", total.not_tagged_before))
    listed = wording.listing(
        f"{wording.count(number)}"
        + (f" ({wording.percent(number / total.words)})" if total.words else "")
        + f" {what}"
        for what, number in shares
    )
    return f"Of {wording.count(total.words)} words of the input, {listed}."


def _has_data_of(folder: Path) -> bool:
    """Return whether the data of this workspace are those that a run was trained on."""
    if not (folder / CELL).is_file():
        return False
    recorded = artifacts.read_json(folder / CELL).get("data_sha256")
    try:
        return data_sha256() == recorded
    except OSError:  # a file of the data is missing
        return False


def _row_hash(words: Iterable[str], normalized: dict[str, str]) -> int:
    return hash(tuple(normalized[word] for word in words))


def _normalized(model: Classifier, words: Iterable[str]) -> dict[str, str]:
    """Return words as the tokenizer normalizes them, by word: in lower case where it is uncased."""
    normalizer = model.tokenizer.backend_tokenizer.normalizer
    return {word: normalizer.normalize_str(word) if normalizer else word for word in words}
