"""The words that a tagger was trained on, read from its file without Stanza."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ggsa.workspace import artifacts, paths

DESCRIPTION = "tagger.json"


@dataclass(frozen=True)
class TaggerWords:
    """The words that a tagger knows from its training data.

    Attributes:
        words: In lower case where the tagger lowers them.
        lowered: Whether it does.
        fewest: How often a word occurs there at least, to be among them.
    """

    words: frozenset[str]
    lowered: bool
    fewest: int

    def unseen(self, words: Iterable[str]) -> set[str]:
        """Return the words that are not among them."""
        return {
            word for word in words if (word.lower() if self.lowered else word) not in self.words
        }

    def unknown_share(self, texts: Iterable[Sequence[str]]) -> float:
        """Return the share of the words of texts that are not among them, each time they occur."""
        counts = Counter(word for words in texts for word in words)
        unseen = sum(counts[word] for word in self.unseen(counts))
        return unseen / max(1, counts.total())


def tagger_words(folder: Path | None = None) -> TaggerWords | None:
    """Return the words that a tagger knows; None without a tagger, or if its file has no words.

    Args:
        folder: Of a tagger; by default `data/tagger`.
    """
    folder = folder or paths.TAGGER
    if not (folder / DESCRIPTION).is_file():
        return None
    file = folder / artifacts.read_json(folder / DESCRIPTION)["file"]
    vocabulary = torch.load(file, map_location="cpu", weights_only=True).get("vocab", {})
    known = vocabulary.get("word") or {}
    if not known.get("_unit2id"):
        return None
    return TaggerWords(
        frozenset(known["_unit2id"]), bool(known.get("lower")), max(1, known.get("cutoff", 1))
    )
