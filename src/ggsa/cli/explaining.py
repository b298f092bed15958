"""One sentence under every pattern: which tokens may attend to which, what that costs, what a model does.

Reads what the stages have left (tagger, encoder, patterns) and writes nothing. `text` is what
`ggsa explain` prints; `ggsa.cli.picture` draws the same.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tabulate import tabulate

from ggsa.cli import training_data
from ggsa.evaluation import cost
from ggsa.evaluation.attention_maps import example_weights
from ggsa.model import batches, classifier
from ggsa.model.attention import Mask
from ggsa.model.classifier import Classifier, Prediction
from ggsa.patterns.pattern import Pattern, read_pattern
from ggsa.report.wording import percent
from ggsa.tagging.alignment import TaggedPieces, align
from ggsa.tagging.alignment import tokenizer as load_tokenizer
from ggsa.tagging.texts import tags_of_texts, words_of_texts
from ggsa.workspace import artifacts, config, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import CLS, SEP

MOST_KEYS = 12
"""Words that a line of `text` names; the rest are counted."""


@dataclass(frozen=True)
class ModeView:
    """Which tokens may attend to which under one pattern.

    Attributes:
        mode: Of the pattern.
        allowed: Allowed pairs of tokens (words, `[CLS]` first and `[SEP]` last), bool `[query, key]`.
        favored: Those that the pattern favors, bool `[query, key]`.
        pairs: Number of allowed pairs of word pieces.
        density: Allowed pairs over all pairs of word pieces.
        saving_model: Share of the whole model's FLOPs that the pattern saves.
    """

    mode: str
    allowed: np.ndarray
    favored: np.ndarray
    pairs: int
    density: float
    saving_model: float


@dataclass(frozen=True, repr=False)
class Explanation:
    """A sentence under every pattern, and what a model makes of it.

    Attributes:
        tokens: `[CLS]`, the words, `[SEP]`.
        tags: One for each token.
        pieces: Word pieces of every token.
        views: One for each mode.
        run: Folder of the model, if one was given.
        prediction: The model's prediction.
        note: What the model was trained on, and how many of the words it does not know.
        seed: The model's, if its folder records it.
        weights: The model's attention weights, float `[layer, head, query, key]`, over tokens: the
            pieces of a word are summed as keys and averaged as queries, so that rows sum to one.
        weights_by_piece: The same over word pieces, as `ggsa.report.explorer` takes them.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    pieces: tuple[tuple[str, ...], ...]
    views: tuple[ModeView, ...]
    run: Path | None = None
    prediction: Prediction | None = None
    note: str = ""
    seed: int | None = None
    weights: np.ndarray | None = None
    weights_by_piece: pd.DataFrame | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The tokens, repeated ones numbered: `is`, `is(2)`."""
        return tuple(
            token if (count := self.tokens[: i + 1].count(token)) == 1 else f"{token}({count})"
            for i, token in enumerate(self.tokens)
        )

    def __repr__(self) -> str:
        """Return one line; `text` says everything."""
        modes = ", ".join(f"{view.mode} {view.density:.2f}" for view in self.views)
        predicted = "" if self.prediction is None else f"; {prediction_text(self)}"
        return f"Explanation({' '.join(self.tokens[1:-1])!r}; densities: {modes}{predicted})"

    def _repr_html_(self) -> str:
        """Return the text for a notebook; `ggsa.cli.picture` draws it."""
        return f"<pre>{html.escape(text(self))}</pre>"


def explain(
    sentence: str, run: str | Path | None = None, tags: Sequence[str] | None = None
) -> Explanation:
    """Return which tokens of a sentence may attend to which, under every mode.

    Args:
        sentence: Raw text; the Treebank tokenizer splits it.
        run: A trained run or an export, whose prediction and attention weights are added.
        tags: One universal tag per word; None has the project's tagger tag the words.

    Raises:
        UserError: If the sentence is empty or too long, a tag is unknown, or the pipeline has not
            run.
    """
    words = words_of_texts([sentence])[0]
    model = classifier.load(run) if run is not None else None
    tokenizer = model.tokenizer if model else load_tokenizer(require_encoder())
    limit = model.max_pieces if model else config.load().train.max_pieces
    count = len(tokenizer(list(words), is_split_into_words=True)["input_ids"])
    if count > limit:
        raise UserError(
            f"The sentence has {len(words):,} words, which are {count:,} word pieces; expected at "
            f"most {limit}, the longest text that the model reads (train.max_pieces). Shorten it."
        )
    has_tags = tags is not None
    tags = tags_of_texts([words], [tags] if has_tags else None)[0]
    aligned = align(tokenizer, [words], [tags], count)
    owners = _owners(tokenizer, words)
    sizes = cost.architecture(
        model.model.config.to_dict()
        if model
        else artifacts.read_json(paths.ENCODER / "config.json")
    )
    patterns = {pattern.mode: pattern for pattern in _patterns()}
    if model:
        patterns[model.pattern.mode] = model.pattern
    if not patterns:
        raise UserError(
            f"{paths.RULES.resolve()} has no pattern. Run this in the project's folder, after "
            f"`make repro`, or name a run."
        )
    explanation = Explanation(
        tokens=(CLS, *words, SEP),
        tags=(CLS, *tags, SEP),
        pieces=_pieces(tokenizer.convert_ids_to_tokens(aligned.pieces[0].tolist()), owners),
        views=tuple(_view(pattern, aligned, owners, sizes) for pattern in patterns.values()),
    )
    if model is None:
        return explanation
    data, total = training_data.known(model, has_tags), training_data.Count()
    training_data.count(model, data, [words], total)
    return replace(
        explanation,
        note=training_data.note(model, data, total),
        run=model.folder,
        prediction=model.predict([words], [tags])[0],
        seed=training_data.seed_of(model.folder),
        weights=_weights(model, words, tags, owners),
        weights_by_piece=example_weights(model, aligned).assign(mode=model.pattern.mode),
    )


def text(explanation: Explanation) -> str:
    """Return an explanation for a terminal."""
    pieces = sum(map(len, explanation.pieces))
    rows = [
        (name, tag, " ".join(split) if len(split) > 1 else "")
        for name, tag, split in zip(
            explanation.names, explanation.tags, explanation.pieces, strict=True
        )
    ]
    parts = [
        tabulate(rows, ("word", "tag", "word pieces, if several"), disable_numparse=True),
        f"{len(explanation.tokens) - 2} words, {pieces} word pieces with [CLS] and [SEP]",
    ]
    for view in explanation.views:
        parts.append("\n".join([_headline(view, pieces), *_lines(explanation.names, view)]))
    if explanation.prediction is not None:
        parts.append(_prediction(explanation))
    return "\n\n".join(parts)


def require_encoder() -> Path:
    """Return the folder of the pipeline's encoder.

    Raises:
        UserError: If it does not exist.
    """
    if not (paths.ENCODER / "config.json").is_file():
        raise UserError(
            f"{paths.ENCODER.resolve()} has no encoder. Run this in the project's folder, after "
            f"`make repro`, or name a run."
        )
    return paths.ENCODER


def _patterns() -> list[Pattern]:
    """Return the pattern of every mode of the core study whose file exists."""
    files = [paths.rule_table(mode) for mode in config.load().grid.modes]
    return [read_pattern(path) for path in files if path.is_file()]


def _owners(tokenizer: Any, words: tuple[str, ...]) -> np.ndarray:
    """Return the token of every piece, int64 `[piece]`: 0 is `[CLS]`, the last is `[SEP]`."""
    word_ids = tokenizer(list(words), is_split_into_words=True).word_ids()
    return np.array([0, *(word + 1 for word in word_ids[1:-1]), len(words) + 1])


def _pieces(names: list[str], owners: np.ndarray) -> tuple[tuple[str, ...], ...]:
    """Return the pieces of every token."""
    return tuple(
        tuple(name for name, owner in zip(names, owners, strict=True) if owner == token)
        for token in range(owners[-1] + 1)
    )


def _view(
    pattern: Pattern, aligned: TaggedPieces, owners: np.ndarray, sizes: cost.Architecture
) -> ModeView:
    batch = batches.collate(aligned, np.array([-1]), [0])
    bias = Mask(pattern, torch.device("cpu")).bias(batch)[0, 0].numpy()  # [query, key], over pieces
    allowed = np.isfinite(bias)
    pieces, pairs = len(bias), int(allowed.sum())
    model = cost.model_flops(pieces, 1, pairs, sizes)
    return ModeView(
        mode=pattern.mode,
        allowed=_any_pair(allowed, owners),
        favored=_any_pair(allowed & (bias > 0), owners),
        pairs=pairs,
        density=pairs / pieces**2,
        saving_model=1 - model / cost.model_flops(pieces, 1, pieces**2, sizes),
    )


def _any_pair(pairs: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Return the pairs of tokens with at least one pair of pieces, bool `[token, token]`."""
    size = owners[-1] + 1
    of_tokens = np.zeros((size, size), bool)
    queries, keys = np.nonzero(pairs)
    of_tokens[owners[queries], owners[keys]] = True
    return of_tokens


