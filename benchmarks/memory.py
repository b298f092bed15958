"""Peak memory and seconds of tagging a corpus and of reading it for training, by its size.

The sentences are generated: 10 to 30 words each, drawn by Zipf's law from the whole words of the
encoder's vocabulary. Every measurement is a process of its own.

- `tags`: the stage `tag` as a whole. A constant tagger, which calls every word a noun, leaves what
  streaming, sorting, the store and the files take; the project's tagger tags fewer sentences.
- `training`: the corpus is read as a cell reads it, its word pieces are numbered, and every batch of an
  epoch is made. There is no model.
"""

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import timing
from ggsa.model import batches
from ggsa.tagging.alignment import tokenizer as load_tokenizer
from ggsa.tagging.distinct import Words
from ggsa.training import loop
from ggsa.training.recipe import recipe_for
from ggsa.training.vocabulary_subset import VocabularySubset
from ggsa.workspace import artifacts, checksums, config, paths
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import write_batches, write_table

SENTENCES, TAGGED = 10_000_000, 200_000
SHORTEST, LONGEST = 10, 30
OTHERS = 1_000
"""Sentences of every split except train."""

AT_A_TIME = 10_000
SEED = 13
BOUNDS = {"tags": 2048, "training": 8192}
"""In MiB: what ten million sentences may take."""

CONSTANT, PROJECT = "constant, every word a noun", "the project's"


def run(sentences: int, tagged: int) -> Iterator[dict[str, Any]]:
    """Yield a line for each measurement.

    Args:
        sentences: Of train, for the constant tagger and for training.
        tagged: Of train, for the project's tagger; 0 leaves it out.

    Raises:
        UserError: If there is no encoder or no tagger, or a measurement fails.
    """
    for file in (paths.ENCODER / "tokenizer.json", paths.TAGGER / "tagger.json"):
        if not file.is_file():
            raise UserError(f"{file} does not exist. Run `dvc repro download` first.")
    paths.CACHE.mkdir(parents=True, exist_ok=True)  # on a disk, as /tmp need not be
    for count, who in ((sentences, CONSTANT), (tagged, PROJECT)):
        if not count:
            continue
        with tempfile.TemporaryDirectory(dir=paths.CACHE) as name:
            folder = Path(name).resolve()
            write_corpus(folder / "data", count)
            yield measured("tags", who, count, folder)
            if who == CONSTANT:
                yield measured("training", who, count, folder)


def write_corpus(data: Path, sentences: int) -> None:
    """Write a generated corpus with the project's encoder and tagger to a folder for $GGSA_DATA."""
    for source in (paths.ENCODER, paths.TAGGER):
        shutil.copytree(source, data / source.name)
    vocabulary = load_tokenizer(paths.ENCODER).get_vocab()
    known = sorted((w for w in vocabulary if w.isalpha()), key=lambda word: vocabulary[word])
    corpus, random = data / "corpus", np.random.default_rng(SEED)
    for split in paths.SPLITS:
        count = sentences if split == "train" else OTHERS
        write_batches(corpus / f"{split}.parquet", generated(split, count, known, random))
    about = {"corpus": {"name": "generated", "classes": ["negative", "positive"]}}
    about["encoder"] = {"pretrained": False}
    artifacts.write_json(corpus / paths.provenance().name, about)


def generated(
    split: str, sentences: int, known: list[str], random: np.random.Generator
) -> Iterator[pd.DataFrame]:
    """Yield the rows of a split, some at a time.

    Args:
        split: Its name.
        sentences: Its size.
        known: The words, the most frequent one first.
        random: Draws words, lengths, labels and marks.
    """
    words = np.array(known, object)
    upto = np.cumsum(1 / np.arange(1, len(words) + 1))
    for start in range(0, sentences, AT_A_TIME):
        ids = range(start, min(start + AT_A_TIME, sentences))
        lengths = random.integers(SHORTEST, LONGEST, len(ids), endpoint=True)
        drawn = words[np.searchsorted(upto, random.random(lengths.sum()) * upto[-1])]
        columns = {
            "id": [f"{split}-{row}" for row in ids],
            "words": np.split(drawn, np.cumsum(lengths)[:-1]),
            "label": random.integers(0, 2, len(ids)),
        }
        if split == "train":
            columns["leaks_selection"] = random.random(len(ids)) < 0.01
            columns["whole_sentence"] = True
        yield pd.DataFrame(columns)


