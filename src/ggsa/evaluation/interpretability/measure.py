"""All measurements of one corpus: which models, which sentences, in which order.

Models come in as a function of mode and seed, so that nothing here knows where they were trained.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from ggsa.assets import probe
from ggsa.evaluation.interpretability import (
    attention,
    deciding,
    dependency,
    erasure,
    sentences,
    tables,
    word_tables,
)
from ggsa.evaluation.interpretability.attention import Weights
from ggsa.evaluation.interpretability.sentences import Sentences
from ggsa.evaluation.interpretability.settings import Settings
from ggsa.model.attention import Mask
from ggsa.patterns.modes import PatternData, pattern_for
from ggsa.patterns.pattern import Pattern, read_pattern
from ggsa.tagging import tagger
from ggsa.tagging.alignment import tokenizer as load_tokenizer
from ggsa.workspace import artifacts, paths
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import write_table
from ggsa.workspace.vocabulary import TAGS

Models = Callable[[str, int], PreTrainedModel]
STUDY = "core"
"""The study in `runs/` whose models are read."""


@dataclass
class Notes:
    """Remarks on what was measured, or was not; a table of their own."""

    rows: list[dict[str, str]] = field(default_factory=list)

    def add(self, measure: str, notice: str) -> None:
        """Keep a remark and print it."""
        self.rows.append({"measure": measure, "notice": notice})
        print(f"interpret: {measure}: {notice}", file=sys.stderr, flush=True)


def measure(corpus: str, params: Params, settings: Settings, folder: Path) -> None:
    """Measure the trained models of a corpus and write every table.

    Args:
        corpus: `sst2` or `probe`; the assets must be those of it.
        params: The parameters that the models were trained with.
        settings: What to measure.
        folder: Where the tables are written.

    Raises:
        UserError: If the assets are another corpus's, or a model is missing.
    """
    _require_corpus(corpus)
    notes = Notes()
    missing = [path for _, _, path in _cells(params) if not (path / "config.json").exists()]
    if missing:
        raise UserError(
            f"{missing[0]} holds no model. Run `make study NAME=interpretability CORPUS={corpus}`."
        )
    torch.set_num_threads(1)
    models = kept_models
    found = measured(corpus, params, settings, models, notes)
    found["attention_selection"] = selection_weights(params, models)
    found["notices"] = pd.DataFrame(notes.rows)
    _write(folder, found)


def kept_models(mode: str, seed: int) -> PreTrainedModel:
    """Return the trained model of a mode and seed, with attention weights."""
    folder = paths.cell(STUDY, mode, seed)
    return AutoModelForSequenceClassification.from_pretrained(
        folder, attn_implementation="eager"
    ).eval()


def measured(
    corpus: str, params: Params, settings: Settings, models: Models, notes: Notes
) -> dict[str, pd.DataFrame]:
    """Return every table but that of the selection split, by name.

    Args:
        corpus: `sst2` or `probe`.
        params: Name the modes and seeds.
        settings: What to measure.
        models: Gives the model of a mode and seed.
        notes: Receives remarks.
    """
    tokenizer = load_tokenizer(paths.ENCODER)
    chosen = sentences.of_corpus("validation", tokenizer, params, settings.sentences)
    notes.add("attention", f"{len(chosen)} validation sentences, {len(params.grid.seeds)} seeds")
    hard = pattern("hard", params)
    masks = {mode: Mask(pattern(mode, params), torch.device("cpu")) for mode in params.grid.modes}
    seeds = params.grid.seeds
    alone = {mode: attention.baselines(mask, chosen.split) for mode, mask in masks.items()}
    looked: dict[str, list[Weights]] = {
        mode: [attention.weights(models(mode, seed), mask, chosen) for seed in seeds]
        for mode, mask in masks.items()
    }
    cells = tables.Cells.of(params, len(chosen))
    result, findings = {}, []
    for name, made in {
        "tag_pairs": tables.tag_pairs(cells, looked, alone),
        "entropy": tables.entropy(cells, looked, alone),
        "rule_share": tables.rule_share(cells, looked, alone, _rule_pairs(hard)),
    }.items():
        result[name], rows = made
        findings += rows
    result["erasure"], rows = word_tables.erasure(
        params, _erased(params, settings, models, masks, chosen, looked, tokenizer, notes)
    )
    findings += rows
    if corpus == "sst2":
        result["dependency"], rows = _dependency(params, settings, models, masks, tokenizer, notes)
    else:
        notes.add("dependency", "Not measured: this vocabulary does not know the treebank's words.")
        result["deciding"], rows = word_tables.deciding(
            cells, _deciding(params, settings, chosen, looked)
        )
    findings += rows
    result["findings"] = tables.findings(findings, params.grid.modes)
    return result


def selection_weights(params: Params, models: Models | None = None) -> pd.DataFrame:
    """Return full attention's mean weight per allowed pair of pieces on the selection split.

    Columns `seed, query_tag, key_tag, weight_per_pair`; layers and heads averaged; pairs of tags
    that never meet are left out. The control `learned` is made from it.

    Args:
        params: Name the seeds.
        models: Gives the model of a mode and seed; None takes those of the core study.
    """
    models = models or kept_models
    tokenizer = load_tokenizer(paths.ENCODER)
    chosen = sentences.of_corpus("selection", tokenizer, params, None)
    mask = Mask(pattern("full", params), torch.device("cpu"))
    queries = attention.baselines(mask, chosen.split).queries
    rows = []
    for seed in params.grid.seeds:
        mass = attention.weights(models("full", seed), mask, chosen).mass
        mean = attention.per_pair(mass, queries)
        rows += [
            {
                "seed": seed,
                "query_tag": TAGS[query],
                "key_tag": TAGS[key],
                "weight_per_pair": mean[query, key],
            }
            for query, key in np.argwhere(np.isfinite(mean))
        ]
    return pd.DataFrame(rows)


def pattern(mode: str, params: Params) -> Pattern:
    """Return the pattern of a mode: the written one, else what the rules of params.yaml give."""
    path = paths.rule_table(mode)
    if path.exists():
        return read_pattern(path)
    return pattern_for(mode, params.rules, 0, PatternData(params))


def _rule_pairs(hard: Pattern) -> Mapping[str, np.ndarray]:
    """Return the sets of tag pairs whose share is measured, each bool `[tag, tag]`."""
    own = np.eye(len(TAGS), dtype=bool)
    return {"rules": hard.allowed & ~own, "own tag": own, "hard table": hard.allowed}


def _cells(params: Params) -> Iterator[tuple[str, int, Path]]:
    for mode in params.grid.modes:
        for seed in params.grid.seeds:
            yield mode, seed, paths.cell(STUDY, mode, seed)


def _require_corpus(corpus: str) -> None:
    name = artifacts.read_json(paths.provenance())["corpus"]["name"]
    if name != corpus:
        raise UserError(
            f"{paths.provenance()}: this is the corpus {name}, and {corpus} was to be measured. "
            f"Name the folder of its assets by $GGSA_DATA."
        )


def _write(folder: Path, found: Mapping[str, pd.DataFrame]) -> None:
    for name, table in found.items():
        write_table(folder / f"{name}.csv", table)


# Each measurement, over all models.


def _erased(
    params: Params,
    settings: Settings,
    models: Models,
    masks: Mapping[str, Mask],
    chosen: Sentences,
    looked: Mapping[str, Sequence[Weights]],
    tokenizer: Any,
    notes: Notes,
) -> erasure.Erased:
    rows = [i for i, row in enumerate(chosen.words) if len(row) >= settings.erasure.shortest]
    notes.add(
        "erasure",
        f"{len(rows)} of {len(chosen)} sentences, those of {settings.erasure.shortest} words or "
        f"more; {settings.erasure.share:.0%} of their words, {settings.erasure.draws} random draws",
    )
    pieces = params.train.max_pieces
    subset = sentences.prepared(
        tokenizer, [chosen.words[i] for i in rows], [chosen.tags[i] for i in rows], pieces
    )
    by_chance = erasure.random_variants(
        subset, settings.erasure, tokenizer, pieces, params.evaluate.seed
    )
    top: dict[str, np.ndarray] = {}
    random: dict[str, np.ndarray] = {}
    for mode, mask in masks.items():
        of_top, of_random = [], []
        for seed, seen in zip(params.grid.seeds, looked[mode], strict=True):
            model = models(mode, seed)
            words = erasure.top_words([seen.from_cls[i] for i in rows], settings.erasure.share)
            changed = erasure.variants(subset, words, tokenizer, pieces)
            whole = erasure.probabilities(model, mask, subset.split)
            of_top.append(erasure.effects(model, mask, whole, changed))
            chance = [erasure.effects(model, mask, whole, drawn) for drawn in by_chance]
            of_random.append(np.mean(chance, axis=0))
        top[mode], random[mode] = np.stack(of_top), np.stack(of_random)
    return erasure.Erased(top, random)


def _dependency(
    params: Params,
    settings: Settings,
    models: Models,
    masks: Mapping[str, Mask],
    tokenizer: Any,
    notes: Notes,
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    path = sentences.treebank_file(params)
    if path is None:
        notice = f"Not measured: the mirror has no {sentences.TREEBANK}."
        notes.add("dependency", notice)
        return word_tables.no_dependency(params.grid.modes, notice), []
    parsed = sentences.trees(path, settings.treebank)
    pipeline = tagger.load_tagger(paths.TAGGER, params.tagger.batch_size)
    tags = tagger.tag_sentences(pipeline, [tree.words for tree in parsed])
    gold = [tag for tree in parsed for tag in tree.tags]
    right = np.mean([a == b for a, b in zip(gold, (t for row in tags for t in row), strict=True)])
    notice = (
        f"{len(parsed)} sentences of UD English EWT dev, lower-cased, tagged by the pipeline's own "
        f"tagger ({right:.1%} of {len(gold)} words as the treebank has them); file sha256 "
        f"{sentences.sha256(path)}"
    )
    notes.add("dependency", notice)
    ready = sentences.prepared(
        tokenizer, [tree.words for tree in parsed], tags, params.train.max_pieces
    )
    related = [tree.related() for tree in parsed]
    agreement = dependency.Agreement(
        hits={
            mode: np.stack(
                [
                    dependency.hits(models(mode, seed), mask, ready, related)
                    for seed in params.grid.seeds
                ]
            )
            for mode, mask in masks.items()
        },
        expected={mode: dependency.expected(mask, ready, related) for mode, mask in masks.items()},
        offsets=dependency.offset_hits(related, settings.treebank.offsets),
        words=np.array([len(tree.words) for tree in parsed]),
    )
    steps = dependency.offset_steps(settings.treebank.offsets)
    return word_tables.dependency(params, agreement, steps, notice)


def _deciding(
    params: Params,
    settings: Settings,
    chosen: Sentences,
    looked: Mapping[str, Sequence[Weights]],
) -> deciding.Decided:
    """Return hits among the content words, and among the polar words, in this order."""
    known = {
        sentence.words: sentence
        for split in probe.generate(params.corpus.seed).values()
        for sentence in split
    }
    source = [known[words] for words in chosen.words]
    places = [deciding.reading(s.words, s.tags)[0] for s in source]
    candidates = [
        (
            [i for i, tag in enumerate(s.tags) if tag in settings.content_tags],
            deciding.polar_words(s.words, s.tags),
        )
        for s in source
    ]
    sizes = np.array([[len(some) for some in both] for both in candidates])
    counted = (sizes > 1).astype(float)
    hits = {
        mode: np.array(
            [
                [
                    [deciding.found(row, some, place) for some in both]
                    for row, both, place in zip(seen.from_cls, candidates, places, strict=True)
                ]
                for seen in by_seed
            ],
            float,
        )
        * counted
        for mode, by_seed in looked.items()
    }
    return deciding.Decided(hits, counted / sizes, counted, [s.phenomena for s in source])
