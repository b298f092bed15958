"""What can be had without attention, and which sentences might need it (defect D7).

A bag of words reaches the published accuracy, so a mask that costs nothing proves nothing until it
is shown how much attention is worth. This module gives the two baselines that see no word order,
and marks the sentences on which order could matter. It writes marks, never text, so that whatever
is computed from them can be computed again from what Git keeps.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from ggsa.evaluation.outcomes import SCORED_SPLITS
from ggsa.workspace import paths
from ggsa.workspace.tables import CORPUS_COLUMNS, read_table

NEGATORS = ("not", "n't", "no", "never", "neither", "nor", "without", "hardly", "nothing", "none")
CONTRAST = ("but", "although", "though", "while")
UNSURE = (0.35, 0.65)
"""Between these probabilities of the positive class the bag of words is unsure."""

LONG_WORDS = 20
LENGTHS = {"length_to_10": (1, 10), "length_11_20": (11, 20), "length_21_30": (21, 30)}
LENGTHS["length_over_30"] = (31, 10**6)
SUBSETS = ("bag_wrong_or_unsure", "negation", "contrast", "over_20_words", *LENGTHS)


def bag_of_words(train: pd.DataFrame, judged: Sequence[Sequence[str]]) -> np.ndarray:
    """Return the probability of the positive class by TF-IDF unigrams and logistic regression.

    Args:
        train: Columns `words, label`.
        judged: The words of every sentence.
    """
    vectorizer = TfidfVectorizer(token_pattern=r"\S+", lowercase=False)
    model = LogisticRegression(max_iter=1000, C=10.0)
    model.fit(vectorizer.fit_transform(" ".join(words) for words in train["words"]), train["label"])
    return model.predict_proba(vectorizer.transform(" ".join(words) for words in judged))[:, 1]


def sentence_marks() -> pd.DataFrame:
    """Return one row per sentence of the scored splits: its baselines' guesses and its marks.

    Columns: `split, id, label, bag_probability, majority` (the class most frequent in train) and
    one bool per subset. The bag is trained on the rows that the encoders train on. On the probe
    corpus the phenomena of its grammar are marks too.
    """
    corpus = {
        split: read_table(paths.corpus_split(split), CORPUS_COLUMNS)
        for split in ("train", *SCORED_SPLITS)
    }
    train = corpus["train"][~corpus["train"]["leaks_selection"].to_numpy(bool)]
    majority = int(train["label"].mean() >= 0.5)
    tables = []
    for split in SCORED_SPLITS:
        rows = corpus[split]
        probability = bag_of_words(train, list(rows["words"]))
        marks = pd.DataFrame({"split": split, "id": rows["id"], "label": rows["label"]})
        marks["bag_probability"] = np.round(probability, 6)
        marks["majority"] = majority
        wrong = (probability >= 0.5) != (rows["label"] == 1)
        unsure = (probability > UNSURE[0]) & (probability < UNSURE[1])
        marks["bag_wrong_or_unsure"] = wrong | unsure
        tables.append(pd.concat([marks, _word_marks(list(rows["words"]))], axis=1))
    return pd.concat(tables, ignore_index=True)


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
    from ggsa.assets import probe

    generated = probe.generate(seed)
    tables = []
    for split in SCORED_SPLITS:
        rows = read_table(paths.corpus_split(split), CORPUS_COLUMNS)
        shown = {sentence.words: sentence.phenomena for sentence in generated[split]}
        found = [shown[tuple(words)] for words in rows["words"]]
        marks = {f"probe_{name}": [name in each for each in found] for name in probe.PHENOMENA}
        tables.append(pd.DataFrame({"split": split, "id": rows["id"], **marks}))
    return pd.concat(tables, ignore_index=True)
