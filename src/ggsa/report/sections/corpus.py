"""The chapter on the corpus and its tags."""

import html
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ggsa.report import style, tables, wording
from ggsa.report.sections import Material, paragraph, splits_of

SPECIAL = ("[CLS]", "[SEP]")
SOURCES = {
    "hub": "the Hugging Face Hub",
    "mirror": "a local mirror",
    "embedded": "this package, which generates it",
    "files": "the folder corpora",
}
SPLIT_STYLES = {"train": (style.NEUTRAL[1], "o"), "validation": (style.NEUTRAL[0], "D")}


def origin(material: Material) -> str:
    """Return what the sentences are, where they came from and how many there are."""
    about = material.provenance()
    corpus, tagger = about["corpus"], about["tagger"]
    sentences = tables.as_html(
        pd.DataFrame(
            {"split": list(corpus["rows"]), "sentences or phrases": list(corpus["rows"].values())}
        ).replace({"split": {"examples": "examples (our own)"}}),
        "corpus-rows",
        "Rows of each split; their checksums are under Provenance.",
        {"sentences or phrases": wording.count},
        text=("split",),
    )
    return (
        paragraph(
            f"The run is on {html.escape(wording.corpus_name(about))}, obtained from "
            f"{SOURCES.get(corpus['source'], corpus['source'])}. Universal part-of-speech tags "
            f"come from {tagger_name(tagger)}. Every word has one tag, and every word piece takes "
            f"the tag of its word, so no piece lacks one."
        )
        + sentences
    )


def tagger_name(tagger: dict[str, Any]) -> str:
    """Return the name of the tagger, escaped for HTML."""
    name = html.escape(tagger["name"])
    return name if tagger["source"] == "gold" else f"a Stanza tagger: {name}"


def tag_frequencies(material: Material) -> str:
    """Return the figure of how often each tag occurs in training and validation."""
    table = material.statistic("tag_frequencies")
    table = table[~table["tag"].isin(SPECIAL)]
    shares = table.pivot(index="tag", columns="split", values="count")
    shares = shares / shares.sum()
    shown = [split for split in SPLIT_STYLES if split in shares] or list(shares.columns[:1])
    shares = shares.sort_values(shown[-1])
    figure, axes = plt.subplots(figsize=(style.WIDTH_INCHES, 4.6))
    rows = np.arange(len(shares))
    axes.hlines(rows, 0, 100 * shares[shown].max(axis=1), color=style.GRID, linewidth=1.2)
    for split in shown:
        color, marker = SPLIT_STYLES.get(split, (style.INK, "o"))
        axes.plot(100 * shares[split], rows, marker, color=color, label=split)
    axes.set_yticks(rows, shares.index)
    axes.set(xlabel="share of the word pieces of words (%)", xlim=(0, None))
    axes.grid(axis="y", visible=False)
    axes.legend(loc="lower right")
    reference = shares[shown[-1]]
    lonely = [tag for tag in material.notices()["only_self"] if tag in reference]
    top = list(reference.sort_values(ascending=False).head(3).items())
    caption = (
        f"In {shown[-1]} the most frequent tags are {wording.ranked(top)} of the word pieces. "
    )
    if lonely:
        caption += (
            f"The tags that may attend only to their own tag under the hard table "
            f"({wording.listing(lonely)}) make up {wording.percent(reference[lonely].sum())}."
        )
    else:
        caption += "Under the hard table every tag may attend to some other tag."
    caption += f" {wording.COUNTED}"
    return style.publish(
        figure, "tag_frequencies", material.figures, caption, "Dot plot of the share of each tag."
    )


def lengths(material: Material) -> str:
    """Return the figure of how long the sentences of the reported splits are."""
    table = material.table("density_by_length")
    table = table[(table["mode"] == table["mode"].iloc[0]) & (table["split"] != "pooled")]
    splits = splits_of(table)
    groups = table[["length_from", "length_to"]].drop_duplicates().sort_values("length_from")
    labels = [f"{row.length_from}–{row.length_to}" for row in groups.itertuples()]
    figure, axes = plt.subplots(figsize=(style.WIDTH_INCHES, 3.2))
    width, places = 0.8 / len(splits), np.arange(len(groups))
    commonest = []
    for number, split in enumerate(splits):
        part = table[table["split"] == split].set_index("length_from")["sentences"]
        part = part.reindex(groups["length_from"]).fillna(0)
        share = 100 * part.to_numpy() / part.sum()
        color = style.NEUTRAL[number % len(style.NEUTRAL)]
        axes.bar(
            places + (number - (len(splits) - 1) / 2) * width,
            share,
            width,
            color=color,
            label=split,
        )
        commonest.append(f"{split}: {labels[int(share.argmax())]} pieces ({share.max():.1f}%)")
    axes.set_xticks(places, labels)
    axes.set(xlabel="length in word pieces, [CLS] and [SEP] included", ylabel="sentences (%)")
    axes.grid(axis="x", visible=False)
    axes.legend()
    cost = material.table("cost")
    mean = cost.drop_duplicates("split").set_index("split")["pieces_mean"]
    known = [f"{mean[split]:.1f} in {split}" for split in splits if split in mean]
    caption = (
        f"The commonest length is, in {'; in '.join(commonest)}. The mean is "
        f"{wording.listing(known)} word pieces. The groups are of unequal width. {wording.COUNTED}"
    )
    return style.publish(
        figure, "sentence_lengths", material.figures, caption, "Bar chart of sentence lengths."
    )
