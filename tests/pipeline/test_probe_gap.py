"""The gap that the probe corpus is designed for, and the tagger trained on its grammar."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from stanza import Pipeline
from workspace import SHORT

from ggsa.assets import corpus, encoder, probe
from ggsa.assets import sentences as corpus_sentences
from ggsa.assets.probe import treebank
from ggsa.patterns.modes import PatternData, pattern_for
from ggsa.patterns.pattern import write_pattern
from ggsa.training.cell import train_core_cell
from ggsa.workspace import artifacts, config, paths
from ggsa.workspace.tables import PREDICTION_COLUMNS, read_table, write_table

pytestmark = pytest.mark.pipeline
SEED = 13


@pytest.fixture(scope="module")
def params(request):
    """The committed parameters, with the embedded assets and one thread."""
    loaded = config.load(request.config.rootpath / paths.PARAMS)
    changes = {
        "assets": loaded.assets.model_copy(update={"source": "embedded"}),
        "corpus": loaded.corpus.model_copy(update={"name": "probe", "limit": None}),
        "encoder": loaded.encoder.model_copy(update={"initialization": "from_scratch"}),
        "train": loaded.train.model_copy(
            update={"recipe": "probe", "device": "cpu", "precision": "auto", "threads": 1}
        ),
    }
    return loaded.model_copy(update=changes)


@pytest.fixture(scope="module")
def sentences(params) -> dict[str, list[probe.ProbeSentence]]:
    return probe.generate(params.corpus.seed)


@pytest.fixture(scope="module")
def predictions(params, sentences, tmp_path_factory) -> pd.DataFrame:
    """Predictions of full attention, trained by the probe's recipe on gold tags."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("gap"))
        obtained = corpus_sentences.obtain(params)
        corpus.write(paths.CORPUS, obtained.tables)
        artifacts.write_json(paths.provenance(), {"corpus": obtained.provenance})
        for split, table in obtained.tables.items():
            gold = {s.words: s.tags for s in sentences.get(split, [])}
            tags = [list(gold.get(tuple(words), ["X"] * len(words))) for words in table["words"]]
            write_table(paths.tags_split(split), pd.DataFrame({"id": table["id"], "tags": tags}))
        paths.ENCODER.mkdir(parents=True)
        encoder.obtain(params, obtained.splits["train"], paths.ENCODER)
        table = pattern_for("full", params.rules, 0, PatternData(params))
        write_pattern(paths.rule_table("full"), table)
        train_core_cell(params, "full", SEED)
        return read_table(
            paths.cell("core", "full", SEED) / "predictions.parquet", PREDICTION_COLUMNS
        )


def is_right(predictions: pd.DataFrame, split: str) -> np.ndarray:
    """Whether the prediction of each sentence of a split is right, in the split's order."""
    rows = predictions[predictions["split"] == split]
    return np.stack(list(rows["logits"])).argmax(1) == rows["label"].to_numpy()


def best_bag(sentences, split: str, longest: int) -> float:
    """Accuracy of the better of two bags of n-grams up to `longest` words, counts and tf-idf."""
    accuracies = []
    for counted in (CountVectorizer, TfidfVectorizer):
        bag = counted(ngram_range=(1, longest), token_pattern=r"\S+")
        train, judged = (
            (" ".join(s.words) for s in sentences["train"]),
            (" ".join(s.words) for s in sentences[split]),
        )
        model = LogisticRegression(max_iter=500)
        model.fit(bag.fit_transform(train), [s.label for s in sentences["train"]])
        accuracies.append(model.score(bag.transform(judged), [s.label for s in sentences[split]]))
    return max(accuracies)


@pytest.mark.parametrize("split", ["validation", "test"])
class TestFullAttention:
    def test_its_accuracy_is_80_percent_and_10_points_above_any_bag_of_words(
        self, predictions, sentences, split
    ) -> None:
        accuracy = is_right(predictions, split).mean()
        assert accuracy >= 0.80
        assert accuracy >= 0.10 + best_bag(sentences, split, 1)
        assert accuracy >= 0.10 + best_bag(sentences, split, 2)


def test_full_attention_learns_every_phenomenon(predictions, sentences) -> None:
    right = defaultdict(list)
    for split in ("validation", "test"):
        for sentence, correct in zip(sentences[split], is_right(predictions, split), strict=True):
            for name in sentence.phenomena:
                right[name].append(correct)
    assert set(right) == set(probe.PHENOMENA)
    assert {name: np.mean(hits) for name, hits in right.items() if np.mean(hits) < 0.70} == {}


@pytest.fixture(scope="module")
def tagger(params, tmp_path_factory) -> Path:
    """The tagger, as the download stage trains it."""
    return treebank.train_tagger(tmp_path_factory.mktemp("tagger"), params.corpus.seed)


def test_two_trainings_give_bit_identical_taggers(own_tagger: Path, tmp_path: Path) -> None:
    treebank.trained_on(treebank.treebank(1), tmp_path / "again.pt", 1, SHORT)
    one, two = (
        torch.load(path, weights_only=True)["model"] for path in (own_tagger, tmp_path / "again.pt")
    )
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert own_tagger.read_bytes() == (tmp_path / "again.pt").read_bytes()


def test_a_trained_tagger_contains_no_path_of_its_machine(tagger: Path) -> None:
    assert str(tagger.parent.parent).encode() not in tagger.read_bytes()
    assert b".conllu" not in tagger.read_bytes()


def test_the_tagger_reads_the_context(tagger, sentences, tmp_path) -> None:
    (tmp_path / "resources.json").write_text("{}")
    pipeline = Pipeline(
        "en",
        dir=str(tmp_path),
        package=None,
        processors={"tokenize": "pretokenized", "pos": "local"},
        tokenize_pretokenized=True,
        pos_model_path=str(tagger),
        download_method=None,
        allow_unknown_language=True,
        logging_level="ERROR",
    )
    judged = sentences["test"]
    document = pipeline([list(sentence.words) for sentence in judged])
    found = [word.upos for sentence in document.sentences for word in sentence.words]
    gold = [tag for sentence in judged for tag in sentence.tags]
    assert np.mean([a == b for a, b in zip(found, gold, strict=True)]) >= 0.97
