"""IMDB's film reviews: documents of some hundred words, for what sentences are too short to show.

Raw texts of the Hub or of a mirror, split into words here (`ggsa.assets.raw_text`). The corpus has a train
and a test split; what checkpoints are chosen on, and a validation split that is reported besides,
are drawn from train. No checksum of the published rows is known to this project, so that what was
read is recorded and called unverified.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from ggsa.assets import corpus, hub, raw_text
from ggsa.assets.corpus import Corpus, Sentence
from ggsa.assets.policy import Unavailable
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.progress import track

SPLITS = ("train", "test")
COLUMNS = ("text", "label")


def from_hub(params: Params) -> Corpus:
    """Return train and test of the Hub's data set.

    Raises:
        Unavailable: If it cannot be had.
        UserError: If it has other splits or columns.
    """
    repository, timeout = params.corpus.reviews_repository, params.assets.hub_timeout_seconds
    hub.require_hub(timeout)
    import datasets  # slow to import, and needed by no other source

    with hub.transfer(timeout):
        loaded = datasets.load_dataset(repository, revision=params.corpus.reviews_revision)
    absent = [split for split in SPLITS if split not in loaded]
    if absent:
        raise UserError(
            f"corpus.reviews_repository: {repository} lacks the splits {', '.join(absent)}. Name a "
            f"repository of IMDB."
        )
    return {split: _rows(f"{repository}, {split}", loaded[split].to_pandas()) for split in SPLITS}


def from_mirror(params: Params) -> Corpus:
    """Return train and test of a mirror's `imdb/`.

    Raises:
        Unavailable: If there is no such mirror.
        UserError: If a file is damaged.
    """
    folder = params.assets.mirror_folder()
    if folder is None:
        raise Unavailable(f"there is no folder {params.assets.mirror}")
    files = {split: folder / "imdb" / f"{split}.parquet" for split in SPLITS}
    absent = [str(path) for path in files.values() if not path.is_file()]
    if absent:
        raise Unavailable(f"there is no {' and no '.join(absent)}")
    return {split: _rows(str(path), _read(path)) for split, path in files.items()}


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({hub.reason(error)}). It is damaged: obtain it again."
        ) from error


def _rows(place: str, table: pd.DataFrame) -> list[Sentence]:
    """Return checked rows, split into words.

    Raises:
        UserError: If a column or a label is missing, or a text has no words; names the row.
    """
    absent = [name for name in COLUMNS if name not in table]
    if absent:
        raise UserError(
            f"{place}: the column {', '.join(absent)} is missing; there are {', '.join(table)}. "
            f"Name a source with the columns of IMDB."
        )
    return [
        _review(text, label, f"{place}, row {row}")
        for row, (text, label) in enumerate(
            _shown(zip(table["text"], table["label"], strict=True), len(table), place)
        )
    ]


def _review(text: Any, label: Any, place: str) -> Sentence:
    words = raw_text.words_of(text) if isinstance(text, str) else ()
    if not words:
        raise UserError(f"{place}: the review is empty. Obtain the corpus again.")
    if label not in (0, 1):
        raise UserError(f"{place}: the label is {label!r}; 0 or 1 was expected.")
    return Sentence(words, int(label))


def _shown(rows: Iterable[Any], total: int, place: str) -> Iterable[Any]:
    return track(rows, total, f"words of {Path(place).name}", "review")


def with_validation(splits: Corpus, count: int, seed: int) -> Corpus:
    """Return the splits with as many reviews of train made validation, half of each label.

    Reviews of train with the words of one of them leave train as well.

    Raises:
        UserError: If train has too few of a label.
    """
    everything = range(len(splits["train"]))
    chosen = corpus.balanced(
        splits["train"], everything, count, seed, "validation_reviews", "reviews"
    )
    validation = [splits["train"][row] for row in chosen]
    known = {row.words for row in validation}
    rest = [row for row in splits["train"] if row.words not in known]
    return {"train": rest, "validation": validation, "test": splits["test"]}
