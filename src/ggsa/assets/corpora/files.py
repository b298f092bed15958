"""The user's own sentences: CSV, TSV or JSON lines, with two or more classes of any name.

The files are in corpora/, on which the download stage depends, so an edited file is read again.
Every row is checked, and an error names file, row and value. Checksums are recorded, and there is
nothing to compare them with.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ggsa.assets import policy, raw_text, rows
from ggsa.assets.corpora import Read, Registration
from ggsa.assets.corpus import Corpus, Sentence, selection_size
from ggsa.workspace import blocks, checksums
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError, closest
from ggsa.workspace.progress import counted, track

HELD_OUT = ("validation", "test")
LISTED_ROWS = 5
"""Rows of a class that a message lists."""

Labeled = tuple[tuple[str, ...], str]  # words, name of the class


def read(params: Params) -> Read:
    """Return the user's corpus: train, validation and test.

    A split without a file is cut from train. Rows of train with the words of a validation or test
    row are left out, with a warning.

    Raises:
        UserError: If a file or a row is malformed, or there are too few classes or rows.
    """
    options = params.corpus
    files = {split: Path(path) for split, path in options.files.paths().items()}
    named = {split: labeled(path, options.files) for split, path in files.items()}
    classes = class_names(named, files)
    numbers = {name: number for number, name in enumerate(classes)}
    splits: Corpus = {
        split: [Sentence(words, numbers[name]) for words, name in part]
        for split, part in named.items()
    }
    for split in HELD_OUT:
        if split not in splits:
            splits[split] = cut(splits["train"], options.files.held_out, f"{split} {options.seed}")
            splits["train"] = without(splits["train"], splits[split])
    train = without(splits["train"], [row for split in HELD_OUT for row in splits[split]])
    left_out = len(splits["train"]) - len(train)
    if left_out:
        policy.notice(
            f"corpus: left out of train: {counted(left_out, 'row')} of {files['train']} with the "
            f"words of a row of validation or test."
        )
    selection = selection_size(options.selection_sentences, len(train))
    require_enough(train, named["train"], classes, selection, files["train"])
    description = {
        "source": "files",
        "name": "files",
        "files": {
            split: {"name": path.name, "sha256": checksums.sha256(path)}
            for split, path in files.items()
        },
        "classes": list(classes),
        "tokenizer": raw_text.version() if options.files.text else None,
        "rows_left_out": left_out,
    }
    return Read({"train": train, **{split: splits[split] for split in HELD_OUT}}, description)


def _about(provenance: Mapping[str, Any]) -> str:
    *others, last = [file["name"] for file in provenance["corpus"]["files"].values()]
    if not others:
        return f"the user’s own file {last}"
    return f"the user’s own files {', '.join(others)} and {last}"


CORPUS = Registration(label="your own files", read=read, about=_about, is_local=True)


def labeled(path: Path, files: blocks.Files) -> list[Labeled]:
    """Return the words and the class of every row of a file.

    Raises:
        UserError: If the file cannot be read, lacks a column, or has a row without text or label.
    """
    labeled_rows = []
    for row in track(rows.read_rows(path), None, f"words of {path.name}", "row"):
        words = (
            rows.text_words(row, files.text, "corpus.files.text")
            if files.text
            else rows.given_words(row, files.words, "corpus.files.words")
        )
        labeled_rows.append((words, rows.class_name(row, files.label, "corpus.files.label")))
    return labeled_rows


def class_names(
    named: Mapping[str, Sequence[Labeled]], files: Mapping[str, Path]
) -> tuple[str, ...]:
    """Return the classes of train, sorted: whole numbers by size, anything else by name.

    Args:
        named: Words and class of every row, by split.
        files: The file of every split, for messages.

    Raises:
        UserError: If train has a single class, or another split has a class that train lacks.
    """
    counts = {split: Counter(name for _, name in part) for split, part in named.items()}
    train = counts["train"]
    if len(train) < 2:
        raise UserError(
            f"{files['train']}: expected two or more classes, got the class "
            f"{rows.quoted(next(iter(train)))} in every row. Name another column as "
            f"corpus.files.label, or another file."
        )
    for split, classes in counts.items():
        absent = sorted(set(classes) - set(train))
        if absent:
            raise UserError(
                f"{files[split]}: expected a class of {files['train']} "
                f"({', '.join(sorted(train))}), got {rows.quoted(absent[0])} "
                f"({_places(named[split], absent[0])}). Correct the label, or add such rows to "
                f"train."
            )
    numeric = all(name.removeprefix("-").isdecimal() for name in train)
    return tuple(sorted(train, key=(lambda name: (int(name), name)) if numeric else None))


def cut(sentences: Sequence[Sentence], share: float, seed: str) -> list[Sentence]:
    """Return a share of the rows of each class, at least one; rows with equal words stay together.

    Args:
        sentences: All rows; the result keeps their order.
        share: Share of the different texts of each class.
        seed: Seed of the draw.
    """
    texts: dict[int, dict[tuple[str, ...], None]] = defaultdict(dict)
    label_of: dict[tuple[str, ...], int] = {}
    for words, label in sentences:
        texts[label_of.setdefault(words, label)][words] = None
    stream = random.Random(seed)
    drawn: set[tuple[str, ...]] = set()
    for label in sorted(texts):
        drawn.update(stream.sample([*texts[label]], max(1, round(share * len(texts[label])))))
    return [row for row in sentences if row.words in drawn]


def without(sentences: Sequence[Sentence], others: Iterable[Sentence]) -> list[Sentence]:
    """Return the rows whose words occur in none of the others."""
    known = {row.words for row in others}
    return [row for row in sentences if row.words not in known]


def require_enough(
    train: Sequence[Sentence],
    named: Sequence[Labeled],
    classes: Sequence[str],
    selection: int,
    path: Path,
) -> None:
    """Check that rows of every class remain when the selection split is cut from train.

    Args:
        train: The rows without those of validation and test.
        named: Every row of the file, for the message.
        classes: Names of the classes, by label.
        selection: Size of the selection split.
        path: The file.

    Raises:
        UserError: If a class would have no row to train on; names its rows, and the class that its
            name is most like.
    """
    share = -(-selection // len(classes))
    count = Counter({row.words: row.label for row in train}.values())
    for label, name in enumerate(classes):
        if count[label] <= share:
            like = closest(name, [other for other in classes if other != name])
            misspelled = (
                f"If this is a misspelling of {rows.quoted(like)}, correct it; otherwise add rows"
                if like
                else "Add rows"
            )
            raise UserError(
                f"{path}: the class {rows.quoted(name)} has too few rows to split: "
                f"{_places(named, name)}. Without validation and test, train has "
                f"{count[label]:,} different texts of it, and a selection split of {selection} "
                f"(corpus.selection_sentences) takes {share} different texts of each class: "
                f"expected at least {share + 1}. {misspelled}, or set corpus.selection_sentences "
                f"to a lower number."
            )


def _places(named: Sequence[Labeled], name: str) -> str:
    """Return how many rows of a file have a class, and the first of them."""
    places = [number for number, (_, label) in enumerate(named, start=1) if label == name]
    listed = ", ".join(map(str, places[:LISTED_ROWS])) + (", ..." if places[LISTED_ROWS:] else "")
    return f"{len(places):,}, row{'s' * (len(places) > 1)} {listed}"
