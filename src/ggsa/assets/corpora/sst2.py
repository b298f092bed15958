"""SST-2 from the Hub or a mirror, every row verified, or the probe corpus in its place.

Both sources give the same three splits in the same order, each verified by its canonical SHA256, so
the written files do not depend on the source.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ggsa.assets import corpus, hub, policy
from ggsa.assets.corpora import Read, Registration, probe
from ggsa.assets.corpus import UNKNOWN, Corpus, Sentence
from ggsa.assets.policy import Unavailable
from ggsa.workspace import checksums
from ggsa.workspace.config import Params
from ggsa.workspace.errors import UserError

FILES = {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"}
LABELS = "test_labels.tsv"


@dataclass(frozen=True)
class Checksums:
    """The checksums that identify a published corpus.

    Attributes:
        rows: Canonical SHA256 of the train, validation and (unlabeled) test split.
        labeled_test: Canonical SHA256 of the test split with its labels.
        files: MD5 of the published files, by name.
    """

    rows: Mapping[str, str]
    labeled_test: str
    files: Mapping[str, str] = field(default_factory=dict)


CHECKSUMS = Checksums(
    rows={
        "train": "d6d6db63b0850e9de8afa74e4a044a056185b1f6b3939e4ac29bb6fd438c7478",
        "validation": "671af978780e8f3c0fc0352ca77fe594b29b0b96b0dc4f9595b602be49f3707f",
        "test": "cfdec60584d39e2f47bc286dc039c2e99e45bd6d02f4025b3c827a406dbb3811",
    },
    labeled_test="24fe0334c0525377de39e44f63938c217305c94954d3175d84260f3d0baef710",
    files={
        "train.tsv": "da409a0a939379ed32a470bc0f7fe99a",
        "dev.tsv": "268856b487b2a31a28c0a93daaff7288",
        "test.tsv": "3230e4efec76488b87877a56ae49675a",
    },
)


def read(params: Params) -> Read:
    """Return SST-2 from the first source that has it, or the probe corpus in its place.

    Raises:
        UserError: If no allowed source has it, or what a source has is not SST-2.
    """
    attempts = {
        "hub": lambda: _from_hub(params),
        "mirror": lambda: _from_mirror(params),
        "embedded": lambda: None,
    }
    source, splits = policy.first_available("corpus", params, attempts)
    if splits is None:
        return probe.instead_of("SST-2", params)
    description = {
        "source": source,
        "name": "sst2",
        "repository": params.corpus.repository if source == "hub" else None,
        "revision": params.corpus.revision if source == "hub" else None,
    }
    return Read(splits, description)


def is_sst2(sha256: Mapping[str, str]) -> bool:
    """Return whether splits are all of SST-2, by their canonical SHA256.

    A corpus that `corpus.limit` shortened is not; one whose test split has no labels is.
    """
    return (
        sha256["train"] == CHECKSUMS.rows["train"]
        and sha256["validation"] == CHECKSUMS.rows["validation"]
        and sha256["test"] in (CHECKSUMS.rows["test"], CHECKSUMS.labeled_test)
    )


def _about(provenance: Mapping[str, Any]) -> str:
    if provenance["is_sst2"]:
        return "SST-2 (every row verified by checksum)"
    return "an altered corpus that is not SST-2 by checksum"


CORPUS = Registration(label="SST-2", read=read, about=_about, phrases=True)


# From a mirror.


def _from_mirror(params: Params) -> Corpus:
    """Return SST-2 from the files that GLUE publishes, in a mirror's `sst2/`."""
    folder = policy.mirror_folder(params) / "sst2"
    for name in FILES.values():
        if not (folder / name).is_file():
            raise Unavailable(f"{folder} has no {name}")
        expected = CHECKSUMS.files.get(name)
        if expected is not None:
            actual = checksums.md5(folder / name)
            checksums.verify(str(folder / name), "MD5", expected, actual)
    splits = {
        "train": read_labeled_tsv(folder / FILES["train"]),
        "validation": read_labeled_tsv(folder / FILES["validation"]),
        "test": read_unlabeled_tsv(folder / FILES["test"]),
    }
    _verify_rows(str(folder), splits)
    if not (folder / LABELS).is_file():
        return splits
    labels = read_labels_tsv(folder / LABELS)
    if len(labels) != len(splits["test"]):
        raise UserError(
            f"{folder / LABELS}: expected {len(splits['test'])} labels, one per row of "
            f"{FILES['test']}, got {len(labels)}. Obtain the file again, or remove it to go "
            f"without labels."
        )
    test = [Sentence(row.words, label) for row, label in zip(splits["test"], labels, strict=True)]
    checksums.verify(
        f"{FILES['test']} with {folder / LABELS}",
        "canonical SHA256",
        CHECKSUMS.labeled_test,
        corpus.canonical_sha256(test),
    )
    return {**splits, "test": test}