def _weights(
    model: Classifier, words: tuple[str, ...], tags: list[str], owners: np.ndarray
) -> np.ndarray:
    """Return the model's attention weights over tokens, `[layer, head, query, key]`."""
    weights = model.attention(words, tags).numpy()  # [layer, head, piece, piece]
    to_token = np.eye(owners[-1] + 1)[owners]  # [piece, token]
    return (to_token / to_token.sum(axis=0)).T @ (weights @ to_token)


def _headline(view: ModeView, pieces: int) -> str:
    return (
        f"{view.mode}: {view.pairs} of {pieces**2} pairs of pieces allowed (density "
        f"{view.density:.3f}); saves {percent(1 - view.density)} of the attention FLOPs, "
        f"{percent(view.saving_model)} of the model's"
    )


def _lines(names: tuple[str, ...], view: ModeView) -> list[str]:
    if view.allowed.all() and not view.favored.any():
        return ["  every token may attend to every token"]
    pairs = view.favored if view.allowed.all() else view.allowed
    verb = "favors" if view.allowed.all() else "may attend to"
    width = max(map(len, names))
    return [
        f"  {name:{width}} {verb} {_listed(names, row)}"
        for name, row in zip(names, pairs, strict=True)
    ]


def _listed(names: tuple[str, ...], chosen: np.ndarray) -> str:
    if chosen.all():
        return "everything"
    listed = [name for name, is_chosen in zip(names, chosen, strict=True) if is_chosen]
    if not listed:
        return "nothing in particular"
    rest = len(listed) - MOST_KEYS
    return ", ".join(listed[:MOST_KEYS]) + (f" and {rest} more" if rest > 0 else "")


def prediction_text(explanation: Explanation) -> str:
    """Return what the model predicts, in a sentence."""
    label, probabilities = explanation.prediction
    listed = ", ".join(f"{name} {percent(value)}" for name, value in probabilities.items())
    return f"{explanation.run} predicts {label} ({listed})."


def _prediction(explanation: Explanation) -> str:
    lines = [prediction_text(explanation)]
    for layer, weights in enumerate(explanation.weights.mean(axis=1), 1):  # mean over heads
        order = weights[0].argsort()[::-1][:5]
        keys = ", ".join(f"{explanation.names[key]} {percent(weights[0, key])}" for key in order)
        lines.append(f"  [CLS] attends in layer {layer}, mean of heads, to {keys}")
    lines.append(explanation.note)
    return "\n".join(lines)
