"""Documents: from raw text to words, from a mirror to splits, and how they are cut for the tagger."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ggsa.assets import raw_text, sentences
from ggsa.assets.corpora import imdb
from ggsa.tagging import tagger
from ggsa.workspace import config
from ggsa.workspace.errors import UserError

ROOT = Path(__file__).parents[2]
TEXT = 'Film {n} is <b>awful</b>.The plot isn\'t good, Mr. Smith!<br /><br />"Great" (not).'


@pytest.fixture
def params(tmp_path):
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["assets"].update(source="mirror", mirror=str(tmp_path / "mirror"))
    content["corpus"].update(name="imdb", selection_sentences=6, validation_reviews=4)
    return config.parse(content)


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    monkeypatch.delenv("GGSA_MIRROR", raising=False)
    folder = tmp_path / "mirror" / "imdb"
    folder.mkdir(parents=True)
    for split, count in (("train", 40), ("test", 10)):
        texts = [TEXT.format(n=f"{split}{row // 2 * 2}") for row in range(count)]  # in pairs
        labels = [row // 2 % 2 for row in range(count)]
        table = pd.DataFrame({"id": range(count), "text": texts, "label": labels})
        table.to_parquet(folder / f"{split}.parquet")
    return folder


def test_raw_text_is_split_as_treebanks_are_and_loses_its_markup() -> None:
    assert raw_text.words_of(TEXT.format(n=1)) == (
        *("Film", "1", "is", "awful", ".", "The", "plot", "is", "n't", "good", ",", "Mr."),
        *("Smith", "!", "``", "Great", "''", "(", "not", ")", "."),
    )


@given(st.text(max_size=200))
def test_no_word_is_empty_or_holds_white_space_and_no_letter_is_lost(text) -> None:
    words = raw_text.words_of(text)
    assert all(word and not any(c.isspace() for c in word) for word in words)
    kept = Counter(c for word in words for c in word if c.isalnum())
    plain = raw_text._MARKUP.sub("", text)
    assert kept == Counter(c for c in plain if c.isalnum())


def test_reviews_give_a_selection_and_a_validation_split_that_train_does_not_hold(
    params, mirror
) -> None:
    obtained = sentences.obtain(params)
    tables = obtained.tables
    assert {split: len(rows) for split, rows in tables.items()} | {"examples": 0} == {
        "train": 40 - 2 * 4, "selection": 6, "validation": 4, "test": 10, "examples": 0,
    }  # fmt: skip
    for split in ("selection", "validation"):
        assert sorted(tables[split]["label"]) == sorted(len(tables[split]) // 2 * [0, 1])
    words = {split: {tuple(w) for w in rows["words"]} for split, rows in tables.items()}
    trained = tables["train"][~tables["train"]["leaks_selection"]]
    trained = {tuple(w) for w in trained["words"]}
    assert not trained & words["validation"] and not trained & words["selection"]
    assert not words["selection"] & words["validation"]
    assert obtained.provenance["name"] == "imdb" and obtained.provenance["source"] == "mirror"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"text": ["", *[TEXT] * 9]}, "row 0: the review is empty"),
        ({"label": [0, 7, *[1] * 8]}, "row 1: expected the label 0 or 1, got 7"),
    ],
)
def test_a_malformed_review_is_refused_with_its_row(params, mirror, change, problem) -> None:
    table = pd.read_parquet(mirror / "test.parquet").assign(**change)
    table.to_parquet(mirror / "test.parquet")
    with pytest.raises(UserError, match=problem):
        imdb.from_mirror(params)


def test_a_damaged_or_strange_file_is_refused_by_name(params, mirror) -> None:
    (mirror / "test.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(UserError, match=r"test\.parquet cannot be read"):
        imdb.from_mirror(params)
    pd.DataFrame({"review": ["good"], "label": [1]}).to_parquet(mirror / "test.parquet")
    with pytest.raises(UserError, match="the column text is missing; there are review, label"):
        imdb.from_mirror(params)


@given(
    st.lists(
        st.sampled_from(["film", "good", "fine", ".", "!", "..", "''"]), min_size=1, max_size=700
    )
)
def test_a_text_is_tagged_in_passages_that_make_it_up(words) -> None:
    parts = tagger.passages(tuple(words))
    assert [word for part in parts for word in part] == words
    assert all(parts)
    if len(words) <= tagger.LONGEST_SENTENCE:
        assert len(parts) == 1
        return
    assert max(map(len, parts)) <= tagger.LONGEST_PASSAGE
    for part in parts:
        body = list(part)
        while body and body[-1] in tagger.CLOSING:
            body.pop()
        assert not any(tagger.FULL_STOP.fullmatch(word) for word in body[:-1])
