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
    Setting("SST-2, from scratch", CORE, "sst2"),
    Setting("SST-2, pretrained encoder", "pretrained", "sst2"),
    Setting("the same, trained on every phrase", "pretrained_phrases", "sst2"),
    Setting("the same, first adapted to its mask", "adapted", "sst2", "-adapted"),
    Setting("generated sentences that need grammar, from scratch", "controls", "probe"),
)
COLUMNS = (
    *("setting", "full", "words alone", "worth of attention (pp)"),
    *("hard − full (pp)", "hard keeps", "a window keeps"),
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
    arms, differences = (
        tables.widest(folder, name).set_index("arm") for name in ("arms", "differences")
    )
    asked = tables.read(folder, "verdicts").set_index(["kind", "arm"])
    full, diagonal, hard, window = (
        f"{arm}{setting.suffix}" for arm in ("full", "diagonal", "hard", "window")
    )
    # A share has the 95% interval of its difference, a question of equivalence that of 90%.
    loss = asked.loc[("share", hard)] if ("share", hard) in asked.index else differences.loc[hard]
    shares = (
        wording.share(asked.loc[("share", arm)]) if ("share", arm) in asked.index else wording.NONE
        for arm in (hard, window)
    )
    means = (arms["accuracy_mean"].get(arm) for arm in (full, diagonal))
    return [
        setting.label,
        *(wording.NONE if mean is None else wording.accuracy(mean) for mean in means),
        _difference(asked.loc[("gate", full)]) if ("gate", full) in asked.index else wording.NONE,
        _difference(loss),
        *shares,
    ]


def _difference(row: pd.Series) -> str:
    spread = wording.interval(row["low_points"], row["high_points"], wording.points)
    return f"{wording.points(row['difference_points'])} ({spread})"
