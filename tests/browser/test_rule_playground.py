"""The playground computes what the project's own functions compute, by mouse and by keyboard."""

import re

import numpy as np
import pandas as pd
import pytest

from ggsa.patterns import paper
from ggsa.patterns.pattern import Pattern
from ggsa.patterns.rules import hard_table
from ggsa.patterns.tag_pairs import tag_pairs
from ggsa.patterns.tag_tables import INDEX, blocked_outside
from ggsa.report import playground
from ggsa.report.templates import in_line
from ggsa.training import experiments
from ggsa.workspace import config
from ggsa.workspace.vocabulary import CLS, SEP, TAGS, UNIVERSAL_TAGS

pytestmark = pytest.mark.browser

PRESSED = """() => [...document.querySelectorAll("#playground [data-key]")].map((button) =>
  [button.dataset.query, button.dataset.key, button.getAttribute("aria-pressed") === "true"])"""
KEPT = """() => [...document.querySelectorAll("#playground .kept tbody tr")].map((row) =>
  [...row.querySelectorAll("td")].map((cell) => cell.className.startsWith("allowed")))"""


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    """Invented pieces per tag, `[sentence, tag]`."""
    counts = np.random.default_rng(3).poisson(0.9, (60, len(TAGS)))
    counts[:, [INDEX[CLS], INDEX[SEP]]] = 1
    return counts


@pytest.fixture
def small(browser, counts, tmp_path):
    """A page with nothing but the playground, on invented counts."""
    pairs = tag_pairs([["NOUN"]], counts).assign(count_validation=lambda table: table["count"])
    frequencies = pd.DataFrame({"tag": TAGS, "count": counts.sum(axis=0)})
    frequencies = pd.concat([frequencies.assign(split=name) for name in playground.COUNTS])
    cost = pd.DataFrame({"mode": ["full"], "split": "validation", "attention_share": 0.25})
    words = ["[CLS]", "a", "##b", "not", "[SEP]"]
    examples = pd.DataFrame(
        {"sentence": 0, "key": range(5), "key_piece": words,
         "key_tag": ["[CLS]", "NOUN", "NOUN", "PART", "[SEP]"]}
    )  # fmt: skip
    path = tmp_path / "page.html"
    path.write_text(
        f"<!doctype html><html><style>{in_line('page.css', 'explorer.css')}</style><body>"
        f"{playground.markup(pairs, frequencies, cost, examples)}"
        f"<script>{in_line('explorer.js')}</script></body></html>",
        encoding="utf-8",
    )
    context = browser.new_context()
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    yield page
    context.close()
    assert said == []


@pytest.fixture
def page(opened):
    with opened() as page:
        yield page


def press(page, rule: str) -> None:
    query, key = (INDEX[tag] for tag in rule.split("->"))
    page.click(f"#playground [data-query='{query}'][data-key='{key}']")


def text(page, part: str) -> str:
    return page.locator(f"#playground [data-part={part}]").inner_text()


def densities(page) -> dict[str, tuple[float, float]]:
    """Density of the shown and of the paper's rules, for the sentence and every split."""
    rows = re.findall(r"(this sentence|\w+)\s+([\d.]+)\s+([\d.]+)", text(page, "densities"))
    return {name: (float(now), float(before)) for name, now, before in rows}


def table(page) -> np.ndarray:
    """The rules that are switched on, with the paper's rows of special tokens."""
    allowed = paper.pattern("hard").allowed.copy()
    for query, key, pressed in page.evaluate(PRESSED):
        allowed[int(query), int(key)] = pressed
    return allowed


def pattern(allowed: np.ndarray) -> Pattern:
    return Pattern("hard", TAGS, blocked_outside(allowed))


def table_of_command(page) -> np.ndarray:
    """The hard table of the printed command, as `make experiment` reads it."""
    command = text(page, "command")
    if command == "make repro":
        return hard_table(config.load().rules)
    change = re.fullmatch(r"make experiment SET='(.*)'", command).group(1)
    return hard_table(config.load(overrides=experiments.changes(change)).rules)


def test_the_papers_rules_have_the_published_density(page, published_workspace):
    published = pd.read_csv(published_workspace / "run/rules/statistics/density.csv")
    shown = densities(page)
    for row in published.query("mode == 'hard' and split in ['validation', 'train']").itertuples():
        assert shown[row.split] == (round(row.density, 4),) * 2


