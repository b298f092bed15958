"""The style of every figure: sizes, colors, and how a figure becomes files and HTML.

In a page, a figure is an SVG whose colors follow the page, light or dark; beside it, a PNG is written.

A mode has the same color and marker in all figures, so that no figure relies on color alone; they are
registered with the mode in `ggsa.patterns.modes`.
"""

import base64
import html
import io
import re
import textwrap
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.text import Text

from ggsa.patterns.modes import MODES
from ggsa.workspace.artifacts import atomic_write

STYLE = Path(__file__).with_name("web") / "figures.mplstyle"
WIDTH_INCHES, NARROW_INCHES = 7.0, 4.1
NARROW_CHARACTERS, SMALLEST_POINTS = 34, 9.2
"""Of a line, and of type, in a drawing for a narrow screen."""
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
    plt.style.use(["default", STYLE])
    resolution = {"figure.dpi": figure_dpi, "savefig.dpi": figure_dpi}
    inks = dict.fromkeys(
        ("axes.labelcolor", "text.color", "xtick.labelcolor", "ytick.labelcolor"), INK
    )
    frames = dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), MUTED)
    plt.rcParams.update({**resolution, **inks, **frames, "grid.color": GRID})


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
        narrow: The same for a narrow screen; without it, `narrowed` makes it of the figure.
    """
    with atomic_write(Path(folder) / f"{name}.png") as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
    wide = _svg(figure, name, alternative)
    narrow = narrowed(figure) if narrow is None else narrow
    for text in narrow.findobj(Text):
        text.set_fontsize(max(text.get_fontsize(), SMALLEST_POINTS))
    small = _svg(narrow, f"{name}-narrow", alternative, "none")
    plt.close(figure)
    plt.close(narrow)
    source = f'<span class="source">{_download(drawn, name)}, {SOURCE}</span>'
    return (
        f'<figure id="figure-{name}"><div class="drawing wide-only">{wide}</div>'
        f'<div class="drawing narrow-only">{small}</div>'
        f"<figcaption>{caption} {source}</figcaption></figure>"
    )


def narrowed(figure: Figure) -> Figure:
    """Return a figure laid out for a narrow screen: its panels, color scale and legend in a column. A long line is broken."""
    panels = [axes for axes in figure.axes if axes.get_subplotspec()]
    height = figure.get_figheight() / panels[0].get_gridspec().nrows
    if panels[0].get_aspect() != "auto":  # a matrix
        height = NARROW_INCHES
    for scale in [image.colorbar for axes in panels for image in axes.images if image.colorbar]:
        look = {"extend": scale.extend, "format": scale.formatter, "label": scale.ax.get_ylabel()}
        scale.remove()
        figure.colorbar(scale.mappable, ax=panels, location="bottom", **look)
    for axes, place in zip(panels, figure.add_gridspec(len(panels), 1), strict=True):
        axes.set_subplotspec(place)
        axes.tick_params(labelbottom=True, labelleft=True)
        if legend := axes.get_legend():
            handles, title = axes.get_legend_handles_labels(), legend.get_title().get_text()
            figure.legend(*handles, title=title, loc="outside lower left")
            legend.remove()
    figure.set_size_inches(NARROW_INCHES, height * len(panels))
    for text in figure.findobj(Text):
        if len(text.get_text()) > NARROW_CHARACTERS:
            text.set_text(textwrap.fill(text.get_text(), NARROW_CHARACTERS))
    return figure


def _svg(figure: Figure, name: str, alternative: str, type_as: str = "path") -> str:
    """Return a figure as SVG in the colors of the page, with ids that no other figure has.

    Args:
        figure: A drawing.
        name: Begins every id.
        alternative: What a screen reader reads.
        type_as: `path` draws every letter as it is here; `none` leaves text to the reader's fonts,
            which takes far fewer bytes.
    """
    buffer = io.StringIO()
    with plt.rc_context({"svg.hashsalt": name, "svg.fonttype": type_as}):
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        kind = {"format": "svg", "metadata": nothing, "transparent": True}
        figure.savefig(buffer, bbox_inches="tight" if type_as == "none" else None, **kind)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'(<image [^>]*?)id="[^"]*" ', r"\1", text)  # equal images have equal ids
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


def fold(summary: str, *fragments: str) -> str:
    """Return HTML that opens below a line; on paper it is open, and a browser's search opens it.

    Without content, it is an empty string.
    """
    content = "".join(fragments)
    return (
        f'<details class="fold"><summary>{summary}</summary>{content}</details>' if content else ""
    )


def show(fragment: str) -> None:
    """Display HTML as the output of a notebook's cell."""
    from IPython.display import HTML, display  # late: only a kernel needs it

    display(HTML(fragment))
