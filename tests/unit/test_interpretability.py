"""What is measured on attention: entropy, relations, erasure, and the intervals and verdicts."""

import json

import numpy as np
import pandas as pd
import pytest
import small_models
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ggsa.evaluation.interpretability import (
    attention,
    dependency,
    erasure,
    measure,
    ratios,
    sentences,
    tables,
)
from ggsa.evaluation.statistics import crossed_standard_error
from ggsa.model import classifier
from ggsa.workspace import config, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import write_table

SHARES = st.sampled_from((0.1, 0.2, 0.25, 0.5, 1.0))


def softmax_rows(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).softmax(-1)


# Entropy.


@given(st.integers(2, 40))
def test_uniform_attention_has_entropy_one_and_a_single_key_none(keys):
    even = torch.full((1, keys), 1 / keys)
    single = torch.eye(keys)[:1]
    allowed = torch.tensor([keys])
    assert float(attention.normalized_entropy(even, allowed)) == pytest.approx(1, abs=1e-5)
    assert float(attention.normalized_entropy(single, allowed)) == 0


@given(st.integers(0, 1000), st.integers(2, 12))
def test_entropy_lies_between_none_and_uniform(seed, keys):
    entropy = attention.normalized_entropy(softmax_rows(seed, 3, keys), torch.full((3,), keys))
    assert ((entropy > 0) & (entropy < 1 + 1e-6)).all()


def test_a_query_with_one_key_has_no_entropy():
    assert float(attention.normalized_entropy(torch.tensor([[1.0]]), torch.tensor([1]))) == 0


@given(st.integers(0, 1000))
def test_attention_between_words_keeps_what_words_give_to_words(seed):
    weights = softmax_rows(seed, 1, 5, 5)
    member = torch.zeros(1, 5, 3)
    for piece, word in enumerate((0, 0, 1, 2, 2)):  # no special tokens: nothing is lost
        member[0, piece, word] = 1
    words = attention.between_words(weights, member)
    assert torch.allclose(words.sum(-1), torch.ones(1, 3), atol=1e-6)
    assert float(words[0, 1, 0]) == pytest.approx(float(weights[0, 2, :2].sum()), abs=1e-6)


# Dependency relations.


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 4))
def test_offsets_hit_what_counting_word_by_word_hits(seed, size, offsets):
    table = np.random.default_rng(seed).random((size, size)) < 0.4
    count = dependency.offset_hits([table], offsets)[0]
    for step, hits in zip(dependency.offset_steps(offsets), count, strict=True):
        inside = [i for i in range(size) if 0 <= i + step < size]
        assert hits == sum(table[i, i + step] for i in inside)


@given(st.integers(0, 1000), st.integers(2, 30), st.integers(1, 5))
def test_the_best_choice_is_read_only_where_it_was_not_chosen(seed, rows, choices):
    count = np.random.default_rng(seed).integers(0, 9, (rows, choices))
    best, (on_even, on_odd) = dependency.best_on_other_half(count)
    assert on_even == count[1::2].sum(0).argmax()
    assert on_odd == count[0::2].sum(0).argmax()
    assert (best[0::2] == count[0::2, on_even]).all()
    assert (best[1::2] == count[1::2, on_odd]).all()


CONLLU = """# text = The Plot isnot thin
1	The	the	DET	_	_	2	det	_	_
2	Plot	plot	NOUN	_	_	5	nsubj	_	_
3-4	isnot	_	_	_	_	_	_	_	_
3	is	be	AUX	_	_	5	cop	_	_
4	not	not	PART	_	_	5	advmod	_	_
5	thin	thin	ADJ	_	_	0	root	_	_
5.1	was	be	AUX	_	_	_	_	5:x	_

1	Bad	bad	ADJ	_	_	0	root	_	_

1	a	a	DET	_	_	2	det	_	_
2	film	film	NOUN	_	_	0	root	_	_
"""