def test_a_dropped_rule_saves_what_the_pipeline_says(page, published_workspace):
    statistics = published_workspace / "run/rules/statistics"
    published = pd.read_csv(statistics / "density.csv").query("mode == 'hard'").set_index("split")
    saving = pd.read_csv(statistics / "rules.csv").set_index("rule")["saving_if_dropped"]
    pairs = pd.read_csv(statistics / "tag_pairs.csv").set_index(["query_tag", "key_tag"])
    press(page, "VERB->NOUN")
    shown = densities(page)
    assert shown["train"][0] == round(published["density"]["train"] - saving["VERB->NOUN"], 4)
    row = published.loc["validation"]
    kept = row["allowed_pairs"] - pairs["count_validation"]["VERB", "NOUN"]
    assert shown["validation"][0] == round(kept / row["pairs"], 4)
    assert "VERB may no longer attend to NOUN" in text(page, "said")
    press(page, "VERB->NOUN")
    assert densities(page)["validation"] == (round(row["density"], 4),) * 2


def test_any_table_has_the_density_that_the_pipeline_computes(small, counts):
    random = np.random.default_rng(11)
    assert densities(small)["validation"][0] == round(paper.pattern("hard").density(counts), 4)
    for query, key in random.integers(0, len(UNIVERSAL_TAGS), (25, 2)):
        press(small, f"{TAGS[query]}->{TAGS[key]}")
        expected = round(pattern(table(small)).density(counts), 4)
        assert densities(small)["validation"][0] == pytest.approx(expected, abs=1e-9)


def test_the_quick_buttons_set_the_papers_table_no_rule_and_every_rule(small, counts):
    for name, allowed in (
        ("all", lambda table: table | np.outer(np.arange(19) < 17, np.arange(19) < 17)),
        ("none", lambda table: table & np.outer(np.arange(19) >= 17, np.ones(19, bool))),
        ("paper", lambda table: table),
    ):
        small.click(f"#playground [data-rules={name}]")
        expected = allowed(paper.pattern("hard").allowed)
        assert np.array_equal(table(small), expected)
        assert densities(small)["validation"][0] == round(pattern(expected).density(counts), 4)


def test_without_own_tags_every_piece_still_attends_to_itself(small, counts):
    small.click("#playground [data-part=self]")
    expected = table(small)
    assert not np.diag(expected)[: len(UNIVERSAL_TAGS)].any()
    assert densities(small)["validation"][0] == round(pattern(expected).density(counts), 4)
    kept = np.array(small.evaluate(KEPT))
    assert kept.diagonal().all() and not kept[1, 2]
    small.click("#playground [data-part=self]")
    assert np.array_equal(table(small), paper.pattern("hard").allowed)


def test_the_command_makes_the_table_that_is_switched_on(small):
    for rules in (
        (),
        ("VERB->NOUN", "ADV->VERB"),
        ("NOUN->NOUN", "PART->VERB", "ADV->VERB"),
    ):
        for rule in rules:
            press(small, rule)
        for _ in range(2):
            assert np.array_equal(table_of_command(small)[:17, :17], table(small)[:17, :17])
            small.click("#playground [data-part=self]")
    small.click("#playground [data-rules=none]")
    assert not table_of_command(small)[:17].any()


def test_the_lines_of_params_yaml_say_the_same_as_the_command(small):
    press(small, "VERB->NOUN")
    press(small, "ADV->VERB")
    lines = config.parse_yaml(text(small, "yaml"), "the playground")
    assert lines == {"rules": {"drop": ["VERB->NOUN"], "add": ["ADV->VERB"]}}
    assert text(small, "command") == (
        'make experiment SET=\'rules.drop=["VERB->NOUN"] rules.add=["ADV->VERB"]\''
    )


def test_the_keyboard_moves_along_the_grid_and_switches(small):
    small.focus("#playground [data-key][tabindex='0']")
    for _ in range(2):
        small.keyboard.press("ArrowUp")  # round from the first row to the last
    small.keyboard.press("ArrowLeft")
    small.keyboard.press("ArrowRight")
    small.keyboard.press("ArrowRight")
    focused = small.evaluate("""() => { const e = document.activeElement;
      return [e.getAttribute("aria-label"), e.getAttribute("aria-pressed"), e.tabIndex,
        getComputedStyle(e).outlineStyle]; }""")
    assert focused == ["VERB may attend to ADP", "false", 0, "solid"]
    assert small.locator("#playground [data-key][tabindex='0']").count() == 1
    small.keyboard.press("Space")
    assert table(small)[INDEX["VERB"], INDEX["ADP"]]
    assert text(small, "said").startswith("VERB may now attend to ADP. Density on validation: ")
    small.keyboard.press("Enter")
    assert np.array_equal(table(small), paper.pattern("hard").allowed)


