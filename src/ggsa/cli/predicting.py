"""Predictions for a file of sentences, in as much memory as one chunk takes.

Reads CSV, TSV or JSON lines as `corpus.files` does (`ggsa.assets.rows`) and writes every row with
its prediction, in order. An output file grows as `FILE.partial` and takes its name when it is
complete.
"""

import csv
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from ggsa.assets import rows
from ggsa.assets.corpus import UNKNOWN
from ggsa.assets.rows import Row
from ggsa.cli import training_data
from ggsa.model import classifier
from ggsa.model.classifier import Classifier, Prediction
from ggsa.tagging import alignment
from ggsa.tagging.texts import project_tagger
from ggsa.workspace.errors import UserError, unknown
from ggsa.workspace.progress import counted, progress_bar
from ggsa.workspace.terminal import data_stream
from ggsa.workspace.vocabulary import UNIVERSAL_TAGS

CHUNK = rows.CHUNK
"""Rows in memory at a time."""


class Columns(NamedTuple):
    """Names of columns. `predict_file` finds those that are None."""

    text: str | None = None
    words: str | None = None
    tags: str | None = None
    label: str | None = None


def predict_file(
    run: str | Path,
    source: Path,
    target: Path | None = None,
    columns: Columns = Columns(),  # noqa: B008 - immutable
    cut: bool = False,
    strict: bool = False,
) -> int:
    """Classify every row of a file and return the number of rows.

    What the model was trained on, how many words it does not know, and its accuracy where the rows
    have labels are printed to standard error.

    Args:
        run: A trained run or an export.
        source: CSV or TSV with a header, or JSON lines, in UTF-8.
        target: CSV, TSV or JSON lines, by its ending; None prints in the format of the source.
        columns: Columns of the text or words, of tags and of labels.
        cut: Cut texts that exceed the model's longest input, instead of raising an error.
        strict: Raise an error for a row without words, which otherwise gets an empty prediction.

    Raises:
        UserError: If the run or a file is wrong; names the row. Predictions made before that stay
            in `<target>.partial`.
    """
    source = Path(source)
    if target is not None:
        rows.check_ending(Path(target))
        if Path(target).resolve() == source.resolve():
            raise UserError(
                f"{target} is the file that is read, and would be overwritten. Name another file "
                f"for the predictions."
            )
    content = rows.read_rows(source)
    first = next(content)
    label_is_named = columns.label is not None
    columns = _columns(columns, first, source)
    model = classifier.load(run)
    tagger = None if columns.tags else project_tagger()
    data = training_data.known(model, has_tags=tagger is None)
    words, score = training_data.Count(), Score(model.classes)
    done = empty = shortened = 0
    with _opened(target) as file, progress_bar("predict", None, "row") as progress:
        write = _writer(file, (target or source).suffix.lower())
        for chunk in _chunks(itertools.chain([first], content)):
            predictions, too_long = _predictions(model, tagger, chunk, columns, cut, strict)
            texts = [text for text, _ in predictions]
            training_data.count(model, data, texts, words)
            trained_on = training_data.occurring(model, data, texts)
            for row, (_, prediction), known in zip(chunk, predictions, trained_on, strict=True):
                if columns.label and not score.problem:
                    score.add(row, columns.label, prediction, known)
                    if score.problem and label_is_named:
                        raise UserError(score.problem)
                write(Row(row.place, {**row.values, **_added(prediction, model.classes)}))
            done += len(chunk)
            shortened += too_long
            empty += sum(prediction is None for _, prediction in predictions)
            progress.update(len(chunk))
    if target is not None:
        print(f"{counted(done, 'row')}. Written: {Path(target).resolve()}", file=sys.stderr)
    if empty:
        print(
            f"Without words and prediction: {empty:,} of {counted(done, 'row')}.", file=sys.stderr
        )
    if cut:
        print(
            f"Cut to the {model.max_pieces} word pieces that the model reads: {shortened:,} of "
            f"{counted(done, 'row')}.",
            file=sys.stderr,
        )
    if score.labeled or score.without_words or score.problem:
        print(score.text(), file=sys.stderr)
    print(training_data.note(model, data, words), file=sys.stderr)
    return done


