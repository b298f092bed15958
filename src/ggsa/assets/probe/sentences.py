"""Whole sentences of the probe corpus: how clauses are joined, and which of them decides.

A plan is drawn (construction, polar heads, negation), `ggsa.assets.probe.grammar` puts it into
words, and the results form splits that share no sentence. The plan fixes a sentence's label before
any word is drawn. Its polar words agree with the label about as often as not: negation reverses
them, and clauses and phrases that do not decide say the opposite. Counting words, or pairs of
adjacent words, therefore helps little: a model has to learn which word governs which.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ggsa.assets.probe import lexicon
from ggsa.assets.probe.grammar import COMMA, Clause, Grammar, Phrase, tagged
from ggsa.workspace.errors import UserError

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
"""What a sentence can show.

`negation` is in the deciding clause, and `scope` is a negation in a neutral clause, where it changes
nothing; `polar_...` names the deciding word; `plain` sentences show none of the first group.
"""

HEAD_SHARES = (("adjective", 0.43), ("adverb", 0.17), ("verb", 0.2), ("noun", 0.2))
WEIGHED = 0.35  # of the adjectives that are intensified and not negated


@dataclass(frozen=True)
class Style:
    """How often each construction and option is drawn; every number is a probability."""

    constructions: tuple[tuple[str, float], ...]
    negation: float  # of every polar clause
    neutral_negation: float  # of the neutral clause of `joined`
    distractor: float
    intensifier: float  # of the adjectives
    long: float
    lead: float  # of the single clauses
    terse: bool  # without modifiers that carry no sentiment


FULL = Style(
    constructions=(("single", 0.36), ("but", 0.23), ("although", 0.22), ("joined", 0.19)),
    negation=0.42,
    neutral_negation=0.75,
    distractor=0.22,
    intensifier=0.4,
    long=0.13,
    lead=0.12,
    terse=False,
)
"""All of the grammar: the evaluation splits, and the rest of train."""

TERSE = Style(
    constructions=(("single", 0.51), ("but", 0.11), ("although", 0.18), ("joined", 0.2)),
    negation=0.2,
    neutral_negation=1.0,
    distractor=0.0,
    intensifier=0.0,
    long=0.05,
    lead=0.0,
    terse=True,
)
"""Short sentences for training.

An encoder learns the words from these and the grammar from the rest, as on SST-2, where most
training rows are phrases. Without them a small encoder needs several times as many steps.
"""

TERSE_SHARE = 0.62  # of train


@dataclass(frozen=True)
class ProbeSentence:
    """A generated sentence with its gold tags, its sentiment and what makes it hard.

    Attributes:
        words: Lower-cased, with clitics (`n't`, `'s`) and punctuation as separate words.
        tags: One universal part-of-speech tag per word.
        label: 1 for positive, 0 for negative, as in SST-2.
        phenomena: Members of `PHENOMENA` that the sentence shows, in that order.
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

    Each split has its own random stream and the evaluation splits are drawn first, so they do not
    depend on the number of training sentences. Labels are balanced to within one sentence per
    split, and no sentence occurs twice.

    Raises:
        UserError: If a split would be empty.
    """
    if train_sentences < 1 or evaluation_sentences < 1:
        raise UserError(
            f"The probe corpus needs at least one sentence in every split, got {train_sentences} "
            f"for train and {evaluation_sentences} for each evaluation split. Raise the number."
        )
    seen: set[tuple[str, ...]] = set()
    corpus = {}
    for split in ("selection", "validation", "test", "train"):
        is_train = split == "train"
        stream = random.Random(f"probe {split} {seed}")
        source = sentences(stream, TERSE_SHARE if is_train else 0.0)
        chosen: list[ProbeSentence] = []
        while len(chosen) < (train_sentences if is_train else evaluation_sentences):
            sentence = next(source)
            if sentence.label == len(chosen) % 2 and sentence.words not in seen:
                seen.add(sentence.words)
                chosen.append(sentence)
        stream.shuffle(chosen)
        corpus[split] = chosen
    return {split: corpus[split] for split in SPLITS}


def sentences(stream: random.Random, terse_share: float = 0.0) -> Iterator[ProbeSentence]:
    """Yield endless sentences from one random stream, a share of them in the terse style."""
    while True:
        style = TERSE if stream.random() < terse_share else FULL
        sentence = _sentence(Grammar(stream, style.terse), style)
        if SHORTEST <= len(sentence.words) <= LONGEST:
            yield sentence


def _sentence(grammar: Grammar, style: Style) -> ProbeSentence:
    main = _plan(grammar, style)
    words = grammar.polar_clause(main)
    construction = grammar.draw(style.constructions)
    foreign_negation = False
    if construction in ("but", "although"):
        other = Clause(-main.target, grammar.draw(HEAD_SHARES), grammar.chance(style.negation))
        words = _opposed(grammar, construction, words, grammar.polar_clause(other))
    elif construction == "joined":
        foreign_negation = grammar.chance(style.neutral_negation)
        words = _joined(grammar, words, foreign_negation)
    elif grammar.chance(style.lead):
        words = _lead(grammar) + words
    if grammar.chance(style.long):
        shortest = SHORTEST if style.terse else LONG
        length = min(grammar.stream.randint(shortest, LONGEST - 12) for _ in range(3))
        may_precede = construction in ("single", "joined")
        while len(words) < length:
            words = _joined(grammar, words, False, may_precede=may_precede)
    words += tagged("./PUNCT" if style.terse or grammar.chance(0.75) else "!/PUNCT")
    return ProbeSentence(
        words=tuple(word for word, _ in words),
        tags=tuple(tag for _, tag in words),
        label=int(main.target > 0),
        phenomena=_phenomena(main, construction, foreign_negation, len(words)),
    )


def _plan(grammar: Grammar, style: Style) -> Clause:
    """Return what the deciding clause says."""
    head = grammar.draw(HEAD_SHARES)
    negated = grammar.chance(style.negation)
    intensified = head == "adjective" and grammar.chance(style.intensifier)
    place = grammar.pick(("front", "middle", "end")) if grammar.chance(style.distractor) else ""
    return Clause(
        target=grammar.pick((lexicon.POSITIVE, lexicon.NEGATIVE)),
        head=head,
        negated=negated,
        intensified=intensified,
        weighed=intensified and not negated and grammar.chance(WEIGHED),
        distractor=place,
    )


def _opposed(grammar: Grammar, construction: str, words: Phrase, other: Phrase) -> Phrase:
    """Return the deciding clause joined with one that says the opposite."""
    if construction == "but":
        return other + COMMA + tagged("but/CCONJ") + words
    subordinator = grammar.pick(("although/SCONJ", "though/SCONJ", "even/ADV though/SCONJ"))
    concession = tagged(subordinator) + other
    return concession + COMMA + words if grammar.chance(0.5) else words + COMMA + concession


def _joined(grammar: Grammar, words: Phrase, negated: bool, may_precede: bool = True) -> Phrase:
    """Return the words with a neutral clause after them, or before them if it may precede."""
    neutral = grammar.neutral_clause(negated)
    if may_precede and grammar.chance(0.5):
        return neutral + COMMA + tagged("and/CCONJ") + words
    links = (",/PUNCT and/CCONJ", ";/PUNCT", *(f"{s}/SCONJ" for s in lexicon.SUBORDINATORS))
    return words + tagged(grammar.pick(links)) + neutral


def _lead(grammar: Grammar) -> Phrase:
    if grammar.chance(0.25):
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
