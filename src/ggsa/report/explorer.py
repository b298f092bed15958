"""The attention explorer: every attention weight of our own example sentences, as data and a form.

Called by the attention notebook with `attention_examples.csv`, which holds the sentences of
`corpus.examples` and no corpus text. Returns HTML with the weights as JSON; `web/explorer.js` shows
the chosen ones. Without JavaScript a sentence replaces it, and the figures remain.
"""

import html
import json
from typing import Any

import pandas as pd

from ggsa.report import style

UNIT = 10_000  # weights are written as integers, in units of 1/UNIT
MODE, COMPARED, WORD = "hard", "full", "not"
"""What the explorer opens on, as far as it exists: the two modes, and the query.

Of the hard table's rules, none is about particles, so that *not* attends only to itself.
"""
LIFT = 0.5  # how far a mode's color moves toward white on a dark background

Options = list[tuple[str, str]]


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
    return {
        "unit": UNIT,
        "word": WORD,
        "seed": int(table["seed"].iloc[0]),
        "layers": int(table["layer"].max()) + 1,
        "heads": int(table["head"].max()) + 1,
        "modes": [{"name": mode, **colors(mode)} for mode in modes],
        "sentences": [sentence(rows) for rows in by_sentence],
        "allowed": {mode: [allowed(of_mode(rows, mode)) for rows in by_sentence] for mode in modes},
        "weights": {mode: [weights(of_mode(rows, mode)) for rows in by_sentence] for mode in modes},
    }


def of_mode(rows: pd.DataFrame, mode: str) -> pd.DataFrame:
    """Return the rows of one mode."""
    return rows[rows["mode"] == mode]


def sentence(rows: pd.DataFrame) -> dict[str, Any]:
    """Return a sentence as text, and its pieces with their tags, [CLS] and [SEP] included."""
    keys = rows.drop_duplicates("key").sort_values("key")
    pieces = keys["key_piece"].astype(str).tolist()
    return {"text": text_of(pieces), "pieces": pieces, "tags": keys["key_tag"].tolist()}


def text_of(pieces: list[str]) -> str:
    """Return pieces joined to words, without [CLS] and [SEP]."""
    return " ".join(piece for piece in pieces if piece not in ("[CLS]", "[SEP]")).replace(" ##", "")


def allowed(rows: pd.DataFrame) -> list[str]:
    """Return for each query a string with 1 for every key that it may attend to, else 0."""
    one = rows[(rows["layer"] == rows["layer"].min()) & (rows["head"] == rows["head"].min())]
    return [
        "".join("1" if may else "0" for may in part["allowed"]) for _, part in one.groupby("query")
    ]


def weights(rows: pd.DataFrame) -> list[list[list[int]]]:
    """Return the weights of every layer and head, row by row, as integers in units of 1/UNIT."""
    return [
        [
            [round(UNIT * weight) for weight in of_head["weight"]]
            for _, of_head in layer.groupby("head")
        ]
        for _, layer in rows.groupby("layer")
    ]


def colors(mode: str) -> dict[str, str]:
    """Return the color of a mode as CSS channels, and the same lightened for a dark background."""
    plain = [int(style.color(mode)[i : i + 2], 16) for i in (1, 3, 5)]
    lifted = [round(value + LIFT * (255 - value)) for value in plain]
    return {"light": " ".join(map(str, plain)), "dark": " ".join(map(str, lifted))}


def form(shown: dict[str, Any]) -> str:
    """Return the controls, the elements that the script fills, and the data."""
    return (
        '<section class="explorer" id="explorer" aria-label="Attention explorer">'
        "<noscript><p>The explorer needs JavaScript. The figures below show the same weights in "
        "the last layer, averaged over heads.</p></noscript>"
        f'<div data-part="body" hidden><div class="controls">{_selects(shown)}</div>'
        '<p class="note hint" id="explorer-hint">Choose the query, the piece that attends: point '
        "at it, click it, or move with the arrow keys.</p>"
        '<p class="legend" data-part="legend"></p>'
        '<div class="pieces" role="radiogroup" aria-label="The query" '
        'aria-describedby="explorer-hint" data-part="pieces"></div>'
        '<p class="said" role="status" aria-live="polite" data-part="said"></p>'
        '<details class="every"><summary>Every weight</summary>'
        '<div class="wide"><table class="matrix" data-part="matrix"></table></div>'
        '<p class="caption" data-part="caption"></p></details></div>'
        f"{json_script('explorer-data', shown)}</section>"
    )


def json_script(name: str, content: Any) -> str:
    """Return data for a script of the page, in an element of this id that they cannot end."""
    written = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    written = written.replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{written}</script>'


def _selects(shown: dict[str, Any]) -> str:
    """Return one control for every choice, with the view on which the explorer opens."""
    modes = [(mode["name"], mode["name"]) for mode in shown["modes"]]
    sentences = [(str(i), one["text"]) for i, one in enumerate(shown["sentences"])]
    opened = [i for i, one in enumerate(shown["sentences"]) if WORD in one["pieces"]]
    layers, heads = (_counted(shown[f"{name}s"], name) for name in ("layer", "head"))
    selects = [
        select("sentence", "sentence", sentences, str(opened[0]) if opened else "0"),
        select("mode", "mode", modes, MODE),
        select("with", "compare with", [("none", "none"), *modes], COMPARED),
        select("layer", "layer", layers, layers[-1][0]),
        select("head", "head", [("mean", "mean of heads"), *heads], "mean"),
        '<button type="button" class="copy" data-part="copy">Copy link</button>',
    ]
    return "".join(selects)


def _counted(number: int, name: str) -> Options:
    return [(str(i), f"{name} {i + 1}") for i in range(number)]


def select(name: str, label: str, options: Options, chosen: str) -> str:
    """Return a labeled control; without the chosen option, the first one is selected."""
    entries = "".join(
        f'<option value="{html.escape(value)}"{" selected" if value == chosen else ""}>'
        f"{html.escape(text)}</option>"
        for value, text in options
    )
    control = f'<select name="{name}">{entries}</select>'
    return f'<label class="{name}"><span>{label}</span> {control}</label>'
