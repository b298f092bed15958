"""The style of every figure: sizes, colors, and how a figure becomes a file and HTML.

A mode has the same color and marker in all figures, so that no figure relies on color alone; they are
registered with the mode in `ggsa.patterns.modes`.
"""

import base64
import html
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from ggsa.patterns.modes import MODES
from ggsa.workspace.artifacts import atomic_write

WIDTH_INCHES = 7.0
INK, MUTED, GRID = "#1c1c1c", "#5c5c5c", "#dcdcdc"
# Not colors of any mode: published values and margins; splits, sources, architectures.
REFERENCE = "#7d7d7d"
NEUTRAL = ("#1c1c1c", "#8a8a8a", "#555555", "#c4c4c4")
SEQUENTIAL, DIVERGING = "Blues", "RdBu_r"


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


def publish(figure: Figure, name: str, folder: str | Path, caption: str, alternative: str) -> str:
    """Save a figure as `<folder>/<name>.png` and return it as HTML with its caption.

    The file holds no software version and no date, so equal figures are equal bytes.

    Args:
        figure: Closed when it is saved.
        name: File name without the suffix, and the anchor in the page.
        folder: Where the PNG is written.
        caption: HTML, with units.
        alternative: Plain text for readers who cannot see the figure: what kind of figure it is.
    """
    path = Path(folder) / f"{name}.png"
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
    plt.close(figure)
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return (
        f'<figure id="figure-{name}"><div class="wide"><img alt="{html.escape(alternative)}" '
        f'src="data:image/png;base64,{data}"></div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def show(fragment: str) -> None:
    """Display HTML as the output of a notebook's cell."""
    from IPython.display import HTML, display  # late: only a kernel needs it

    display(HTML(fragment))
