"""The style of every figure: sizes, colors, and how a figure becomes files and HTML.

In a page, a figure is an SVG whose colors follow the page, light or dark; beside it, a PNG is written.

A mode has the same color and marker in all figures, so that no figure relies on color alone; they are
registered with the mode in `ggsa.patterns.modes`.
"""

import base64
import html
import io
import re
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from ggsa.patterns.modes import MODES
from ggsa.workspace.artifacts import atomic_write

WIDTH_INCHES = 7.0
INK, MUTED, GRID = "#1c1c1c", "#5c5c5c", "#dcdcdc"
# Not colors of any mode: published values and margins; splits, sources, architectures.
REFERENCE = "#7d7d7d"
NEUTRAL = ("#1c1c1c", "#8a8a8a", "#555555", "#c4c4c4")
SEQUENTIAL, DIVERGING = "Blues", "RdBu_r"
SOURCE = "<!-- source -->"
"""Where a page says which notebook and command a figure or table comes from."""
LIFT = 0.5  # how far the color of a mode moves toward white on a dark page
ON_PAGE = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    "#ffffff": "var(--ground)",
    REFERENCE: f"light-dark({REFERENCE}, #a0a0a0)",
    NEUTRAL[1]: f"light-dark({NEUTRAL[1]}, #8f8f8f)",
    NEUTRAL[2]: f"light-dark({NEUTRAL[2]}, #bdbdbd)",
    NEUTRAL[3]: f"light-dark({NEUTRAL[3]}, #5e5e5e)",
}
"""From a color of a drawn figure to that of the page."""


def use(figure_dpi: int) -> None:
    """Set the style of all figures drawn from now on, and their resolution in dots per inch."""
    matplotlib.use("agg")
    plt.rcdefaults()
    plt.rcParams.update(
        {
            "figure.dpi": figure_dpi,
            "savefig.dpi": figure_dpi,
            "figure.figsize": (WIDTH_INCHES, 3.6),
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "font.size": 10.5,
            "axes.labelsize": 10.5,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "xtick.labelsize": 9.5,
            "ytick.labelsize": 9.5,
            "legend.fontsize": 9.5,
            "legend.frameon": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": MUTED,
            "axes.labelcolor": INK,
            "text.color": INK,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
            "xtick.labelcolor": INK,
            "ytick.labelcolor": INK,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": GRID,
            "grid.linewidth": 0.7,
            "lines.linewidth": 1.8,
            "lines.markersize": 5.5,
            "errorbar.capsize": 4,
        }
    )


def color(mode: str) -> str:
    """Return the color of a mode, the same in every figure; gray for an unknown one."""
    return MODES[mode].color if mode in MODES else "#8a8a8a"


def marker(mode: str) -> str:
    """Return the marker of a mode, the same in every figure; a hexagon for an unknown one."""
    return MODES[mode].marker if mode in MODES else "h"


def dots(mode: str) -> dict[str, Any]:
    """Return what makes error bars of a mode: its color, and its marker without a line."""
    return {"color": color(mode), "marker": marker(mode), "markersize": 7, "linestyle": "none"}


def panels(number: int, columns: int, height: float) -> tuple[Figure, list[matplotlib.axes.Axes]]:
    """Return a figure and its panels, row by row.

    Args:
        number: How many panels.
        columns: At most this many side by side.
        height: Of one row, in inches.
    """
    columns = min(number, columns)
    rows = -(-number // columns)
    figure = plt.figure(figsize=(WIDTH_INCHES, height * rows))
    return figure, [figure.add_subplot(rows, columns, 1 + place) for place in range(number)]


def no_grid(axes: matplotlib.axes.Axes) -> None:
    """Remove grid and frame from axes that show a matrix."""
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def lifted(name: str) -> str:
    """Return a color, such as #0072b2, moved toward white: as it is drawn on a dark page."""
    channels = (int(name[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(value + LIFT * (255 - value)):02x}" for value in channels)


def publish(
    figure: Figure,
    name: str,
    folder: str | Path,
    caption: str,
    alternative: str,
    drawn: pd.DataFrame,
    narrow: Figure | None = None,
) -> str:
    """Save a figure as `<folder>/<name>.png` and return it as HTML with its caption.

    The file holds no software version and no date, so equal figures are equal bytes.

    Args:
        figure: Closed when it is saved.
        name: File name without the suffix, and the anchor in the page.
        folder: Where the PNG is written.
        caption: HTML, with units.
        alternative: Plain text for readers who cannot see the figure: what kind of figure it is.
        drawn: The numbers that the figure shows; the page offers them as CSV.
        narrow: The same for a narrow screen, where text of the figure would be too small; without
            it, the figure scrolls in its box there.
    """
    with atomic_write(Path(folder) / f"{name}.png") as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
    drawings = {"drawing": _svg(figure, name, alternative)}
    plt.close(figure)
    if narrow is not None:
        drawings = {"drawing wide-only": drawings["drawing"]}
        drawings["drawing narrow-only"] = _svg(narrow, f"{name}-narrow", alternative)
        plt.close(narrow)
    shown = "".join(f'<div class="{kind}">{svg}</div>' for kind, svg in drawings.items())
    return (
        f'<figure id="figure-{name}">{shown}'
        f'<figcaption>{caption} <span class="source">{_download(drawn, name)}, {SOURCE}</span></figcaption></figure>'
    )


def _svg(figure: Figure, name: str, alternative: str) -> str:
    """Return a figure as SVG in the colors of the page, with ids that no other figure has."""
    buffer = io.StringIO()
    with plt.rc_context({"svg.hashsalt": name}):
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{name}-", text)
    text = re.sub(r' width="[^"]*pt"| height="[^"]*pt"', "", text, count=2)
    modes = {mode.color.lower(): mode.color for mode in MODES.values()}
    colors = {plain: f"light-dark({plain}, {lifted(plain)})" for plain in modes} | ON_PAGE
    text = re.sub(r"#[0-9a-f]{6}\b", lambda found: colors.get(found[0], found[0]), text)
    label = html.escape(alternative)
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def _download(table: pd.DataFrame, name: str) -> str:
    """Return a link that saves a table as CSV; the page holds it."""
    data = base64.b64encode(table.to_csv(index=False, float_format="%.8g").encode()).decode("ascii")
    return f'<a download="{name}.csv" href="data:text/csv;base64,{data}">CSV</a>'


def show(fragment: str) -> None:
    """Display HTML as the output of a notebook's cell."""
    from IPython.display import HTML, display  # late: only a kernel needs it

    display(HTML(fragment))
