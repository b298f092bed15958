"""The published page: every figure has a caption, every link a target."""

import base64
import io
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from ggsa.patterns.modes import MODES
from ggsa.report import style

REPORT = Path(__file__).parents[2] / "src/ggsa/report"
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
VOID = {"meta", "link", "img", "br", "hr", "input", "col"}


@pytest.fixture(scope="module", params=["article", "appendix"])
def html(pages, request) -> str:
    return pages[request.param].read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def article(pages) -> str:
    return pages["article"].read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Every start tag with its attributes, and whether the tags close in order."""

    def __init__(self, page: str):
        super().__init__()
        self.found, self.open = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open[-5:], self.getpos())
        self.open.pop()


def test_every_figure_has_an_anchor_an_alternative_text_and_a_caption(html):
    figures = re.findall(r"<figure\b.*?</figure>", html, flags=re.DOTALL)
    assert figures
    for figure in figures:
        assert re.search(r'<figure id="figure-[\w-]+">', figure)
        assert len(re.search(r'<svg aria-label="([^"]*)" role="img"', figure).group(1)) > 15
        caption = re.search(r"<figcaption>(.*?)</figcaption>", figure, flags=re.DOTALL)
        assert len(caption.group(1).split()) >= 8, caption.group(1)


def test_every_figure_offers_the_numbers_that_it_shows(html):
    for figure in re.findall(r"<figure\b.*?</figure>", html, flags=re.DOTALL):
        (data,) = re.findall(r'download="[\w-]+\.csv" href="data:text/csv;base64,([^"]+)"', figure)
        table = pd.read_csv(io.BytesIO(base64.b64decode(data)))
        assert len(table) > 1 and table.select_dtypes("number").shape[1] > 0


def test_every_image_is_in_a_figure(html):
    outside = re.sub(r"<figure\b.*?</figure>", "", html, flags=re.DOTALL)
    assert "<img" not in outside and "<svg" not in outside


def test_every_figure_and_table_names_its_notebook_and_its_command(html):
    sources = re.findall(r'class="source">(.*?)</(?:p|span)>', html, flags=re.DOTALL)
    figures, notebooks = html.count("<figure "), [s for s in sources if "notebooks/" in s]
    assert len(notebooks) >= figures + 1
    for source in notebooks:
        assert re.search(r"<code>notebooks/\w+\.ipynb</code>, <code>make [\w =-]+</code>", source)


def test_the_article_is_short(article):
    # Without figures, code, and the labels and choices of the two instruments, which are sections.
    text = re.sub(r"<(style|script|svg|pre|section)\b.*?</\1>", " ", article, flags=re.DOTALL)
    words = re.sub(r"<[^>]+>", " ", text).split()
    assert len(words) < 1300
    assert len(article.encode()) < 2e6


def test_every_internal_link_has_a_target_and_no_anchor_is_duplicated(html):
    anchors = [attributes["id"] for _, attributes in Tags(html).found if "id" in attributes]
    links = {
        attributes["href"][1:]
        for tag, attributes in Tags(html).found
        if tag == "a" and attributes.get("href", "").startswith("#")
    }
    assert len(anchors) == len(set(anchors))
    assert links <= set(anchors)


def test_headings_go_down_one_level_at_a_time_from_a_single_title(html):
    levels = [int(tag[1]) for tag, _ in Tags(html).found if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_page_closes_every_tag_names_its_language_and_is_below_five_megabytes(html):
    assert Tags(html).open == []
    assert html.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert len(html.encode("utf-8")) < 5e6


def test_the_policy_of_the_page_forbids_every_request(html):
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html).group(1)
    assert policy.startswith("default-src 'none'; img-src data:;") and "http" not in policy
    assert not [attributes for tag, attributes in Tags(html).found
                if tag in ("script", "iframe", "object", "embed") and "src" in attributes]  # fmt: skip


def test_only_the_style_names_a_color_and_no_two_modes_share_one():
    modules = set(REPORT.rglob("*.py")) - {REPORT / "style.py"}
    for path in (*modules, *NOTEBOOKS.glob("*.ipynb")):
        assert not re.findall(r"[\"']#[0-9a-fA-F]{6}", path.read_text(encoding="utf-8")), path
    colors = [mode.color for mode in MODES.values()]
    assert len(set(colors)) == len(colors) == len({mode.marker for mode in MODES.values()})
    assert not set(colors) & {style.REFERENCE, *style.NEUTRAL}
