"""The reader of users' files, for training (`corpus.files`) and for predictions.

CSV and TSV with a header, or JSON lines, in UTF-8. A file is read in chunks, so a large one needs
little memory. Every error names the file and the row.
"""

import codecs
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ggsa.assets import raw_text
from ggsa.workspace.errors import UserError, unknown
from ggsa.workspace.words import check_characters, is_word

SEPARATORS = {".csv": ",", ".tsv": "\t"}
ENDINGS = (*SEPARATORS, ".jsonl", ".ndjson", ".json")
CHUNK = 1000
"""Rows in memory at a time."""
BLOCK = 1 << 20
QUOTED = 40
"""Characters of a wrong value that a message quotes."""
OBJECT = '{"text": "a fine film", "label": "good"}'


class Row(NamedTuple):
    """One row of a file.

    Attributes:
        place: File and number of the row, for messages. Rows count from 1, without the header and
            blank lines; in a CSV or TSV file of one column, a blank line is a row.
        values: By column. Text in CSV and TSV; any JSON value in JSON lines.
    """

    place: str
    values: dict[str, Any]


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file, at least one. Blank lines between rows are counted on the terminal.

    Raises:
        UserError: If the file has another ending, cannot be read, is not text, has no rows, or has
            a malformed row or header.
    """
    path = Path(path)
    check_ending(path)
    _check_text(path)
    separator = SEPARATORS.get(path.suffix.lower())
    rows = _json_lines(path) if separator is None else _separated(path, separator)
    number = blank = between = 0
    for values in rows:
        if values is None:
            blank += 1
            continue
        number, between, blank = number + 1, between + blank, 0
        yield Row(f"{path}, row {number}", values)
    if not number:
        raise UserError(f"{path} has no rows. Add some, or name another file.")
    if between:
        print(f"{path}: {between:,} blank lines between the rows are skipped.", file=sys.stderr)


def check_ending(path: Path) -> None:
    """Check that the ending of a file says how its rows are written.

    Raises:
        UserError: If it does not.
    """
    if path.suffix.lower() not in ENDINGS:
        raise UserError(
            f"{path}: expected a file that ends in {', '.join(ENDINGS)}, got "
            f"{path.suffix or 'no ending'}. Rename the file, or name another one."
        )


def _check_text(path: Path) -> None:
    """Check that a file is UTF-8 text.

    Raises:
        UserError: If it is not.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    start, block = 0, b"-"
    try:
        with path.open("rb") as file:
            while block:
                block = file.read(BLOCK)
                start = file.tell() - len(block) - len(decoder.getstate()[0])
                if "\0" in decoder.decode(block, final=not block):
                    raise UserError(f"{path} is a binary file. Name a CSV, TSV or JSON lines file.")
    except FileNotFoundError as error:
        files = sorted(str(other) for other in path.parent.glob("*") if other.is_file())
        beside = f"Files beside it: {', '.join(files[:8])}. " if files else ""
        raise UserError(f"{path} does not exist. {beside}Correct the path.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}). Name another file.") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text: byte {start + error.start} is "
            f"0x{error.object[error.start]:02x}. Save it as UTF-8."
        ) from error


def _separated(path: Path, separator: str) -> Iterator[dict[str, str] | None]:
    """Yield the rows, and None for a blank line; in a file of one column that is an empty value."""
    csv.field_size_limit(sys.maxsize)  # a document may be long
    header: list[str] = []
    number = 0
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=separator, strict=True)
        try:
            for fields in reader:
                is_blank = not "".join(fields).strip() and len(fields) < 2
                if not header:
                    header = [] if is_blank else _header(path, fields)
                    continue
                if is_blank and len(header) > 1:
                    yield None
                    continue
                number += 1
                fields = fields or [""]
                if len(fields) != len(header):
                    raise UserError(
                        f"{path}, row {number}: expected {len(header)} fields as in the header "
                        f"({', '.join(header)}), got {len(fields)}. A field that contains the "
                        f"separator, a quotation mark or a line end must be in quotation marks."
                    )
                yield dict(zip(header, fields, strict=True))
        except csv.Error as error:
            raise UserError(
                f"{path}, line {reader.line_num}: {error}. Fix the quotation marks: a quotation "
                f"mark within a quoted field is written twice."
            ) from error


def _header(path: Path, fields: list[str]) -> list[str]:
    """Return the names of the columns.

    Raises:
        UserError: If two columns have the same name.
    """
    header = [name.strip() for name in fields]
    repeated = [name for name in header if header.count(name) > 1]
    if repeated:
        raise UserError(
            f"{path}, header: the column {repeated[0]!r} appears twice. Rename one of the two."
        )
    return header