def chosen(**changes: int) -> sentences.Treebank:
    defaults = {"sentences": 9, "shortest": 2, "longest": 40, "offsets": 2}
    return sentences.Treebank(**defaults | changes)


def test_a_tree_has_syntactic_words_in_lower_case_and_no_empty_nodes(tmp_path):
    (tmp_path / "dev.conllu").write_text(CONLLU)
    first, second = dependency.read_trees(tmp_path / "dev.conllu", chosen())
    assert first.words == ("the", "plot", "is", "not", "thin")
    assert first.tags == ("DET", "NOUN", "AUX", "PART", "ADJ")
    assert first.heads == (1, 4, 4, 4, -1)
    assert second.words == ("a", "film")  # the sentence of one word is too short
    related = first.related()
    assert (related == related.T).all() and related.sum() == 8 and not related.diagonal().any()


def test_the_first_trees_of_the_chosen_lengths_are_read(tmp_path):
    (tmp_path / "dev.conllu").write_text(CONLLU)
    (only,) = dependency.read_trees(tmp_path / "dev.conllu", chosen(shortest=1, sentences=1))
    assert len(only.words) == 5
    short = dependency.read_trees(tmp_path / "dev.conllu", chosen(shortest=1, longest=2))
    assert [len(tree.words) for tree in short] == [1, 2]


@pytest.mark.parametrize(
    "content",
    [
        b"1\tonly\tthree\n",
        b"fil\xe9\n",
        CONLLU.replace("\t2\tdet", "\t99\tdet", 1).encode(),
        None,
    ],
)
def test_a_file_that_is_not_a_treebank_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "dev.conllu").write_bytes(content)
    with pytest.raises(UserError, match=r"dev\.conllu: expected a treebank in CoNLL-U format"):
        dependency.read_trees(tmp_path / "dev.conllu", chosen())


def test_a_treebank_without_a_sentence_of_the_chosen_lengths_is_refused(tmp_path):
    (tmp_path / "dev.conllu").write_text(CONLLU)
    with pytest.raises(UserError, match="expected sentences of 30 to 40 words, got none"):
        dependency.read_trees(tmp_path / "dev.conllu", chosen(shortest=30))


# Erasure.


@given(st.integers(1, 60), SHARES)
def test_at_least_one_word_and_never_more_than_all_are_erased(length, share):
    assert 1 <= erasure.erased_words(length, share) <= length


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), SHARES)
def test_no_word_that_is_kept_was_attended_more_than_one_that_is_erased(row, share):
    row = np.array(row)
    (gone,) = erasure.top_words([row], share)
    kept = np.setdiff1d(np.arange(len(row)), gone)
    assert len(gone) == erasure.erased_words(len(row), share)
    assert not len(kept) or row[gone].min() >= row[kept].max()


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), SHARES, st.integers(0, 99))
def test_random_words_are_as_many_without_repetition_and_follow_from_the_seed(lengths, share, seed):
    drawn = erasure.random_words(lengths, share, seed)
    for length, words in zip(lengths, drawn, strict=True):
        assert len(set(words)) == len(words) == erasure.erased_words(length, share)
        assert set(words) <= set(range(length))
    again = erasure.random_words(lengths, share, seed)
    assert all((one == two).all() for one, two in zip(drawn, again, strict=True))


def test_deleted_and_kept_words_make_up_the_sentence_and_keep_their_tags():
    texts = erasure.Texts(small_models.WORDS, small_models.TAGGED)
    places = [np.array([0, 3]), np.array([1]), np.array([2])]
    gone, rest = texts.only(places), texts.without(places)
    assert gone.words == [["the", "thin"], ["bad"], ["film"]]
    assert rest.words == [["plot", "is", "."], ["not"], ["a", "good", "plots"]]
    assert gone.tags == [["DET", "ADJ"], ["ADJ"], ["NOUN"]]
    assert rest.tags == [["NOUN", "AUX", "PUNCT"], ["PART"], ["DET", "ADJ", "NOUN"]]


# Ratios, their intervals, and verdicts.


