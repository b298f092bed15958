"""Where attention between words matters, and what masks keep there: one row per setting.

The core study and those named here ask the same question of different encoders and sentences. A row
appears once its study is published.
"""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ggsa.report import tables, wording
from ggsa.workspace import paths
from ggsa.workspace.paths import CORE


class Setting(NamedTuple):
    """A study whose arms full, diagonal, hard and window answer the question.

    Attributes:
        label: What distinguishes it.
        study: Its name.
        corpus: One of the study's.
        suffix: Of the names of its arms.
    """

    label: str
    study: str
    corpus: str
    suffix: str = ""


SETTINGS = (
    Setting("SST-2, trained from scratch", CORE, "sst2"),
    Setting("SST-2, pretrained encoder", "pretrained", "sst2"),
    Setting("SST-2 with every phrase, pretrained encoder", "pretrained_phrases", "sst2"),
    Setting("SST-2, pretrained encoder adapted to its mask", "adapted", "sst2", "-adapted"),
    Setting("generated sentences that need grammar", "controls", "probe"),
)
COLUMNS = (
    *("setting", "full", "bag of words", "worth of attention (pp)", "hard − full (pp)"),
    *("does hard keep it?", "hard keeps", "a window keeps"),
)


def settings_table(core: Path) -> pd.DataFrame:
    """Return the published settings as text, in the order of `SETTINGS`.

    Args:
        core: The tables of the core study.
    """
    rows = []
    for setting in SETTINGS:
        folder = core if setting.study == CORE else _tables(setting)
        if (folder / "verdicts.csv").is_file():
            rows.append(_row(setting, folder))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _tables(setting: Setting) -> Path:
    return paths.RESULTS / setting.study / setting.corpus / "tables"


def _row(setting: Setting, folder: Path) -> list[str]:
    """Return the row of a setting; a dash where its study asks no such question."""
    arms, verdicts, baselines = (
        tables.read(folder, name) for name in ("arms", "verdicts", "baselines")
    )
    split = wording.widest_split(arms)
    arms = arms[arms["split"] == split].set_index("arm")
    bag = baselines.query("baseline == 'bag of words' and split == @split")
    full, diagonal, hard, window = (
        f"{arm}{setting.suffix}" for arm in ("full", "diagonal", "hard", "window")
    )
    return [
        setting.label,
        wording.accuracy(arms["accuracy_mean"][full]),
        *bag["accuracy"].map(wording.accuracy),
        _difference(verdicts, "gate", full, diagonal),
        _difference(verdicts, "equivalence", hard, full),
        _word(verdicts, "equivalence", hard, full),
        *(_share(verdicts, arm, full) for arm in (hard, window)),
    ]


def _asked(verdicts: pd.DataFrame, kind: str, arm: str, reference: str) -> pd.DataFrame:
    return verdicts.query("kind == @kind and arm == @arm and reference == @reference")


def _difference(verdicts: pd.DataFrame, kind: str, arm: str, reference: str) -> str:
    rows = _asked(verdicts, kind, arm, reference)
    if rows.empty:
        return wording.NONE
    row = rows.iloc[0]
    spread = wording.interval(row["low_points"], row["high_points"], wording.points)
    return f"{wording.points(row['difference_points'])} ({spread})"


def _word(verdicts: pd.DataFrame, kind: str, arm: str, reference: str) -> str:
    rows = _asked(verdicts, kind, arm, reference)
    return wording.NONE if rows.empty else rows.iloc[0]["verdict"]


def _share(verdicts: pd.DataFrame, arm: str, reference: str) -> str:
    rows = _asked(verdicts, "share", arm, reference)
    if rows.empty:
        return wording.NONE
    row = rows.iloc[0]
    if wording.is_missing(row["share_low"]):
        return row["verdict"]
    spread = wording.interval(row["share_low"], row["share_high"], lambda x: wording.percent(x, 0))
    return f"{wording.percent(row['share'], 0)} ({spread})"


def as_html(core: Path) -> str:
    """Return the table for the page."""
    table = settings_table(core)
    caption = (
        "Accuracy on validation and test together. Worth of attention: full minus the model in which "
        "words see only themselves (95% interval). Hard minus full with its 90% interval. Keeps: the "
        "share of that worth, with Fieller’s 95% interval; – where it was not asked."
    )
    return tables.as_html(table, "settings-table", caption, text=tuple(table.columns))
