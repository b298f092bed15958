"""A file of sentences through a trained model, in as much memory as one chunk takes.

Reads CSV or JSON lines row by row and writes every row with its prediction, in order. Where the
output is a file, it grows as `FILE.partial` and takes its name when it is whole.
"""

import csv
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from ggsa.assets.files import SEPARATORS
from ggsa.assets.raw_text import words_of
from ggsa.model import classifier
from ggsa.model.classifier import Classifier, Prediction
from ggsa.tagging.texts import project_tagger
from ggsa.workspace.errors import UserError
from ggsa.workspace.problems import unknown
from ggsa.workspace.progress import progress_bar
from ggsa.workspace.vocabulary import UNIVERSAL_TAGS

CHUNK = 1000
"""Rows in memory at a time."""

CSV, JSON_LINES = tuple(SEPARATORS), (".jsonl", ".ndjson", ".json")
csv.field_size_limit(10**9)

Row = dict[str, Any]


class Columns(NamedTuple):
    """Which columns hold what; None is what `predict_file` finds by itself."""

    text: str | None = None
    words: str | None = None
    tags: str | None = None


def predict_file(
    run: str | Path,
    source: Path,
    target: Path | None = None,
    columns: Columns = Columns(),  # noqa: B008 - immutable
    cut: bool = False,
) -> int:
    """Classify every row of a file and return how many there were.

    Args:
        run: A trained run or an export.
        source: CSV with a header, or JSON lines, in UTF-8.
        target: CSV or JSON lines, by its ending; None prints in the form of the source.
        columns: Which hold what.
        cut: Cut texts that are longer than the model reads, instead of refusing them.

    Raises:
        UserError: If the run or a file is wrong; names the row. What was predicted before stays in
            `<target>.partial`.
    """
    source = Path(source)
    if not source.is_file():
        raise UserError(f"{source} is no file. Name a CSV or JSON-lines file of sentences.")
    for path in (source, target):
        if path is not None and path.suffix not in (*CSV, *JSON_LINES):
            raise UserError(
                f"{path}: its ending has to be one of {', '.join((*CSV, *JSON_LINES))}."
            )
    model = classifier.load(run)
    rows = numbered(source)
    first = next(rows, None)
    if first is None:
        raise UserError(f"{source} has no rows. Nothing was predicted.")
    found = _columns(columns, first[1], source)
    tagger = None if found.tags else project_tagger()
    ending = (target or source).suffix
    done = 0
    with _opened(target) as file, progress_bar("predict", None, "row") as shown:
        write = _writer(file, ending)
        for chunk in _chunks(itertools.chain([first], rows)):
            texts = [words_in(row, found, source, number) for number, row in chunk]
            _check_lengths(model, texts, [number for number, _ in chunk], source, cut)
            tags = (
                [_tags_in(row, found.tags, words, source, number)
                 for (number, row), words in zip(chunk, texts, strict=True)]
                if found.tags
                else tagger(texts)
            )  # fmt: skip
            for (_, row), prediction in zip(chunk, model.predict(texts, tags), strict=True):
                write({**row, **_added(prediction)})
            done += len(chunk)
            shown.update(len(chunk))
    if target is not None:
        print(f"{done:,} rows. Written: {Path(target).resolve()}", file=sys.stderr)
    return done


def numbered(source: Path) -> Iterator[tuple[int, Row]]:
    """Yield the rows of a file with their numbers, counted from 1.

    Raises:
        UserError: If the file is not UTF-8 or a row is malformed.
    """
    number = 0
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(_rows(file, source), 1):
                yield number, row
    except UnicodeDecodeError as error:
        raise UserError(
            f"{source} is not UTF-8 text (after row {number}: {error.reason}). Save it as UTF-8."
        ) from error
    except (csv.Error, ValueError) as error:
        raise UserError(
            f"{source}, row {number + 1}: cannot be read ({error}). Mend it."
        ) from error


def _rows(file: TextIO, source: Path) -> Iterator[Row]:
    if source.suffix in CSV:
        for row in csv.DictReader(file, delimiter=SEPARATORS[source.suffix], strict=True):
            if None in row or None in row.values():
                raise ValueError("it has another number of fields than the header")
            yield row
        return
    for line in file:
        if not line.strip():
            continue
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError("it is no JSON object")
        yield row