@dataclass
class Score:
    """How many labels of a file the model predicts.

    Attributes:
        classes: Names of the classes, in the order of their numbers.
        labeled: Rows with a label and a prediction.
        without_words: Rows with a label that have no words, and so no prediction.
        correct: Those whose prediction is the label.
        trained_on: Rows of `labeled` whose words are those of a row of the model's training data.
        numbered: Whether a label was the number of a class.
        problem: The first label that is no class; there is no accuracy then.
    """

    classes: tuple[str, ...]
    labeled: int = 0
    without_words: int = 0
    correct: int = 0
    trained_on: int = 0
    numbered: bool = False
    problem: str = ""

    def add(
        self, row: Row, column: str, prediction: Prediction | None, trained_on: bool = False
    ) -> None:
        """Count a row by the name or the number of its class; a missing label, or -1, is unknown."""
        if row.values.get(column) in (None, ""):
            return
        label = rows.class_name(row, column)
        if label not in self.classes:
            if label == str(UNKNOWN):
                return
            if label not in map(str, range(len(self.classes))):
                self.problem = (
                    f"{row.place}: the column {column} holds {rows.quoted(label)}, which is not a "
                    f"class of the model ({', '.join(self.classes)}) or its number. Correct the "
                    f"label, or name another column of labels."
                )
                return
            label, self.numbered = self.classes[int(label)], True
        if prediction is None:
            self.without_words += 1
            return
        self.labeled += 1
        self.trained_on += trained_on
        self.correct += label == prediction.label

    def text(self) -> str:
        """Return the accuracy in a sentence, or why there is none."""
        if self.problem:
            return f"No accuracy. {self.problem}"
        if not self.labeled:
            return f"No accuracy: no words in {counted(self.without_words, 'labeled row')}."
        names = "".join(f", {number} is {name}" for number, name in enumerate(self.classes))
        left_out = f"; {self.without_words:,} more without words" if self.without_words else ""
        seen = ""
        if self.trained_on:
            seen = (
                f" The model's training data contain the words of {self.trained_on:,} of these "
                f"{counted(self.labeled, 'row')}, so this is not its accuracy on new text."
            )
        return (
            f"Accuracy: {self.correct / self.labeled:.4f} ({self.correct:,} of "
            f"{counted(self.labeled, 'labeled row')}{left_out}{names if self.numbered else ''}).{seen}"
        )


def _predictions(
    model: Classifier,
    tagger: Callable[[list[tuple[str, ...]]], list[list[str]]] | None,
    chunk: list[Row],
    columns: Columns,
    cut: bool,
    strict: bool,
) -> tuple[list[tuple[tuple[str, ...], Prediction | None]], int]:
    """Return words and prediction of every row, and how many rows are cut.

    The prediction is None where there are no words.
    """
    texts = [words_in(row, columns, not strict) for row in chunk]
    filled = [(row, words) for row, words in zip(chunk, texts, strict=True) if words]
    if not filled:
        return [(words, None) for words in texts], 0
    kept, words_kept = map(list, zip(*filled, strict=True))
    too_long = alignment.too_long(model.tokenizer, words_kept, model.max_pieces)
    if not cut:
        for index, pieces in too_long.items():
            raise UserError(
                f"{kept[index].place}: {len(words_kept[index]):,} words are {pieces:,} word pieces, "
                f"but the model reads at most {model.max_pieces}. Shorten the text, or cut all such "
                f"texts, as in training, with `--cut` (in Python cut=True)."
            )
    if tagger is None:
        tags = [tags_in(row, columns.tags, words) for row, words in filled]
    else:
        tags = tagger(words_kept)
    predicted = iter(model.predict(words_kept, tags, cut=True))
    return [(words, next(predicted) if words else None) for words in texts], len(too_long)


