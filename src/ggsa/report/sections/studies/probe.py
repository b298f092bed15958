"""The probe corpus as a test of mechanism: which phenomena each mask solves."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ggsa.evaluation.study_cells import PROBE
from ggsa.report import style, tables, wording
from ggsa.report.sections import studies
from ggsa.report.sections.studies import Studies

MARK = "probe_"
OTHER = ("-described", "-D1", "-D3", "-recipe", "-released")


def finding(material: Studies) -> str:
    """Return where hard falls furthest behind full, and by how much."""
    rows = _phenomena(material)
    if rows.empty:
        return studies.finding(
            f"Not run: no cell is finished on {studies.BASE_NAMES[PROBE]}, so no phenomenon was "
            f"tested."
        )
    hard = rows[(rows["arm"] == "hard") & rows["difference_points"].notna()]
    if hard.empty:
        return studies.finding(
            "On the probe corpus, hard and full are not both finished, so that hard cannot be "
            "compared on any phenomenon."
        )
    told = hard[hard["high_points"] < 0]
    worst = hard.loc[hard["difference_points"].idxmin()]
    amount = studies.said(
        worst["difference_points"],
        worst["low_points"],
        worst["high_points"],
        worst["n"],
        worst["seeds"],
    )
    which = (
        f"hard falls behind full by an interval clear of zero on {wording.listing(told['phenomenon'])}"
        if len(told)
        else "hard falls behind full by an interval clear of zero on no phenomenon"
    )
    return studies.finding(
        f"On the probe corpus (generated, not SST-2), {which} (of {len(hard)}, uncorrected). Its "
        f"largest loss is on {worst['phenomenon']}: {amount}, at an accuracy of "
        f"{wording.accuracy(worst['accuracy_mean'])}."
    )


def heat_map(material: Studies) -> str:
    """Return the figure of accuracy by mask and phenomenon."""
    rows = _phenomena(material)
    if rows.empty:
        return ""
    means = _wide(rows, "accuracy_mean")
    figure, axes = plt.subplots(figsize=(style.WIDTH_INCHES, 0.36 * len(means) + 1.9))
    low = float(np.floor(10 * np.nanmin(means.to_numpy())) / 10)
    image = axes.imshow(means.to_numpy(), cmap=style.SEQUENTIAL, vmin=low, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(means.to_numpy()):
        if not np.isnan(value):
            ink = "white" if value > (low + 1.4) / 2.4 else style.INK
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=8)
    axes.set_xticks(range(means.shape[1]), means.columns, rotation=45, ha="right", fontsize=8.5)
    axes.set_yticks(range(len(means)), means.index)
    for label in axes.get_yticklabels():
        label.set_color(style.color(str(label.get_text())) if label.get_text() in studies.ARM_ORDER
                        else style.INK)  # fmt: skip
    style.no_grid(axes)
    figure.colorbar(image, ax=axes, label="accuracy", shrink=0.8)
    lowest = rows.loc[rows["accuracy_mean"].idxmin()]
    seeds = sorted({int(number) for number in rows["seeds"]})
    caption = (
        f"Probe corpus, not SST-2: the lowest cell is {lowest['arm']} on {lowest['phenomenon']} "
        f"({wording.accuracy(lowest['accuracy_mean'])}, "
        f"{studies.basis(lowest['n'], lowest['seeds'])}). Means over "
        f"{wording.listing(map(str, seeds), 'or')} seeds; spreads and numbers of sentences stand "
        f"in the table. No test."
    )
    return style.publish(
        figure,
        "study_phenomena",
        material.figures,
        caption,
        "Heat map of accuracy on the probe corpus by mask and phenomenon.",
    )


def table(material: Studies) -> str:
    """Return the table of the same, with spread over seeds and numbers of sentences."""
    rows = _phenomena(material)
    if rows.empty:
        return ""
    rows = rows.assign(
        said=[
            studies.spread(mean, deviation)
            for mean, deviation in zip(rows["accuracy_mean"], rows["accuracy_sd"], strict=True)
        ]
    )
    counts = rows.drop_duplicates("phenomenon").set_index("phenomenon")["n"]
    wide = _wide(rows, "said").fillna(wording.NONE)
    wide = wide.rename(columns=lambda name: f"{name} (n = {wording.count(counts[name])})")
    seeds = rows.drop_duplicates("arm").set_index("arm")["seeds"]
    wide.insert(0, "seeds", [str(int(seeds[arm])) for arm in wide.index])
    caption = (
        "Accuracy on the probe corpus (not SST-2), validation and test together, on the sentences "
        "that show each phenomenon: mean ± standard deviation over seeds."
    )
    shown = wide.rename_axis(index="mask", columns=None).reset_index()
    return tables.as_html(shown, "study-phenomena", caption, text=("mask",))


def differences(material: Studies) -> str:
    """Return the table of hard minus full on every phenomenon."""
    rows = _phenomena(material)
    rows = rows[(rows["arm"] == "hard") & rows["difference_points"].notna()] if len(rows) else rows
    if rows.empty:
        return ""
    shown = pd.DataFrame(
        {
            "phenomenon": rows["phenomenon"],
            "hard minus full": [
                studies.estimate(*ends)
                for ends in zip(
                    rows["difference_points"], rows["low_points"], rows["high_points"], strict=True
                )
            ],
            "p": [wording.p_value(value) for value in rows["p"]],
            "n": [wording.count(value) for value in rows["n"]],
            "seeds": [str(int(value)) for value in rows["seeds"]],
        }
    )
    caption = f"Hard minus full on the probe corpus (not SST-2), in points. {studies.method(rows['seeds'])}"
    return tables.as_html(shown, "study-probe-hard", caption, text=("phenomenon",))


def _phenomena(material: Studies) -> pd.DataFrame:
    rows = material.rows(PROBE, "subsets")
    if rows.empty:
        return rows
    rows = rows[rows["subset"].str.startswith(MARK) & ~rows["arm"].str.endswith(OTHER)]
    names = rows["subset"].str.removeprefix(MARK).str.replace("_", " ")
    return rows.assign(phenomenon=names).reset_index(drop=True)


def _wide(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    wide = rows.pivot(index="arm", columns="phenomenon", values=column)
    return wide.reindex(
        index=studies.in_order(rows["arm"]), columns=list(dict.fromkeys(rows["phenomenon"]))
    )
