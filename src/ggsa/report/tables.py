"""Tables of the report: read whole and checked, and set as HTML through pandas' Styler.

Place in the data flow: used by the sections inside the notebooks and by the page around them. Every
table has an id given by its name, so that two renderings are equal to the byte.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ggsa.workspace.errors import UserError

Form = Callable[[Any], str]
ALL_TEXT = ("claims",)  # hold figures that are already worded


def read(folder: str | Path, name: str) -> pd.DataFrame:
    """Return a table of a stage, which may have no rows; verdicts that are empty stay empty text.

    Raises:
        UserError: If the file is missing or unreadable.
    """
    path = Path(folder) / f"{name}.csv"
    try:
        table = pd.read_csv(path, dtype=str if name in ALL_TEXT else None)
    except FileNotFoundError as error:
        raise UserError(
            f"{path} does not exist. An earlier stage writes it: run `dvc repro`."
        ) from error
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} cannot be read ({error}). It is damaged: delete it and run `dvc repro`."
        ) from error
    texts = list(table) if name in ALL_TEXT else [name for name in table if name == "verdict"]
    return table.assign(**{column: table[column].fillna("").astype(str) for column in texts})


def as_html(
    table: pd.DataFrame,
    name: str,
    caption: str = "",
    forms: Mapping[str, Form] | None = None,
    text: tuple[str, ...] = (),
) -> str:
    """Return a table as HTML, in a box that scrolls sideways where the screen is narrow.

    Args:
        table: Columns as they shall be headed.
        name: Unique in the page; becomes the table's id.
        caption: What it holds, with units; may hold HTML.
        forms: How the values of a column are written.
        text: Columns set flush left. Numbers are flush right.
    """
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
    )
    if len(table):
        styler = styler.set_td_classes(classes)
    body = styler.to_html()
    body = body[body.index("<table") :].rstrip()
    for number, column in enumerate(table):
        kind = "text" if column in text else "number"
        body = body.replace(
            f'class="col_heading level0 col{number}"', f'class="{kind}" scope="col"', 1
        )
    legend = f'<p class="caption">{caption}</p>' if caption else ""
    return f'<div class="table">{legend}<div class="wide">{body}</div></div>'
