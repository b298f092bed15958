"""Accuracy against density: how much is lost as a table allows less."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ggsa.report import style, wording
from ggsa.report.sections import studies
from ggsa.report.sections.studies import Studies

LEFT_OUT = ("-noise-", "-masking", "-D1", "-D3", "-recipe", "-released")
"""Arms with other tags, other input or another protocol: no points of this curve."""
KINDS = {
    "corpus": ("pairs chosen from the corpus", "D"),
    "without": ("hard without one rule", "<"),
    "only": ("one rule alone", ">"),
}
FAR = 0.1
"""An arm further below the median than this is named in the caption instead of drawn."""


def finding(material: Studies, base: str) -> str:
    """Return how accuracy and density go together, and what the sparsest table loses."""
    rows, where = _arms(material, base), studies.BASE_NAMES[base]
    if len(rows) < 3:
        return studies.finding(f"Not run: fewer than three arms are finished on {where}.")
    sparsest = rows.loc[rows["density"].idxmin()]
    lowest, highest = (
        rows.loc[pick(rows["accuracy_mean"])] for pick in (pd.Series.idxmin, pd.Series.idxmax)
    )
    seeds = sorted({int(number) for number in rows["seeds"]})
    text = (
        f"On {where}, over {len(rows)} tables with densities from "
        f"{wording.percent(rows['density'].min())} to {wording.percent(rows['density'].max())}, "
        f"mean accuracy goes from {wording.accuracy(lowest['accuracy_mean'])} ({lowest['arm']}) to "
        f"{wording.accuracy(highest['accuracy_mean'])} ({highest['arm']}); n = "
        f"{wording.count(rows['n'].iloc[0])}, seeds per arm: "
        f"{wording.listing(map(str, seeds), 'or')}."
    )
    ends = [sparsest[f"{end}_points_to_full"] for end in ("difference", "low", "high")]
    if not wording.is_missing(ends[0]):
        verdict = {
            "above zero": "it is better than full",
            "below zero": "it is worse than full",
        }.get(studies.clear(*ends[1:]), "a loss cannot be told from none")
        amount = studies.said(*ends, sparsest["n"], sparsest["seeds_to_full"])
        text += f" The sparsest, {sparsest['arm']}, minus full is {amount}: {verdict}."
    return studies.finding(text)


def figure(material: Studies, base: str) -> str:
    """Return the figure of accuracy against density over all arms of a base."""
    rows = _arms(material, base)
    if len(rows) < 3:
        return ""
    near = rows["accuracy_mean"] > rows["accuracy_mean"].median() - FAR
    drawn, aside = rows[near], rows[~near]
    plot, axes = plt.subplots(figsize=(style.WIDTH_INCHES, 4.3))
    named = set()
    for row in drawn.to_dict("records"):
        kind = row["arm"].partition("-")[0]
        label, shape = KINDS.get(kind, (row["mode"], style.marker(row["mode"])))
        axes.errorbar(
            100 * row["density"],
            row["accuracy_mean"],
            yerr=None if np.isnan(row["accuracy_sd"]) else row["accuracy_sd"],
            fmt=shape,
            color=style.color(row["mode"]),
            markerfacecolor="white" if kind in KINDS else style.color(row["mode"]),
            markersize=5 if kind in KINDS else 8,
            elinewidth=1,
            label=None if label in named else label,
        )
        named.add(label)
        if row["arm"].removesuffix("-described") in ("full", "hard"):
            axes.annotate(
                row["mode"],
                (100 * row["density"], row["accuracy_mean"]),
                xytext=(-7, 9),
                textcoords="offset points",
                ha="right",
                color=style.color(row["mode"]),
                fontweight="bold",
            )
    axes.set(
        xlabel="density on validation (%)", ylabel="accuracy, validation and test", xlim=(0, 103)
    )
    plot.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    caption = (
        f"Between the highest and the lowest of {len(drawn)} arms drawn lie "
        f"{100 * (drawn['accuracy_mean'].max() - drawn['accuracy_mean'].min()):.2f} points. "
        f"{studies.BASE_NAMES[base][:1].upper()}{studies.BASE_NAMES[base][1:]}; n = "
        f"{wording.count(rows['n'].iloc[0])} sentences. Bars: ± one standard deviation over seeds "
        f"(none with one seed), no test. Hollow: other tables of hard’s kind. Arms with wrong tags, "
        f"token masking or another protocol are left out."
    )
    if len(aside):
        caption += " Not drawn, far below: " + wording.ranked(
            [(row.arm, row.accuracy_mean) for row in aside.itertuples()], wording.accuracy
        )
        caption += "."
    return style.publish(
        plot,
        f"study_frontier_{base}",
        material.figures,
        caption,
        "Scatter plot of accuracy against density over all arms, full and hard labeled.",
    )


def _arms(material: Studies, base: str) -> pd.DataFrame:
    rows = material.rows(base, "arms")
    if rows.empty:
        return rows
    other = rows["arm"].map(lambda arm: any(part in arm for part in LEFT_OUT))
    rows = rows[~other & (rows["split"] == studies.ALL) & rows["density"].notna()]
    return rows.reset_index(drop=True)