def _json_lines(path: Path) -> Iterator[dict[str, Any] | None]:
    """Yield the rows, and None for a blank line."""
    # Not pandas: it turns 1 into 1.0 where another row lacks the key, and reports no row.
    number = 0
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for line in file:
            if not line.strip():
                yield None
                continue
            number += 1
            place, expected = f"{path}, row {number}", f"Every line must be an object: {OBJECT}."
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UserError(
                    f"{place}: {quoted(line.strip())} is not valid JSON ({error}). {expected}"
                ) from error
            if not isinstance(values, dict):
                raise UserError(f"{place}: {quoted(line.strip())} is not an object. {expected}")
            if "\\u" in line:
                check_characters(json.dumps(values, ensure_ascii=False), place)
            yield values


# Columns.


def value(row: Row, column: str, key: str = "") -> Any:
    """Return the value of a column.

    Args:
        row: The row.
        column: Name of the column.
        key: The parameter that names the column, for the message.

    Raises:
        UserError: If the row lacks the column.
    """
    if column not in row.values:
        setting = f"{key}: " if key else ""
        raise UserError(
            f"{row.place}: {setting}{unknown(column, 'column', list(row.values))} The first line "
            f"of a CSV or TSV file must be its header."
        )
    return row.values[column]


def text_words(row: Row, column: str, key: str = "", may_be_empty: bool = False) -> tuple[str, ...]:
    """Return the words of a column of raw text.

    Args:
        row: The row.
        column: Name of the column.
        key: The parameter that names the column, for the message.
        may_be_empty: Return no words where there are none, instead of raising an error.

    Raises:
        UserError: If the row lacks the column, or its value is not a text with a word.
    """
    text = value(row, column, key)
    if text is not None and not isinstance(text, str):
        raise UserError(
            f"{row.place}: expected a text in the column {column}, got {quoted(text)}. Write a "
            f"text, or remove the row."
        )
    words = tuple(filter(is_word, raw_text.words_of(text or "")))
    return words if may_be_empty else _some(words, row, column)


def given_words(
    row: Row, column: str, key: str = "", may_be_empty: bool = False
) -> tuple[str, ...]:
    """Return the words of a column of words; see `text_words` for the arguments.

    The value is a list of words, such a list written as JSON, or words separated by spaces.

    Raises:
        UserError: If the row lacks the column, or its value is not a list of words.
    """
    words = value(row, column, key)
    if isinstance(words, str):
        words = _listed(words)
    wrong = [word for word in words if not _is_word(word)] if isinstance(words, list) else words
    if wrong:
        raise UserError(
            f"{row.place}: expected words separated by spaces in the column {column}, or a list "
            f"of words without spaces, got {quoted(wrong)}. Correct the value, or remove the row."
        )
    words = tuple(words or ())
    check_characters(" ".join(words), row.place)
    return words if may_be_empty else _some(words, row, column)


def _listed(words: str) -> Any:
    if words.lstrip().startswith("["):
        try:
            return json.loads(words)
        except ValueError:
            pass
    return list(filter(is_word, words.split()))


def _is_word(word: Any) -> bool:
    return isinstance(word, str) and word.split() == [word] and is_word(word)


def _some(words: tuple[str, ...], row: Row, column: str) -> tuple[str, ...]:
    if not words:
        raise UserError(
            f"{row.place}: the column {column} is empty. Write a sentence, or remove the row."
        )
    return words


def class_name(row: Row, column: str, key: str = "") -> str:
    """Return the name of a class: a text, a whole number, or JSON's `true` or `false`; see `value`.

    Raises:
        UserError: If the row lacks the column, or its value is empty or of another type.
    """
    label = value(row, column, key)
    if label is None or (isinstance(label, str) and not label.strip()):
        raise UserError(
            f"{row.place}: the label is missing (column {column}). Write one, or remove the row."
        )
    if not isinstance(label, str | int):
        raise UserError(
            f"{row.place}: expected a text or a whole number as label (column {column}), got "
            f"{quoted(label)}. Correct it, or remove the row."
        )
    return json.dumps(label) if isinstance(label, int) else label.strip()


def quoted(content: Any) -> str:
    """Return a value as a message shows it, shortened."""
    text = repr(content)
    return text if len(text) <= QUOTED else f"{text[:QUOTED]}…"
