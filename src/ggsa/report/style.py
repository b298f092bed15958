"""One look for every figure: sizes, colors, and how a figure becomes a file and HTML.

Place in the data flow: used by `ggsa.report.sections`, inside the kernels that run the notebooks.
Colors are those of Okabe and Ito, which people with any common color blindness can tell apart;
every mode keeps its color and its marker in all figures, so that no figure relies on color alone.
"""

import base64
import html
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from ggsa.patterns.modes import MODES
from ggsa.workspace.artifacts import atomic_write

WIDTH_INCHES = 7.0
INK, MUTED, GRID = "#1c1c1c", "#5c5c5c", "#dcdcdc"
# What is no mode has no mode's color: published values and margins; splits, sources, architectures.
REFERENCE = "#7d7d7d"
NEUTRAL = ("#1c1c1c", "#8a8a8a", "#555555", "#c4c4c4")
SEQUENTIAL, DIVERGING = "Blues", "RdBu_r"


def use(figure_dpi: int) -> None:
    """Set the style of all figures drawn from here on, at so many dots per inch."""
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
    """Return the color of a mode, the same in every figure; grey for one that has none."""
    return MODES[mode].color if mode in MODES else "#8a8a8a"


def marker(mode: str) -> str:
    """Return the marker of a mode, the same in every figure; a hexagon for one that has none."""
    return MODES[mode].marker if mode in MODES else "h"


def no_grid(axes: matplotlib.axes.Axes) -> None:
    """Take grid and frame from axes that show a table of colored cells."""
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def publish(figure: Figure, name: str, folder: str | Path, caption: str, alternative: str) -> str:
    """Save a figure as `<folder>/<name>.png` and return it as HTML with its caption.

    The file holds no software version and no date, so equal figures are equal bytes.

    Args:
        figure: What was drawn; it is closed.
        name: File name without ending, and the anchor in the page.
        folder: Where the PNG goes.
        caption: HTML; the finding first, computed from the data, with units.
        alternative: Plain text for readers who do not see the figure: what kind of figure it is.
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