def _columns(columns: Columns, row: Row, source: Path) -> Columns:
    """Return the columns to read, found in the first row where they are not named.

    Raises:
        UserError: If a named column does not exist, or no column holds sentences.
    """
    if columns.text and columns.words:
        raise UserError(
            f"Expected a column of raw text or a column of words, got both ({columns.text} and "
            f"{columns.words}). Name one of them."
        )
    for name in columns:
        if name:
            rows.value(row, name)
    if columns.label is None and "label" in row.values:
        columns = columns._replace(label="label")
    if columns.text is None and columns.words is None:
        guess = next((name for name in ("words", "text", "sentence") if name in row.values), None)
        if guess is None:
            raise UserError(
                f"{source}: expected a column words, text or sentence, got the columns "
                f"{', '.join(row.values)}. Name the column that holds the sentences."
            )
        columns = columns._replace(**{"words" if guess == "words" else "text": guess})
    if columns.tags is None and columns.words is not None and "tags" in row.values:
        columns = columns._replace(tags="tags")
    if columns.tags is not None and columns.words is None:
        raise UserError(
            f"The column {columns.tags} has one tag per word, but the sentences are raw text. Name "
            f"a column of words instead, or leave out the tags."
        )
    return columns


def words_in(row: Row, columns: Columns, may_be_empty: bool = False) -> tuple[str, ...]:
    """Return the words of a row.

    Raises:
        UserError: If there are none, unless `may_be_empty`.
    """
    if columns.words is not None:
        return rows.given_words(row, columns.words, may_be_empty=may_be_empty)
    return rows.text_words(row, columns.text, may_be_empty=may_be_empty)


def tags_in(row: Row, column: str, words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the tags of a row, one per word.

    Raises:
        UserError: If their number differs from that of the words, or a tag is not universal.
    """
    tags = rows.given_words(row, column)
    if len(tags) != len(words):
        raise UserError(
            f"{row.place}: expected {len(words)} tags in the column {column}, one per word, got "
            f"{len(tags)}. Correct the row, or leave out the tags."
        )
    wrong = [tag for tag in tags if tag not in UNIVERSAL_TAGS]
    if wrong:
        raise UserError(f"{row.place}: {unknown(wrong[0], 'tag', UNIVERSAL_TAGS)}")
    return tags


def _added(prediction: Prediction | None, classes: tuple[str, ...]) -> dict[str, Any]:
    if prediction is None:
        return {"prediction": None, **dict.fromkeys(f"probability_{name}" for name in classes)}
    return {
        "prediction": prediction.label,
        **{
            f"probability_{name}": round(value, 6)
            for name, value in prediction.probabilities.items()
        },
    }


def _chunks(content: Iterator[Row]) -> Iterator[list[Row]]:
    while chunk := list(itertools.islice(content, CHUNK)):
        yield chunk


@contextmanager
def _opened(target: Path | None) -> Iterator[TextIO]:
    """Yield the file to write to; it takes its name when the block ends without an error."""
    if target is None:
        yield data_stream()
        return
    partial = target.with_name(f"{target.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            yield file
        partial.replace(target)
    except OSError as error:
        raise UserError(
            f"{target} cannot be written ({error.strerror}). Free some space, fix the folder's "
            f"permissions, or name another file."
        ) from error
    except UserError as error:
        if partial.stat().st_size:
            raise UserError(f"{error} Earlier predictions are in {partial}.") from error
        partial.unlink()
        raise


def _writer(file: TextIO, ending: str) -> Callable[[Row], None]:
    """Return a function that writes a row: as JSON, or as CSV or TSV with a header first."""
    separator = rows.SEPARATORS.get(ending)
    if separator is None:
        return lambda row: print(json.dumps(row.values, ensure_ascii=False), file=file)
    writer: list[csv.DictWriter] = []

    def write(row: Row) -> None:
        if not writer:
            names = list(row.values)
            writer.append(csv.DictWriter(file, names, lineterminator="\n", delimiter=separator))
            writer[0].writeheader()
        try:
            writer[0].writerow(row.values)
        except ValueError as error:
            raise UserError(
                f"{row.place}: the row has columns that the first row lacks, which a CSV or TSV "
                f"file cannot hold. Write JSON lines instead, or add the columns to the first row."
            ) from error

    return write
