"""An explanation as a picture: one matrix for every pattern, one for every layer of the model.

Rows are the tokens that look, columns the tokens looked at. A blocked pair is hatched as well as
pale, so that nothing is told by color alone.
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

from ggsa.cli.explaining import Explanation, Lookout
from ggsa.report import style
from ggsa.workspace import artifacts
from ggsa.workspace.errors import UserError

ENDINGS = (".html", ".png")
STATES = ListedColormap(["#eeeeee", "#9ecae1", "#08519c"])
"""Blocked, allowed, favored."""


def check_ending(path: Path) -> None:
    """Refuse a file whose ending names no kind of picture.

    Raises:
        UserError: If it does not.
    """
    if path.suffix not in ENDINGS:
        raise UserError(f"--out is {path}; its ending has to be one of {', '.join(ENDINGS)}.")


def write(found: Explanation, path: Path) -> None:
    """Write an explanation as a page or as an image, by the file's ending.

    Raises:
        UserError: If the ending is another, or the file cannot be written.
    """
    check_ending(path)
    image = png(found)
    if path.suffix == ".html":
        artifacts.write_text(path, page(found, image))
        return
    with artifacts.atomic_write(path) as temporary:
        temporary.write_bytes(image)


def png(found: Explanation) -> bytes:
    """Return an explanation as an image."""
    style.use(figure_dpi=120)
    layers = [] if found.weights is None else list(found.weights.mean(axis=1))
    side = 1.2 + 0.24 * len(found.tokens)
    panels = len(found.lookouts) + len(layers)
    figure = Figure(figsize=(side * panels, side + 0.5), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for axis, lookout in zip(axes, found.lookouts, strict=False):
        _pattern(axis, found, lookout)
    for layer, (axis, weights) in enumerate(
        zip(axes[len(found.lookouts) :], layers, strict=True), 1
    ):
        axis.imshow(weights, cmap=style.SEQUENTIAL, vmin=0, vmax=1)
        _label(axis, found, f"{found.run.name} looked, layer {layer}")
    figure.supxlabel("rows look at columns; hatched: blocked, light: allowed, dark: favored")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _pattern(axis: matplotlib.axes.Axes, found: Explanation, lookout: Lookout) -> None:
    axis.imshow(lookout.allowed.astype(int) + lookout.favored, cmap=STATES, vmin=0, vmax=2)
    for query, key in np.argwhere(~lookout.allowed):
        corner = (key - 0.5, query - 0.5)
        axis.add_patch(
            Rectangle(
                corner, 1, 1, hatch="////", facecolor="none", edgecolor="#c4c4c4", linewidth=0
            )
        )
    _label(axis, found, f"{lookout.mode}: density {lookout.density:.2f}")


def _label(axis: matplotlib.axes.Axes, found: Explanation, title: str) -> None:
    places = range(len(found.tokens))
    axis.set_xticks(places, found.tokens, rotation=90)
    named = [
        token if token == tag else f"{token}  {tag}"
        for token, tag in zip(found.tokens, found.tags, strict=True)
    ]
    axis.set_yticks(places, named)
    axis.set_title(title)
    style.no_grid(axis)


def page(found: Explanation, image: bytes) -> str:
    """Return an explanation as a self-contained page."""
    from ggsa.cli.explain import text

    data = base64.b64encode(image).decode("ascii")
    sentence = html.escape(" ".join(found.tokens[1:-1]))
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{sentence}</title>\n"
        "<style>body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;"
        "padding:0 1rem;background:#fff;color:#1c1c1c}figure{margin:0;overflow-x:auto}"
        "pre{white-space:pre-wrap}</style>\n"
        f"<h1>{sentence}</h1>\n"
        f'<figure><img alt="Who may look at whom, one matrix per mode" '
        f'src="data:image/png;base64,{data}">\n'
        "<figcaption>Rows look at columns. Pale and hatched: blocked. Blue: allowed. Dark blue: "
        "favored. Where a model was asked: its weights, mean of heads, darker is more."
        f"</figcaption></figure>\n<pre>{html.escape(text(found))}</pre>\n</html>\n"
    )