def _verify_rows(place: str, splits: Corpus) -> None:
    for split, rows in splits.items():
        what = f"The {split} split of {place} ({len(rows):,} rows)"
        actual = corpus.canonical_sha256(rows)
        checksums.verify(what, "canonical SHA256", CHECKSUMS.rows[split], actual)


def read_labeled_tsv(path: Path) -> list[Sentence]:
    """Return the rows of a GLUE file with the columns `sentence` and `label`.

    Raises:
        UserError: If the file is missing or empty, or a row is malformed; names file and line.
    """
    return [
        sentence(text, label, f"{path}, line {line}", (0, 1))
        for line, (text, label) in _tsv_rows(path, ("sentence", "label"))
    ]


def read_unlabeled_tsv(path: Path) -> list[Sentence]:
    """Return the rows of a GLUE file with the columns `index` and `sentence`, labels unknown."""
    return [
        sentence(text, UNKNOWN, f"{path}, line {line}", (UNKNOWN,))
        for line, text in _indexed(path, "sentence")
    ]


def read_labels_tsv(path: Path) -> list[int]:
    """Return the labels of a file with the columns `index` and `label`, in order."""
    return [
        sentence("-", label, f"{path}, line {line}", (0, 1)).label
        for line, label in _indexed(path, "label")
    ]


def sentence(text: object, label: object, place: str, labels: Sequence[int]) -> Sentence:
    """Return one checked row.

    Args:
        text: Words separated by spaces.
        label: A label as a number or as its decimal digits.
        place: File and line, or repository and row, for the message.
        labels: The labels that are allowed.

    Raises:
        UserError: If there is no word, or the label is not allowed.
    """
    words = corpus.words_of(text) if isinstance(text, str) else ()
    if not words:
        raise UserError(f"{place}: the sentence is empty. Obtain the corpus again.")
    known = {str(number): number for number in labels}
    if str(label) not in known:
        problem = "the label is missing" if label in (None, "") else f"got the label {label!r}"
        raise UserError(
            f"{place}: {problem}; expected {' or '.join(known)}. Obtain the corpus again."
        )
    return Sentence(words, known[str(label)])


def _indexed(path: Path, column: str) -> Iterator[tuple[int, str]]:
    """Yield line number and value of each row, whose index must count from 0."""
    for row, (line, (index, value)) in enumerate(_tsv_rows(path, ("index", column))):
        if index != str(row):
            raise UserError(
                f"{path}, line {line}: expected the index {row}, got {index!r}. Rows are missing "
                f"or out of order. Obtain the file again."
            )
        yield line, value