def ratio(seed: int, seeds: int = 5, rows: int = 40) -> ratios.Ratio:
    stream = np.random.default_rng(seed)
    bottom = stream.integers(1, 9, rows).astype(float)
    return ratios.Ratio(stream.random((seeds, rows)) * bottom, bottom)


@given(st.integers(0, 1000))
def test_the_contributions_average_to_the_ratio(seed):
    value = ratio(seed)
    assert value.contributions.mean() == pytest.approx(value.mean)
    assert value.mean == pytest.approx((value.top.sum(1) / value.bottom.sum()).mean())


@given(st.integers(0, 1000))
def test_a_plain_mean_has_the_standard_error_of_the_accuracies(seed):
    values = np.random.default_rng(seed).random((4, 30))
    result = ratios.estimate(ratios.Ratio(values, np.ones(30)))
    error, freedom = crossed_standard_error(values)
    assert (result.error, result.freedom) == pytest.approx((error, freedom))
    low, high = result.interval()
    assert high - low == pytest.approx(2 * stats.t.ppf(0.975, freedom) * error)
    assert result.p == pytest.approx(2 * stats.t.sf(values.mean() / error, freedom))


@given(st.integers(0, 1000))
def test_a_ratio_does_not_differ_from_itself(seed):
    value = ratio(seed)
    result = ratios.estimate(value, value)
    assert result.interval() == (0, 0) and result.p == 1


@given(st.integers(0, 1000), st.floats(0.5, 2.0))
def test_a_constant_shift_is_found_with_certainty(seed, shift):
    value = ratio(seed)
    moved = ratios.Ratio(value.top + shift * value.bottom, value.bottom)
    result = ratios.estimate(moved, value)
    assert result.interval() == pytest.approx((shift, shift), abs=1e-6)
    assert result.p < 1e-6


def test_one_seed_has_no_interval_and_no_verdict():
    result = ratios.estimate(ratio(1, seeds=1), ratio(2, seeds=1))
    assert np.isnan([*result.interval(), result.p, result.smallest_detectable(3)]).all()
    assert tables.verdict(result.mean, result.p, 1) == "no verdict: fewer than 5 seeds"


def test_a_verdict_answers_the_direction_that_the_question_asks_for():
    assert tables.verdict(0.1, 0.01, 5) == "yes"
    assert tables.verdict(-0.1, 0.01, 5) == "no"
    assert tables.verdict(-0.1, 0.01, 5, lower=True) == "yes"
    assert tables.verdict(0.1, 0.01, 5, lower=True) == "no"
    assert tables.verdict(0.1, 0.05, 5) == "inconclusive"
    assert tables.verdict(0.1, float("nan"), 5) == "inconclusive"
    assert tables.verdict(0.1, 0.01, 4) == "no verdict: fewer than 5 seeds"


def asked(shifts: dict[str, float], failed: tuple[str, ...] = ()) -> pd.DataFrame:
    """The findings on arms that lie above full by a shift, in two measures and one baseline."""
    result = tables.Tables(failed)
    full = ratio(1)
    arms = {"full": full} | {
        arm: ratios.Ratio(full.top + shift * full.bottom + ratio(2).top / 50, full.bottom)
        for arm, shift in shifts.items()
    }
    for name in ("one", "two"):
        result.ask_against_full("Is {arm} above full?", "topic", name, arms)
    for arm, value in arms.items():
        result.ask(tables.Question("Above?", "topic", "one", arm, "uniform", value, full))
    return result.findings()


def test_an_arm_against_full_is_one_family_of_holm_and_its_baselines_are_another():
    rows = asked({"hard": 0.0, "soft": 0.02})
    rows = rows[rows["question"].str[:3] != "C6:"]
    assert rows.groupby("family").size().to_dict() == {
        "hard and full": 2, "soft and full": 2, "hard and baselines": 1, "soft and baselines": 1
    }  # fmt: skip
    sizes = rows.groupby("family")["p"].transform("size")
    smallest = rows.groupby("family")["p"].transform("min")
    first = rows[rows["p"] == smallest]
    assert first["p_holm"].to_numpy() == pytest.approx((first["p"] * sizes[first.index]).clip(0, 1))


