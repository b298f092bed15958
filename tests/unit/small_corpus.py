"""A small tagged corpus with an encoder's tokenizer, for tests of what reads one."""

import numpy as np
import pandas as pd
from small_models import PIECES, tokenizer

from ggsa.workspace import artifacts, paths
from ggsa.workspace.tables import write_table
from ggsa.workspace.vocabulary import UNIVERSAL_TAGS

WORDS = [piece for piece in PIECES if piece[0].isalpha()]
SENTENCES = 60
CLASSES = ["negative", "positive"]


def write_split(name: str, **changes: list) -> None:
    """Write a split with its tags; `changes` replace columns of either file."""
    random = np.random.default_rng(paths.SPLITS.index(name))
    lengths = random.integers(1, 25, SENTENCES)
    columns = {
        "id": [f"{name}-{row}" for row in range(SENTENCES)],
        "words": [list(random.choice(WORDS, length)) for length in lengths],
        "label": list(random.integers(0, len(CLASSES), SENTENCES)),
        "leaks_selection": list(random.random(SENTENCES) < 0.3),
        "whole_sentence": list(np.arange(SENTENCES) % 10 < 8),
    }
    tags = {
        "id": columns["id"],
        "tags": [list(random.choice(UNIVERSAL_TAGS, length)) for length in lengths],
    }
    if name != "train":
        del columns["leaks_selection"], columns["whole_sentence"]
    for key, values in changes.items():
        file, column = key.split("_", 1)
        {"corpus": columns, "tags": tags}[file][column] = values
    write_table(paths.corpus_split(name), pd.DataFrame(columns))
    write_table(paths.tags_split(name), pd.DataFrame(tags))


def write_corpus() -> None:
    """Write every split, the tokenizer and the provenance to the folders that `paths` names."""
    for name in paths.SPLITS:
        write_split(name)
    tokenizer(paths.ENCODER)
    about = {"corpus": {"name": "toy", "classes": CLASSES}, "encoder": {"pretrained": False}}
    artifacts.write_json(paths.provenance(), about)
