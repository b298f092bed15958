"""Adapted encoders: what they learn, on which sentences, and what starts from them."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from small_corpus import write_corpus, write_split
from small_models import PIECES, enlarged
from transformers import AutoModel, BertConfig, BertModel

from ggsa.assets import corpora
from ggsa.assets.corpora import Read
from ggsa.assets.corpus import Sentence
from ggsa.evaluation.arm_patterns import patterns_table
from ggsa.patterns import positional
from ggsa.patterns.modes import PatternData, pattern_for
from ggsa.patterns.pattern import Pattern
from ggsa.tagging import splits, unlabeled
from ggsa.tagging.splits import read_split
from ggsa.training import adaptation, loop, resume, studies, study_cells
from ggsa.training.cell import CELL
from ggsa.workspace import artifacts, config, paths
from ggsa.workspace.errors import UserError
from ggsa.workspace.tables import read_table, write_table
from ggsa.workspace.vocabulary import TAGS

ROOT = Path(__file__).resolve().parents[2]
RECIPE: dict[str, Any] = {
    "batch_size": 4, "learning_rate": 5e-3, "epochs": 4, "warmup": 0.1, "weight_decay": 0.01,
    "clip_norm": 1.0, "dropout": 0.1, "attention_dropout": 0.0,
}  # fmt: skip
SETTINGS = {"sentences": 40, "seed": 3, "recipe": RECIPE}
STUDY = {
    "title": "Adapted",
    "question": "Does adaptation help?",
    "reference": "hard",
    "overrides": {
        "train.max_pieces": 12,
        "train.evaluate_every": 10,
        "train.recipe": "pretrained",
        "train.recipes.pretrained.epochs": 1,
    },
    "adaptation": SETTINGS,
    "arms": {"hard": None, "hard-adapted": {"mode": "hard", "adapted": True}},
    "corpora": {"sst2": {"base": None, "seeds": [7]}},
}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tagged corpus, an encoder with weights, unlabeled sentences and a study."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for name in ("CORPUS", "TAGS", "ENCODER"):
        monkeypatch.setattr(paths, name, Path("data") / name.lower())
    monkeypatch.setattr(paths, "RUNS", Path("runs"))
    write_corpus()
    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    settings = BertConfig(vocab_size=len(PIECES), intermediate_size=32,
                          max_position_embeddings=32, **sizes)  # fmt: skip
    enlarged(BertModel(settings)).save_pretrained(paths.ENCODER)
    about = {"corpus": {"name": "sst2"}, "encoder": {"pretrained": True}, "is_sst2": True}
    artifacts.write_json(paths.provenance(), about)
    table = splits.read_words("train")[["words", "tags"]].assign(source="train").head(40)
    write_table(paths.unlabeled(), table)
    artifacts.write_text(studies.declaration("tiny"), yaml.safe_dump(STUDY, sort_keys=False))
    return tmp_path


def params() -> config.Params:
    return config.load(overrides=STUDY["overrides"])


def adapted(mode: str = "diagonal", **recipe: object) -> adaptation.Adapted:
    settings = {**SETTINGS, "recipe": {**RECIPE, **recipe}}
    pattern = pattern_for(mode, params().rules, 3, PatternData(params()))
    held_out = read_split("selection", 12).sentences
    sentences = adaptation.read_unlabeled(12)
    return adaptation.adapted(params(), pattern, settings, sentences, held_out, mode)


def about(encoder: adaptation.Adapted) -> dict[str, Any]:
    return artifacts.read_json(encoder.folder / adaptation.ABOUT)


def test_an_adapted_encoder_is_nearer_to_what_it_computed_without_a_mask(workspace: Path) -> None:
    encoder = adapted()
    distances, history = encoder.distances, about(encoder)["history"]
    assert distances["distance_after"] < 0.8 * distances["distance_before"]
    assert history[-1]["loss"] < history[0]["loss"]
    assert history[-1]["step"] == 40


def test_without_a_mask_there_is_nothing_to_learn(workspace: Path) -> None:
    assert adapted("full").distances["distance_before"] == pytest.approx(0, abs=1e-10)


def test_the_distance_is_the_mean_over_pieces_and_dimensions_without_padding(
    workspace: Path,
) -> None:
    found = adapted("diagonal", learning_rate=1e-30).distances
    sentences = read_split("selection", 12).sentences
    model = AutoModel.from_pretrained(paths.ENCODER).eval()
    squares = []
    for pieces, tags in zip(sentences.pieces, sentences.tags, strict=True):
        whole = torch.from_numpy(pieces.astype(np.int64))[None]
        bias = torch.full((1, 1, len(tags), len(tags)), -torch.inf)
        bias[0, 0].fill_diagonal_(0)
        bias[0, 0, 0] = 0  # [CLS] attends to every token
        with torch.no_grad():
            full = model(input_ids=whole).last_hidden_state
            masked = model(input_ids=whole, attention_mask=bias).last_hidden_state
        squares.append((full - masked).square().flatten(1))
    expected = float(torch.cat(squares, 1).mean())
    assert found["distance_before"] == pytest.approx(expected, rel=1e-5)


def test_an_interrupted_adaptation_ends_with_the_same_bits(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninterrupted = adapted()
    expected = (uninterrupted.folder / "model.safetensors").read_bytes()
    shutil.rmtree(paths.ADAPTED)
    save = resume.save

    def interrupted(path, *others):
        save(path, *others)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(resume, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            adapted()
    assert not uninterrupted.folder.exists()
    resumed = adapted()
    assert [row["step"] for row in about(resumed)["history"]] == [10, 20, 30, 40]
    assert resumed == uninterrupted
    assert (resumed.folder / "model.safetensors").read_bytes() == expected
    assert not list(paths.ADAPTED.glob("*.pt"))


def test_an_encoder_is_adapted_once_for_the_same_settings_pattern_data_and_machine(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = adapted()
    again = adapted()
    assert first.is_new and not again.is_new
    assert (again.folder, again.distances) == (first.folder, first.distances)
    assert adapted("full").folder != first.folder
    assert adapted(epochs=1).folder != first.folder
    monkeypatch.setattr(adaptation, "machine", lambda _: {"cpu_vendor": "another"})
    assert adapted(epochs=1).is_new


def test_an_encoder_without_weights_cannot_be_adapted(workspace: Path) -> None:
    (paths.ENCODER / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"holds no weights.*initialization to pretrained"):
        adapted()


# Cells that start from an adapted encoder.


@pytest.fixture
def planned(workspace: Path) -> None:
    study_cells.plan("tiny", "sst2")


def content_of(arm: str) -> dict[str, Any]:
    study_cells.train_cell("tiny", "sst2", arm, 7)
    return artifacts.read_json(studies.cell_folder("tiny", "sst2", arm, 7) / CELL)


def test_a_cell_of_an_adapted_arm_starts_from_the_adapted_encoder(
    planned: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    build = loop.build.build
    monkeypatch.setattr(
        loop.build, "build", lambda folder, *others: seen.append(folder) or build(folder, *others)
    )
    with_adaptation, without = content_of("hard-adapted"), content_of("hard")
    (made,) = paths.ADAPTED.iterdir()
    assert seen == [made, paths.ENCODER]
    assert with_adaptation["settings"]["adaptation"]["recipe"] == RECIPE
    assert "adaptation" not in without["settings"]
    summary = with_adaptation["summary"]
    assert 0 < summary["distance_after"] < summary["distance_before"]
    assert "distance_after" not in without["summary"]
    assert with_adaptation["taken_from"] is without["taken_from"] is None
    plan = artifacts.read_json(studies.plan_file("tiny", "sst2", "hard-adapted", 7))
    assert plan["settings"] == with_adaptation["settings"]
    seconds = pd.read_csv(studies.seconds_file("tiny", "sst2"))
    assert seconds["cell"].tolist() == ["adapt-hard-adapted", "hard-adapted-7", "hard-7"]


def test_a_plan_for_other_sentences_is_stale(planned: None) -> None:
    table = read_table(paths.unlabeled(), adaptation.UNLABELED_COLUMNS)
    write_table(paths.unlabeled(), table.head(30))
    with pytest.raises(UserError, match="was planned with other settings"):
        content_of("hard-adapted")
    paths.unlabeled().unlink()
    with pytest.raises(UserError, match=r"unlabeled\.parquet does not exist.*make study"):
        content_of("hard-adapted")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"adaptation": None}, "adaptation: state it if, and only if"),
        ({"arms": {"hard": None}}, "adaptation: state it if, and only if"),
        (
            {"arms": {"hard": None, "b": {"mode": "hard", "adapted": True, "weights_of": "hard"}}},
            "weights_of trains nothing; remove adapted",
        ),
    ],
)
def test_a_declaration_that_adapts_nothing_is_refused(
    workspace: Path, changes: dict, said: str
) -> None:
    artifacts.write_text(studies.declaration("tiny"), yaml.safe_dump({**STUDY, **changes}))
    with pytest.raises(UserError) as caught:
        studies.load("tiny")
    assert said in str(caught.value)


# What the arms of a study share with hard.


def test_the_table_of_patterns_counts_pairs_one_by_one(workspace: Path) -> None:
    arms = {"hard": None, "complement": None, "shuffled": None, "hard_neighbors": None}
    corpora = {"sst2": {"base": None, "seeds": [7, 8]}}
    declared = {**STUDY, "arms": arms, "corpora": corpora}
    del declared["adaptation"]
    artifacts.write_text(studies.declaration("tiny"), yaml.safe_dump(declared, sort_keys=False))
    study_cells.plan("tiny", "sst2")
    table = patterns_table(studies.load("tiny"), "sst2").set_index("arm")
    sentences = [read_split(split, 12).sentences for split in ("validation", "test")]
    hard = pattern_for("hard", params().rules, 7, PatternData(params()))
    for arm, row in table.iterrows():
        allowed = total = shared = of_hard = fewer = 0
        for seed in (7, 8):
            pattern = pattern_for(str(arm), params().rules, seed, PatternData(params()))
            for tags, identity in (
                pair for s in sentences for pair in zip(s.tags, s.identities, strict=True)
            ):
                pairs = reference(pattern, tags, identity)
                every = reference(hard, tags, identity)
                free = {(q, k) for q, k in every if q != k and TAGS[tags[q]] != "[CLS]"}
                allowed, total = allowed + len(pairs), total + len(tags) ** 2
                shared, of_hard = shared + len(free & pairs), of_hard + len(free)
                fewer += len(pairs) < len(every)
        assert row["density"] == pytest.approx(allowed / total)
        assert row["shared_with_hard"] == pytest.approx(shared / of_hard)
        assert row["sentences_with_fewer"] == pytest.approx(fewer / 240)
    assert table.loc["hard", ["shared_with_hard", "sentences_with_fewer"]].tolist() == [1, 0]
    assert table.loc["complement", "shared_with_hard"] == 0


def reference(pattern: Pattern, tags: np.ndarray, identity: int) -> set[tuple[int, int]]:
    """The allowed pairs of a sentence by itself."""
    if pattern.positional is None:
        places = range(len(tags))
        table = pattern.allowed
        return {(q, k) for q in places for k in places if q == k or table[tags[q], tags[k]]}
    nothing = np.zeros((1, len(tags)), bool)
    pairs = positional.allowed_pairs(
        pattern.positional, pattern.allowed, tags[None], nothing, np.array([identity])
    )
    return {(int(q), int(k)) for _, q, k in np.argwhere(pairs)}


# The sentences.


@pytest.fixture
def reviews(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Sentence]]:
    """Reviews in place of IMDB's, and a tagger that knows one tag."""
    monkeypatch.setattr(splits, "FRESH_SENTENCES", 8)
    random = np.random.default_rng(0)
    made = [
        Sentence(
            tuple(w for _ in range(12) for w in (*map(str, random.integers(0, 99, 11)), ".")), 0
        )
        for _ in range(30)
    ]
    imdb = corpora.get("imdb")
    description = {"name": "imdb"}
    read = lambda _: Read({"train": made}, description)  # noqa: E731
    monkeypatch.setattr(corpora, "get", lambda _: type(imdb)(imdb.label, read, imdb.about))
    tagged = lambda _, sentences: [["NOUN"] * len(words) for words in sentences]  # noqa: E731
    monkeypatch.setattr(unlabeled, "_tagged", tagged)
    yield made