def _columns(wanted: Columns, row: Row, source: Path) -> Columns:
    """Return the columns to read, each being there.

    Raises:
        UserError: If one that is asked for is not there, or none holds sentences.
    """
    there = list(row)
    for name in wanted:
        if name is not None and name not in row:
            raise UserError(f"{source}: {unknown(name, 'column', there)}")
    if wanted.text and wanted.words:
        raise UserError("Sentences are taken from --text or from --words, not from both.")
    if wanted.text is None and wanted.words is None:
        guess = next((name for name in ("words", "text", "sentence") if name in row), None)
        if guess is None:
            raise UserError(
                f"{source} has no column words, text or sentence. Name the one that holds the "
                f"sentences with --text; there are: {', '.join(there)}."
            )
        wanted = wanted._replace(**{"words" if guess == "words" else "text": guess})
    if wanted.tags is None and wanted.words is not None and "tags" in row:
        wanted = wanted._replace(tags="tags")
    if wanted.tags is not None and wanted.words is None:
        raise UserError("--tags wants --words: tags are given for words, not for raw text.")
    return wanted


def words_in(row: Row, columns: Columns, source: Path, number: int) -> tuple[str, ...]:
    """Return the words of a row.

    Raises:
        UserError: If there are none.
    """
    name = columns.words or columns.text
    value = row.get(name)
    if columns.words is not None:
        words = value.split() if isinstance(value, str) else value
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            words = None
    else:
        words = words_of(value) if isinstance(value, str) else None
    if not words:
        raise UserError(f"{source}, row {number}: {name} holds no words; there stands {value!r}.")
    return tuple(words)


def _tags_in(row: Row, column: str, words: tuple[str, ...], source: Path, number: int) -> list[str]:
    value = row.get(column)
    tags = value.split() if isinstance(value, str) else value
    if not isinstance(tags, list) or len(tags) != len(words):
        raise UserError(
            f"{source}, row {number}: {column} holds {value!r}; {len(words)} tags were wanted, one "
            f"per word."
        )
    wrong = [str(tag) for tag in tags if tag not in UNIVERSAL_TAGS]
    if wrong:
        raise UserError(f"{source}, row {number}: {unknown(wrong[0], 'tag', UNIVERSAL_TAGS)}")
    return tags


def _check_lengths(
    model: Classifier, texts: list[tuple[str, ...]], numbers: list[int], source: Path, cut: bool
) -> None:
    """Refuse a text that is longer than the model reads, unless it may be cut."""
    if cut:
        return
    encoded = model.tokenizer([list(words) for words in texts], is_split_into_words=True)
    for number, words, pieces in zip(numbers, texts, encoded["input_ids"], strict=True):
        if len(pieces) > model.max_pieces:
            raise UserError(
                f"{source}, row {number}: {len(words):,} words are {len(pieces):,} word pieces; "
                f"the model reads {model.max_pieces}. Shorten the text, or give --cut to have the "
                f"rest cut off, as in training."
            )


def _added(prediction: Prediction) -> Row:
    return {
        "prediction": prediction.label,
        **{
            f"probability_{name}": round(value, 6)
            for name, value in prediction.probabilities.items()
        },
    }


def _chunks(rows: Iterator[tuple[int, Row]]) -> Iterator[list[tuple[int, Row]]]:
    while chunk := list(itertools.islice(rows, CHUNK)):
        yield chunk


@contextmanager
def _opened(target: Path | None) -> Iterator[TextIO]:
    """Give the file to write to; it takes its name when the block ends well."""
    if target is None:
        yield sys.stdout
        return
    partial = target.with_name(f"{target.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            yield file
        partial.replace(target)
    except OSError as error:
        raise UserError(f"{target} cannot be written ({error.strerror}).") from error
    except UserError as error:
        if partial.stat().st_size:
            raise UserError(f"{error} What was predicted before is in {partial}.") from error
        partial.unlink()
        raise


def _writer(file: TextIO, ending: str) -> Callable[[Row], None]:
    """Return what writes a row: JSON lines, or CSV with a header before the first."""
    if ending in JSON_LINES:
        return lambda row: print(json.dumps(row, ensure_ascii=False), file=file)
    writer: list[csv.DictWriter] = []

    def write(row: Row) -> None:
        if not writer:
            writer.append(
                csv.DictWriter(file, list(row), lineterminator="\n", delimiter=SEPARATORS[ending])
            )
            writer[0].writeheader()
        writer[0].writerow(row)

    return write
