"""The attention explorer answers to mouse and keyboard, and says what the table says."""

import itertools

import pandas as pd
import pytest
from test_legibility import FAINT

pytestmark = pytest.mark.browser

PLACE = "(e) => e.getBoundingClientRect().top"
CHOICES = ("sentence", "mode", "layer", "head")
STOPS = ("sentence", "mode", "with", "layer", "head")
CELLS = """() => [...document.querySelectorAll("#explorer .matrix tbody tr")].map((row) =>
  [...row.querySelectorAll("td")].map((cell) => [cell.className, cell.title,
    cell.querySelector("[role=img]")?.getAttribute("aria-label") ?? ""]))"""
PIECES = """() => [...document.querySelectorAll("#explorer .piece")].map((piece) => ({
  lower: [...piece.querySelectorAll(".of")].slice(1).map((half) =>
    [half.dataset.state, half.querySelector(".share").textContent]),
  text: piece.querySelector(".text").textContent, tag: piece.querySelector(".tag").textContent,
  share: piece.querySelector(".share").textContent, state: piece.dataset.state,
  checked: piece.getAttribute("aria-checked"), label: piece.getAttribute("aria-label"),
  looks: piece.classList.contains("looks"), stop: piece.tabIndex,
  ground: getComputedStyle(piece.querySelector(".of")).backgroundImage }))"""

OUTSIDE = """() => [...document.querySelectorAll(".explorer, .explorer *")].filter((e) => {
  const { left, right } = e.getBoundingClientRect(); return right > innerWidth + 0.5 || left < -0.5;
}).map((e) => e.tagName + "." + e.className)"""
SMALLEST = """() => Math.min(...[...document.querySelectorAll(".explorer *")]
  .filter((e) => e.getClientRects().length && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
  .map((e) => parseFloat(getComputedStyle(e).fontSize)))"""


@pytest.fixture(scope="module")
def table(published_workspace) -> pd.DataFrame:
    return pd.read_csv(published_workspace / "run/tables/attention_examples.csv")


@pytest.fixture
def page(opened):
    with opened() as page:
        yield page


def choose(page, *values, before: tuple = (None,) * len(CHOICES)) -> None:
    """Set the controls; those that hold the same value as before are left alone."""
    for name, old, value in zip(CHOICES, before, values, strict=True):
        if value != old:
            page.select_option(f"#explorer select[name={name}]", str(value))


def matrix(table: pd.DataFrame, sentence, mode, layer, head, column: str) -> list[list]:
    rows = table.query("sentence == @sentence and mode == @mode and layer == @layer")
    rows = rows if head == "mean" else rows[rows["head"] == head]
    return rows.groupby(["query", "key"])[column].mean().unstack().to_numpy().tolist()


def percentage(text: str) -> float:
    return float(text.rstrip("%")) / 100


def test_the_matrix_is_that_of_the_table_for_every_choice(page, table):
    heads = [*table["head"].unique().tolist(), "mean"]
    columns = [table[name].unique().tolist() for name in ("sentence", "mode", "layer")]
    before = (None,) * len(CHOICES)
    for choice in itertools.product(*columns, heads):
        choose(page, *choice, before=before)
        before = choice
        weights = matrix(table, *choice, "weight")
        allowed = matrix(table, *choice, "allowed")
        cells = page.evaluate(CELLS)
        assert len(cells) == len(weights)
        for row, weight_row, allowed_row in zip(cells, weights, allowed, strict=True):
            for (kind, title, name), weight, may in zip(row, weight_row, allowed_row, strict=True):
                assert (kind == "allowed") == bool(may)
                assert name == ("" if may else title) and title.endswith(": blocked") == (not may)
                if may:
                    assert percentage(title.rpartition(": ")[2]) == pytest.approx(weight, abs=6e-4)


