"""The embedded probe corpus: generated sentences whose sentiment follows from their grammar.

Takes the place of SST-2, and its treebank the place of a tagger's training data, where neither can
be had: nothing here needs a network. `lexicon` holds the words, `grammar` forms clauses,
`sentences` joins them into labeled sentences and splits, `treebank` trains a tagger.
"""

from ggsa.assets.probe.sentences import (
    EVALUATION_SENTENCES,
    PHENOMENA,
    TRAIN_SENTENCES,
    ProbeSentence,
    generate,
)
from ggsa.assets.probe.treebank import LANGUAGE, train_tagger, trained_on, treebank

__all__ = [
    "EVALUATION_SENTENCES",
    "LANGUAGE",
    "PHENOMENA",
    "TRAIN_SENTENCES",
    "ProbeSentence",
    "generate",
    "train_tagger",
    "trained_on",
    "treebank",
]
