"""A trained run outside the pipeline."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import TAGGED, WORDS, run, table

import ggsa
from ggsa.patterns import paper
from ggsa.patterns.pattern import Pattern, pattern_as_json
from ggsa.patterns.positional import Positional
from ggsa.tagging import tagger
from ggsa.workspace import paths
from ggsa.workspace.errors import UserError


def test_a_run_is_loaded_with_its_pattern_and_its_limits(tmp_path) -> None:
    pattern = table()
    model = ggsa.load(run(tmp_path / "run", pattern))
    assert np.array_equal(model.pattern.bias, pattern.bias)
    assert (model.max_pieces, len(model.classes)) == (16, 2)


def test_predictions_are_the_likeliest_class_and_its_probabilities(tmp_path) -> None:
    model = ggsa.load(run(tmp_path / "run", classes=3))
    logits = model.logits(WORDS, TAGGED)
    for row, (label, probabilities) in zip(logits, model.predict(WORDS, TAGGED), strict=True):
        assert label == model.classes[row.argmax()]
        expected = np.exp(row) / np.exp(row).sum()
        assert np.allclose(list(probabilities.values()), expected, atol=1e-6)
    assert model.predict([], []) == model.predict([]) == []
    assert ggsa.predict(WORDS, tmp_path / "run", TAGGED) == model.predict(WORDS, TAGGED)


def test_texts_may_come_one_by_one_and_what_is_no_text_is_refused_by_its_place(tmp_path) -> None:
    model = ggsa.load(run(tmp_path / "run"))
    assert model.predict(iter(WORDS), TAGGED) == model.predict(WORDS, TAGGED)
    assert model.predict(iter(())) == [] == model.predict([])
    for call in (model.predict, model.logits, model.aligned):
        with pytest.raises(UserError, match="expected a list of texts, got None"):
            call(None)
        with pytest.raises(UserError, match=r"texts\[1\]: expected a string or a list .* got nan"):
            call([WORDS[0], float("nan")], TAGGED[:2])


def test_a_text_that_is_too_long_is_refused_by_its_place_unless_it_may_be_cut(tmp_path) -> None:
    model = ggsa.load(run(tmp_path / "run"))
    long, tags = [*WORDS, WORDS[0] * 40], [*TAGGED, TAGGED[0] * 40]
    expected = (
        rf"texts\[{len(WORDS)}\]: {len(long[-1])} words are \d+ word pieces, but the model reads "
        r"at most 16\. .* cut=True"
    )
    for predict in (
        model.predict,
        model.logits,
        model.aligned,
        lambda *given: ggsa.predict(given[0], tmp_path / "run", given[1]),
    ):
        with pytest.raises(UserError, match=expected):
            predict(long, tags)
    with pytest.raises(UserError, match="cut=True"):
        model.attention(long[-1], tags[-1])
    assert model.attention(long[-1], tags[-1], cut=True).shape[-1] == 16
    cut = model.predict(long, tags, cut=True)
    assert len(cut) == len(long)
    (alone,) = model.predict([long[-1][:14]], [tags[-1][:14]])
    assert cut[-1].probabilities == pytest.approx(alone.probabilities, abs=1e-6)


def test_a_model_and_a_pattern_are_shown_in_one_line_and_a_pattern_in_a_notebook_as_a_table(
    tmp_path,
) -> None:
    soft = paper.pattern("soft")
    model = ggsa.load(run(tmp_path / "run", soft))
    assert repr(model) == (
        f"Classifier({tmp_path / 'run'}: soft, classes LABEL_0, LABEL_1, at most 16 word pieces)"
    )
    favored = int((soft.bias > 0).sum())
    assert repr(soft) == f"Pattern(soft: 361 of 361 tag pairs allowed, {favored} favored)"
    window = Pattern("window", soft.tags, table().bias, Positional("window", match=table().allowed))
    assert repr(window).endswith("tag pairs allowed, and further pairs by position (window))")
    page = model._repr_html_()
    assert page.count("<td>") == 361
    assert page.count("<td>+</td>") == favored


def test_the_implementation_of_attention_changes_no_prediction(tmp_path) -> None:
    folder = run(tmp_path / "run")
    dense, grouped = (
        ggsa.load(folder, implementation=name).logits(WORDS, TAGGED)
        for name in ("dense", "grouped")
    )
    assert np.allclose(dense, grouped, atol=1e-5)


def test_weights_lie_where_the_pattern_allows_and_asking_for_them_changes_nothing(tmp_path) -> None:
    model = ggsa.load(run(tmp_path / "run"))
    before = model.logits(WORDS, TAGGED)
    weights = model.attention(WORDS[0], TAGGED[0])  # [layer, head, query, key]
    tags = model.aligned(WORDS[:1], TAGGED[:1]).tags[0]
    allowed = torch.from_numpy(
        model.pattern.allowed[np.ix_(tags, tags)] | np.eye(len(tags), dtype=bool)
    )
    assert not (weights > 0)[:, :, ~allowed].any()
    assert torch.allclose(weights.sum(dim=-1), torch.ones(()), atol=1e-5)
    assert np.array_equal(model.logits(WORDS, TAGGED), before)


def test_the_short_form_of_a_run_means_the_core_study_and_a_path_is_taken_literally(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"nowhere does not exist.*`make repro` trains some"):
        ggsa.load("nowhere")
    folder = run(tmp_path / "runs/core/hard-42")
    for name in ("hard-42", Path("hard-42"), "runs/core/hard-42", folder):
        assert ggsa.load(name).folder.resolve() == folder
    for name in ("exports/hard-42", "./hard-42", "runs/hard-42", tmp_path / "hard-42"):
        with pytest.raises(UserError, match=r"does not exist.*Trained here: runs/core/hard-42"):
            ggsa.load(name)
    with pytest.raises(UserError, match=r"soft-42 does not exist"):
        ggsa.load("soft-42")


def test_a_folder_without_a_sound_model_raises_an_error_that_names_what_is_wrong(
    tmp_path,
) -> None:
    folder = run(tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    del config["ggsa_pattern"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"has no key ggsa_pattern.*make repro"):
        ggsa.load(folder)
    (folder / "config.json").write_text(json.dumps({**config, "ggsa_pattern": None}))
    with pytest.raises(UserError, match=r"ggsa_pattern is null in config.json.*damaged"):
        ggsa.load(folder)
    other = {**config, "ggsa_pattern": pattern_as_json(table()), "num_hidden_layers": 1}
    (folder / "config.json").write_text(json.dumps(other))
    with pytest.raises(UserError, match=r"16 weights are not those of config.json.*damaged"):
        ggsa.load(folder)
    (folder / "model.safetensors").write_bytes(b"half of it")
    config["ggsa_pattern"] = {}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"cannot be loaded.*damaged"):
        ggsa.load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"has no model.safetensors"):
        ggsa.load(folder)


@pytest.mark.parametrize(
    ("texts", "tags", "message"),
    [
        ("not bad", ["PART"], r"tags: expected one tag for each of the 2 words"),
        ([["not"], []], None, r"texts\[1\]: expected at least one word"),
        (["  "], None, r"texts\[0\]: expected at least one word"),
        ([["not", "bad"]], [["PART"]], r"tags: expected one tag for each of the 2 words"),
        ([["not", "bad"]], ["PART ADJ"], r"tags: expected one tag for each of the 2 words"),
        ([["not"], ["bad"]], [["PART"], ["ADJX"]], r"tags\[1\]: unknown tag ADJX.*ADJ, ADP"),
        ([["not"], ["bad"]], [["PART"]], r"expected one list of tags per text \(2\)"),
        ([["not"]], "PART", r"expected one list of tags per text \(1\)"),
    ],
)
def test_texts_and_tags_that_do_not_fit_raise_an_error_that_names_them(
    texts, tags, message, tmp_path
) -> None:
    model = ggsa.load(run(tmp_path / "run"))
    with pytest.raises(UserError, match=message):
        model.predict(texts, tags)
    with pytest.raises(UserError, match=message):
        ggsa.inputs(model.tokenizer, texts, tags)


def test_texts_without_tags_are_tagged_by_the_projects_tagger(tmp_path, monkeypatch) -> None:
    model = ggsa.load(run(tmp_path / "run"))
    monkeypatch.setattr(paths, "TAGGER", tmp_path / "tagger")
    with pytest.raises(UserError, match=r"has no tagger.*make repro.*tag per word"):
        model.predict(["not bad"])
    (tmp_path / "tagger").mkdir()
    (tmp_path / "tagger/tagger.json").write_text("{}")
    loaded = []
    monkeypatch.setattr(tagger, "load_tagger", lambda folder, size: loaded.append(folder))
    monkeypatch.setattr(
        tagger, "tag_texts", lambda pipeline, texts, mapping: [["NOUN"] * len(row) for row in texts]
    )
    words, tags = [("the", "film", "is", "bad", "."), ("not", "bad")], [["NOUN"] * 5, ["NOUN"] * 2]
    for texts in (["the film is bad.", "not bad"], words, ["the film is bad.", words[1]]):
        assert model.predict(texts) == model.predict(words, tags)
        mine, given = (
            ggsa.inputs(model.tokenizer, *arguments) for arguments in ((texts,), (words, tags))
        )
        assert all(torch.equal(mine[name], given[name]) for name in given)
    alone = model.predict([words[1]], [tags[1]])[0]
    assert model.predict("not bad") == model.predict("not bad", tags[1]) == alone
    assert ggsa.inputs(model.tokenizer, "not bad")["tags"].shape == (1, 4)
    assert len(loaded) == 1, "the tagger is loaded once"
