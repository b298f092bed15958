"""An attention pattern: a table over tag pairs that says who may look at whom.

`bias[q, k]` is what is added to the score when a token of tag q looks at a token of tag k: 0
(allowed), a number (allowed, favoured) or minus infinity (blocked). The rules stage writes one
pattern per mode; training and measurement read nothing else of the rules.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ggsa import artifacts
from ggsa.errors import UserError
from ggsa.vocabulary import TAGS


@dataclass(frozen=True)
class Pattern:
    """A table over tag pairs, with what a study may add to it."""

    mode: str
    tags: tuple[str, ...]
    bias: np.ndarray  # float32 [tag, tag]: query tag by key tag; -inf is blocked

    @property
    def allowed(self) -> np.ndarray:
        """Which tag may attend which, bool `[tag, tag]`; tokens see themselves besides."""
        return np.isfinite(self.bias)

    def allowed_pairs(self, counts: np.ndarray) -> np.ndarray:
        """Return the number of allowed pairs of every sentence.

        Args:
            counts: Pieces per tag, `[sentence, tag]`, special tokens included.

        Returns:
            int64 `[sentence]`. Every token may attend itself, whatever the table says, so a tag
            whose own pair is blocked still adds its count once.
        """
        allowed = self.allowed.astype(np.int64)
        pairs = np.einsum("sq,qk,sk->s", counts, allowed, counts, optimize=True)
        return pairs + counts @ (1 - np.diag(allowed))

    def density(self, counts: np.ndarray) -> float:
        """Return allowed pairs / all pairs, both summed over the sentences."""
        return float(self.allowed_pairs(counts).sum() / (counts.sum(axis=1) ** 2).sum())


def write(path: Path, pattern: Pattern) -> None:
    """Write a pattern as JSON; a blocked pair is null."""
    bias = [[float(x) if np.isfinite(x) else None for x in row] for row in pattern.bias]
    rows = {
        tag: dict(zip(pattern.tags, row, strict=True))
        for tag, row in zip(pattern.tags, bias, strict=True)
    }
    artifacts.write_json(
        path,
        {"mode": pattern.mode, "tags": list(pattern.tags), "bias": rows, "positional": None},
    )


def read(path: Path) -> Pattern:
    """Read a pattern.

    Raises:
        UserError: If the file is missing, malformed, or asks for something unknown here.
    """
    content = artifacts.read_json(path)
    try:
        tags = tuple(content["tags"])
        rows = [[content["bias"][query][key] for key in tags] for query in tags]
        bias = np.array([[-np.inf if x is None else x for x in row] for row in rows], np.float32)
        mode, positional = content["mode"], content["positional"]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} is no attention pattern ({error!r} is missing or malformed). "
            f"The rules stage writes it: run `dvc repro -f rules`."
        ) from error
    if tags != TAGS or positional is not None:
        raise UserError(
            f"{path} was written by another version of this project. Run `dvc repro -f rules`."
        )
    if np.isnan(bias).any() or np.isposinf(bias).any():
        raise UserError(
            f"{path} holds a bias that is not a finite number. Run `dvc repro -f rules`."
        )
    return Pattern(mode=mode, tags=tags, bias=bias)
