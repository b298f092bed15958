"""Which single rules matter? Hard without each rule, and each rule alone."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ggsa.evaluation.statistics import LEVEL
from ggsa.report import style, tables, wording
from ggsa.report.sections import studies
from ggsa.report.sections.studies import Studies

KINDS = {
    "without": ("hard without one rule", style.color("hard"), style.marker("hard")),
    "only": ("one rule alone", style.NEUTRAL[2], "^"),
}


def finding(material: Studies, base: str) -> str:
    """Return which rules move accuracy by an interval clear of zero, and what chance would give."""
    rows, where = material.rows(base, "ablation"), studies.BASE_NAMES[base]
    if rows.empty:
        return studies.finding(f"Not run: no rule was left out or kept alone yet on {where}.")
    parts = []
    for kind, (name, _, _) in KINDS.items():
        part = rows[rows["kind"] == kind]
        if part.empty:
            continue
        told = part[(part["low_points"] > 0) | (part["high_points"] < 0)]
        worst = part.loc[part["difference_points"].idxmin()]
        parts.append(
            f"{name}: {len(told)} of {len(part)} differ from hard by an interval clear of zero "
            f"(uncorrected, so {0.05 * len(part):.1f} are expected by chance alone)"
            + (f", namely {wording.listing(told['rule'])}" if 0 < len(told) <= 6 else "")
            + f"; after Holm’s correction over all {len(rows)} arms, {_standing(part)}"
            + f"; the lowest is {worst['rule']} with "
            + studies.said(
                worst["difference_points"],
                worst["low_points"],
                worst["high_points"],
                worst["n"],
                worst["seeds"],
            )
        )
    return studies.finding(f"On {where}, {'; '.join(parts)}.{_few(rows)}")


def figure(material: Studies, base: str) -> str:
    """Return the figure of the change of accuracy against the change of density, a point a rule."""
    rows = material.rows(base, "ablation")
    if rows.empty:
        return ""
    drawn, axes = plt.subplots(figsize=(style.WIDTH_INCHES, 4.4))
    axes.axhline(0, color=style.MUTED, linewidth=1)
    for kind, (name, color, shape) in KINDS.items():
        part = rows[rows["kind"] == kind]
        if part.empty:
            continue
        ends = [
            part["difference_points"] - part["low_points"],
            part["high_points"] - part["difference_points"],
        ]
        axes.errorbar(
            100 * part["density_change"],
            part["difference_points"],
            yerr=np.array([end.to_numpy() for end in ends]),
            fmt=shape,
            color=color,
            elinewidth=0.7,
            capsize=2,
            label=name,
        )
        told = part[(part["low_points"] > 0) | (part["high_points"] < 0)]
        for row in told.head(8).itertuples():
            axes.annotate(
                row.rule,
                (100 * row.density_change, row.difference_points),
                xytext=(5, 4),
                textcoords="offset points",
                fontsize=8,
                color=color,
            )
    axes.set(
        xlabel="change of density against hard (percentage points)",
        ylabel="change of accuracy\nagainst hard (points)",
    )
    drawn.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    told = ((rows["low_points"] > 0) | (rows["high_points"] < 0)).sum()
    caption = (
        f"{told} of {len(rows)} arms differ from hard by an interval clear of zero; those are named"
        f". {studies.BASE_NAMES[base][:1].upper()}{studies.BASE_NAMES[base][1:]}; validation and "
        f"test together, n = {wording.count(rows['n'].iloc[0])}. {studies.method(rows['seeds'])}"
    )
    return style.publish(
        drawn,
        f"study_rules_{base}",
        material.figures,
        caption,
        "Scatter plot of the change of accuracy against the change of density, a point a rule.",
    )


def table(material: Studies, base: str) -> str:
    """Return the table of every rule, left out and alone."""
    rows = material.rows(base, "ablation")
    if rows.empty:
        return ""
    shown = pd.DataFrame(
        {
            "rule": rows["rule"],
            "arm": rows["kind"].map(lambda kind: KINDS.get(kind, (kind,))[0]),
            "density": rows["density"],
            "change of density": 100 * rows["density_change"],
            "change of accuracy": [
                studies.estimate(*ends)
                for ends in zip(
                    rows["difference_points"], rows["low_points"], rows["high_points"], strict=True
                )
            ],
            "p": rows["p"],
            "p (Holm)": rows["p_holm"],
            "test": [studies.test_of(number) for number in rows["seeds"]],
            "density saved per point lost": rows["cost_saved_per_point"],
            "n": rows["n"],
            "seeds": rows["seeds"].map(lambda number: str(int(number))),
        }
    )
    caption = (
        f"Every rule of the hard table on {studies.BASE_NAMES[base]}, against hard over the same "
        f"seeds; changes in percentage points. Saved per point: points of density for each point "
        f"of accuracy lost; empty where none is lost. Holm: corrected over the {len(rows)} arms. "
        f"{studies.method(rows['seeds'])}"
    )
    forms = {
        "density": wording.percent,
        "change of density": wording.points,
        "p": wording.p_value,
        "p (Holm)": wording.p_value,
        "density saved per point lost": lambda value: wording.points(value, 1),
        "n": wording.count,
    }
    return tables.as_html(
        shown, f"study-rules-{base}", caption, forms, text=("rule", "arm", "test")
    )


def _standing(part: pd.DataFrame) -> str:
    """Return which rules' differences stand after the correction."""
    standing = part[part["p_holm"] < LEVEL]
    if standing.empty:
        return f"none (smallest p {wording.p_value(part['p_holm'].min())})"
    return f"{len(standing)}: {wording.listing(standing['rule'])}"


def _few(rows: pd.DataFrame) -> str:
    seeds = int(rows["seeds"].min())
    if seeds == 1:
        return (
            " With one seed per rule, a difference may be the seed’s as well as the rule’s: this "
            "points out rules to look at and proves nothing of any."
        )
    caution = wording.descriptive(seeds)
    return f" {caution}" if caution else ""
