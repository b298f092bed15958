"""The attention explorer answers to mouse and keyboard, and says what the table says."""

import itertools

import pandas as pd
import pytest

pytestmark = pytest.mark.browser

CHOICES = ("sentence", "mode", "layer", "head")
CELLS = """() => [...document.querySelectorAll("#explorer .matrix tbody tr")].map((row) =>
  [...row.querySelectorAll("td")].map((cell) => [cell.className, cell.title, cell.textContent]))"""
PIECES = """() => [...document.querySelectorAll("#explorer .piece")].map((piece) => ({
  text: piece.querySelector(".text").textContent, tag: piece.querySelector(".tag").textContent,
  share: piece.querySelector(".share").textContent, state: piece.dataset.state,
  checked: piece.getAttribute("aria-checked"), label: piece.getAttribute("aria-label"),
  looks: piece.classList.contains("looks"), stop: piece.tabIndex,
  struck: getComputedStyle(piece.querySelector(".text")).textDecorationLine }))"""


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
            for (kind, title, text), weight, may in zip(row, weight_row, allowed_row, strict=True):
                assert (kind == "allowed") == bool(may) and (text == "blocked") == (not may)
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
            assert (piece["struck"] == "line-through") == (not may)
            if may:
                assert percentage(piece["share"]) == pytest.approx(weights[query][key], abs=6e-4)
                assert piece["share"] in piece["label"]
            else:
                assert piece["share"] == "blocked" and "blocked" in piece["label"]
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
    page.click("#explorer .matrix tbody tr >> nth=5")
    assert page.evaluate(PIECES)[5]["checked"] == "true" and said.inner_text() != kept


def test_every_control_is_reached_by_tab_has_a_name_and_shows_its_focus(page):
    page.focus("#explorer select[name=sentence]")
    for name in CHOICES:
        assert page.evaluate("document.activeElement.name") == name
        assert page.evaluate("document.activeElement.labels.length") == 1
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


def test_nothing_moves_where_the_reader_asked_for_less_motion(opened):
    with opened(reduced_motion="reduce") as page:
        moving = "[...document.querySelectorAll('*')].filter((e) => " \
            "parseFloat(getComputedStyle(e).transitionDuration) > 0).length"  # fmt: skip
        assert page.evaluate(moving) == 0


def test_without_scripts_a_sentence_stands_in_its_place_and_the_figures_remain(opened):
    with opened(java_script_enabled=False) as page:
        assert "needs JavaScript" in page.locator("#explorer").inner_text()
        assert not page.locator("#explorer select").first.is_visible()
        assert page.locator("#figure-attention_example_1 img").is_visible()
        assert page.locator("#contents a").first.is_visible()
