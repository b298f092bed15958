"""Whole sentences of the probe corpus: how clauses are joined, and which of them decides.

Draws a plan (which construction, which polar heads, what is negated), has `ggsa.probe.grammar` put
it into words, and deals the results into splits that share no sentence. The label of a sentence is
fixed by its plan before any word is drawn, and polar words of both signs are equally frequent under
both labels up to what `NEGATION` leaves, so that counting words helps little.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ggsa.errors import UserError
from ggsa.probe.grammar import COMMA, Clause, Grammar, Phrase, tagged

TRAIN_SENTENCES = 20000
EVALUATION_SENTENCES = 600
SPLITS = ("train", "selection", "validation", "test")

SHORTEST, LONGEST = 4, 60  # words
LONG = 30  # words; what is longer counts as the phenomenon "long"

PHENOMENA = (
    "plain",
    "negation",
    "scope",
    "but",
    "although",
    "distractor",
    "intensifier",
    "polar_adjective",
    "polar_adverb",
    "polar_verb",
    "polar_noun",
    "long",
)

# Shares of the constructions and of the options inside a clause.
CONSTRUCTIONS = (("single", 0.40), ("but", 0.22), ("although", 0.20), ("joined", 0.18))
HEAD_SHARES = (("adjective", 0.43), ("adverb", 0.17), ("verb", 0.2), ("noun", 0.2))
NEGATION = 0.42
DISTRACTORS = 0.22
INTENSIFIERS = 0.4  # of the adjectives
WEIGHED = 0.35  # of the intensified, not negated adjectives
LONG_SHARE = 0.15
LEAD = 0.12
SHORT_SHARE = 0.5  # of the training sentences
SHORT_NEGATION = 0.2
SHORT_CONSTRUCTIONS = (("single", 0.64), ("but", 0.11), ("although", 0.13), ("joined", 0.12))


@dataclass(frozen=True)
class ProbeSentence:
    """A generated sentence with its gold tags, its sentiment and what makes it hard.

    Attributes:
        words: Lower-cased, with clitics (`n't`, `'s`) and punctuation as words of their own.
        tags: One universal part-of-speech tag per word.
        label: 1 for positive, 0 for negative, as in SST-2.
        phenomena: The members of `PHENOMENA` that the sentence shows, in that order.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    label: int
    phenomena: tuple[str, ...]


def generate(
    seed: int,
    train_sentences: int = TRAIN_SENTENCES,
    evaluation_sentences: int = EVALUATION_SENTENCES,
) -> dict[str, list[ProbeSentence]]:
    """Return the probe corpus: train, selection, validation and test.

    Each split has a random stream of its own and the evaluation splits are drawn first, so that
    they stay the same whatever the number of training sentences. Labels are balanced to within
    one sentence, and no sentence occurs twice.

    Raises:
        UserError: If a split would be empty.
    """
    if train_sentences < 1 or evaluation_sentences < 1:
        raise UserError(
            f"The probe corpus needs at least one sentence per split, not "
            f"{train_sentences} for train and {evaluation_sentences} for evaluation."
        )
    seen: set[tuple[str, ...]] = set()
    corpus = {}
    for split in ("selection", "validation", "test", "train"):
        count = train_sentences if split == "train" else evaluation_sentences
        stream = random.Random(f"probe {split} {seed}")
        source = sentences(stream, SHORT_SHARE if split == "train" else 0.0)
        chosen = []
        while len(chosen) < count:
            sentence = next(source)
            if sentence.label != len(chosen) % 2 or sentence.words in seen:
                continue
            seen.add(sentence.words)
            chosen.append(sentence)
        stream.shuffle(chosen)
        corpus[split] = chosen
    return {split: corpus[split] for split in SPLITS}


def sentences(stream: random.Random, short_share: float = 0.0) -> Iterator[ProbeSentence]:
    """Yield sentences without end, drawn from one random stream.

    A share of them are single clauses without asides, as many rows of SST-2's train split are
    phrases: an encoder learns the words from these and the grammar from the rest.
    """
    grammar = Grammar(stream)
    while True:
        sentence = _short(grammar) if grammar.chance(short_share) else _sentence(grammar)
        if SHORTEST <= len(sentence.words) <= LONGEST:
            yield sentence