def drawn(count: int = 20, seed: int = 1) -> pd.DataFrame:
    overrides = {**STUDY["overrides"], "train.rows": "sentences"}
    unlabeled.write_unlabeled(config.load(overrides=overrides), count, seed)
    return read_table(paths.unlabeled(), adaptation.UNLABELED_COLUMNS)


def test_half_of_the_sentences_are_of_train_and_half_of_reviews(reviews: list[Sentence]) -> None:
    table = drawn()
    assert table["source"].value_counts().to_dict() == {"train": 10, "imdb": 10}
    assert (table["words"].map(len) == table["tags"].map(len)).all()
    known = {json.dumps(list(words)) for words in splits.read_words("train")["words"]}
    own = table.query("source == 'train'")["words"]
    assert {json.dumps(list(words)) for words in own} <= known
    texts = [" ".join(review.words) for review in reviews]
    for words in table.query("source == 'imdb'")["words"]:
        assert any(" ".join(words) in text for text in texts)
    assert drawn().equals(table)
    assert not drawn(seed=2).equals(table)


def test_no_phrase_of_a_sentence_that_is_held_out_is_among_them(reviews: list[Sentence]) -> None:
    train = splits.read_words("train")
    words = [list(row) for row in train["words"]]
    fresh = {*splits.read_words("fresh")["id"]}
    place = next(
        row for row, name in enumerate(train["id"]) if name in fresh and len(words[row]) > 8
    )
    phrase = words[place][:6]
    other = next(row for row, name in enumerate(train["id"]) if name not in fresh)
    words[other] = phrase
    tags = [list(row) for row in train["tags"]]
    tags[other] = tags[place][:6]
    write_split("train", corpus_words=words, tags_tags=tags)
    for seed in range(5):
        chosen = [list(row) for row in drawn(40, seed).query("source == 'train'")["words"]]
        assert phrase not in chosen
        long = [list(row) for row in splits.read_words("fresh")["words"] if len(row) > 8]
        assert long and not any(row in chosen for row in long)


def test_too_few_sentences_of_either_source_are_refused(reviews: list[Sentence]) -> None:
    with pytest.raises(UserError, match=r"needs 200 sentences of train.*Lower it"):
        drawn(400)
    del reviews[1:]
    with pytest.raises(UserError, match=r"needs 15 sentences of IMDB.*has 12 of 4 to 50 words"):
        drawn(30)


def test_the_probe_corpus_never_stands_in_for_reviews(
    reviews: list[Sentence], monkeypatch: pytest.MonkeyPatch
) -> None:
    imdb = corpora.get("imdb")
    other = lambda _: Read({"train": reviews}, {"name": "probe"})  # noqa: E731
    monkeypatch.setattr(corpora, "get", lambda _: type(imdb)(imdb.label, other, imdb.about))
    with pytest.raises(UserError, match="needs sentences of IMDB"):
        drawn()
