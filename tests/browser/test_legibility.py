"""The report in a real browser: quiet, offline, legible, wide and narrow, light and dark, paper."""

import pytest

pytestmark = pytest.mark.browser

BLOCKS = """() => {
  const kinds = "header > *, nav, main h2, main h3, main h4, main p, main ul, main .table, " +
    "main figure, .explorer, .deviations .wide";
  const found = [...document.querySelectorAll(kinds)].filter((e) => e.checkVisibility());
  const outer = found.filter((e) => !found.some((other) => other !== e && other.contains(e)));
  return outer.map((e) => { const { left, top, right, bottom } = e.getBoundingClientRect();
    return [e.tagName + " " + e.textContent.slice(0, 40), left, top + scrollY, right, bottom + scrollY]; });
}"""

# Every text that is seen, with the contrast of its color to the grounds laid over one another.
FAINT = """(least) => {
  const parsed = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a]; };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const ground = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(parsed(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const light = (rgb) => rgb.map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05); };
  const texts = [...document.querySelectorAll("body *")].filter((e) => e.getClientRects().length &&
    !["SCRIPT", "STYLE", "OPTION"].includes(e.tagName) &&
    [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()));
  const measured = texts.map((e) => { const below = ground(e);
    return [contrast(over(parsed(getComputedStyle(e).color), below), below), e]; });
  return { texts: texts.length, faint: measured.filter(([value]) => value < least)
    .map(([value, e]) => `${value.toFixed(2)} ${e.tagName}.${e.className} ${e.textContent.slice(0, 40)}`) };
}"""

UNFOLD = "() => document.querySelectorAll('main details').forEach((one) => { one.open = true; })"
HIDDEN = """() => [...document.querySelectorAll("main table.data")]
  .filter((e) => !e.checkVisibility()).map((e) => e.id)"""

UNSEEN = """(width) => [...document.querySelectorAll("main table, .explorer, h1, h2")]
  .filter((e) => e.getBoundingClientRect().right > width + 1)
  .map((e) => e.id || e.className)"""


def overlapping(blocks: list) -> list[tuple[str, str]]:
    """Pairs of blocks that share more than a pixel."""
    found = []
    for number, (name, left, top, right, bottom) in enumerate(blocks):
        for other, left2, top2, right2, bottom2 in blocks[number + 1 :]:
            width = min(right, right2) - max(left, left2)
            height = min(bottom, bottom2) - max(top, top2)
            if width > 1 and height > 1:
                found.append((name, other))
    return found


@pytest.mark.parametrize(
    ("kind", "width"),
    [("article", 400), ("article", 768), ("article", 1280), ("appendix", 400), ("appendix", 1280)],
)
def test_nothing_overlaps_and_nothing_is_wider_than_the_window(opened, kind, width):
    with opened(kind, width=width) as page:
        page.evaluate(UNFOLD)
        page.wait_for_timeout(200)  # tables fit themselves when they are opened
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        blocks = page.evaluate(BLOCKS)
        assert len(blocks) > 10
        assert overlapping(blocks) == []
        assert page.evaluate(UNSEEN, width) == []


def test_the_article_is_at_most_five_screens_long(opened):
    with opened(width=1280, height=800) as page:
        assert page.evaluate("document.scrollingElement.scrollHeight") <= 5 * 800


def test_the_appendix_is_at_most_forty_screens_long_and_every_table_is_one_click_away(opened):
    with opened("appendix", width=1280, height=800) as page:
        assert page.evaluate("document.scrollingElement.scrollHeight") <= 40 * 800
        tables, folded = page.locator("main table.data").count(), page.evaluate(HIDDEN)
        assert tables > 40 and 0 < len(folded) < tables
        for fold in page.locator("main .fold:has(table.data)").all():
            assert len(fold.locator("summary").inner_text().split()) > 0
            fold.locator("summary").click()
        assert page.evaluate(HIDDEN) == []


def test_paper_and_a_link_show_what_is_folded(opened):
    with opened("appendix") as page:
        page.goto(page.url + "#figure-confusion")
        page.wait_for_function("document.getElementById('figure-confusion').checkVisibility()")
        page.emulate_media(media="print")
        assert page.evaluate(HIDDEN) == []


