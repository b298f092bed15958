"""The playground's data are the project's own counts, and its words have known tags."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from finished_run import write_run

from ggsa.assets.probe import lexicon
from ggsa.patterns import paper
from ggsa.patterns.tag_pairs import piece_pairs, tag_pairs
from ggsa.report import playground, tables
from ggsa.workspace import paths
from ggsa.workspace.vocabulary import CLS, SEP, TAGS, UNIVERSAL_TAGS

STATISTICS = paths.PUBLISHED / "rules/statistics"


def counted(seed: int) -> tuple[np.ndarray, pd.DataFrame, pd.DataFrame]:
    """Random tag counts of sentences, and the two tables that the stage `rules` makes of them."""
    random = np.random.default_rng(seed)
    counts = random.poisson(0.9, (50, len(TAGS)))
    counts[:, [TAGS.index(CLS), TAGS.index(SEP)]] = 1
    pairs = tag_pairs([["NOUN"]], counts).assign(count_validation=lambda table: table["count"])
    frequencies = pd.DataFrame({"split": "validation", "tag": TAGS, "count": counts.sum(axis=0)})
    return counts, pairs, frequencies


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("run")
    write_run(folder)
    statistics = paths.RULES / "statistics"
    return playground.data(
        *(tables.read(folder / statistics, name) for name in ("tag_pairs", "tag_frequencies")),
        *(tables.read(folder / paths.TABLES, name) for name in ("cost", "attention_examples")),
    )


def test_the_pairs_are_those_of_the_pieces_special_tokens_included():
    counts, pairs, frequencies = counted(1)
    split = playground.split("validation", "count_validation", pairs, frequencies)
    assert np.array_equal(split["pairs"], piece_pairs(counts))
    assert np.array_equal(split["pieces"], counts.sum(axis=0))


def test_a_tag_that_never_occurs_has_no_pairs():
    _, pairs, frequencies = counted(2)
    without = [table[~table.eq("SYM").any(axis=1)] for table in (pairs, frequencies)]
    split = playground.split("validation", "count_validation", *without)
    assert not any(split["pairs"][TAGS.index("SYM")])
    assert not split["pieces"][TAGS.index("SYM")]


@pytest.mark.parametrize("name", playground.COUNTS)
def test_the_published_counts_give_the_published_pairs_of_the_papers_table(name):
    if not (STATISTICS / "density.csv").is_file():
        pytest.skip("no run is published yet: `make publish` writes reports/published")
    read = {table: tables.read(STATISTICS, table)
            for table in ("tag_pairs", "tag_frequencies", "density")}  # fmt: skip
    split = playground.split(
        name, playground.COUNTS[name], read["tag_pairs"], read["tag_frequencies"]
    )
    allowed, pairs = paper.pattern("hard").allowed, np.array(split["pairs"])
    alone = np.array(split["pieces"])[~np.diag(allowed)].sum()
    published = read["density"].query("mode == 'hard' and split == @name").iloc[0]
    assert pairs.sum() == published["pairs"]
    assert pairs[allowed].sum() + alone == published["allowed_pairs"]


def test_a_word_has_one_tag_and_it_is_universal(shown):
    assert set(shown["lexicon"]) == set(UNIVERSAL_TAGS)
    words = " ".join(shown["lexicon"].values()).split()
    assert len(words) == len(set(words))


def test_the_lexicon_has_the_closed_classes_the_probe_corpus_and_the_examples(shown):
    tag_of = {word: tag for tag, text in shown["lexicon"].items() for word in text.split()}
    for tag, text in playground.CLOSED_CLASSES.items():
        assert {tag_of[word] for word in text.split()} == {tag}
    generated = (*lexicon.ADJECTIVES[1], *lexicon.QUALITIES[-1], *lexicon.NAMES, *lexicon.TOWNS)
    assert set(generated) <= set(tag_of)
    assert {word for one in shown["sentences"] for word in one["text"].split()} <= set(tag_of)


def test_no_closed_class_claims_a_word_of_another():
    words = " ".join(playground.CLOSED_CLASSES.values()).split()
    assert len(words) == len(set(words))


def test_the_words_of_an_example_have_the_tags_of_their_first_pieces(shown):
    assert playground.words(shown["sentences"][0]) == [
        *(("the", "DET"), ("acting", "NOUN"), ("is", "VERB")),
        *(("not", "PART"), ("bad", "ADJ"), (".", "PUNCT")),
    ]


def test_the_data_cannot_end_their_script(shown):
    hostile = shown | {"sentences": [{"text": "</script>", "pieces": ["<b>"], "tags": ["X"]}]}
    form = playground.form(hostile)
    written = re.search(r'id="playground-data">(.*?)</script>', form).group(1)
    assert json.loads(written)["sentences"] == hostile["sentences"]
    assert form.count("</script>") == 2 and "<b>" not in form