def test_the_arrow_keys_go_along_the_pieces_and_show_whom_each_may_attend(page, table):
    choose(page, 1, "hard", 1, 0)
    allowed, weights = (matrix(table, 1, "hard", 1, 0, name) for name in ("allowed", "weight"))
    page.focus("#explorer .piece[tabindex='0']")
    page.keyboard.press("Home")
    for query in range(len(allowed)):
        pieces = page.evaluate(PIECES)
        assert [piece["checked"] for piece in pieces].index("true") == query
        assert [piece["stop"] for piece in pieces].count(0) == 1
        assert pieces[query]["looks"]
        for key, piece in enumerate(pieces):
            may = bool(allowed[query][key])
            assert piece["state"] == ("allowed" if may else "blocked")
            assert piece["ground"].startswith("repeating-linear-gradient") == (not may)
            if may:
                assert percentage(piece["share"]) == pytest.approx(weights[query][key], abs=6e-4)
                assert piece["share"] in piece["label"]
            else:
                assert piece["share"] == "" and "blocked in hard" in piece["label"]
        assert page.evaluate("document.activeElement.getAttribute('aria-checked')") == "true"
        page.keyboard.press("ArrowRight")
    assert page.evaluate(PIECES)[0]["checked"] == "true"  # round from the last to the first
    page.keyboard.press("End")
    assert page.evaluate(PIECES)[-1]["checked"] == "true"


def test_pointing_shows_and_leaving_returns_and_a_click_keeps(page):
    said = page.locator("#explorer [role=status]")
    choose(page, 0, "hard", 0, "mean")
    page.click("#explorer .piece >> nth=2")
    kept = said.inner_text()
    page.hover("#explorer .piece >> nth=4")
    assert said.inner_text() != kept
    assert page.evaluate(PIECES)[2]["checked"] == "true"
    page.mouse.move(5, 5)
    assert said.inner_text() == kept
    page.click("#explorer summary")
    page.click("#explorer .matrix tbody tr >> nth=5")
    assert page.evaluate(PIECES)[5]["checked"] == "true" and said.inner_text() != kept


def test_every_control_is_reached_by_tab_has_a_name_and_shows_its_focus(page):
    page.focus("#explorer select[name=sentence]")
    for name in STOPS:
        assert page.evaluate("document.activeElement.name") == name
        assert page.evaluate("document.activeElement.labels.length") == 1
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Copy link"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "radio"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_enter_keeps_the_piece_and_the_live_region_names_it_with_its_tag(page, table):
    choose(page, 2, "full", 0, 1)
    page.focus("#explorer .piece[tabindex='0']")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    first = table.query("sentence == 2 and key == 1").iloc[0]
    said = page.locator("#explorer [aria-live=polite]").inner_text()
    assert said.startswith(f"“{first['key_piece']}” ({first['key_tag']}) may attend")


def test_it_opens_on_not_which_attends_only_to_itself_under_hard(page):
    chosen = next(piece for piece in page.evaluate(PIECES) if piece["checked"] == "true")
    assert chosen["text"] == "not" and chosen["share"] == "100.0%"
    said = page.locator("#explorer [role=status]").inner_text()
    assert said.startswith("“not” (PART) may attend only to itself in hard. It may attend to 16 of")


def test_the_lower_row_shows_the_second_mode_for_the_same_query(page, table):
    choose(page, 1, "hard", 0, 1)
    page.focus("#explorer .piece[tabindex='0']")
    for mode in ("full", "diagonal"):
        page.select_option("#explorer select[name=with]", mode)
        allowed, weights = (matrix(table, 1, mode, 0, 1, name) for name in ("allowed", "weight"))
        for query in range(0, len(allowed), 3):
            page.click(f"#explorer .piece >> nth={query}")
            for key, piece in enumerate(page.evaluate(PIECES)):
                [(state, share)] = piece["lower"]
                if allowed[query][key]:
                    assert percentage(share) == pytest.approx(weights[query][key], abs=6e-4)
                assert state == ("allowed" if allowed[query][key] else "blocked")
                assert f"{share or 'blocked'} in {mode}" in piece["label"]


def test_a_mode_is_compared_with_another_or_with_none(page):
    page.select_option("#explorer select[name=mode]", "full")
    assert page.input_value("#explorer select[name=with]") == "hard"
    for mode in ("none", "full"):
        page.select_option("#explorer select[name=with]", mode)
        assert all(piece["lower"] == [] for piece in page.evaluate(PIECES))


