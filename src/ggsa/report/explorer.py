"""The attention explorer: every attention weight of our own example sentences, as data and a form.

Called by the attention notebook with `attention_examples.csv`, which holds the sentences of
`corpus.examples` and no corpus text. Returns HTML with the weights as JSON; `web/explorer.js` shows
the chosen ones. Without JavaScript a sentence replaces it, and the figures remain.
"""

from typing import Any

import pandas as pd

from ggsa.report import style, templates
from ggsa.workspace.vocabulary import CLS, SEP

UNIT = 10_000  # weights are written as integers, in units of 1/UNIT
MODE, COMPARED, WORD = "hard", "full", "not"
"""What the explorer opens on, as far as it exists: the two modes, and the query.

Of the hard table's rules, none is about particles, so that *not* attends only to itself.
"""


def markup(table: pd.DataFrame) -> str:
    """Return the explorer; an empty string if no example sentence was evaluated."""
    return form(data(table)) if len(table) else ""


def data(table: pd.DataFrame) -> dict[str, Any]:
    """Return what the explorer shows.

    Args:
        table: One row per mode, sentence, layer, head, query and key.

    Returns:
        `word`: the query on which the page opens. `sentences`: text, pieces and tags of each.
        `modes`: name and colors of each.
        `allowed[mode][sentence]`: one string of 0 and 1 per query. `weights[mode][sentence]
        [layer][head]`: the matrix row by row, in units of 1/`unit`.
    """
    table = table.sort_values(["sentence", "layer", "head", "query", "key"], kind="stable")
    modes = table["mode"].unique().tolist()
    by_sentence = [rows for _, rows in table.groupby("sentence")]
    of = {mode: [rows[rows["mode"] == mode] for rows in by_sentence] for mode in modes}
    return {
        "unit": UNIT,
        "word": WORD,
        "seed": int(table["seed"].iloc[0]),
        "layers": int(table["layer"].max()) + 1,
        "heads": int(table["head"].max()) + 1,
        "modes": [{"name": mode, **colors(mode)} for mode in modes],
        "sentences": [sentence(rows) for rows in by_sentence],
        "allowed": {mode: [*map(allowed, of[mode])] for mode in modes},
        "weights": {mode: [*map(weights, of[mode])] for mode in modes},
    }


def sentence(rows: pd.DataFrame) -> dict[str, Any]:
    """Return a sentence as text, and its pieces with their tags, [CLS] and [SEP] included."""
    keys = rows.drop_duplicates("key").sort_values("key")
    pieces = keys["key_piece"].astype(str).tolist()
    words = " ".join(piece for piece in pieces if piece not in (CLS, SEP)).replace(" ##", "")
    return {"text": words, "pieces": pieces, "tags": keys["key_tag"].tolist()}


def allowed(rows: pd.DataFrame) -> list[str]:
    """Return for each query a string with 1 for every key that it may attend to, else 0.

    Args:
        rows: Of one mode and sentence, in order; the same in every layer and head.
    """
    size = rows["key"].nunique()
    pairs = rows["allowed"].iloc[: size**2].astype(int).astype(str)
    return ["".join(pairs.iloc[start : start + size]) for start in range(0, size**2, size)]


def weights(rows: pd.DataFrame) -> list[list[list[int]]]:
    """Return the weights of every layer and head, row by row, as integers in units of 1/UNIT.

    Args:
        rows: Of one mode and sentence, in order.
    """
    units = (UNIT * rows["weight"]).round().astype(int).to_numpy()
    return units.reshape(rows["layer"].nunique(), rows["head"].nunique(), -1).tolist()


def colors(mode: str) -> dict[str, str]:
    """Return the color of a mode as CSS channels, and the same lightened for a dark background."""
    plain = style.color(mode)
    return {
        ground: " ".join(str(channel) for channel in bytes.fromhex(color[1:]))
        for ground, color in (("light", plain), ("dark", style.lifted(plain)))
    }


def form(shown: dict[str, Any]) -> str:
    """Return the controls, the elements that the script fills, and the data."""
    opened = (i for i, one in enumerate(shown["sentences"]) if WORD in one["pieces"])
    start = {"opened": next(opened, 0), "mode": MODE, "compared": COMPARED}
    return templates.render("explorer.html.j2", shown=shown, **start)
