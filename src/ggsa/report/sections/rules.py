"""The chapter on the rules: what the tables allow, how often, and which tags co-occur."""

import html

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.patheffects import withStroke

from ggsa.report import style, tables, wording
from ggsa.report.sections import Material, modes_of, paragraph

HIGHEST = 20
COMMON = 1e-4  # of all pairs of pieces: the association of rarer ones is chance
SHOWN_RULES = 18
FAINTEST = 1e-4  # of the commonest pair: rarer ones share the lightest color
SOURCE_COLORS = dict(zip(("paper", "own tag", "added", "corpus"), style.NEUTRAL, strict=True))


def pair_shares(material: Material) -> str:
    """Return the figure of how common every tag pair is, with the allowed ones marked."""
    pairs = material.statistic("tag_pairs")
    allowed = pairs["allowed_hard"].astype(bool)
    values = 100 * _square(pairs, "share").replace(0, np.nan)
    figure, axes = plt.subplots(figsize=(style.WIDTH_INCHES, 6.0))
    largest = np.nanmax(values.to_numpy())
    smallest = max(np.nanmin(values.to_numpy()), FAINTEST * largest)
    image = axes.imshow(values, cmap=style.SEQUENTIAL, norm=LogNorm(smallest, largest))
    _mark_allowed(axes, _square(pairs.assign(allowed=allowed), "allowed"))
    label = "share of all pairs of pieces (%, log scale)"
    figure.colorbar(image, ax=axes, label=label, shrink=0.8, format="%g", extend="min")
    met = pairs["count"] > 0
    caption = (
        f"Of the {met.sum()} ordered tag pairs that occur in a training sentence, the hard table "
        f"allows {(met & allowed).sum()} (framed); these hold "
        f"{wording.percent(pairs.loc[allowed, 'share'].sum() / pairs['share'].sum())} of the pairs "
        f"of pieces between words. Empty cells never occur."
    )
    return style.publish(
        figure, "tag_pair_shares", material.figures, caption, "Heat map of the share of tag pairs."
    )


def association(material: Material) -> str:
    """Return the figure of which tags co-occur within five words."""
    pairs = material.statistic("tag_pairs")
    allowed = pairs["allowed_hard"].astype(bool)
    pairs = pairs.assign(pmi_near=pairs["pmi_near"].where(pairs["share"] >= COMMON))
    values = _square(pairs, "pmi_near")
    figure, axes = plt.subplots(figsize=(style.WIDTH_INCHES, 6.0))
    extent = np.nanquantile(np.abs(values.to_numpy()), 0.97) or 1.0
    image = axes.imshow(values, cmap=style.DIVERGING, vmin=-extent, vmax=extent)
    _mark_allowed(axes, _square(pairs.assign(allowed=allowed), "allowed"))
    figure.colorbar(
        image, ax=axes, label="mutual information within 5 words (bits)", shrink=0.8, extend="both"
    )
    other = pairs[(pairs["query_tag"] != pairs["key_tag"]) & pairs["pmi_near"].notna()]
    inside, outside = (
        other.loc[other["allowed_hard"].astype(bool) == side, "pmi_near"] for side in (True, False)
    )
    highest = other.nlargest(HIGHEST, "pmi_near")
    caught = int(highest["allowed_hard"].astype(bool).sum())
    chance = len(highest) * len(inside) / max(1, len(other))
    caption = (
        f"Among pairs of different tags that make up at least {wording.percent(COMMON, 2)} of all "
        f"pairs of pieces, those that hard allows have a mean pointwise mutual information of "
        f"{_bits(inside.mean())} within five words, those it blocks {_bits(outside.mean())}. Of "
        f"the {len(highest)} pairs with the highest value the hard table allows {caught}; a "
        f"random choice would contain {chance:.1f} such pairs. Cells of rarer pairs are empty."
    )
    return style.publish(
        figure, "tag_pair_association", material.figures, caption, "Heat map of tag association."
    )


def rule_savings(material: Material) -> str:
    """Return the figure of what every rule contributes to the density."""
    rules = material.statistic("rules").sort_values("saving_if_dropped", ascending=False)
    shown = rules.head(SHOWN_RULES).iloc[::-1]
    sources = sorted(set(rules["source"]))
    figure, axes = plt.subplots(figsize=(style.WIDTH_INCHES, 0.27 * len(shown) + 1.0))
    axes.barh(
        shown["rule"],
        100 * shown["saving_if_dropped"],
        color=[SOURCE_COLORS.get(source, style.MUTED) for source in shown["source"]],
    )
    handles = [
        plt.Rectangle((0, 0), 1, 1, color=SOURCE_COLORS.get(s, style.MUTED)) for s in sources
    ]
    axes.legend(handles, sources, loc="lower right", title="where the rule comes from")
    axes.set(xlabel="fall of the density if this rule alone were dropped (percentage points)")
    axes.grid(axis="y", visible=False)
    top = rules.iloc[0]
    listed = "all" if len(shown) == len(rules) else f"the {len(shown)} largest"
    caption = (
        f"{top['rule']} costs most: without it the density on train would fall by "
        f"{100 * top['saving_if_dropped']:.2f} percentage points. Shown are {listed} of "
        f"{len(rules)} active rules. {wording.COUNTED}"
    )
    return style.publish(
        figure, "rule_savings", material.figures, caption, "Bar chart of the saving of each rule."
    )


def densities(material: Material) -> str:
    """Return the table of the density of every mode on every split."""
    density = material.statistic("density")
    wide = density.pivot(index="mode", columns="split", values="density")
    wide = wide.reindex(modes_of(density))[list(dict.fromkeys(density["split"]))].reset_index()
    caption = (
        "Density: allowed pairs over all pairs of word pieces, special tokens included, padding "
        "excluded. A bias that blocks nothing has density 100%."
    )
    forms = {column: wording.percent for column in wide.columns if column != "mode"}
    return tables.as_html(wide, "densities", caption, forms, text=("mode",))


def notices(material: Material) -> str:
    """Return which rules never fire and which tags may attend only to themselves."""
    found = material.notices()
    never = [f"<code>{html.escape(rule)}</code>" for rule in found["never_fires"]]
    lonely = found["only_self"]
    text = (
        f"Never used on the training sentences: {wording.listing(never)}. "
        if never
        else "Every rule is used at least once on the training sentences. "
    )
    text += (
        f"Tags that may attend only to their own tag: {wording.listing(lonely)}."
        if lonely
        else "Every tag may attend to some other tag."
    )
    return paragraph(text)


def _square(pairs: pd.DataFrame, column: str) -> pd.DataFrame:
    tags = list(dict.fromkeys(pairs["query_tag"]))
    return pairs.pivot(index="query_tag", columns="key_tag", values=column).reindex(
        index=tags, columns=tags
    )


def _mark_allowed(axes: plt.Axes, allowed: pd.DataFrame) -> None:
    for row, column in np.argwhere(allowed.fillna(False).to_numpy(dtype=bool)):
        box = plt.Rectangle(
            (column - 0.42, row - 0.42), 0.84, 0.84, fill=False, edgecolor=style.INK, linewidth=1.4,
            path_effects=[withStroke(linewidth=3.2, foreground="white")],
        )  # fmt: skip
        axes.add_patch(box)
    axes.set_xticks(range(len(allowed)), allowed.columns, rotation=90)
    axes.set_yticks(range(len(allowed)), allowed.index)
    axes.set(xlabel="key tag (attended to)", ylabel="query tag (attends)")
    style.no_grid(axes)


def _bits(value: float) -> str:
    return f"{wording.points(value)} bits"
