"""The explorer's data are the table, whatever order its rows stand in."""

import json
import re

import pandas as pd
import pytest
from finished_run import PIECES, write_run

from ggsa.report import explorer, style
from ggsa.workspace import paths


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("run")
    write_run(folder)
    return pd.read_csv(folder / paths.TABLES / "attention_examples.csv")


def test_every_weight_and_every_permission_is_that_of_its_row(table):
    shown = explorer.data(table.sample(frac=1, random_state=1))
    size = len(PIECES)
    for row in table.itertuples():
        weights = shown["weights"][row.mode][row.sentence][row.layer][row.head]
        assert weights[row.query * size + row.key] == round(explorer.UNIT * row.weight)
        allowed = shown["allowed"][row.mode][row.sentence][row.query][row.key]
        assert allowed == ("1" if row.allowed else "0")


def test_a_sentence_has_its_pieces_with_tags_and_reads_as_words(table):
    first = explorer.data(table)["sentences"][0]
    assert list(zip(first["pieces"], first["tags"], strict=True)) == list(PIECES)
    assert first["text"] == "the acting is not bad ."


def selected(form: str) -> list[str]:
    return re.findall(r'<option value="(\w+)" selected', form)


def test_the_page_opens_with_hard_beside_full_the_last_layer_and_the_mean_of_heads(table):
    assert selected(explorer.form(explorer.data(table))) == ["0", "hard", "full", "1", "mean"]


def test_the_page_opens_on_the_first_sentence_with_the_word_that_it_is_about(table):
    without = table.replace({"key_piece": {explorer.WORD: "so"}, "query_piece": {"not": "so"}})
    both = pd.concat([without[without["sentence"] == 0], table[table["sentence"] == 1]])
    assert selected(explorer.form(explorer.data(both)))[0] == "1"
    assert selected(explorer.form(explorer.data(without)))[0] == "0"


def test_a_run_without_hard_opens_with_its_first_mode(table):
    form = explorer.form(explorer.data(table[table["mode"] != "hard"]))
    assert selected(form)[1] == "full"


def test_the_data_cannot_end_their_script(table):
    table = table.assign(key_piece="</script><b>&")
    form = explorer.form(explorer.data(table))
    assert form.count("</script>") == 1 and "<b>" not in form
    written = re.search(r'id="explorer-data">(.*)</script>', form).group(1)
    assert json.loads(written) == explorer.data(table)


def test_a_mode_has_the_color_of_the_figures_lifted_where_the_ground_is_dark():
    light, dark = (list(map(int, c.split())) for c in explorer.colors("hard").values())
    assert "#" + "".join(f"{value:02x}" for value in light) == style.color("hard")
    assert all(a < b <= 255 for a, b in zip(light, dark, strict=True))


def test_without_sentences_there_is_no_explorer(table):
    assert explorer.markup(table.iloc[:0]) == ""
