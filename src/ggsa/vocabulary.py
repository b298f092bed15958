"""The words that every other module shares: tags, modes and how a rule is written."""

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

MODES = {
    "full": "every pair is allowed",
    "hard": "the pairs of the hard table, and no other",
    "soft": "the pairs of the hard table are favoured, as the abstract says; nothing is blocked",
    "soft_released": "the pairs that the released code favours (defect D4); nothing is blocked",
    "hard_closed": "the hard table without the open row of [CLS]",
    "self": "every token its own tag; [CLS] everything",
    "diagonal": "every token itself alone; [CLS] everything",
    "random": "random pairs, in every sentence as many as hard allows",
    "window": "the nearest neighbours, in every sentence as many pairs as hard allows",
    "separator": "neighbours, the first tokens and punctuation",
    "shuffled": "tag pairs drawn at random until the density is hard's",
    "learned": "the tag pairs that trained full attention uses most, cut at hard's density",
}
"""What each mode lets a token look at. Beyond that, every token sees itself, and in all modes but
`hard_closed` `[CLS]` sees everything (as `rules.cls_attends_all` has it)."""

STUDY_MODES = ("separator", "shuffled", "learned")
"""Modes whose pattern is drawn or fitted, and so takes a study that says from what."""


def parse_rule(rule: str) -> tuple[str, str]:
    """Return the query tag and the key tag of a rule such as `ADJ->NOUN`.

    Raises:
        ValueError: If the text is not two names joined by an arrow.
    """
    query, arrow, key = (part.strip() for part in rule.partition("->"))
    if not (query and arrow and key) or "->" in key:
        raise ValueError(f"{rule!r} is no rule; write QUERY->KEY, for example ADJ->NOUN")
    return query, key