def test_c6_is_yes_only_where_every_comparison_with_full_is():
    rows = asked({"hard": -0.5, "soft": 0.5})
    claims = rows[rows["question"].str[:3] == "C6:"].set_index("arm")
    assert claims["verdict"].to_dict() == {"hard": "no", "soft": "yes"}
    assert set(claims["measure"]) == {"all 2 comparisons with full above"}
    assert "full" not in set(rows[rows["baseline"] == "full"]["arm"])


def test_a_question_whose_sides_are_equal_by_construction_is_not_asked():
    result = tables.Tables()
    result.ask(tables.Question("Above?", "topic", "one", "full", "uniform", ratio(1), ratio(1)))
    assert result.questions == []


# The study as a whole.


@pytest.fixture
def core(tmp_path, root, monkeypatch):
    """A workspace with a corpus, tags, and small models of four modes and two seeds."""
    parameters = root / "params.yaml"
    monkeypatch.chdir(tmp_path)
    full = small_models.FULL
    patterns = {"full": full, "hard": small_models.table(), "soft": small_models.table(0.6)}
    itself = np.where(small_models.table(0).allowed, 0, -np.inf).astype(np.float32)
    patterns["diagonal"] = type(full)("diagonal", full.tags, itself)
    for mode, pattern in patterns.items():
        for seed in (1, 2):
            small_models.run(paths.cell(paths.CORE, mode, seed), pattern)
    small_models.tokenizer(paths.ENCODER)
    count = 4 * len(small_models.WORDS)
    ids = [f"v{i}" for i in range(count)]
    words, tags = 4 * small_models.WORDS, 4 * small_models.TAGGED
    corpus = pd.DataFrame({"id": ids, "words": words, "label": 0})
    write_table(paths.corpus_split("validation"), corpus)
    write_table(paths.tags_split("validation"), pd.DataFrame({"id": ids, "tags": tags}))
    paths.provenance().write_text(json.dumps({"corpus": {"name": "sst2"}, "is_sst2": True}))
    (tmp_path / "dev.conllu").write_text("\n\n".join([CONLLU.strip()] * 4) + "\n")
    params = config.load(parameters)
    grid = params.grid.model_copy(update={"modes": tuple(patterns), "seeds": (1, 2)})
    return params.model_copy(update={"grid": grid})


SETTINGS = sentences.Settings(
    sentences=None,
    treebank=chosen(),
    erasure=sentences.Erasure(share=0.2, shortest=3, draws=2),
)


def by_tag(words):
    return [["NOUN"] * len(row) for row in words]


@pytest.mark.parametrize("failed", ["hard", "full"])
def test_no_verdict_follows_from_an_arm_that_did_not_learn(failed):
    findings = asked({"hard": 0.2, "soft": 0.2}, (failed,))
    concerned = (findings["arm"] == failed) | (findings["baseline"] == failed)
    verdicts = findings["verdict"] == f"no verdict: {failed} did not learn"
    assert (verdicts == concerned).all() and concerned.any()
    claim = findings["question"].str.startswith("C6") & (findings["arm"] == "hard")
    assert verdicts[claim].all() and claim.any()


def test_every_arm_has_one_row_per_measure(core, tmp_path):
    result = measure.measured(core, SETTINGS, measure.trained, by_tag, tmp_path / "dev.conllu")
    rows = result["measures"]
    assert not rows.duplicated(["measure", "arm"]).any()
    assert (rows.groupby("measure")["arm"].agg(list).map(tuple) == core.grid.modes).all()
    assert set(rows["topic"]) == {"sharpness", "rules", "dependency", "erasure"}
    assert (rows["seeds"] == 2).all()
    assert (rows["sd"].abs() < 1e-9).all()  # both seeds of a mode are the same model
    assert set(result["findings"]["verdict"]) == {"no verdict: fewer than 5 seeds"}
    shares = rows[rows["topic"] == "rules"].set_index("arm")["mean"]
    assert shares["diagonal"] == 0 < shares["hard"]


