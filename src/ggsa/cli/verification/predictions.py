"""The score of predictions made elsewhere, on the published labels.

Ids and labels are those of `tables/sentences.parquet`, which holds no text. Full attention's
accuracy on the same rows is that of `tables/results.csv`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ggsa.assets import rows
from ggsa.cli.verification import rederived
from ggsa.evaluation.statistics import wilson
from ggsa.report import tables, wording
from ggsa.workspace import artifacts, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.provenance import class_names
from ggsa.workspace.tables import read_table
from ggsa.workspace.vocabulary import POOLED, SCORED_SPLITS

COLUMNS = ("id", "label")
NO_VERDICT = "no verdict: one seed"
NAMED = 3
"""Ids and labels that a message names."""
SENTENCES = rederived.TABLES / "sentences.parquet"


@dataclass(frozen=True)
class Score:
    """How many labels a model's predictions match, beside the published full attention.

    Attributes:
        split: `validation`, `test`, or `pooled` for both.
        rows: Number of sentences.
        correct: Those whose prediction is the label.
        full_accuracy: Accuracy of full attention on the same sentences, mean over seeds.
        full_seeds: Number of those seeds.
    """

    split: str
    rows: int
    correct: int
    full_accuracy: float
    full_seeds: int

    @property
    def accuracy(self) -> float:
        """The share of sentences whose prediction is the label."""
        return self.correct / self.rows

    @property
    def difference_points(self) -> float:
        """Accuracy minus that of full attention, in percentage points."""
        return 100 * (self.accuracy - self.full_accuracy)

    def __str__(self) -> str:
        interval = wording.interval(*wilson(self.correct, self.rows))
        return (
            f"{wording.split(self.split)}, n = {wording.count(self.rows)}\n"
            f"accuracy: {wording.accuracy(self.accuracy)} (Wilson 95% interval {interval})\n"
            f"minus full attention: {wording.points(self.difference_points)} pp "
            f"(published: {wording.accuracy(self.full_accuracy)} on the same sentences, mean over "
            f"{wording.seeds(self.full_seeds)})\n"
            f"{NO_VERDICT}"
        )


def score(file: Path) -> Score:
    """Return the score of a file of predictions.

    Args:
        file: CSV with the columns id and label and every row of validation, of test or of both.

    Raises:
        UserError: If nothing is published here; or if the file is malformed, lacks sentences of a
            split, or has unknown or duplicate ids or unknown labels.
    """
    rederived.require_published()
    published = read_table(SENTENCES, ("split", *COLUMNS)).set_index("id")
    published = published[published["split"].isin(SCORED_SPLITS)]
    predicted = _read(file)
    _require_known_once(file, predicted.index, published)
    sentences = _splits_of(file, predicted.index, published)
    names = class_names(artifacts.read_json(paths.PUBLISHED / "provenance.json"))
    numbers = {str(number): number for number in range(len(names))}
    classes = _classes(
        file, predicted, numbers | {name: number for number, name in enumerate(names)}
    )
    splits = sentences["split"].unique()
    split = splits[0] if len(splits) == 1 else POOLED
    full = _full(split)
    correct = int((classes[sentences.index] == sentences["label"]).sum())
    return Score(split, len(sentences), correct, float(full["accuracy_mean"]), int(full["seeds"]))


def _read(file: Path) -> pd.Series:
    """Return the label of every row as text, by id."""
    content = list(rows.read_rows(file))
    header = list(content[0].values)
    if sorted(header) != sorted(COLUMNS):
        raise UserError(
            f"{file}: expected a header with the columns {' and '.join(COLUMNS)} alone, got "
            f"{', '.join(header)}. Keep these two; the label is what the model predicts."
        )
    ids, labels = ([str(rows.value(row, name)).strip() for row in content] for name in COLUMNS)
    return pd.Series(labels, index=ids)


def _require_known_once(file: Path, ids: pd.Index, published: pd.DataFrame) -> None:
    _require_none(
        ids[~ids.isin(published.index)].unique(),
        f"{file} has unknown ids",
        f"Expected ids of {SENTENCES}, such as {published.index[0]}. Correct or remove them.",
    )
    _require_none(
        ids[ids.duplicated()].unique(),
        f"{file} has duplicate ids",
        "Expected one row per id. Remove the others.",
    )


def _splits_of(file: Path, ids: pd.Index, published: pd.DataFrame) -> pd.DataFrame:
    """Return all published sentences of the splits that the ids are from."""
    sentences = published[published["split"].isin(published.loc[ids, "split"])]
    expected = wording.listing(
        f"the {wording.count(number)} of {split}"
        for split, number in sentences["split"].value_counts(sort=False).items()
    )
    _require_none(
        sentences.index.difference(ids),
        f"{file} lacks ids",
        f"Expected {expected}. Add the missing ones, or leave out a split.",
    )
    return sentences


def _classes(file: Path, predicted: pd.Series, known: Mapping[str, int]) -> pd.Series:
    """Return the number of every predicted class."""
    classes = predicted.map(known)
    unknown = predicted[classes.isna()]
    labels = ", ".join(map(rows.quoted, unknown.unique()[:NAMED]))
    _require_none(
        unknown.index,
        f"{file}: unknown labels such as {labels}",
        f"Expected one of: {', '.join(known)}. Correct them.",
    )
    return classes


def _require_none(ids: pd.Index, problem: str, remedy: str) -> None:
    """Raise an error that names the first of the ids and their number, if there are any."""
    if len(ids):
        first = ", ".join(ids[:NAMED]) + (", …" if len(ids) > NAMED else "")
        raise UserError(f"{problem} ({wording.count(len(ids))}: {first}). {remedy}")


def _full(split: str) -> pd.Series:
    """Return the published row of full attention on a split."""
    results = tables.read(rederived.TABLES, "results")
    full = results[(results["mode"] == "full") & (results["split"] == split)]
    if full.empty:
        raise UserError(
            f"{rederived.TABLES / 'results.csv'} has no full attention on {split} to compare with. "
            f"Publish a run whose grid.modes has full."
        )
    return full.iloc[0]
