"""The user's own sentences: CSV, TSV or JSON lines, with any two or more classes.

The corpus `files` of `ggsa.assets.corpora`. Files lie in corpora/, on which the download stage depends, so
that an edited file is read again. Every row is checked, and whatever is wrong is named by file, row
and value. Nobody has published these rows: their checksums are recorded, never compared.
"""

import csv
import io
import json
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ggsa.assets import corpus, policy, raw_text
from ggsa.assets.corpora import Read
from ggsa.assets.corpus import Corpus, Sentence
from ggsa.workspace import blocks
from ggsa.workspace.errors import UserError, unknown
from ggsa.workspace.progress import track

SEPARATORS = {".csv": ",", ".tsv": "\t"}
HELD_OUT = ("validation", "test")
SHOWN = 40
"""Characters of a wrong value that a message shows."""

Labeled = tuple[tuple[str, ...], str]  # words, name of the class
Record = tuple[str, dict[str, Any]]  # where it stands, and its values by column


def read(options: blocks.Corpus) -> Read:
    """Return the user's corpus: train less what is held out, validation and test.

    A split without a file is cut from train. Rows of train with the words of a row that is held out
    are left out, aloud.

    Args:
        options: The corpus block of params.yaml.

    Raises:
        UserError: If a file or a row is malformed, or the classes or the number of rows will not do.
    """
    files = {split: Path(path) for split, path in options.files.paths().items()}
    rows = {split: labeled(path, options.files) for split, path in files.items()}
    classes = class_names(rows, files)
    numbers = {name: number for number, name in enumerate(classes)}
    splits: Corpus = {
        split: [Sentence(words, numbers[name]) for words, name in found]
        for split, found in rows.items()
    }
    for split in HELD_OUT:
        if split not in splits:
            splits[split] = cut(splits["train"], options.files.held_out, f"{split} {options.seed}")
            splits["train"] = without(splits["train"], splits[split])
    known = [row for split in HELD_OUT for row in splits[split]]
    train = without(splits["train"], known)
    left_out = len(splits["train"]) - len(train)
    if left_out:
        policy.notice(
            f"corpus: {left_out:,} rows of {files['train']} have the words of a row of validation "
            f"or test; they are left out of train."
        )
    require_enough(train, classes, options.selection_sentences, files["train"])
    description = {
        "source": "files",
        "name": "files",
        "files": {
            split: {"name": path.name, "sha256": corpus.sha256(path)}
            for split, path in files.items()
        },
        "classes": list(classes),
        "tokenizer": raw_text.version() if options.files.text else None,
        "rows_left_out": left_out,
    }
    held_out = {split: splits[split] for split in HELD_OUT}
    return Read({"train": train, **held_out}, description, "documents")


# Classes and splits.


def class_names(
    rows: Mapping[str, Sequence[Labeled]], files: Mapping[str, Path]
) -> tuple[str, ...]:
    """Return the classes of train, sorted: whole numbers by size, anything else by name.

    Raises:
        UserError: If there is one class alone, or another split has one that train lacks.
    """
    found = {split: Counter(name for _, name in labeled) for split, labeled in rows.items()}
    train = found["train"]
    if len(train) < 2:
        raise UserError(
            f"{files['train']}: every row is of the class {_shown(next(iter(train)))}; two or more "
            f"classes were expected. Name another column as corpus.files.label, or another file."
        )
    for split, classes in found.items():
        strange = sorted(set(classes) - set(train))
        if strange:
            raise UserError(
                f"{files[split]}: rows ({classes[strange[0]]:,}) are of the class "
                f"{_shown(strange[0])}, which {files['train']} does not have; it has "
                f"{', '.join(sorted(train))}. Correct the label, or add such rows to train."
            )
    numeric = all(name.removeprefix("-").isdecimal() for name in train)
    return tuple(sorted(train, key=(lambda name: (int(name), name)) if numeric else None))


def cut(rows: Sequence[Sentence], share: float, seed: str) -> list[Sentence]:
    """Return a share of the rows of each class, at least one; rows of equal words stay together.

    Args:
        rows: All rows, of which the result is taken in order.
        share: How much of each class.
        seed: Draws them.
    """
    texts: dict[int, dict[tuple[str, ...], None]] = defaultdict(dict)
    label_of: dict[tuple[str, ...], int] = {}
    for words, label in rows:
        texts[label_of.setdefault(words, label)][words] = None
    stream = random.Random(seed)
    drawn: set[tuple[str, ...]] = set()
    for label in sorted(texts):
        drawn.update(stream.sample([*texts[label]], max(1, round(share * len(texts[label])))))
    return [row for row in rows if row.words in drawn]


def without(rows: Sequence[Sentence], others: Iterable[Sentence]) -> list[Sentence]:
    """Return the rows whose words none of the others has."""
    known = {row.words for row in others}
    return [row for row in rows if row.words not in known]


