"""What a run was trained on, and which words of a text it does not know.

A run's folder records a digest of its data (cell.json). Where the data of this workspace have that
digest, they say which corpus it was and which words occur in it. An export records the corpus only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ggsa.assets import corpora
from ggsa.model.classifier import Classifier
from ggsa.report import wording
from ggsa.training.cell import CELL
from ggsa.training.identity import data_sha256
from ggsa.workspace import artifacts, paths
from ggsa.workspace.tables import CORPUS_COLUMNS, read_table

PROVENANCE = "provenance.json"
"""File of an export: the provenance of its run's data."""


@dataclass(frozen=True)
class Known:
    """What is known about the training data of a model.

    Attributes:
        provenance: The content of provenance.json; None if it is unknown.
        words: The different words of train, as the tokenizer normalizes them; None if unknown.
    """

    provenance: dict[str, Any] | None
    words: frozenset[str] | None


@dataclass
class Count:
    """How many words of some texts there are, and how many the model does not know."""

    words: int = 0
    unknown: int = 0


def provenance_of(folder: Path) -> dict[str, Any] | None:
    """Return the provenance of the data that a run or an export was trained on; None if unknown."""
    if (folder / PROVENANCE).is_file():
        return artifacts.read_json(folder / PROVENANCE)
    return artifacts.read_json(paths.provenance()) if _has_data_of(folder) else None


def seed_of(folder: Path) -> int | None:
    """Return the seed of a run; None for an export, which does not record it."""
    return artifacts.read_json(folder / CELL)["seed"] if (folder / CELL).is_file() else None


def known(model: Classifier) -> Known:
    """Return what is known about the training data of a model."""
    words = None
    if _has_data_of(model.folder):
        train = read_table(paths.corpus_split("train"), CORPUS_COLUMNS)["words"]
        words = frozenset(_normalized(model, {word for row in train for word in row}).values())
    return Known(provenance_of(model.folder), words)


def count(model: Classifier, data: Known, texts: Iterable[Sequence[str]], so_far: Count) -> None:
    """Add the words of texts to a count.

    A word is unknown if it does not occur in train or, where the words of train are not recorded,
    if one of its pieces is `[UNK]`.
    """
    words = [word for text in texts for word in text]
    if not words:
        return
    distinct = sorted(set(words))
    pieces = model.tokenizer([[word] for word in distinct], is_split_into_words=True)["input_ids"]
    unknown = {
        word
        for word, ids in zip(distinct, pieces, strict=True)
        if model.tokenizer.unk_token_id in ids
    }
    if data.words is not None:
        normalized = _normalized(model, distinct)
        unknown |= {word for word in distinct if normalized[word] not in data.words}
    so_far.words += len(words)
    so_far.unknown += sum(word in unknown for word in words)


def note(model: Classifier, data: Known, total: Count) -> str:
    """Return what a model was trained on and how many words it does not know, in sentences."""
    unknown = "have a piece that is [UNK]" if data.words is None else "do not occur there"
    share = f" ({wording.percent(total.unknown / total.words)})" if total.words else ""
    words = (
        f"Words of the input that {unknown}: {wording.count(total.unknown)} of "
        f"{wording.count(total.words)}{share}."
    )
    if data.provenance is None:
        return (
            f"What {model.folder} was trained on is unknown: {paths.DATA} holds other data, or "
            f"none. {words}"
        )
    corpus, encoder = data.provenance["corpus"], data.provenance["encoder"]
    sentences = [
        f"{model.folder} was trained on {wording.corpus_name(data.provenance)}, "
        f"{wording.count(corpus['rows']['train'])} rows.",
        words,
    ]
    if encoder["pretrained"] and data.words is not None and total.unknown:
        sentences.append("It may know them from pretraining.")
    if corpora.get(corpus["name"]).phenomena is not None:
        sentences.append(
            "It knows only sentences that a small grammar generates: for other text its "
            "probabilities mean nothing."
        )
    return " ".join(sentences)


def _has_data_of(folder: Path) -> bool:
    """Return whether the data of this workspace are those that a run was trained on."""
    if not (folder / CELL).is_file():
        return False
    recorded = artifacts.read_json(folder / CELL).get("data_sha256")
    try:
        return data_sha256() == recorded
    except OSError:  # a file of the data is missing
        return False


def _normalized(model: Classifier, words: Iterable[str]) -> dict[str, str]:
    """Return words as the tokenizer normalizes them, by word: in lower case where it is uncased."""
    normalizer = model.tokenizer.backend_tokenizer.normalizer
    return {word: normalizer.normalize_str(word) if normalizer else word for word in words}