def _tsv_rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and fields of each row below the header.

    Quotation marks have no meaning, and only a line feed ends a line: sentences contain single
    quotation marks, and characters that Unicode counts as line ends.
    """
    # Not pandas: it fills rows that are too short with empty fields instead of refusing them.
    try:
        content = Path(path).read_bytes().decode("utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}). Obtain it again.") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text (byte {error.start}). Obtain it again."
        ) from error
    lines = content.split("\n")
    if lines[-1] == "":
        lines.pop()
    if not lines or lines[0].rstrip("\r").split("\t") != list(columns):
        actual = repr(lines[0]) if lines else "an empty file"
        raise UserError(
            f"{path}, line 1: expected the header {' TAB '.join(columns)}, got {actual}. Obtain "
            f"the file again."
        )
    if len(lines) == 1:
        raise UserError(f"{path} has a header and no rows. Obtain it again.")
    for number, line in enumerate(lines[1:], start=2):
        fields = line.removesuffix("\r").split("\t")
        if len(fields) != len(columns):
            raise UserError(
                f"{path}, line {number}: expected {len(columns)} fields ({', '.join(columns)}), "
                f"got {len(fields)}. Obtain the file again."
            )
        yield number, fields


# From the Hub.


def _from_hub(params: Params) -> Corpus:
    """Return SST-2 from the Hub through `datasets`, and the test labels from another repository.

    `datasets` may answer from its cache with another revision than the requested one; the checksums
    detect that.
    """
    repository, timeout = params.corpus.repository, params.assets.hub_timeout_seconds
    hub.require_hub(timeout)
    part = "sst2" if repository.endswith("/glue") else None
    loaded = hub.dataset(repository, params.corpus.revision, timeout, part)
    absent = [split for split in FILES if split not in loaded]
    if absent:
        raise UserError(
            f"corpus.repository: {repository} lacks the splits {', '.join(absent)}; it has "
            f"{', '.join(loaded)}. Name a repository of SST-2."
        )
    splits = {
        split: _checked(f"{repository}, {split}", loaded[split], "sentence", labels)
        for split, labels in (("train", (0, 1)), ("validation", (0, 1)), ("test", (UNKNOWN,)))
    }
    _verify_rows(repository, splits)
    test = _labeled_test(params, splits["test"])
    return {**splits, "test": test} if test else splits


def _labeled_test(params: Params, test: list[Sentence]) -> list[Sentence] | None:
    """Return the test split with labels, or None, with a warning, if no right ones are available."""
    repository = params.corpus.test_labels_repository
    try:
        loaded = hub.dataset(repository, None, params.assets.hub_timeout_seconds)
        if "test" not in loaded:
            raise Unavailable("it has no test split")
        rows = _checked(f"{repository}, test", loaded["test"], "text", (0, 1))
    except (Unavailable, UserError) as error:
        policy.notice(f"test labels: not from {repository} ({error}).")
        return None
    aligned = align_labels(test, rows)
    if aligned is None:
        policy.notice(
            f"test labels: the sentences of {repository} are not those of the test split."
        )
        return None
    actual = corpus.canonical_sha256(aligned)
    if actual != CHECKSUMS.labeled_test:
        policy.notice(
            f"test labels: those of {repository} are not the treebank's (expected the canonical "
            f"SHA256 {CHECKSUMS.labeled_test}, got {actual})."
        )
        return None
    return aligned


def _checked(place: str, loaded: Any, column: str, labels: tuple[int, ...]) -> list[Sentence]:
    absent = [name for name in (column, "label") if name not in loaded.column_names]
    if absent:
        raise UserError(
            f"{place}: the column {', '.join(absent)} is missing; there are "
            f"{', '.join(loaded.column_names)}. Name a repository with the columns of SST-2."
        )
    if not len(loaded):
        raise UserError(f"{place}: there are no rows. Name another repository or revision.")
    rows = zip(loaded[column], loaded["label"], strict=True)
    return [
        sentence(text, label, f"{place}, row {row}", labels)
        for row, (text, label) in enumerate(rows)
    ]


def align_labels(test: Sequence[Sentence], labeled: Iterable[Sentence]) -> list[Sentence] | None:
    """Return the test split with the labels of a copy in any order, or None if they do not fit.

    Rows are matched by their words. Rows with equal words take their labels in the order of the
    copy; a wrong order shows in the checksum of the result.
    """
    labels: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for words, label in labeled:
        labels[words].append(label)
    for waiting in labels.values():
        waiting.reverse()
    aligned = []
    for words, _ in test:
        if not labels.get(words):
            return None
        aligned.append(Sentence(words, labels[words].pop()))
    return aligned if not any(labels.values()) else None
