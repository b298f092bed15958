"""The embedded probe corpus: generated sentences whose sentiment follows from their grammar.

It replaces SST-2, and its treebank replaces a tagger's training data, where these are unavailable;
nothing here needs a network. `lexicon` holds the words, `grammar` forms clauses, `sentences` joins
them into labeled sentences and splits, `treebank` trains a tagger.
"""

from ggsa.assets.probe.sentences import (
    EVALUATION_SENTENCES,
    PHENOMENA,
    TRAIN_SENTENCES,
    ProbeSentence,
    generate,
)

__all__ = ["EVALUATION_SENTENCES", "PHENOMENA", "TRAIN_SENTENCES", "ProbeSentence", "generate"]
