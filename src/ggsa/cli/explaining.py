"""One sentence under every pattern: who may look at whom, what that costs, where a model looked.

Place in the data flow: reads what the stages have left (tagger, encoder, patterns) and writes
nothing; `ggsa.cli.explain` prints it and `ggsa.explanation_page` draws it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ggsa.assets.raw_text import words_of
from ggsa.evaluation import cost
from ggsa.model import batches, classifier
from ggsa.model.attention import Mask
from ggsa.model.classifier import Classifier, Prediction
from ggsa.patterns.pattern import Pattern, read_pattern
from ggsa.tagging import tagger
from ggsa.tagging.alignment import TaggedPieces, align
from ggsa.tagging.alignment import tokenizer as load_tokenizer
from ggsa.workspace import artifacts, config, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import CLS, SEP, UNIVERSAL_TAGS


@dataclass(frozen=True)
class Lookout:
    """Who may look at whom under one pattern.

    Attributes:
        mode: Of the pattern.
        allowed: Between tokens (words, `[CLS]` first and `[SEP]` last), bool `[query, key]`.
        favored: Which of these the pattern favors, bool `[query, key]`.
        pairs: Allowed pairs of word pieces.
        density: These over all pairs of word pieces.
        saving_model: Share of the whole model's FLOPs that is saved.
    """

    mode: str
    allowed: np.ndarray
    favored: np.ndarray
    pairs: int
    density: float
    saving_model: float


@dataclass(frozen=True)
class Explanation:
    """What `explain` finds.

    Attributes:
        tokens: `[CLS]`, the words, `[SEP]`.
        tags: One for each.
        pieces: Word pieces of every token.
        lookouts: One for each mode.
        run: Folder of the model that was asked, if one was.
        prediction: What it says.
        weights: Where it looked, float `[layer, head, query, key]` over tokens: the pieces of a
            word are summed as keys and averaged as queries, so that rows sum to one.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    pieces: tuple[tuple[str, ...], ...]
    lookouts: tuple[Lookout, ...]
    run: Path | None = None
    prediction: Prediction | None = None
    weights: np.ndarray | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The tokens, those that occur twice and more numbered: `is`, `is(2)`."""
        return tuple(
            token if (place := self.tokens[: i + 1].count(token)) == 1 else f"{token}({place})"
            for i, token in enumerate(self.tokens)
        )


def explain(
    sentence: str, run: str | Path | None = None, tags: tuple[str, ...] | None = None
) -> Explanation:
    """Return who may look at whom in a sentence, under the mode of every pattern there is.

    Args:
        sentence: Raw text; the Treebank tokenizer splits it.
        run: A trained run or an export, whose prediction and attention are given besides.
        tags: One universal tag per word, in place of the pipeline's own tagger.

    Raises:
        UserError: If the sentence is empty or too long, a tag is unknown, or the pipeline has not
            run.
    """
    words = words_of(sentence)
    if not words:
        raise UserError("The sentence holds no word. Give one in quotes.")
    model = classifier.load(run) if run is not None else None
    tokenizer = model.tokenizer if model else load_tokenizer(require_encoder())
    limit = model.max_pieces if model else config.load().train.max_pieces
    count = len(tokenizer(list(words), is_split_into_words=True)["input_ids"])
    if count > limit:
        raise UserError(
            f"The sentence has {len(words):,} words, which are {count:,} word pieces; at most "
            f"{limit} are explained, as many as a model reads (train.max_pieces). Shorten it."
        )
    given = check_tags(words, tags) if tags is not None else tagged(words)
    aligned = align(tokenizer, [words], [given], count)
    owner = _owners(tokenizer, words)
    sizes = cost.architecture(
        model.model.config.to_dict()
        if model
        else artifacts.read_json(paths.ENCODER / "config.json")
    )
    known = {pattern.mode: pattern for pattern in _patterns()}
    if model:
        known[model.pattern.mode] = model.pattern
    if not known:
        raise UserError(f"{paths.RULES} holds no pattern. Run `make repro` first, or give --run.")
    found = Explanation(
        tokens=(CLS, *words, SEP),
        tags=(CLS, *given, SEP),
        pieces=_pieces(tokenizer.convert_ids_to_tokens(aligned.pieces[0].tolist()), owner),
        lookouts=tuple(_lookout(pattern, aligned, owner, sizes) for pattern in known.values()),
    )
    return _asked(found, model, words, given, owner) if model else found


def tagged(words: tuple[str, ...]) -> list[str]:
    """Return the tags that the pipeline's tagger gives.

    Raises:
        UserError: If there is no tagger yet.
    """
    return pipeline_tagger()([words])[0]


def pipeline_tagger() -> Callable[[Sequence[tuple[str, ...]]], list[list[str]]]:
    """Return what gives texts their universal tags: the pipeline's tagger, as params.yaml has it.

    Raises:
        UserError: If there is none yet.
    """
    if not (paths.TAGGER / "tagger.json").is_file():
        raise UserError(
            f"{paths.TAGGER} holds no tagger, so the words have no tags. Run `make repro` first, "
            f"or give the tags."
        )
    options = config.load().tagger
    pipeline = tagger.load_tagger(paths.TAGGER, options.batch_size)
    return lambda texts: tagger.tag_texts(pipeline, texts, options.mapping)


def check_tags(words: tuple[str, ...], tags: tuple[str, ...]) -> list[str]:
    """Return the tags if they fit the words.

    Raises:
        UserError: If their number differs or one is no universal tag.
    """
    unknown = [tag for tag in tags if tag not in UNIVERSAL_TAGS]
    if unknown:
        raise UserError(
            f"{unknown[0]} is no known tag. There are: {', '.join(UNIVERSAL_TAGS)} (Universal "
            f"Dependencies)."
        )
    if len(tags) != len(words):
        raise UserError(
            f"There are {len(tags)} tags for {len(words)} words, which are: {' '.join(words)}. "
            f"Give one for each."
        )
    return list(tags)


def require_encoder() -> Path:
    """Return the folder of the pipeline's encoder.

    Raises:
        UserError: If there is none yet.
    """
    if not (paths.ENCODER / "config.json").is_file():
        raise UserError(f"{paths.ENCODER} holds no encoder. Run `make repro` first.")
    return paths.ENCODER


def _patterns() -> list[Pattern]:
    """Return the pattern of every mode of the core study that is there."""
    files = [paths.rule_table(mode) for mode in config.load().grid.modes]
    return [read_pattern(path) for path in files if path.is_file()]


def _owners(tokenizer: Any, words: tuple[str, ...]) -> np.ndarray:
    """Return the token of every piece, int64 `[piece]`: 0 is `[CLS]`, the last is `[SEP]`."""
    found = tokenizer(list(words), is_split_into_words=True).word_ids()
    inner = [word + 1 for word in found[1:-1]]
    return np.array([0, *inner, len(words) + 1])


def _pieces(names: list[str], owner: np.ndarray) -> tuple[tuple[str, ...], ...]:
    """Return the pieces of every token."""
    return tuple(
        tuple(name for name, token in zip(names, owner, strict=True) if token == place)
        for place in range(owner[-1] + 1)
    )


def _lookout(
    pattern: Pattern, aligned: TaggedPieces, owner: np.ndarray, sizes: cost.Architecture
) -> Lookout:
    batch = batches.collate(aligned, np.array([-1]), [0])
    bias = Mask(pattern, torch.device("cpu")).bias(batch)[0, 0].numpy()  # [query, key], over pieces
    open_pairs = np.isfinite(bias)
    pieces, pairs = len(bias), int(open_pairs.sum())
    model = cost.model_flops(pieces, 1, pairs, sizes)
    return Lookout(
        mode=pattern.mode,
        allowed=_any_pair(open_pairs, owner),
        favored=_any_pair(open_pairs & (bias > 0), owner),
        pairs=pairs,
        density=pairs / pieces**2,
        saving_model=1 - model / cost.model_flops(pieces, 1, pieces**2, sizes),
    )


def _any_pair(pairs: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Return pairs of tokens of which any pieces pair, bool `[token, token]`."""
    size = owner[-1] + 1
    found = np.zeros((size, size), bool)
    queries, keys = np.nonzero(pairs)
    found[owner[queries], owner[keys]] = True
    return found


def _asked(
    found: Explanation,
    model: Classifier,
    words: tuple[str, ...],
    tags: list[str],
    owner: np.ndarray,
) -> Explanation:
    """Return the explanation with what the model says and where it looked."""
    weights = model.attention(words, tags).numpy()  # [layer, head, piece, piece]
    to_token = np.eye(owner[-1] + 1)[owner]  # [piece, token]
    summed = weights @ to_token
    averaged = (to_token / to_token.sum(axis=0)).T @ summed  # [layer, head, token, token]
    return Explanation(
        **{
            **vars(found),
            "run": model.folder,
            "prediction": model.predict([words], [tags])[0],
            "weights": averaged,
        }
    )