def test_a_table_is_sorted_filtered_and_shows_all_columns_on_demand(opened):
    with opened("appendix", width=400) as page:
        page.click(".fold:has(#T_runs-table) > summary")
        table = page.locator("#T_runs-table")
        first = table.locator("tbody tr:visible td:first-child")
        count = first.count()
        page.locator("div.table:has(#T_runs-table) input").fill("hard")
        assert 0 < first.count() < count
        page.locator("div.table:has(#T_runs-table) input").fill("")
        more = page.locator("div.table:has(#T_runs-table) .tools button")
        assert more.inner_text() == "All columns"
        shown = table.locator("tbody tr").first.locator("td:visible").count()
        more.click()
        assert table.locator("tbody tr").first.locator("td:visible").count() > shown
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 400
    with opened("appendix") as page:
        page.click(".fold:has(#T_runs-table) > summary")
        heading = page.locator("#T_runs-table th", has_text="accuracy").locator("button")
        values = page.locator("#T_runs-table tbody td[data-label=accuracy]")
        for order in (1, -1):
            heading.click()
            numbers = [order * float(text) for text in values.all_inner_texts()]
            assert numbers == sorted(numbers)


def test_a_table_and_a_figure_are_saved_as_csv(opened):
    with opened() as page:
        with page.expect_download() as saved:
            page.locator("#figure-answer a[download]").click()
        assert "accuracy_mean" in saved.value.path().read_text()
        page.locator("details:has(#T_settings-table) summary").click()
        with page.expect_download() as saved:
            page.locator("div.table:has(#T_settings-table) .source button").click()
        assert "pretrained encoder" in saved.value.path().read_text()


@pytest.mark.parametrize("kind", ["article", "appendix"])
def test_text_of_figures_is_legible_on_a_phone(opened, kind):
    smallest = """() => [...document.querySelectorAll("figure svg")].filter((e) => e.checkVisibility())
      .map((svg) => { const { width, right } = svg.getBoundingClientRect();
        const sizes = [...svg.querySelectorAll("text")]
          .map((text) => parseFloat(getComputedStyle(text).fontSize));
        return [Math.min(...sizes) * width / svg.viewBox.baseVal.width, right]; })"""
    with opened(kind, width=400) as page:
        page.evaluate(UNFOLD)
        drawings = page.evaluate(smallest)
        assert len(drawings) == page.locator("figure").count()
        assert all(11 <= size < 99 and right <= 400 for size, right in drawings)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(opened, scheme):
    with opened("appendix", color_scheme=scheme) as page:
        page.evaluate(UNFOLD)
        seen = page.evaluate(FAINT, 4.5)
        assert seen["texts"] > 500 and seen["faint"] == []
    with opened(color_scheme=scheme) as page:
        for mode in page.locator("#explorer select[name=mode] option").all_inner_texts():
            page.select_option("#explorer select[name=mode]", mode)
            page.wait_for_timeout(200)  # shades change over a moment
            seen = page.evaluate(FAINT, 4.5)
            assert seen["texts"] > 100 and seen["faint"] == []


def test_the_toggle_changes_the_page_and_is_remembered(opened):
    ground = "getComputedStyle(document.body).backgroundColor"
    with opened(color_scheme="light") as page:
        light = page.evaluate(ground)
        page.click("#theme")
        dark = page.evaluate(ground)
        assert dark != light
        page.reload()
        assert page.evaluate(ground) == dark
        page.click("#theme")
        assert page.evaluate(ground) == light


def test_the_toggle_works_where_nothing_may_be_stored(opened):
    forbid = "Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } });"
    with opened(color_scheme="dark", script=forbid) as page:
        assert page.locator("#theme").inner_text() == "Light page"
        page.click("#theme")
        assert page.locator("#theme").inner_text() == "Dark page"


def test_contents_stay_in_sight_where_there_is_room_and_fold_where_there_is_none(opened):
    with opened("appendix", width=1280) as page:
        page.evaluate("document.getElementById('cost').scrollIntoView()")
        assert page.locator("nav a").first.is_visible()
        assert page.evaluate("document.querySelector('nav').getBoundingClientRect().top") == 0
    with opened("appendix", width=400) as page:
        assert not page.locator("nav a").first.is_visible()
        page.click("nav summary")
        page.click("nav a[href='#methods']")
        assert page.url.endswith("#methods") and not page.locator("nav a").first.is_visible()


def test_the_first_stop_of_the_keyboard_leads_past_the_contents(opened):
    with opened() as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('href')") == "#main"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"


def test_on_paper_there_are_no_controls_and_nothing_is_cut_off(opened):
    with opened(width=700, color_scheme="dark") as page:
        page.emulate_media(media="print", color_scheme="dark")
        for hidden in ("#theme", "#explorer .controls"):
            assert not page.locator(hidden).is_visible()
        assert page.locator("#explorer .matrix").is_visible()
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 700
        assert page.evaluate(UNSEEN, 700) == []
        style = page.evaluate("(({ color, backgroundColor }) => [color, backgroundColor])"
                              "(getComputedStyle(document.body))")  # fmt: skip
        assert style == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
