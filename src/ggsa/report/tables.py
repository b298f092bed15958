"""Tables of the report: read and checked, and written as HTML through pandas' Styler.

Every table's id is its name, so that two renderings are byte-identical.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ggsa.report import style, wording
from ggsa.workspace import artifacts
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import read_csv

Form = Callable[[Any], str]
ALL_TEXT = ("claims",)  # its numbers are already worded


def read(folder: str | Path, name: str) -> pd.DataFrame:
    """Return a table, which may have no rows; an empty verdict is an empty string.

    Raises:
        UserError: If the file is missing or unreadable.
    """
    path = Path(folder) / f"{name}.csv"
    try:
        table = read_csv(path, all_text=name in ALL_TEXT)
    except FileNotFoundError as error:
        raise artifacts.missing(path) from error
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is damaged ({error}). Delete it and run `dvc repro`.") from error
    texts = list(table) if name in ALL_TEXT else [name for name in table if name == "verdict"]
    return table.assign(
        **{column: table[column].astype(object).fillna("").astype(str) for column in texts}
    )


def widest(folder: str | Path, name: str) -> pd.DataFrame:
    """Return the rows of a table on the split with the most sentences."""
    table = read(folder, name)
    return table[table["split"] == wording.widest_split(table)]


def as_html(
    table: pd.DataFrame,
    name: str,
    caption: str = "",
    forms: Mapping[str, Form] | None = None,
    text: tuple[str, ...] = (),
    main: tuple[str, ...] = (),
) -> str:
    """Return a table as HTML; `web/page.js` lets a reader sort, filter and save it.

    Where the screen is too narrow, the page shows fewer columns, and the others on demand.

    A table without rows is an empty string.

    Args:
        table: Column names are the headings.
        name: Unique in the page; becomes the table's id.
        caption: What the table shows, with units; may contain HTML.
        forms: How the values of a column are formatted.
        text: Left-aligned columns; others are right-aligned.
        main: Columns that stay where the screen is too narrow for all.
    """
    if table.empty:
        return ""
    table = table.reset_index(drop=True)
    classes = pd.DataFrame(
        {column: ["text" if column in text else "number"] * len(table) for column in table},
        index=table.index,
    )
    styler = (
        table.style.hide(axis="index")
        .set_uuid(name)
        .set_table_attributes('class="data"')
        .format(dict(forms or {}), escape="html", na_rep="")
        .set_td_classes(classes)
    )
    body = styler.to_html()
    body = body[body.index("<table") :].rstrip()
    for number, column in enumerate(table):
        kind = ("text" if column in text else "number") + (" main" if column in main else "")
        body = body.replace(
            f'class="col_heading level0 col{number}"', f'class="{kind}" scope="col"', 1
        )
    legend = f'<p class="caption">{caption}</p>' if caption else ""
    source = f'<p class="source">{style.SOURCE}</p>'
    return f'<div class="table">{legend}<div class="wide">{body}</div>{source}</div>'


SPREAD = ("low_points", "high_points", "p", "p_holm", "p_two_sided_holm", "smallest_points")
"""Columns that say nothing of two arms that never differ."""


def with_spread(differences: pd.DataFrame) -> pd.DataFrame:
    """Return a table of differences; where arms never differ, what rests on spread is missing."""
    columns = [name for name in SPREAD if name in differences]
    constant = differences["smallest_points"] == 0
    return differences.assign(**differences[columns].mask(constant))


ASKED = ("question", "comparison", "difference (pp)", "verdict")
"""Columns of declared questions that stay where the screen is narrow."""


def _interval(row: Any) -> str:
    """Return the interval of a verdict with its level; a dash where there is none."""
    ends = wording.interval(row.low_points, row.high_points, wording.points)
    return ends if ends == wording.NONE else f"{ends} ({100 * row.level:.0f}%)"


def verdict_rows(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return verdicts.csv as text: every row with n, seeds, interval and detectable difference.

    Shares, and differences on the split `fresh`, are columns where there are any.
    """
    verdicts = with_spread(verdicts)
    shown = pd.DataFrame(
        {
            "family": verdicts["family"],
            "question": verdicts["question"],
            "comparison": verdicts["arm"] + " − " + verdicts["reference"],
            "n": verdicts["n"].map(wording.count),
            "seeds": verdicts["seeds"].astype(str),
            "difference (pp)": verdicts["difference_points"].map(wording.points),
            "interval (pp)": [*map(_interval, verdicts.itertuples())],
            "p (Holm)": verdicts["p_holm"].map(wording.p_value),
            "p of no difference (Holm)": verdicts["p_two_sided_holm"].map(wording.p_value),
            "detectable (pp)": verdicts["smallest_points"].map(wording.size),
        }
    )
    if verdicts["fresh_difference_points"].notna().any():
        shown["on fresh (pp)"] = verdicts["fresh_difference_points"].map(wording.points)
    if verdicts["share"].notna().any():
        shown["share (95%)"] = [
            ""
            if pd.isna(row.share)
            else f"{wording.percent(row.share)} "
            f"({wording.interval(row.share_low, row.share_high, wording.percent)})"
            for row in verdicts.itertuples()
        ]
    return shown.assign(verdict=verdicts["verdict"])
