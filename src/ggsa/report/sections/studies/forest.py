"""Differences with their intervals, one line an arm: the figure that most studies share."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ggsa.report import style, wording

FAR = 4.0
"""A line lies far outside when its middle is this many times the median reach of all lines."""


@dataclass(frozen=True)
class Line:
    """One difference in points, with the ends of its interval; NaN where there is none."""

    mode: str
    middle: float
    low: float
    high: float
    hollow: bool = False


@dataclass(frozen=True)
class Panel:
    """Differences under one title; None where an arm has none."""

    title: str
    lines: Sequence[Line | None]


def figure(
    labels: Sequence[str], panels: Sequence[Panel], xlabel: str, margin: float | None = None
) -> Figure:
    """Return the figure of differences, one panel beside the other, rows shared.

    A line far outside is drawn as an arrow at the edge with its value, so that it does not flatten
    all others.

    Args:
        labels: One a row, from the top.
        panels: Each with as many lines as there are labels.
        xlabel: With unit.
        margin: Half width of a shaded band around zero, in points.
    """
    drawn, panels_axes = plt.subplots(
        1,
        len(panels),
        figsize=(style.WIDTH_INCHES, 0.34 * len(labels) + 1.3),
        sharey=True,
        squeeze=False,
    )
    for axes, panel in zip(panels_axes[0], panels, strict=True):
        limit = reach([line for line in panel.lines if line is not None])
        axes.axvline(0, color=style.MUTED, linewidth=1)
        if margin is not None:
            axes.axvspan(-margin, margin, color=style.REFERENCE, alpha=0.15, linewidth=0)
        for place, line in enumerate(panel.lines):
            if line is None:
                axes.text(0, place, " none", color=style.MUTED, va="center", fontsize=8.5)
            elif abs(line.middle) > limit:
                _arrow(axes, place, line, limit)
            else:
                _bar(axes, place, line)
        axes.set_xlim(-limit, limit)
        axes.set_title(panel.title, fontsize=10)
        axes.grid(axis="y", visible=False)
    panels_axes[0][0].set_yticks(range(len(labels)), labels)
    panels_axes[0][0].set_ylim(len(labels) - 0.4, -0.6)
    drawn.supxlabel(xlabel, fontsize=10)
    return drawn


def reach(lines: Sequence[Line]) -> float:
    """Return how far the axis goes to either side of zero, in points."""
    if not lines:
        return 1.0
    reaches = np.array([np.nanmax(np.abs([line.middle, line.low, line.high])) for line in lines])
    near = np.abs([line.middle for line in lines]) <= FAR * np.median(reaches)
    return 1.08 * max(0.5, float(reaches[near].max() if near.any() else reaches.max()))


def outside(panels: Sequence[Panel]) -> bool:
    """Return whether any line is drawn as an arrow."""
    return any(
        abs(line.middle) > reach([each for each in panel.lines if each is not None])
        for panel in panels
        for line in panel.lines
        if line is not None
    )


def note(panels: Sequence[Panel]) -> str:
    """Return what arrows mean, where there are any."""
    return " Arrows: beyond the axis, with the value." if outside(panels) else ""


def _bar(axes: plt.Axes, place: int, line: Line) -> None:
    ends = None
    if not (np.isnan(line.low) or np.isnan(line.high)):
        ends = [[line.middle - line.low], [line.high - line.middle]]
    axes.errorbar(
        line.middle,
        place,
        xerr=ends,
        fmt=style.marker(line.mode),
        color=style.color(line.mode),
        markersize=7,
        markerfacecolor="white" if line.hollow else style.color(line.mode),
    )


def _arrow(axes: plt.Axes, place: int, line: Line, limit: float) -> None:
    side = np.sign(line.middle)
    color = style.color(line.mode)
    axes.annotate(
        "",
        xy=(side * 0.98 * limit, place),
        xytext=(side * 0.72 * limit, place),
        arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 1.6},
    )
    axes.text(
        side * 0.68 * limit,
        place,
        wording.points(line.middle, 1),
        color=color,
        va="center",
        ha="right" if side > 0 else "left",
        fontsize=9,
    )
