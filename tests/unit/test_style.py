"""How a figure becomes a page's: drawn twice, for wide and for narrow screens; and what is folded."""

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.text import Text

from ggsa.report import style

LABEL = "share of all pairs of word pieces in the training sentences (%, log scale)"


@pytest.fixture
def figure() -> Figure:
    """Four equal panels in two columns, with small ticks, a long label, a legend and a color scale."""
    style.use(figure_dpi=60)
    drawn, panels = style.panels(4, columns=2, height=2.0)
    for axes in panels:
        image = axes.imshow(np.eye(3))
        axes.plot([0, 1], [0, 1], label="a line")
        axes.set_xlabel(LABEL, fontsize=7)
    panels[0].legend(title="what is drawn")
    drawn.colorbar(image, ax=panels, label="weight")
    return drawn


def words(figure: Figure) -> set[str]:
    return set(" ".join(text.get_text() for text in figure.findobj(Text)).split())


def test_a_narrow_drawing_has_one_column_and_says_the_same(figure):
    before = words(figure)
    narrow = style.narrowed(figure)
    narrow.draw_without_rendering()
    panels = [axes for axes in narrow.axes if axes.get_subplotspec()]
    boxes = [axes.get_position() for axes in panels]
    assert len({round(box.x0, 3) for box in boxes}) == 1
    assert all(above.y0 > below.y1 for above, below in pairwise(boxes))
    assert narrow.get_figwidth() == style.NARROW_INCHES
    assert {*LABEL.split(), "drawn", "line", "weight"} <= before & words(narrow)
    lines = (line for text in narrow.findobj(Text) for line in text.get_text().splitlines())
    assert max(map(len, lines)) <= style.NARROW_CHARACTERS
    assert not any(axes.get_legend() for axes in panels) and len(narrow.legends) == 1
    plt.close(narrow)


def test_a_page_has_both_drawings_and_only_the_wide_one_is_a_file(figure, tmp_path):
    table = pd.DataFrame({"weight": [1.0, 0.5]})
    html = style.publish(figure, "maps", tmp_path, "Some weights.", "Four maps.", table)
    assert [path.name for path in tmp_path.iterdir()] == ["maps.png"]
    wide, narrow = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    anchors = re.findall(r'\bid="([^"]+)"', html)
    assert not [anchor for anchor in set(anchors) if anchors.count(anchor) > 1]
    assert len(plt.get_fignums()) == 0
    assert "<text" not in wide and LABEL.split()[-1] in narrow
    sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", narrow)]
    assert sizes and min(sizes) >= style.SMALLEST_POINTS


def test_what_is_empty_is_not_folded():
    assert style.fold("Nothing", "", "") == ""
    assert style.fold("A table", "<table>") == (
        '<details class="fold"><summary>A table</summary><table></details>'
    )
