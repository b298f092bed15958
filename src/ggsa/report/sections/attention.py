"""The chapter on where attention goes: by tag pair, and on our own example sentences."""

import html

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ggsa.report import style, tables, wording
from ggsa.report.sections import Material, modes_of, paragraph

COLUMNS = 2


def by_tag(material: Material) -> str:
    """Return the figure of the mean attention weight of every tag pair, one panel per mode."""
    table = material.table("attention_by_tag")
    seeds, table = set(table["seed"]), _mean_over_runs(table)
    modes = modes_of(table)
    tags = sorted(set(table["query_tag"]) | set(table["key_tag"]), key=_special_last)
    rows = -(-len(modes) // COLUMNS)
    figure, panels = plt.subplots(
        rows, COLUMNS, figsize=(style.WIDTH_INCHES, 3.6 * rows), squeeze=False
    )
    squares = {mode: 100 * _square(table[table["mode"] == mode], tags) for mode in modes}
    top = max(np.nanquantile(square.to_numpy(), 0.98) for square in squares.values())
    used = []
    for axes in panels.flat[len(modes) :]:
        axes.set_visible(False)
    for axes, mode in zip(panels.flat, modes, strict=False):
        image = axes.imshow(squares[mode], cmap=style.SEQUENTIAL, vmin=0, vmax=top)
        axes.set_title(mode, color=style.color(mode), fontweight="bold")
        axes.set_xticks(range(len(tags)), tags, rotation=90, fontsize=7.5)
        axes.set_yticks(range(len(tags)), tags, fontsize=7.5)
        style.no_grid(axes)
        used.append(axes)
    figure.supxlabel("key tag (attended to)", fontsize=10.5)
    figure.supylabel("query tag (attends)", fontsize=10.5)
    figure.colorbar(
        image, ax=used, label="share of the query’s attention (%)", shrink=0.7, extend="max"
    )
    caption = (
        f"Between different tags of words the largest shares go from {_strongest(table)}. A share "
        f"is what a piece of the query tag gives to all pieces of the key tag in its sentence, so "
        f"frequent tags draw more; mean over validation, heads and layers, {_seeds(seeds)}. One "
        f"color scale for all modes; empty cells never occur or are blocked."
    )
    return style.publish(
        figure, "attention_by_tag", material.figures, caption, "Heat maps of attention by tag pair."
    )


def shares(material: Material) -> str:
    """Return the table of how each mode's attention is divided among kinds of pairs."""
    table = material.table("attention_by_tag")
    allowed = material.statistic("tag_pairs").set_index(["query_tag", "key_tag"])["allowed_hard"]
    allowed = allowed.astype(bool).to_dict()
    kinds = [
        _kind(query, key, allowed)
        for query, key in zip(table["query_tag"], table["key_tag"], strict=True)
    ]
    mass, seeds = (table["weight_mean"] * table["count"]).fillna(0), set(table["seed"])
    table = table.assign(kind=kinds, mass=mass)
    table = table[table["kind"] != "from [CLS] or [SEP]"]
    order = ["own tag", "other tag, in hard", "other tag, not in hard", "to [CLS] or [SEP]"]
    wide = table.pivot_table(
        index="mode", columns="kind", values="mass", aggfunc="sum", fill_value=0
    )
    wide = wide.reindex(index=modes_of(table), columns=order, fill_value=0)
    wide = wide.div(wide.sum(axis=1), axis=0).reset_index()
    caption = (
        "Where the attention of the pieces of words goes: share of their total weight over "
        f"validation, heads and layers, {_seeds(seeds)}. “In hard”: pairs that the hard "
        "table allows between different tags, in every mode."
    )
    return tables.as_html(
        wide, "attention-shares", caption, dict.fromkeys(order, wording.percent), text=("mode",)
    )


def classifier_strips(material: Material) -> str:
    """Return our example sentences, shaded by the attention of [CLS] in the last layer."""
    table = material.table("attention_examples")
    if table.empty:
        return ""
    table = table[(table["layer"] == table["layer"].max()) & (table["query_piece"] == "[CLS]")]
    parts = []
    for sentence, rows in table.groupby("sentence", sort=True):
        lines = "".join(_strip(mode, rows[rows["mode"] == mode]) for mode in modes_of(rows))
        number = int(sentence) + 1
        parts.append(
            f'<div class="strips"><p class="caption">Sentence {number}: weight of [CLS] in the '
            f"last layer, mean over heads, {_seeds(set(rows['seed']))}; the darkest piece of a "
            f"line has the highest "
            f"weight.</p>{lines}</div>"
        )
    return "".join(parts)


def example(material: Material, sentence: int) -> str:
    """Return the figure of all weights of one example sentence, one panel per mode."""
    table = material.table("attention_examples")
    table = table[table["sentence"] == sentence]
    if table.empty:
        return ""
    seed = table["seed"].iloc[0]
    table = table[(table["layer"] == table["layer"].max()) & (table["seed"] == seed)]
    modes = modes_of(table)
    pieces = table.drop_duplicates("key").sort_values("key")["key_piece"].tolist()
    rows = -(-len(modes) // COLUMNS)
    figure, panels = plt.subplots(
        rows, COLUMNS, figsize=(style.WIDTH_INCHES, 3.6 * rows), squeeze=False
    )
    said, used = [], []
    top = table.groupby(["mode", "query", "key"])["weight"].mean().quantile(0.99)
    for axes in panels.flat[len(modes) :]:
        axes.set_visible(False)
    for axes, mode in zip(panels.flat, modes, strict=False):
        one = table[table["mode"] == mode]
        weights = one.groupby(["query", "key"])["weight"].mean().unstack()
        image = axes.imshow(weights.to_numpy(), cmap=style.SEQUENTIAL, vmin=0, vmax=top)
        blocked = ~one.groupby(["query", "key"])["allowed"].first().unstack().to_numpy(dtype=bool)
        crossed, columns = np.nonzero(blocked)
        axes.plot(
            columns, crossed, "x", color=style.NEUTRAL[1], markersize=2.6, markeredgewidth=0.7
        )
        axes.set_title(mode, color=style.color(mode), fontweight="bold")
        axes.set_xticks(range(len(pieces)), pieces, rotation=90, fontsize=8)
        axes.set_yticks(range(len(pieces)), pieces, fontsize=8)
        style.no_grid(axes)
        used.append(axes)
        said.append((mode, blocked.mean()))
    figure.colorbar(image, ax=used, label="weight, mean over heads", shrink=0.7, extend="max")
    caption = (
        f"“{html.escape(_joined(pieces))}”, last layer, seed {seed}. Blocked (crosses) are "
        f"{wording.ranked(said)} of the pairs. Rows are queries, columns are keys."
    )
    return style.publish(
        figure,
        f"attention_example_{sentence + 1}",
        material.figures,
        caption,
        "Heat maps of the attention weights of a sentence.",
    )


def examples(material: Material) -> str:
    """Return the figures of all example sentences."""
    table = material.table("attention_examples")
    if table.empty:
        return paragraph("No example sentences were evaluated.")
    return "".join(example(material, int(number)) for number in sorted(set(table["sentence"])))


def _mean_over_runs(table: pd.DataFrame) -> pd.DataFrame:
    mass = (table["weight_mean"] * table["count"]).fillna(0)
    table = table.assign(mass=mass)
    summed = table.groupby(["mode", "query_tag", "key_tag"], sort=False)[["mass", "count"]].sum()
    summed["weight_mean"] = summed["mass"] / summed["count"].replace(0, np.nan)
    return summed.reset_index()


def _square(table: pd.DataFrame, tags: list[str]) -> pd.DataFrame:
    wide = table.pivot(index="query_tag", columns="key_tag", values="weight_mean")
    return wide.reindex(index=tags, columns=tags).replace(0, np.nan)


def _strongest(table: pd.DataFrame) -> str:
    words = table[
        (table["query_tag"] != table["key_tag"])
        & ~table["query_tag"].str.startswith("[")
        & ~table["key_tag"].str.startswith("[")
        & (table["count"] >= table["count"].quantile(0.25))
    ]
    best = words.loc[words.groupby("mode", sort=False)["weight_mean"].idxmax()]
    return wording.listing(
        f"{row.query_tag} to {row.key_tag} in {row.mode} ({wording.percent(row.weight_mean)})"
        for row in best.itertuples()
    )


def _seeds(seeds: set) -> str:
    return f"seed{'' if len(seeds) == 1 else 's'} {wording.listing(map(str, sorted(seeds)))}"


def _kind(query: str, key: str, allowed: dict[tuple[str, str], bool]) -> str:
    if query.startswith("["):
        return "from [CLS] or [SEP]"
    if key.startswith("["):
        return "to [CLS] or [SEP]"
    if query == key:
        return "own tag"
    return "other tag, in hard" if allowed.get((query, key)) else "other tag, not in hard"


def _strip(mode: str, rows: pd.DataFrame) -> str:
    weights = rows.groupby("key")["weight"].mean()
    pieces = rows.drop_duplicates("key").set_index("key")["key_piece"].reindex(weights.index)
    red, green, blue = (int(style.color(mode)[i : i + 2], 16) for i in (1, 3, 5))
    highest = weights.max()
    spans = "".join(
        f'<span style="background:rgba({red},{green},{blue},{0.6 * weight / highest:.2f})" '
        f'title="{weight:.3f}">{html.escape(str(piece))}</span> '
        for piece, weight in zip(pieces, weights, strict=True)
    )
    return f'<p class="strip"><b>{html.escape(mode)}</b> {spans}</p>'


def _joined(pieces: list[str]) -> str:
    words = [piece for piece in map(str, pieces) if piece not in ("[CLS]", "[SEP]")]
    return " ".join(words).replace(" ##", "")


def _special_last(tag: str) -> tuple[bool, str]:
    return tag.startswith("["), tag