def measured(what: str, who: str, sentences: int, folder: Path) -> dict[str, Any]:
    """Return the line of a measurement in a process of its own.

    Args:
        what: `tags` or `training`.
        who: Tags: `CONSTANT` or `PROJECT`.
        sentences: Of train.
        folder: Holds the data, and the cache.

    Raises:
        UserError: If the process fails; it has printed why.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", "--measure", what, who],
        env=os.environ | {"GGSA_DATA": str(folder / "data"), "GGSA_CACHE": str(folder / "cache")},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UserError(f"benchmarks.memory: the measurement of {what} failed; see above.")
    found = json.loads(done.stdout.splitlines()[-1])
    return {"what": what, "tagger": who, "sentences": sentences, **found} | {
        "bound_mib": BOUNDS[what]
    }


def measure(what: str, who: str) -> dict[str, Any]:
    """Return what this process takes: `seconds`, `peak_mib`, `worker_peak_mib`.

    The last is the peak of the largest process that tagged for it, 0 without one.
    """
    params = config.load()
    params = params.model_copy(
        update={"tagger": params.tagger.model_copy(update={"gold": False, "mapping": {}})}
    )
    started = time.monotonic()
    if what == "tags":
        from ggsa.tagging import tagger  # here, because training does not load Stanza

        tagger.tag_corpus(params, nouns if who == CONSTANT else None)
    else:
        epoch(params)
    seconds = time.monotonic() - started
    for worker in multiprocessing.active_children():  # only those that ended are counted
        worker.join()
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # KiB; on macOS bytes
    return {
        "seconds": seconds,
        "peak_mib": timing.high_water_mib(),
        "worker_peak_mib": largest / (2**20 if sys.platform == "darwin" else 2**10),
    }


def nouns(
    chunks: Iterable[list[Words]],
) -> Generator[tuple[list[Words], list[list[str]]], None, None]:
    """Tag every word of every chunk as a noun: a constant, not a tagger."""
    for chunk in chunks:
        yield chunk, [["NOUN"] * len(words) for words in chunk]


def epoch(params: Params) -> None:
    """Read the splits as a cell does, and make every batch of its first epoch."""
    splits = loop.read_splits(params, ("train", *loop.predicted_splits(params)), SEED)
    padding = load_tokenizer(paths.ENCODER).pad_token_id
    arrays = (block for split in splits.values() for block in split.sentences.pieces.blocks())
    subset = VocabularySubset(arrays, padding)
    splits = {name: subset.renumber_split(split) for name, split in splits.items()}
    train, size = splits["train"], params.train.recipes[recipe_for(params)].batch_size
    for rows in batches.training_order(train.lengths, size, SEED, 0):
        batches.collate(train.sentences, train.labels, rows)


def main() -> None:
    """Measure, print the table and write it where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--sentences", type=int, default=SENTENCES, help="of the constant tagger")
    parser.add_argument("--tagged", type=int, default=TAGGED, help="by the project's tagger")
    parser.add_argument("--out", type=Path, default=paths.BENCHMARK / "memory.csv")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        if options.measure:
            print(json.dumps(measure(*options.measure)))
            return
        lines: list[dict[str, Any]] = []
        for line in run(options.sentences, options.tagged):
            lines.append(line)
            timing.show(pd.DataFrame([line]))
            write_table(options.out, pd.DataFrame(lines))  # kept if the rest is interrupted
            artifacts.write_json(options.out.with_suffix(".json"), timing.machine())
    except UserError as error:
        sys.exit(f"\n{error}\n")
    if options.out.parent == paths.BENCHMARK:
        manifest = paths.BENCHMARK / paths.MANIFEST.name
        checksums.write_manifest(manifest, checksums.listed_files(manifest))


if __name__ == "__main__":
    main()
