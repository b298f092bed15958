"""Words per second tagged by one process: large batches sorted by length, against random batches.

The peer tags the eight sentences of every training batch, as the paper's code does.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from benchmarks import timing
from benchmarks.timing import interleaved
from ggsa.tagging.tagger import load_tagger, tag_sentences
from ggsa.workspace import config, paths
from ggsa.workspace.config import Params
from ggsa.workspace.tables import CORPUS_COLUMNS, read_table

WORDS, FEW_WORDS = 12_000, 1_200
OURS, PEER = "in length order, large batches", "eight at a time, as drawn"
ROUNDS = 3


def run(params: Params) -> Iterator[list[dict[str, Any]]]:
    """Yield the benchmark's only line."""
    torch.set_num_threads(1)
    corpus = read_table(paths.corpus_split("train"), CORPUS_COLUMNS)  # need not be tagged yet
    sentences = [tuple(words) for words in corpus["words"]]
    drawn = np.random.default_rng(13).permutation(len(sentences))
    many = sorted((sentences[i] for i in _until(sentences, drawn, WORDS)), key=len)
    few = [sentences[i] for i in _until(sentences, drawn, FEW_WORDS)]
    large = load_tagger(paths.TAGGER, params.tagger.batch_size)
    small = load_tagger(paths.TAGGER, 8)

    def eight_at_a_time() -> None:
        for start in range(0, len(few), 8):
            tag_sentences(small, few[start : start + 8])

    times = interleaved(
        {OURS: lambda: tag_sentences(large, many), PEER: eight_at_a_time}, 0.0, ROUNDS
    )
    per_word = {
        OURS: times[OURS] / sum(map(len, many)),
        PEER: times[PEER] / sum(map(len, few)),
    }
    about = {"benchmark": "tagging", "case": "one process", "threads": 1}
    line = timing.line(per_word, OURS, PEER, **about)
    speed = {f"value_{who}": 1 / line[f"value_{who}"] for who in ("ours", "peer")}
    yield [line | speed | {"unit": "words a second"}]


def _until(sentences: list[tuple[str, ...]], order: np.ndarray, words: int) -> list[int]:
    """Return the first indices in `order` whose sentences have at least this many words in all."""
    ends = np.cumsum([len(sentences[i]) for i in order[: words + 1]])
    return [int(i) for i in order[: int(np.searchsorted(ends, words)) + 1]]


def main() -> None:
    """Time tagging."""
    for lines in run(config.load()):
        timing.show(timing.table(lines))


if __name__ == "__main__":
    main()
