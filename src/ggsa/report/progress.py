"""How far every study has come: which cells are planned, which are finished, what they took.

Place in the data flow: reads the studies' `params.yaml`, which names the cells, and the finished
cells under `reports/published/studies/`; used by the page and by the sections on the studies, so
that what was not run is said by name.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ggsa.evaluation.study_cells import BASES
from ggsa.report import wording
from ggsa.training import studies

CORPUS_NAMES = {"sst2": "SST-2", "probe": "the probe corpus", "imdb": "IMDB"}


@dataclass(frozen=True)
class Progress:
    """One study on one corpus.

    Attributes:
        study: Its name.
        question: What it asks.
        corpus: `sst2`, `probe` or `imdb`.
        base: Corpus, assets and encoder, by the names of `ggsa.evaluation.study_cells`.
        seeds: As planned.
        cells: Every planned (arm, seed).
        finished: Those whose predictions are there.
        seconds: What each finished cell took, where that was noted.
    """

    study: str
    question: str
    corpus: str
    base: str
    seeds: tuple[int, ...]
    cells: tuple[tuple[str, int], ...]
    finished: frozenset[tuple[str, int]]
    seconds: dict[tuple[str, int], float]

    @property
    def folder(self) -> Path:
        """Where the study's plan, cells and times lie."""
        return studies.results(self.study, self.corpus)

    def missing(self) -> dict[str, list[int]]:
        """Return the seeds that are not finished, for every arm that lacks one."""
        lacking: dict[str, list[int]] = {}
        for arm, seed in self.cells:
            if (arm, seed) not in self.finished:
                lacking.setdefault(arm, []).append(seed)
        return lacking


def of(name: str, corpus: str) -> Progress:
    """Return how far a study has come on a corpus.

    Raises:
        UserError: If there is no such study or its params.yaml is wrong.
    """
    study = studies.load(name)
    side, cells = study.side(corpus), tuple(study.cells(corpus))
    finished = {cell for cell in cells if studies.cell_file(name, corpus, *cell).is_file()}
    noted = _seconds(studies.results(name, corpus) / "seconds.csv")
    return Progress(
        study=name,
        question=study.question,
        corpus=corpus,
        base=BASES.get(side.data, side.data),
        seeds=side.seeds,
        cells=cells,
        finished=frozenset(finished),
        seconds={(a, s): noted[f"{a}-{s}"] for a, s in finished if f"{a}-{s}" in noted},
    )


def everything() -> list[Progress]:
    """Return how far every study has come on every corpus on which it has cells."""
    found = [of(name, corpus) for name in studies.names() for corpus in studies.CORPORA]
    return [each for each in found if each.cells]


def not_run(names: Iterable[str], corpus: str) -> str:
    """Return which planned cells of some studies are not finished, by name, as a sentence each.

    A study of which everything is finished is said to be; one that is not there is named too.
    """
    known, sentences = studies.names(), []
    for name in names:
        if name not in known:
            sentences.append(f"Not run: the study {name}, which is not there.")
            continue
        sentences.append(_sentence(of(name, corpus)))
    return " ".join(sentence for sentence in sentences if sentence)


def overview() -> pd.DataFrame:
    """Return the table of what was run, one row a study and corpus."""
    rows = [
        {
            "study": each.study,
            "question": each.question,
            "corpus": each.corpus,
            "encoder": each.base,
            "cells finished": f"{len(each.finished)} of {len(each.cells)}",
            "seeds planned": ", ".join(map(str, each.seeds)),
            "minutes": _minutes(each),
            "where": each.folder.as_posix(),
        }
        for each in everything()
    ]
    return pd.DataFrame(rows)


def summary() -> str:
    """Return in a sentence how much was run and what it took."""
    found = everything()
    planned, finished = (sum(len(getattr(each, kind)) for each in found) for kind in _KINDS)
    if not planned:
        return "No study is defined in this workspace, so none was run beside the core study."
    timed = sum(len(each.seconds) for each in found)
    hours = sum(sum(each.seconds.values()) for each in found) / 3600
    text = (
        f"Beside the core study, {wording.count(finished)} of {wording.count(planned)} planned "
        f"cells (an arm with a seed) are finished."
    )
    if timed:
        text += (
            f" The {wording.count(timed)} cells whose time was noted took {hours:.1f} hours of "
            f"computing together, each as long as it ran beside others."
        )
    return text


_KINDS = ("cells", "finished")


def _sentence(each: Progress) -> str:
    lacking, where = each.missing(), CORPUS_NAMES[each.corpus]
    if not each.cells:
        return f"Not run: {each.study} has no cells on {where}."
    if not each.finished:
        arms = list(dict.fromkeys(arm for arm, _ in each.cells))
        named = wording.listing(arms) if len(arms) <= 12 else f"none of its {len(arms)} arms"
        return f"Not run on {where}: {each.study} ({named})."
    if not lacking:
        return f"All {len(each.cells)} planned cells of {each.study} on {where} are finished."
    named = "; ".join(
        f"{arm} ({'no seed' if len(rest) == len(each.seeds) else 'without seed ' + _join(rest)})"
        for arm, rest in lacking.items()
    )
    return (
        f"Of {each.study} on {where}, {len(each.finished)} of {len(each.cells)} planned cells are "
        f"finished. Not run: {named}."
    )


def _join(seeds: list[int]) -> str:
    return wording.listing(map(str, seeds))


def _minutes(each: Progress) -> str:
    if not each.seconds:
        return wording.NONE
    text = f"{sum(each.seconds.values()) / 60:.0f}"
    if len(each.seconds) < len(each.finished):
        text += f" ({len(each.seconds)} of {len(each.finished)} noted)"
    return text


def _seconds(path: Path) -> dict[str, float]:
    """Return the seconds of every cell; of one that was trained twice, the last time."""
    if not path.is_file():
        return {}
    table = pd.read_csv(path).dropna()
    return dict(zip(table["cell"].astype(str), table["seconds"].astype(float), strict=True))
