"""What is possible without attention between words, and which sentences might need it (defect D7).

A bag of words reaches the published accuracy, so a mask that costs nothing proves nothing until it
is shown how much attention is worth. Two baselines see no word order, and marks name the sentences
on which order could matter. Marks hold no text, so everything that is computed from them can be
recomputed from the published files.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from ggsa.assets import probe
from ggsa.tagging.splits import read_split, read_words, trained_rows
from ggsa.workspace import paths
from ggsa.workspace.config import Params
from ggsa.workspace.provenance import read_provenance
from ggsa.workspace.tables import CORPUS_COLUMNS, read_table
from ggsa.workspace.vocabulary import FRESH, SCORED_SPLITS

NEGATORS = ("not", "n't", "no", "never", "neither", "nor", "without", "hardly", "nothing", "none")
CONTRAST = ("but", "although", "though", "while")
SURE = 0.65
"""Below this probability of its class, the bag of words counts as unsure."""

LONG_WORDS = 20
LENGTHS = {"length_to_10": (1, 10), "length_11_20": (11, 20), "length_21_30": (21, 30)}
LENGTHS["length_over_30"] = (31, 10**6)


def bag_of_words(
    train: pd.DataFrame, judged: Sequence[Sequence[str]]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the class and its probability by TF-IDF unigrams and logistic regression.

    Args:
        train: Columns `words, label`.
        judged: The words of every sentence to classify.

    Returns:
        The predicted labels, int64 `[sentence]`, and their probabilities, float64 `[sentence]`.
    """
    vectorizer = TfidfVectorizer(token_pattern=r"\S+", lowercase=False)
    model = LogisticRegression(max_iter=1000, C=10.0)
    model.fit(vectorizer.fit_transform(" ".join(words) for words in train["words"]), train["label"])
    probabilities = model.predict_proba(vectorizer.transform(" ".join(words) for words in judged))
    return model.classes_[probabilities.argmax(axis=1)], probabilities.max(axis=1)


def sentence_marks(params: Params) -> pd.DataFrame:
    """Return one row per sentence of the labeled splits: the baselines' guesses and its marks.

    `fresh` is among the splits where only whole sentences are trained on.

    Columns: `split, id, label, pieces` (word pieces that an encoder reads), `bag` (class by the bag
    of words), `bag_probability` (of that class), `majority` (the most frequent class of train) and
    one bool per subset; on the probe corpus one for each phenomenon of its grammar. The bag of
    words is trained on the rows that the encoders train on.

    Args:
        params: Those of an encoder: which rows it trains on, and how many pieces it reads.
    """
    train = read_words("train", trained_rows(params.train))
    majority = int(train["label"].mode().iloc[0])
    tables = []
    fresh = (FRESH,) if params.train.rows == "sentences" else ()
    for split in (*SCORED_SPLITS, *fresh):
        rows = read_words(split).reset_index(drop=True)
        if (rows["label"] < 0).any():
            continue
        guess, probability = bag_of_words(train, list(rows["words"]))
        marks = pd.DataFrame({"split": split, "id": rows["id"], "label": rows["label"]})
        marks["pieces"] = read_split(split, params.train.max_pieces).lengths
        marks["bag"], marks["bag_probability"] = guess, np.round(probability, 6)
        marks["majority"] = majority
        marks["bag_wrong_or_unsure"] = (guess != rows["label"]) | (probability < SURE)
        tables.append(pd.concat([marks, _word_marks(list(rows["words"]))], axis=1))
    marks = pd.concat(tables, ignore_index=True)
    if read_provenance()["corpus"]["name"] != "probe":
        return marks
    return marks.merge(
        phenomena_marks(params.corpus.seed), on=["split", "id"], validate="one_to_one"
    )


def _word_marks(sentences: list[Sequence[str]]) -> pd.DataFrame:
    """Return the marks that follow from the words alone."""
    lengths = np.array([len(words) for words in sentences])
    marks = {
        "negation": [any(word in NEGATORS for word in words) for words in sentences],
        "contrast": [any(word in CONTRAST for word in words) for words in sentences],
        "over_20_words": lengths > LONG_WORDS,
    }
    for name, (shortest, longest) in LENGTHS.items():
        marks[name] = (lengths >= shortest) & (lengths <= longest)
    return pd.DataFrame(marks)


def phenomena_marks(seed: int) -> pd.DataFrame:
    """Return which phenomena each sentence of the probe shows: `split, id` and a bool for each."""
    generated = probe.generate(seed)
    tables = []
    for split in SCORED_SPLITS:
        rows = read_table(paths.corpus_split(split), CORPUS_COLUMNS)
        shown = {sentence.words: sentence.phenomena for sentence in generated[split]}
        found = [shown[tuple(words)] for words in rows["words"]]
        marks = {f"probe_{name}": [name in each for each in found] for name in probe.PHENOMENA}
        tables.append(pd.DataFrame({"split": split, "id": rows["id"], **marks}))
    return pd.concat(tables, ignore_index=True)