def _sentence(grammar: Grammar) -> ProbeSentence:
    target = grammar.pick((1, -1))
    construction = _draw(grammar, CONSTRUCTIONS)
    main = _plan(grammar, target)
    words = grammar.polar_clause(main)
    foreign_negation = False
    if construction in ("but", "although"):
        words = _compose(grammar, construction, words, _other(grammar, target))
    elif construction == "joined":
        foreign_negation = grammar.chance(0.75)
        words = _join(grammar, words, foreign_negation)
    elif grammar.chance(LEAD):
        words = _lead(grammar) + words
    if grammar.chance(LONG_SHARE):
        length = min(grammar.stream.randint(LONG, LONGEST - 12) for _ in range(3))
        while len(words) < length:
            words = _join(grammar, words, False, first=construction != "but")
    words += tagged(grammar.pick(("./PUNCT", "./PUNCT", "./PUNCT", "!/PUNCT")))
    return _finish(words, main, construction, foreign_negation)


def _short(grammar: Grammar) -> ProbeSentence:
    grammar.terse = True
    target = grammar.pick((1, -1))
    construction = _draw(grammar, SHORT_CONSTRUCTIONS)
    head = _draw(grammar, HEAD_SHARES)
    main = Clause(target, head, negated=grammar.chance(SHORT_NEGATION))
    words = grammar.polar_clause(main)
    if construction in ("but", "although"):
        other = Clause(
            -target, _draw(grammar, HEAD_SHARES), negated=grammar.chance(SHORT_NEGATION)
        )
        words = _compose(grammar, construction, words, grammar.polar_clause(other))
    if construction == "joined":
        words = _join(grammar, words, True)
    grammar.terse = False
    return _finish(words + tagged("./PUNCT"), main, construction, construction == "joined")


def _compose(grammar: Grammar, construction: str, words: Phrase, other: Phrase) -> Phrase:
    if construction == "but":
        return other + COMMA + tagged("but/CCONJ") + words
    subordinator = grammar.pick(("although/SCONJ", "though/SCONJ", "even/ADV though/SCONJ"))
    aside = tagged(subordinator) + other
    return aside + COMMA + words if grammar.chance(0.5) else words + COMMA + aside


def _finish(words: Phrase, main: Clause, construction: str, foreign_negation: bool) -> ProbeSentence:
    return ProbeSentence(
        words=tuple(word for word, _ in words),
        tags=tuple(tag for _, tag in words),
        label=int(main.target > 0),
        phenomena=_phenomena(main, construction, foreign_negation, len(words)),
    )


def _plan(grammar: Grammar, target: int) -> Clause:
    head = _draw(grammar, HEAD_SHARES)
    negated = grammar.chance(NEGATION)
    intensified = head == "adjective" and grammar.chance(INTENSIFIERS)
    return Clause(
        target=target,
        head=head,
        negated=negated,
        intensified=intensified,
        weighed=intensified and not negated and grammar.chance(WEIGHED),
        distractor=grammar.pick(("front", "middle", "end")) if grammar.chance(DISTRACTORS) else "",
    )


def _other(grammar: Grammar, target: int) -> Phrase:
    """Return the clause that does not decide: it says the opposite of the one that does."""
    head = _draw(grammar, HEAD_SHARES)
    return grammar.polar_clause(Clause(-target, head, negated=grammar.chance(NEGATION)))


def _join(grammar: Grammar, words: Phrase, negated: bool, first: bool = True) -> Phrase:
    """Return the words with a neutral clause before or after them."""
    neutral = grammar.neutral_clause(negated)
    if first and grammar.chance(0.5):
        return neutral + COMMA + tagged("and/CCONJ") + words
    link = grammar.pick((", and", ";", "because", "since", "after", "before"))
    joint = {
        ", and": COMMA + tagged("and/CCONJ"),
        ";": tagged(";/PUNCT"),
    }.get(link) or tagged(f"{link}/SCONJ")
    return words + joint + neutral


def _lead(grammar: Grammar) -> Phrase:
    if grammar.chance(0.25):
        from ggsa.probe import lexicon

        return tagged(f"{grammar.pick(lexicon.INTERJECTIONS)}/INTJ") + COMMA
    return grammar.setting() + COMMA


def _phenomena(
    main: Clause, construction: str, foreign_negation: bool, length: int
) -> tuple[str, ...]:
    found = {
        "negation": main.negated,
        "scope": foreign_negation,
        "but": construction == "but",
        "although": construction == "although",
        "distractor": bool(main.distractor),
        "intensifier": main.intensified,
    }
    found["plain"] = not any(found.values())
    found[f"polar_{main.head}"] = True
    found["long"] = length > LONG
    return tuple(name for name in PHENOMENA if found.get(name))


def _draw(grammar: Grammar, shares: tuple[tuple[str, float], ...]) -> str:
    draw = grammar.stream.random()
    for name, share in shares:
        draw -= share
        if draw < 0:
            return name
    return shares[-1][0]
