"""IMDB: film reviews of some hundred words, for what is too rare in single sentences.

Raw texts from the Hub or a mirror are split into words here (`ggsa.assets.raw_text`). The corpus
has a train and a test split; the selection split and a validation split are drawn from train. This
project knows no checksum of the published rows, so provenance.json calls them unverified.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from ggsa.assets import corpus, hub, policy, raw_text
from ggsa.assets.corpora import Read, Registration, probe
from ggsa.assets.corpus import Corpus, Sentence
from ggsa.assets.policy import Unavailable
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError
from ggsa.workspace.progress import track

SPLITS = ("train", "test")
COLUMNS = ("text", "label")


def read(params: Params) -> Read:
    """Return the reviews from the first source that has them, or the probe corpus in their place.

    Raises:
        UserError: If no allowed source has them, or what a source has is malformed.
    """
    attempts = {
        "hub": lambda: from_hub(params),
        "mirror": lambda: from_mirror(params),
        "embedded": lambda: None,
    }
    source, splits = policy.first_available("corpus", params, attempts)
    if splits is None:
        return probe.instead_of("IMDB", params)
    description = {
        "source": source,
        "name": "imdb",
        "repository": params.corpus.reviews_repository if source == "hub" else None,
        "revision": params.corpus.reviews_revision if source == "hub" else None,
        "tokenizer": raw_text.version(),
    }
    return Read(
        with_validation(splits, params.corpus.validation_reviews, params.corpus.seed), description
    )


CORPUS = Registration(
    label="IMDB",
    read=read,
    about=lambda _: "IMDB’s film reviews (rows not verified by a checksum)",
)


def from_hub(params: Params) -> Corpus:
    """Return train and test from the Hub.

    Raises:
        Unavailable: If the Hub cannot be reached or lacks the repository.
        UserError: If a split or a column is missing.
    """
    repository, timeout = params.corpus.reviews_repository, params.assets.hub_timeout_seconds
    hub.require_hub(timeout)
    loaded = hub.dataset(repository, params.corpus.reviews_revision, timeout)
    absent = [split for split in SPLITS if split not in loaded]
    if absent:
        raise UserError(
            f"corpus.reviews_repository: {repository} lacks the splits {', '.join(absent)}. Name a "
            f"repository of IMDB."
        )
    return {split: _rows(f"{repository}, {split}", loaded[split].to_pandas()) for split in SPLITS}


def from_mirror(params: Params) -> Corpus:
    """Return train and test from a mirror's `imdb/`.

    Raises:
        Unavailable: If there is no mirror, or it lacks a file.
        UserError: If a file is damaged.
    """
    folder = policy.mirror_folder(params) / "imdb"
    files = {split: folder / f"{split}.parquet" for split in SPLITS}
    absent = [path.name for path in files.values() if not path.is_file()]
    if absent:
        raise Unavailable(f"{folder} has no {' and no '.join(absent)}")
    return {split: _rows(str(path), _read(path)) for split, path in files.items()}


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({hub.reason(error)}). It is damaged. Obtain it again."
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
    rows = zip(table["text"], table["label"], strict=True)
    return [
        _review(text, label, f"{place}, row {row}")
        for row, (text, label) in enumerate(
            track(rows, len(table), f"words of {Path(place).name}", "review")
        )
    ]


def _review(text: Any, label: Any, place: str) -> Sentence:
    words = raw_text.words_of(text) if isinstance(text, str) else ()
    if not words:
        raise UserError(f"{place}: the review is empty. Obtain the corpus again.")
    if label not in (0, 1):
        raise UserError(f"{place}: expected the label 0 or 1, got {label!r}. Obtain it again.")
    return Sentence(words, int(label))


def with_validation(splits: Corpus, count: int, seed: int) -> Corpus:
    """Return the splits with a validation split of train's reviews, half of each label.

    Reviews of train with the words of a validation review leave train as well.

    Args:
        splits: Train and test.
        count: Reviews of the validation split.
        seed: Seed of the draw.

    Raises:
        UserError: If train has too few reviews of a label.
    """
    everything = range(len(splits["train"]))
    chosen = corpus.balanced(
        splits["train"], everything, count, seed, "validation_reviews", "reviews"
    )
    validation = [splits["train"][row] for row in chosen]
    known = {row.words for row in validation}
    rest = [row for row in splits["train"] if row.words not in known]
    return {"train": rest, "validation": validation, "test": splits["test"]}
