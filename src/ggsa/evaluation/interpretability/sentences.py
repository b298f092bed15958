"""The sentences that are measured: their words, their pieces, and the trees of a treebank."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ggsa.evaluation.interpretability.settings import Treebank
from ggsa.tagging import alignment
from ggsa.tagging.splits import Split, read_words
from ggsa.workspace.config import Params
from ggsa.workspace.vocabulary import UNIVERSAL_TAGS

TREEBANK = Path("ud_english_ewt/dev.conllu")  # in a mirror
SPECIAL = -1


@dataclass(frozen=True)
class Sentences:
    """Sentences as words with tags and, aligned with these, as pieces."""

    words: list[tuple[str, ...]]
    tags: list[tuple[str, ...]]
    split: Split
    word_of_piece: list[np.ndarray]  # [sentence] of int64 [token]; `SPECIAL` at special tokens

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.words)


@dataclass(frozen=True)
class Tree:
    """A sentence of a treebank."""

    words: tuple[str, ...]
    tags: tuple[str, ...]  # gold
    heads: tuple[int, ...]  # [word]: index of each word's head, -1 at the root

    def related(self) -> np.ndarray:
        """Return whether one word is the head or a dependent of another, bool `[word, word]`."""
        table = np.zeros((len(self.words), len(self.words)), bool)
        for word, head in enumerate(self.heads):
            if head >= 0:
                table[word, head] = table[head, word] = True
        return table


def prepared(
    tokenizer: Any,
    words: Sequence[Sequence[str]],
    tags: Sequence[Sequence[str]],
    max_pieces: int,
    labels: np.ndarray | None = None,
) -> Sentences:
    """Return sentences ready for a model, with the word that every piece belongs to.

    Raises:
        UserError: If words and tags do not belong together.
    """
    encoded = tokenizer(
        [list(row) for row in words],
        is_split_into_words=True,
        truncation=True,
        max_length=max_pieces,
    )
    of_piece = [
        np.array([SPECIAL if word is None else word for word in encoded.word_ids(i)], np.int64)
        for i in range(len(words))
    ]
    split = Split(
        name="",
        ids=np.arange(len(words)),
        words=[list(row) for row in words],
        word_tags=[list(row) for row in tags],
        sentences=alignment.align(tokenizer, words, tags, max_pieces),
        labels=np.full(len(words), -1) if labels is None else labels,
        class_names=(),
    )
    return Sentences([tuple(w) for w in words], [tuple(t) for t in tags], split, of_piece)


def of_corpus(split: str, tokenizer: Any, params: Params, limit: int | None) -> Sentences:
    """Return a split of the corpus, or its first sentences."""
    table = read_words(split)[:limit]
    labels = table["label"].to_numpy(np.int64)
    return prepared(
        tokenizer, list(table["words"]), list(table["tags"]), params.train.max_pieces, labels
    )


def treebank_file(params: Params) -> Path | None:
    """Return the treebank of the mirror, or None where there is none."""
    mirror = params.assets.mirror_folder()
    path = mirror / TREEBANK if mirror else None
    return path if path is not None and path.is_file() else None


def trees(path: Path, settings: Treebank) -> list[Tree]:
    """Return the first sentences of a CoNLL-U file that have the lengths asked for, lower-cased.

    Ranges of a split word (`1-2`) and empty nodes (`1.1`) are passed over.
    """
    found: list[Tree] = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        rows = [line.split("\t") for line in block.splitlines() if line and line[0] != "#"]
        rows = [row for row in rows if row[0].isdigit()]
        if not settings.shortest <= len(rows) <= settings.longest:
            continue
        found.append(
            Tree(
                words=tuple(row[1].lower() for row in rows),
                tags=tuple(row[3] if row[3] in UNIVERSAL_TAGS else "X" for row in rows),
                heads=tuple(int(row[6]) - 1 for row in rows),
            )
        )
        if len(found) == settings.sentences:
            break
    return found


def sha256(path: Path) -> str:
    """Return the checksum of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
