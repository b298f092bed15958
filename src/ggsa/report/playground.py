"""The rule playground: switch rules on and off, and see what the mask keeps.

Called by the attention notebook with tables of a run, which hold counts of tags and no corpus text.
Returns HTML with those counts as JSON; `web/playground.js` computes densities from them, exactly and
without a network. Without JavaScript a sentence replaces it.
"""

import itertools
import random
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pandas as pd

from ggsa.assets.probe.sentences import sentences as probe_sentences
from ggsa.patterns import paper
from ggsa.patterns.tag_tables import INDEX
from ggsa.report import explorer, templates
from ggsa.workspace.vocabulary import CLS, SEP, TAGS, UNIVERSAL_TAGS

COUNTS = {"validation": "count_validation", "train": "count"}
"""Every split whose density is shown, with the column of `tag_pairs.csv` that counts its pairs."""

MOST_WORDS = 20
TEXT = "the jokes do not work , and nobody likes them"

CLOSED_CLASSES = {
    "ADP": "about above across against along among around as at behind below beneath beside "
    "between beyond by despite down during for from in inside into near of off on onto out outside "
    "over past per through throughout toward towards under until up upon via with within without",
    "ADV": "almost already also always away ever even far here how however just maybe more most "
    "never now often only perhaps quite rather really seldom so sometimes soon still then there "
    "too very when where why yet",
    "AUX": "am is are was were be been being 's 're 'm do does did have has had 've can could will "
    "'ll would 'd may might must shall should ca wo",
    "CCONJ": "and but or nor",
    "DET": "a an the this these those some any every each another no both either neither which",
    "NUM": "one two three four five six seven eight nine ten hundred thousand million",
    "PART": "not n't to '",
    "PRON": "i you he she it we they me him her us them my your his its our their mine yours hers "
    "ours theirs myself yourself himself herself itself ourselves themselves who whom whose what "
    "that anybody anyone anything everybody everyone everything nobody nothing somebody someone "
    "something none",
    "SCONJ": "because although though if unless while whereas since whether than before after",
}
"""Words of the closed classes with the tag that they have most often."""


def markup(
    pairs: pd.DataFrame, frequencies: pd.DataFrame, cost: pd.DataFrame, examples: pd.DataFrame
) -> str:
    """Return the playground with its style and its script.

    Args:
        pairs: `tag_pairs.csv`: how often two tags occur in one sentence.
        frequencies: `tag_frequencies.csv`: how many pieces have each tag.
        cost: `cost.csv`, for the share of attention in the cost of a model.
        examples: `attention_examples.csv`, for the pieces and tags of the example sentences.
    """
    return form(data(pairs, frequencies, cost, examples))


def form(shown: dict[str, Any]) -> str:
    """Return the controls, the elements that the script fills, the data, style and script."""
    return templates.render("playground.html.j2", shown=shown, colors=explorer.colors("hard"))


def data(
    pairs: pd.DataFrame, frequencies: pd.DataFrame, cost: pd.DataFrame, examples: pd.DataFrame
) -> dict[str, Any]:
    """Return what the playground computes with; see `markup` for the arguments.

    Returns:
        `tags`: the order of every row and column. `paper`: key tags of every query tag in the
        paper's table, without own tags. `fixed`: the rows of [CLS] and [SEP]. `splits`: name,
        pairs and pieces per tag of each. `attention_share`: of the cost of the model under full
        attention. `sentences`: the examples. `lexicon`: words of each tag. `text`, `most_words`: of
        the reader's sentence.
    """
    full = cost[(cost["mode"] == "full") & (cost["split"] == "validation")]
    examples_shown = [explorer.sentence(rows) for _, rows in examples.groupby("sentence")]
    table = paper.pattern("hard").allowed
    return {
        "tags": TAGS,
        "paper": paper.TABLE,
        "fixed": {tag: table[INDEX[tag]].tolist() for tag in (CLS, SEP)},
        "splits": [split(name, column, pairs, frequencies) for name, column in COUNTS.items()],
        "attention_share": float(full["attention_share"].iloc[0]) if len(full) else None,
        "sentences": examples_shown,
        "lexicon": lexicon(examples_shown),
        "text": TEXT,
        "most_words": MOST_WORDS,
    }


def split(name: str, column: str, pairs: pd.DataFrame, frequencies: pd.DataFrame) -> dict[str, Any]:
    """Return the pairs of pieces in one sentence by their tags, and the pieces of every tag.

    Every sentence has one [CLS] and one [SEP], so that their pairs follow from the pieces.
    """
    pieces = frequencies[frequencies["split"] == name].set_index("tag")["count"]
    pieces = pieces.reindex(TAGS, fill_value=0).to_numpy(np.int64)
    counted = pairs.pivot_table(
        index="query_tag", columns="key_tag", values=column, aggfunc="sum"
    ).reindex(index=TAGS, columns=TAGS, fill_value=0)
    table = counted.fillna(0).astype(np.int64).to_numpy(copy=True)
    for special in (INDEX[CLS], INDEX[SEP]):
        table[special, :] = table[:, special] = pieces
    return {"name": name, "pairs": table.tolist(), "pieces": pieces.tolist()}


def lexicon(examples: list[dict[str, Any]]) -> dict[str, str]:
    """Return the words of every tag, each word once, separated by spaces.

    They are those of the closed classes, of the probe corpus with their most frequent tag, and of
    the example sentences, in this order of precedence.
    """
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    # As many sentences as it takes to meet every word of the grammar.
    for sentence in itertools.islice(probe_sentences(random.Random("lexicon")), 3000):
        for word, tag in zip(sentence.words, sentence.tags, strict=True):
            counts[word][tag] += 1
    tag_of = {word: tag for one in examples for word, tag in words(one)}
    tag_of |= {word: count.most_common(1)[0][0] for word, count in counts.items()}
    tag_of |= {word: tag for tag, text in CLOSED_CLASSES.items() for word in text.split()}
    return {
        tag: " ".join(sorted(word for word, its in tag_of.items() if its == tag))
        for tag in UNIVERSAL_TAGS
    }


def words(sentence: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the words of an example sentence with their tags, without [CLS] and [SEP]."""
    joined: list[tuple[str, str]] = []
    for piece, tag in zip(sentence["pieces"], sentence["tags"], strict=True):
        if piece.startswith("##") and joined:
            joined[-1] = (joined[-1][0] + piece.removeprefix("##"), joined[-1][1])
        elif tag in UNIVERSAL_TAGS:
            joined.append((piece, tag))
    return joined