def test_without_treebank_or_hard_mode_a_note_takes_the_place_of_the_measure(core):
    grid = core.grid.model_copy(update={"modes": ("full", "soft")})
    params = core.model_copy(update={"grid": grid})
    result = measure.measured(params, SETTINGS, measure.trained, by_tag, None)
    assert set(result["measures"]["topic"]) == {"sharpness", "erasure"}
    notes = result["notes"].set_index("topic")["note"]
    assert notes[["dependency", "rules"]].str.startswith("Not measured").all()


def test_a_treebank_whose_words_the_vocabulary_lacks_is_left_out(core, tmp_path):
    path = tmp_path / "dev.conllu"
    path.write_text(path.read_text().replace("film", "movie"))
    grid = core.grid.model_copy(update={"modes": ("hard",), "seeds": (1,)})
    params = core.model_copy(update={"grid": grid})
    result = measure.measured(params, SETTINGS, measure.trained, by_tag, path)
    assert set(result["measures"]["topic"]) == {"sharpness", "rules", "erasure"}
    assert result["measures"][["sd", "low", "high"]].isna().all(axis=None)  # one seed
    assert result["notes"]["note"].str.contains("the vocabulary lacks words").any()


def test_deletion_is_measured_on_the_predicted_class(core):
    model = measure.trained("hard", 1)
    texts = erasure.Texts(small_models.WORDS[:1], small_models.TAGGED[:1])
    order = [np.array([0.1, 0.5, 0.2, 0.1, 0.1])]
    (top,), _ = erasure.effects(model, texts, order, SETTINGS.erasure, 0)
    words, tags = list(texts.words[0]), list(texts.tags[0])
    (whole,) = model.predict([words], [tags])
    (alone,) = model.predict([words[1:2]], [tags[1:2]])
    (without,) = model.predict([words[:1] + words[2:]], [tags[:1] + tags[2:]])
    kept = whole.probabilities[whole.label]
    assert top == pytest.approx(
        [
            kept - without.probabilities[whole.label],
            kept - alone.probabilities[whole.label],
            float(without.label != whole.label),
        ],
        abs=1e-5,
    )


def test_another_corpus_or_a_missing_model_is_named_before_anything_is_measured(core, tmp_path):
    with pytest.raises(UserError, match="holds the corpus sst2, and the study needs imdb"):
        measure.measure("imdb", core, SETTINGS, tmp_path / "tables")
    grid = core.grid.model_copy(update={"seeds": (1, 3)})
    with pytest.raises(UserError, match="full-3 has no model"):
        measure.measure("sst2", core.model_copy(update={"grid": grid}), SETTINGS, tmp_path)


def test_tags_of_other_sentences_are_not_measured(core):
    table = pd.DataFrame({"id": [f"t{i}" for i in range(12)], "tags": 4 * small_models.TAGGED})
    write_table(paths.tags_split("validation"), table)
    model = classifier.load(paths.cell(paths.CORE, "full", 1))
    with pytest.raises(UserError, match="their ids"):
        sentences.read_split("validation", model.tokenizer, 16, None)


def test_the_settings_of_the_study_are_complete(root, monkeypatch, tmp_path):
    monkeypatch.chdir(root)
    assert sentences.load_settings().erasure.draws >= 1
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"settings\.yaml does not exist"):
        sentences.load_settings()
    path = paths.STUDIES / "interpretability" / "settings.yaml"
    path.parent.mkdir(parents=True)
    text = (root / path).read_text()
    path.write_text(text.replace("share: 0.2", "share: 2").replace("offsets: 5", "offset: 5"))
    with pytest.raises(UserError, match=r"treebank\.offsets: .*erasure\.share: .* got 2"):
        sentences.load_settings()
