"""All measurements on the cells of core: which models, which sentences, in which order."""

import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ggsa.evaluation.finished_cells import read_results
from ggsa.evaluation.interpretability import attention, dependency, erasure, sentences, tables
from ggsa.evaluation.interpretability.dependency import Tree
from ggsa.evaluation.interpretability.sentences import Sentences, Settings
from ggsa.evaluation.verdicts import unlearned
from ggsa.model import classifier
from ggsa.model.classifier import Classifier
from ggsa.tagging import tagger
from ggsa.training import studies
from ggsa.training.study_cells import require_corpus
from ggsa.workspace import artifacts, paths
from ggsa.workspace.checksums import sha256
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import write_table
from ggsa.workspace.vocabulary import TAGS

TREEBANK = Path("ud_english_ewt/dev.conllu")
"""In a mirror."""

MOST_UNKNOWN = 0.05
"""Share of [UNK] pieces above which a vocabulary does not fit the treebank."""

Models = Callable[[str, int], Classifier]
Tagger = Callable[[Sequence[Sequence[str]]], list[list[str]]]


@dataclass
class Notes:
    """Remarks on what was measured, or was not."""

    rows: list[dict[str, str]] = field(default_factory=list)

    def add(self, topic: str, note: str) -> None:
        """Keep a remark and print it."""
        self.rows.append({"topic": topic, "note": note})
        print(f"interpret: {topic}: {note}", file=sys.stderr, flush=True)


def measure(corpus: str, params: Params, settings: Settings, folder: Path) -> None:
    """Measure the trained models of core and write every table.

    Args:
        corpus: Name of the corpus that core must have run on.
        params: The parameters that the models were trained with.
        settings: What to measure.
        folder: Where the tables are written, in place of all that it holds.

    Raises:
        UserError: If core ran on another corpus, or a model is missing.
    """
    require_corpus(corpus)
    for mode in params.grid.modes:
        for seed in params.grid.seeds:
            if not (paths.cell(paths.CORE, mode, seed) / "config.json").is_file():
                raise UserError(
                    f"{paths.cell(paths.CORE, mode, seed)} has no model: expected one for every mode "
                    f"and seed of `grid`. Run `dvc repro train`."
                )
    torch.set_num_threads(1)

    def tag(words: Sequence[Sequence[str]]) -> list[list[str]]:
        pipeline = tagger.load_tagger(paths.TAGGER, params.tagger.batch_size)
        return tagger.tag_texts(pipeline, words, params.tagger.mapping)

    results = read_results(studies.core(params, corpus), corpus)
    failed = unlearned(results, "validation", params.grid.modes) if results else []
    measures = measured(params, settings, trained, tag, treebank(params), failed)
    with artifacts.atomic_folder(folder) as new:
        for table_name, table in measures.items():
            write_table(new / f"{table_name}.csv", table)


def trained(mode: str, seed: int) -> Classifier:
    """Return the trained model of a cell of core; it computes attention by the dense mask."""
    return classifier.load(paths.cell(paths.CORE, mode, seed), implementation="dense")


def treebank(params: Params) -> Path | None:
    """Return the treebank of the mirror, or None where there is none."""
    mirror = params.assets.mirror_folder()
    path = mirror / TREEBANK if mirror else None
    return path if path is not None and path.is_file() else None


def measured(
    params: Params,
    settings: Settings,
    models: Models,
    tag: Tagger,
    path: Path | None,
    failed: Collection[str] = (),
) -> dict[str, pd.DataFrame]:
    """Return the tables `measures`, `findings` and `notes`.

    Args:
        params: Give the modes, the seeds, and the seed of random words.
        settings: What to measure.
        models: Gives the model of a mode and seed.
        tag: Gives sentences their tags.
        path: The treebank; None leaves out the agreement with dependency relations.
        failed: The modes that did not learn.
    """
    modes, seeds = params.grid.modes, params.grid.seeds
    first = models(modes[0], seeds[0])
    notes = Notes()
    chosen = sentences.read_split(
        "validation", first.tokenizer, first.max_pieces, settings.sentences
    )
    notes.add("attention", f"{len(chosen)} validation sentences, {len(seeds)} seeds")
    long = [i for i, row in enumerate(chosen.words) if len(row) >= settings.erasure.shortest]
    texts = erasure.Texts([chosen.words[i] for i in long], [chosen.tags[i] for i in long])
    notes.add(
        "erasure",
        f"{len(long)} of {len(chosen)} sentences, those of {settings.erasure.shortest} words or "
        f"more; {settings.erasure.share:.0%} of their words, {settings.erasure.draws} random draws",
    )
    trees, parsed = _parsed(first, settings, tag, path, notes)
    related = [tree.related() for tree in trees]

    alone, expected, rules = {}, {}, None
    observed, top, random, hits = (defaultdict(list) for _ in range(4))
    for mode in modes:
        for seed in seeds:
            model = models(mode, seed)
            if seed == seeds[0]:
                alone[mode] = attention.pattern_alone(model.mask, chosen)
                if mode == "hard":
                    rules = model.pattern.allowed & ~np.eye(len(TAGS), dtype=bool)
                if parsed:
                    expected[mode] = dependency.expected(model.mask, parsed, related)
            seen = attention.observe(model, chosen)
            observed[mode].append(seen)
            of_top, of_random = erasure.effects(
                model,
                texts,
                [seen.from_cls[i] for i in long],
                settings.erasure,
                params.evaluate.seed,
            )
            top[mode].append(of_top)
            random[mode].append(of_random)
            if parsed:
                hits[mode].append(dependency.hits(model, parsed, related))

    result = tables.Tables(failed)
    tables.sharpness(result, observed, alone)
    if rules is None:
        notes.add("rules", "Not measured: the grid lacks the mode hard, which gives the rules.")
    else:
        tables.rule_share(result, observed, alone, rules)
    if parsed:
        offsets = dependency.offset_hits(related, settings.treebank.offsets)
        words = np.array([len(tree.words) for tree in trees])
        tables.dependency(result, _stacked(hits), expected, offsets, words)
    tables.erasure(result, _stacked(top), _stacked(random))
    return {
        "measures": result.measures(),
        "findings": result.findings(),
        "notes": pd.DataFrame(notes.rows),
    }


def _parsed(
    model: Classifier, settings: Settings, tag: Tagger, path: Path | None, notes: Notes
) -> tuple[list[Tree], Sentences | None]:
    """Return the trees and their sentences; none where these cannot be measured."""
    if path is None:
        notes.add("dependency", f"Not measured: the mirror lacks {TREEBANK}.")
        return [], None
    trees = dependency.read_trees(path, settings.treebank)
    tags = tag([tree.words for tree in trees])
    parsed = sentences.from_words(
        model.tokenizer, [tree.words for tree in trees], tags, model.max_pieces
    )
    pieces = np.concatenate(parsed.pieces.pieces)
    if np.mean(pieces == model.tokenizer.unk_token_id) > MOST_UNKNOWN:
        notes.add("dependency", "Not measured: the vocabulary lacks words of the treebank.")
        return [], None
    gold = [name for tree in trees for name in tree.tags]
    right = np.mean(np.array(gold) == np.concatenate(tags))
    notes.add(
        "dependency",
        f"{len(trees)} sentences of {path.parent.name}/{path.name}, in lower case; the pipeline's "
        f"tagger agrees with the treebank on {right:.1%} of {len(gold)} words; file sha256 "
        f"{sha256(path)}",
    )
    return trees, parsed


def _stacked(by_arm: dict[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    return {arm: np.stack(values) for arm, values in by_arm.items()}