def test_every_tile_has_a_name_and_a_look_of_its_state_and_no_word(small):
    looks = """() => [...document.querySelectorAll("#playground .grid td > *")].map((tile) => {
      const { backgroundColor, backgroundImage } = getComputedStyle(tile);
      return [tile.getAttribute("aria-label"), tile.getAttribute("aria-pressed") ?? tile.dataset.on,
        tile.tagName + backgroundColor + backgroundImage, tile.textContent]; })"""
    press(small, "ADV->VERB")
    tiles = small.evaluate(looks)
    assert len(tiles) == len(TAGS) ** 2 == len({name for name, *_ in tiles})
    assert {text for *_, text in tiles} == {"", "+"}
    states = {(state, look) for _, state, look, _ in tiles}
    assert len(states) == len({look for _, look in states}) == 4  # rules, and what is fixed
    names = {name: state for name, state, *_ in tiles}
    assert names["[CLS] always attends to ADJ"] == "true"
    assert names["ADJ never attends to [SEP]"] == "false"
    kept = small.locator("#playground .kept td [role=img]").first
    assert kept.get_attribute("aria-label") == "[CLS] → [CLS]: allowed"


def test_pointing_at_a_rule_shows_its_pairs_in_the_sentence(small):
    query, key = INDEX["NOUN"], INDEX["NOUN"]
    small.hover(f"#playground [data-query='{query}'][data-key='{key}']")
    assert small.locator("#playground .kept .looks").count() == 4  # two pieces of one word
    assert text(small, "said").startswith("NOUN → NOUN: allowed, own tag;")


def test_a_sentence_of_ones_own_has_the_density_of_its_tags(small):
    small.select_option("#playground select[name=example]", "own")
    small.fill("#playground [data-part=text]", "The zorgs weren’t funny, but 3 critics laughed.")
    words = small.locator("#playground [data-part=words] span").all_inner_texts()
    assert words == ["The", "zorgs", "were", "n't", "funny", ",", "but", "3", "critics", "laughed", "."]  # fmt: skip
    tags = ["DET", "NOUN", "AUX", "PART", "ADJ", "PUNCT", "CCONJ", "NUM", "NOUN", "NOUN", "PUNCT"]
    chosen = "[...document.querySelectorAll('#playground [data-word]')].map((e) => e.value)"
    assert small.evaluate(chosen) == tags
    guessed = small.locator("#playground .guess span").all_inner_texts()
    assert guessed == ["zorgs", "laughed"]
    for changed in (tags, [*tags[:9], "VERB", "PUNCT"]):
        small.select_option("#playground [data-word='9']", changed[9])
        row = np.bincount([INDEX[tag] for tag in (CLS, *changed, SEP)], minlength=len(TAGS))
        expected = paper.pattern("hard").density(row[None])
        assert densities(small)["this sentence"][0] == round(expected, 4)
        assert np.mean(small.evaluate(KEPT)) == pytest.approx(expected)
    small.fill("#playground [data-part=text]", "The zorgs weren’t funny, but 3 critics laughed !")
    assert small.evaluate(chosen)[9] == "VERB"  # a correction stays as long as its word


def test_a_link_restores_rules_and_sentence(small):
    address = small.url
    small.goto(
        f"{address}#rules=-VERB>NOUN,+ADV>VERB&self=off&text=it's%20100%25%20bad&tags=X,AUX,NUM,SYM,ADJ"
    )
    press(small, "ADJ->ADV")
    before = (small.evaluate(PRESSED), text(small, "densities"), text(small, "command"), small.url)
    assert "-VERB%3ENOUN,+ADJ%3EADV,+ADV%3EVERB&self=off" in small.url
    small.reload()
    after = (small.evaluate(PRESSED), text(small, "densities"), text(small, "command"), small.url)
    assert after == before
    assert small.input_value("#playground [data-part=text]") == "it's 100% bad"
    assert small.input_value("#playground [data-word='3']") == "SYM"
    small.goto(f"{address}#rules=&example=1")
    assert np.array_equal(table(small), paper.pattern("hard").allowed)
    assert small.input_value("#playground select[name=example]") == "0"


@pytest.mark.parametrize(
    "link",
    [
        "rules=-ODD>NOUN,+X",
        "rules=%&example=9",
        "rules=,,+[CLS]>NOUN,-[CLS]>NOUN",
        "mode=hard",
        "cost",
    ],
)
def test_unknown_values_in_a_link_are_ignored(small, link):
    before = small.evaluate(PRESSED)
    small.goto(f"{small.url}#{link}")
    small.reload()
    assert small.evaluate(PRESSED) == before
    assert small.input_value("#playground select[name=example]") == "0"


def test_a_link_to_one_instrument_leaves_the_other_alone(page):
    address = page.url
    before = page.input_value("#explorer select[name=mode]")
    page.goto(f"{address}#rules=-VERB>NOUN")
    assert page.input_value("#explorer select[name=mode]") == before
    pressed = page.evaluate(PRESSED)
    page.goto(f"{address}#mode=soft")
    assert page.evaluate(PRESSED) == pressed
    assert page.input_value("#explorer select[name=mode]") == "soft"


def test_without_scripts_a_sentence_replaces_it(opened):
    with opened(java_script_enabled=False) as page:
        assert "needs JavaScript" in page.locator("#playground").inner_text()
        assert not page.locator("#playground button").first.is_visible()
