"""An explanation as a picture: one matrix for every pattern, one for every layer of the model.

Rows are queries, columns are keys. A blocked pair is hatched as well as pale, so that color is never
the only difference.
"""

import base64
import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ggsa.cli.explaining import Explanation, ModeView, prediction_text, text
from ggsa.report import explorer, style
from ggsa.report.templates import in_line
from ggsa.workspace import artifacts
from ggsa.workspace.errors import UserError

SUFFIXES = (".html", ".png")
STATES = ListedColormap(["#eeeeee", "#9ecae1", "#08519c"])
"""Blocked, allowed, favored."""
TEMPLATE = Path(__file__).with_name("explanation.html.j2")
PAGE_REM, MATRIX_REM, MATRIX_CELL_REM = 72, 14, 2.1
"""Width of the page, of the explorer without the cells of its matrix, and of a cell."""


class Panel(NamedTuple):
    """A matrix: its title, and a function that draws it on axes."""

    title: str
    draw: Callable[[matplotlib.axes.Axes], None]


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
    style.use(figure_dpi=120)
    if path.suffix == ".html":
        artifacts.write_text(path, page(explanation))
        return
    image = png(explanation, panels(explanation))
    with artifacts.atomic_write(path) as temporary:
        temporary.write_bytes(image)


def panels(explanation: Explanation) -> list[Panel]:
    """Return the matrices of an explanation: one of every pattern, one of every layer."""
    weights = explanation.weights
    layers = [] if weights is None else list(weights.mean(axis=1))
    return [
        *(
            Panel(f"{view.mode}: density {view.density:.2f}", partial(_pattern, view=view))
            for view in explanation.views
        ),
        *(
            Panel(f"weights of {explanation.run.name}, layer {number}", partial(_layer, layer))
            for number, layer in enumerate(layers, 1)
        ),
    ]


def png(explanation: Explanation, chosen: Sequence[Panel]) -> bytes:
    """Return matrices of an explanation, side by side, as an image."""
    side = 1.2 + 0.24 * len(explanation.tokens)
    figure = Figure(figsize=(side * len(chosen), side + 0.5), layout="constrained")
    axes = figure.subplots(1, len(chosen), squeeze=False)[0]
    for axis, panel in zip(axes, chosen, strict=True):
        panel.draw(axis)
        _label(axis, explanation, panel.title)
    if len(chosen) > 1:
        figure.supxlabel("rows attend to columns; hatched: blocked, light: allowed, dark: favored")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _layer(weights: np.ndarray, axis: matplotlib.axes.Axes) -> None:
    axis.imshow(weights, cmap=style.SEQUENTIAL, vmin=0, vmax=1)


def _pattern(axis: matplotlib.axes.Axes, view: ModeView) -> None:
    axis.imshow(view.allowed.astype(int) + view.favored, cmap=STATES, vmin=0, vmax=2)
    for query, key in np.argwhere(~view.allowed):
        corner = (key - 0.5, query - 0.5)
        axis.add_patch(
            Rectangle(
                corner, 1, 1, hatch="////", facecolor="none", edgecolor="#c4c4c4", linewidth=0
            )
        )


def _label(axis: matplotlib.axes.Axes, explanation: Explanation, title: str) -> None:
    positions = range(len(explanation.tokens))
    axis.set_xticks(positions, explanation.tokens, rotation=90, parse_math=False)
    named = [
        token if token == tag else f"{token}  {tag}"
        for token, tag in zip(explanation.tokens, explanation.tags, strict=True)
    ]
    axis.set_yticks(positions, named, parse_math=False)
    axis.set_title(title)
    style.no_grid(axis)


def page(explanation: Explanation) -> str:
    """Return an explanation as a self-contained page; a model's attention as the report shows it."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    images = [(panel.title, png(explanation, [panel])) for panel in panels(explanation)]
    width = MATRIX_REM + MATRIX_CELL_REM * sum(map(len, explanation.pieces))
    return template.render(
        sentence=" ".join(explanation.tokens[1:-1]),
        styles=in_line("page.css", "explorer.css"),
        script=in_line("explorer.js"),
        explorer=Markup(_explorer(explanation)),
        prediction=prediction_text(explanation) if explanation.prediction else "",
        note=explanation.note,
        fits_at=width if width <= PAGE_REM else None,
        panels=[(title, base64.b64encode(image).decode("ascii")) for title, image in images],
        text=text(explanation),
    )


def _explorer(explanation: Explanation) -> str:
    """Return the explorer of the model's attention over word pieces; empty without a model."""
    if explanation.weights_by_piece is None:
        return ""
    seed = "not recorded" if explanation.seed is None else explanation.seed
    return explorer.form(
        explorer.data(explanation.weights_by_piece.assign(seed=0)) | {"seed": seed}
    )
