"""The tags, and the notation of a rule."""

UNIVERSAL_TAGS = (
    "ADJ",
    "ADP",
    "ADV",
    "AUX",
    "CCONJ",
    "DET",
    "INTJ",
    "NOUN",
    "NUM",
    "PART",
    "PRON",
    "PROPN",
    "PUNCT",
    "SCONJ",
    "SYM",
    "VERB",
    "X",
)
"""The 17 universal part-of-speech tags (Universal Dependencies, version 2)."""

CLS, SEP = "[CLS]", "[SEP]"

TAGS = (*UNIVERSAL_TAGS, CLS, SEP)
"""Every tag that a word piece can carry, in the order of a pattern's rows and columns."""

MODEL_PREFIX = "ggsa_"
"""What the type of a model that carries a pattern adds to the one of transformers: `ggsa_bert`."""


def parse_rule(rule: str) -> tuple[str, str]:
    """Return the query tag and the key tag of a rule such as `ADJ->NOUN`.

    Raises:
        ValueError: If the text is not two tags joined by an arrow.
    """
    query, arrow, key = (part.strip() for part in rule.partition("->"))
    if not (query and arrow and key) or "->" in key:
        raise ValueError(f"invalid rule {rule!r}; write QUERY->KEY, for example ADJ->NOUN")
    return query, key


SCORED_SPLITS = ("validation", "test")
"""The splits on which accuracy is measured."""

POOLED = "pooled"
"""The sentences of all scored splits together."""

FRESH = "fresh"
"""The split of whole sentences that is cut from train where only whole sentences are trained on. It
confirms what the scored splits say, and is not pooled with them."""

DID_NOT_LEARN = "did not learn"
"""The verdict on a mode that is not shown to do better than the majority class."""