def require_enough(
    train: Sequence[Sentence], classes: Sequence[str], selection: int, path: Path
) -> None:
    """Refuse a train split that could not spare the selection split.

    Raises:
        UserError: If a class would be left without a row to train on.
    """
    share = -(-selection // len(classes))
    texts = {row.words: row.label for row in train}
    count = Counter(texts.values())
    for label, name in enumerate(classes):
        if count[label] <= share:
            raise UserError(
                f"{path}: corpus.selection_sentences is {selection}, which takes {share} different "
                f"texts of each class, and of the class {_shown(name)} train has {count[label]:,} "
                f"beside validation and test. Lower corpus.selection_sentences, or add rows."
            )


# Rows.


def labeled(path: Path, files: blocks.Files) -> list[Labeled]:
    """Return the words and the class of every row of a file.

    Raises:
        UserError: If the file cannot be read, lacks a column, or has a row without text or label.
    """
    content = records(path, _text(path))
    column = files.text or files.words
    found = []
    for place, values in track(content, None, f"words of {path.name}", "row"):
        for key, name in (("text" if files.text else "words", column), ("label", files.label)):
            if name not in values:
                raise UserError(
                    f"{place}: corpus.files.{key}: {unknown(name, 'column', [*values])}"
                )
        words = (_words_of_text if files.text else _given_words)(values[column], place, column)
        if not words:
            raise UserError(
                f"{place}: the column {column} is empty. Write a text there, or remove the row."
            )
        row = words, _label(values[files.label], place, files.label)
        _require_characters(row, place)
        found.append(row)
    if not found:
        raise UserError(f"{path} has no rows. Write some, or name another file in corpus.files.")
    return found


def _require_characters(row: Labeled, place: str) -> None:
    try:
        "".join((*row[0], row[1])).encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{place}: half a character stands there ({_shown(error.object[error.start])}). Write "
            f"the whole one, or remove it."
        ) from error


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        there = sorted(str(other) for other in path.parent.glob("*") if other.is_file())
        beside = f"Beside it lie: {', '.join(there[:8])}. " if there else ""
        raise UserError(
            f"corpus.files: {path} does not exist. {beside}Correct the path in params.yaml."
        ) from error
    except OSError as error:
        raise UserError(f"corpus.files: {path} cannot be read ({error.strerror}).") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text: byte {error.start} is 0x{content[error.start]:02x}. Save it "
            f"as UTF-8."
        ) from error
    if "\0" in text:
        raise UserError(f"{path} is binary, not text. Name a CSV, TSV or JSON lines file.")
    if not text.strip():
        raise UserError(f"{path} is empty. Write some rows, or name another file.")
    return text


def records(path: Path, text: str) -> Iterator[Record]:
    """Yield every row of a file, by its ending, with its place for messages.

    Raises:
        UserError: If a row is malformed.
    """
    separator = SEPARATORS.get(path.suffix.lower())
    return _json_lines(path, text) if separator is None else _separated(path, text, separator)


def _separated(path: Path, text: str, separator: str) -> Iterator[Record]:
    csv.field_size_limit(sys.maxsize)  # a document may be long
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        heading = [name.strip() for name in next(rows)]
        repeated = [name for name in heading if heading.count(name) > 1]
        if repeated:
            raise UserError(
                f"{path}, heading: the column {_shown(repeated[0])} stands there twice. Rename one."
            )
        for number, row in enumerate(rows, start=1):
            if row and len(row) != len(heading):
                raise UserError(
                    f"{path}, row {number}: {len(row)} fields stand there and {len(heading)} in the "
                    f"heading ({', '.join(heading)}). A field that holds the separator, a quotation "
                    f"mark or a line end must stand in quotation marks."
                )
            if row:
                yield f"{path}, row {number}", dict(zip(heading, row, strict=True))
    except csv.Error as error:
        raise UserError(
            f"{path}, line {rows.line_num}: {error}. Mend the quotation marks there: a mark within "
            f"a quoted field is written twice."
        ) from error


def _json_lines(path: Path, text: str) -> Iterator[Record]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except ValueError as error:
            raise UserError(
                f"{path}, row {number}: {_shown(line)} is not JSON ({error}). Every line must be one "
                f'object, such as {{"text": "a fine film", "label": "good"}}.'
            ) from error
        if not isinstance(values, dict):
            raise UserError(
                f"{path}, row {number}: {_shown(line)} is no object. Every line must be one, such "
                f'as {{"text": "a fine film", "label": "good"}}.'
            )
        yield f"{path}, row {number}", values


def _words_of_text(value: Any, place: str, column: str) -> tuple[str, ...]:
    if value is not None and not isinstance(value, str):
        raise UserError(f"{place}: the column {column} is {_shown(value)}; a text was expected.")
    return raw_text.words_of(value or "")


def _given_words(value: Any, place: str, column: str) -> tuple[str, ...]:
    """Return words that were given as a list, as a list written in JSON, or split by spaces."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.lstrip().startswith("[") else value.split()
        except ValueError:
            value = value.split()
    wrong = value if not isinstance(value, list) else [w for w in value if not _is_word(w)]
    if wrong:
        raise UserError(
            f"{place}: {_shown(wrong)} stands in the column {column}; a list of words was expected, "
            f"none of them empty or with a space in it, or words split by spaces."
        )
    return tuple(value or ())


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and len(value.split()) == 1 and value == value.strip()


def _label(value: Any, place: str, column: str) -> str:
    """Return the name of a class: a text, a whole number, or true and false as JSON writes them."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise UserError(
            f"{place}: the label is missing (column {column}). Write one, or remove the row."
        )
    if not isinstance(value, str | int):
        raise UserError(
            f"{place}: the label is {_shown(value)} (column {column}); a text or a whole number was "
            f"expected."
        )
    return json.dumps(value) if isinstance(value, int) else value.strip()


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