def view(page) -> tuple:
    chosen = [page.input_value(f"#explorer select[name={name}]") for name in STOPS]
    return chosen, [piece["checked"] for piece in page.evaluate(PIECES)].index("true")


def test_a_link_restores_the_view_on_load_and_when_the_address_changes(page):
    expected = (["2", "soft", "diagonal", "0", "1"], 4)
    address = page.url.partition("#")[0]
    link = "#sentence=3&mode=soft&with=diagonal&layer=1&head=2&query=5"
    for prepare in (lambda: None, page.reload):
        page.goto(address + "#sentence=1&mode=hard&with=none&layer=2&head=mean&query=1")
        assert view(page) == (["0", "hard", "none", "1", "mean"], 0)
        page.goto(address + link)
        prepare()
        assert view(page) == expected
    assert page.locator("#explorer").evaluate("(e) => e.getBoundingClientRect().top < innerHeight")


def test_the_address_is_that_of_the_view_after_every_change(page):
    assert "#" not in page.url
    choose(page, 1, "soft", 0, 0)
    page.click("#explorer .piece >> nth=3")
    link = page.url
    assert link.endswith("#sentence=2&mode=soft&with=full&layer=1&head=1&query=4")
    page.hover("#explorer .piece >> nth=6")
    assert page.url == link
    before = view(page)
    page.reload()
    assert view(page) == before


@pytest.mark.parametrize(
    "link",
    ["sentence=9", "mode=odd&query=99", "query=0", "head=%", "layer=-1&with=", "a=b", "query=x"],
)
def test_unknown_values_in_a_link_are_ignored(page, link):
    before = view(page)
    page.goto(page.url + "#" + link)
    page.reload()
    assert view(page) == before


def test_an_anchor_of_the_page_is_no_view_and_leaves_it_alone(page):
    choose(page, 1, "soft", 0, 0)
    before = view(page)
    page.goto(page.url.partition("#")[0] + "#article-limits")
    assert view(page) == before and page.url.endswith("#article-limits")
    assert abs(page.locator("#article-limits").evaluate(PLACE)) < 900


def test_copying_the_link_says_so(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("#explorer [data-part=copy]")
    page.wait_for_function(
        "document.querySelector('#explorer [data-part=copy]').textContent === 'Copied'"
    )
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    assert "#sentence=" in page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 768, 1280])
def test_everything_fits_in_the_window_and_can_be_read(opened, width, scheme):
    with opened(width=width, color_scheme=scheme) as page:
        page.click("#explorer summary")
        page.goto(page.url + "#rules=-VERB>NOUN,+ADV>VERB,+X>X&text=the%20zorgs%20are%20not%20bad")
        page.click("#playground [data-query='0'][data-key='1']")
        for number in range(3):
            page.select_option("#explorer select[name=sentence]", str(number))
            assert page.evaluate(OUTSIDE) == []
        page.wait_for_timeout(200)  # shades change over a moment
        seen = page.evaluate(FAINT, 4.5)
        assert seen["faint"] == []
        assert page.evaluate(SMALLEST) >= 11


def test_nothing_moves_where_the_reader_asked_for_less_motion(opened):
    with opened(reduced_motion="reduce") as page:
        moving = "[...document.querySelectorAll('*')].filter((e) => " \
            "parseFloat(getComputedStyle(e).transitionDuration) > 0).length"  # fmt: skip
        assert page.evaluate(moving) == 0


def test_without_scripts_a_sentence_stands_in_its_place_and_the_figures_remain(opened):
    with opened("appendix", java_script_enabled=False) as page:
        assert "needs JavaScript" in page.locator("#explorer").inner_text()
        assert not page.locator("#explorer select").first.is_visible()
        page.click(".fold:has(#figure-attention_example_1) > summary")
        assert page.locator("#figure-attention_example_1 svg").first.is_visible()
        assert page.locator("#contents a").first.is_visible()
