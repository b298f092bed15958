"""An explanation as a picture: one matrix for every pattern, one for every layer of the model.

Rows are queries, columns are keys. A blocked pair is hatched as well as pale, so that color is never
the only difference.
"""

import base64
import html
import io
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ggsa.cli.explaining import Explanation, ModeView, text
from ggsa.report import style
from ggsa.workspace import artifacts
from ggsa.workspace.errors import UserError

SUFFIXES = (".html", ".png")
STATES = ListedColormap(["#eeeeee", "#9ecae1", "#08519c"])
"""Blocked, allowed, favored."""


def check_suffix(path: Path) -> None:
    """Check that a file's suffix names a kind of picture.

    Raises:
        UserError: If it does not.
    """
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: expected a file name that ends in {' or '.join(SUFFIXES)}.")


def write(explanation: Explanation, path: Path) -> None:
    """Write an explanation as a page or as an image, depending on the file's suffix.

    Raises:
        UserError: If the suffix is another, or the file cannot be written.
    """
    check_suffix(path)
    image = png(explanation)
    if path.suffix == ".html":
        artifacts.write_text(path, page(explanation, image))
        return
    with artifacts.atomic_write(path) as temporary:
        temporary.write_bytes(image)


def png(explanation: Explanation) -> bytes:
    """Return an explanation as an image."""
    style.use(figure_dpi=120)
    views, weights = explanation.views, explanation.weights
    layers = [] if weights is None else list(weights.mean(axis=1))
    side = 1.2 + 0.24 * len(explanation.tokens)
    panels = len(views) + len(layers)
    figure = Figure(figsize=(side * panels, side + 0.5), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for axis, view in zip(axes, views, strict=False):
        _pattern(axis, explanation, view)
    for number, (axis, layer) in enumerate(zip(axes[len(views) :], layers, strict=True), 1):
        axis.imshow(layer, cmap=style.SEQUENTIAL, vmin=0, vmax=1)
        _label(axis, explanation, f"weights of {explanation.run.name}, layer {number}")
    figure.supxlabel("rows attend to columns; hatched: blocked, light: allowed, dark: favored")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _pattern(axis: matplotlib.axes.Axes, explanation: Explanation, view: ModeView) -> None:
    axis.imshow(view.allowed.astype(int) + view.favored, cmap=STATES, vmin=0, vmax=2)
    for query, key in np.argwhere(~view.allowed):
        corner = (key - 0.5, query - 0.5)
        axis.add_patch(
            Rectangle(
                corner, 1, 1, hatch="////", facecolor="none", edgecolor="#c4c4c4", linewidth=0
            )
        )
    _label(axis, explanation, f"{view.mode}: density {view.density:.2f}")


def _label(axis: matplotlib.axes.Axes, explanation: Explanation, title: str) -> None:
    positions = range(len(explanation.tokens))
    axis.set_xticks(positions, explanation.tokens, rotation=90)
    named = [
        token if token == tag else f"{token}  {tag}"
        for token, tag in zip(explanation.tokens, explanation.tags, strict=True)
    ]
    axis.set_yticks(positions, named)
    axis.set_title(title)
    style.no_grid(axis)


def page(explanation: Explanation, image: bytes) -> str:
    """Return an explanation as a self-contained page."""
    data = base64.b64encode(image).decode("ascii")
    sentence = html.escape(" ".join(explanation.tokens[1:-1]))
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{sentence}</title>\n"
        "<style>body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;"
        "padding:0 1rem;background:#fff;color:#1c1c1c}figure{margin:0;overflow-x:auto}"
        "pre{white-space:pre-wrap}</style>\n"
        f"<h1>{sentence}</h1>\n"
        f'<figure><img alt="Which tokens may attend to which, one matrix per mode" '
        f'src="data:image/png;base64,{data}">\n'
        "<figcaption>Rows attend to columns. Pale and hatched: blocked. Blue: allowed. Dark blue: "
        "favored. With a model: its weights, mean of heads, darker is more."
        f"</figcaption></figure>\n<pre>{html.escape(text(explanation))}</pre>\n</html>\n"
    )
