"""An attention pattern: a table over tag pairs that determines which tokens may attend to which.

`bias[q, k]` is added to the score when a token with tag q attends to a token with tag k: 0
(allowed), a number (allowed, favored) or minus infinity (blocked). The stage `rules` writes one
pattern per mode; later stages read only the pattern, never the rules.
"""

import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ggsa.patterns import positional
from ggsa.patterns.positional import Positional
from ggsa.workspace import artifacts
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import TAGS


@dataclass(frozen=True, repr=False)
class Pattern:
    """A table over tag pairs; some controls also have a positional part."""

    mode: str
    tags: tuple[str, ...]
    bias: np.ndarray  # float32 [tag, tag]: query tag by key tag; -inf is blocked
    positional: Positional | None = None  # further pairs that are allowed, by position

    @property
    def allowed(self) -> np.ndarray:
        """The allowed tag pairs, bool `[tag, tag]`; a token may also attend to itself."""
        return np.isfinite(self.bias)

    def __repr__(self) -> str:
        favored = int((self.bias[self.allowed] > 0).sum())
        parts = [f"{self.allowed.sum()} of {self.bias.size} tag pairs allowed"]
        parts += [f"{favored} favored"] if favored else []
        if self.positional is not None:
            parts.append(f"and further pairs by position ({self.positional.kind})")
        return f"Pattern({self.mode}: {', '.join(parts)})"

    def _repr_html_(self) -> str:
        """Return the table for a notebook: a row for each query tag, a column for each key tag."""
        marks = np.where(self.bias > 0, "+", np.where(self.allowed, "&bull;", ""))
        head = "".join(f"<th>{html.escape(tag)}</th>" for tag in self.tags)
        rows = (
            f"<tr><th>{html.escape(tag)}</th>{''.join(f'<td>{mark}</td>' for mark in row)}</tr>"
            for tag, row in zip(self.tags, marks, strict=True)
        )
        return (
            f"<p>{html.escape(repr(self))}. Rows: query tag; columns: key tag.</p>"
            f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>"
        )

    def allowed_pairs(self, counts: np.ndarray) -> np.ndarray:
        """Return the number of allowed pairs of every sentence.

        Args:
            counts: Pieces per tag, `[sentence, tag]`, special tokens included.

        Returns:
            int64 `[sentence]`. Every token may attend to itself regardless of the table, so a tag
            whose own pair is blocked still adds its count once.

        Raises:
            ValueError: If the number depends on the positions of the tokens; then use
                `ggsa.patterns.density.density`.
        """
        pairs = _table_pairs(self.allowed, counts)
        if self.positional is None:
            return pairs
        if not self.countable:
            raise ValueError(f"{self.mode}: its pairs cannot be counted from the tags alone")
        matched = _table_pairs(self.positional.match, counts)
        if self.positional.kind != "complement":
            return np.maximum(pairs, matched)
        candidates = self.allowed | ~self.positional.match
        return np.minimum(np.maximum(pairs, matched), _table_pairs(candidates, counts))

    @property
    def countable(self) -> bool:
        """Whether the tags of a sentence, without their order, decide its number of pairs."""
        return self.positional is None or self.positional.countable

    def density(self, counts: np.ndarray) -> float:
        """Return allowed pairs / all pairs, both summed over the sentences."""
        return float(self.allowed_pairs(counts).sum() / (counts.sum(axis=1) ** 2).sum())


def _table_pairs(table: np.ndarray, counts: np.ndarray) -> np.ndarray:
    allowed = table.astype(np.int64)
    pairs = np.einsum("sq,qk,sk->s", counts, allowed, counts, optimize=True)
    return pairs + counts @ (1 - np.diag(allowed))


def write_pattern(path: Path, pattern: Pattern) -> None:
    """Write a pattern as JSON; a blocked pair is null."""
    artifacts.write_json(path, pattern_as_json(pattern))


def pattern_as_json(pattern: Pattern) -> dict[str, Any]:
    """Return a pattern as JSON content; a blocked pair is None."""
    return {
        "mode": pattern.mode,
        "tags": list(pattern.tags),
        "bias": _rows(pattern.bias),
        "positional": _positional_as_json(pattern.positional),
    }


def _positional_as_json(extra: Positional | None) -> dict[str, Any] | None:
    if extra is None:
        return None
    content = {
        "kind": extra.kind,
        "seed": extra.seed,
        "match": None if extra.match is None else _rows(np.where(extra.match, 0.0, -np.inf)),
        "reach": extra.reach,
    }
    if extra.match_positional is not None:
        content["match_positional"] = _positional_as_json(extra.match_positional)
    return content


def _positional_from_json(content: Any, tags: tuple[str, ...]) -> Positional | None:
    if content is None:
        return None
    match = content["match"]
    return Positional(
        content["kind"],
        content["seed"],
        None if match is None else np.isfinite(_table(match, tags)),
        content["reach"],
        _positional_from_json(content.get("match_positional"), tags),
    )


def _rows(bias: np.ndarray) -> dict[str, dict[str, float | None]]:
    return {
        query: {key: float(x) if np.isfinite(x) else None for key, x in zip(TAGS, row, strict=True)}
        for query, row in zip(TAGS, bias, strict=True)
    }


def _table(rows: dict[str, dict[str, float | None]], tags: tuple[str, ...]) -> np.ndarray:
    values = [[rows[query][key] for key in tags] for query in tags]
    return np.array([[-np.inf if x is None else x for x in row] for row in values], np.float32)


def read_pattern(path: Path) -> Pattern:
    """Read a pattern.

    Raises:
        UserError: If the file is missing or malformed, or another version of this project wrote it.
    """
    return pattern_from_json(artifacts.read_json(path), path)


def pattern_from_json(content: Any, path: Path) -> Pattern:
    """Return a pattern from JSON content; see `read_pattern`."""
    try:
        tags = tuple(content["tags"])
        bias = _table(content["bias"], tags)
        mode, extra = content["mode"], _positional_from_json(content["positional"], tags)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} is not an attention pattern ({error!r} is missing or malformed). "
            f"The stage rules writes it: run `dvc repro -f rules`."
        ) from error
    if tags != TAGS or (extra is not None and extra.kind not in positional.KINDS):
        raise UserError(
            f"{path} was written by another version of this project. Run `dvc repro -f rules`."
        )
    if np.isnan(bias).any() or np.isposinf(bias).any():
        raise UserError(f"{path} has a bias that is not a finite number. Run `dvc repro -f rules`.")
    return Pattern(mode=mode, tags=tags, bias=bias, positional=extra)
