"""The grammar of the probe corpus: from a plan of what a clause says to tagged words.

A clause has a *target*: the sentiment it ends up expressing. Its polar head carries that sentiment,
or the opposite one if the clause is negated. Everything else (noun phrases, neutral clauses,
phrases that set the scene) is filled in at random and carries no sentiment. Sentences are composed
from clauses in `ggsa.assets.probe.sentences`; the words come from `ggsa.assets.probe.lexicon`.

Tags follow the conventions of the English treebanks of Universal Dependencies.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ggsa.assets.probe import lexicon
from ggsa.assets.probe.lexicon import Noun, Verb

Phrase = tuple[tuple[str, str], ...]  # (word, tag) pairs

NEGATORS = ("n't", "not", "never", "hardly")


@dataclass(frozen=True)
class Clause:
    """What a polar clause says, before it is put into words.

    Attributes:
        target: The sentiment that the clause expresses, +1 or -1.
        head: Part of speech of the polar word, `adjective`, `adverb`, `verb` or `noun`.
        negated: Whether a negator turns the polar word round.
        intensified: Whether an intensifier stands before the polar word (adjectives only).
        weighed: Whether a dampened adjective of the opposite polarity is coordinated with a
            boosted one, which decides.
        distractor: Where a prepositional phrase of the opposite sentiment stands: `front`,
            `middle`, `end` or nowhere (empty).
    """

    target: int
    head: str = "adjective"
    negated: bool = False
    intensified: bool = False
    weighed: bool = False
    distractor: str = ""


def tagged(text: str) -> Phrase:
    """Return the phrase written as `word/TAG word/TAG ...`."""
    return tuple((word, tag) for word, tag in (item.rsplit("/", 1) for item in text.split()))


def one(word: str, tag: str) -> Phrase:
    """Return a phrase of a single word."""
    return ((word, tag),)


COMMA = one(",", "PUNCT")


@dataclass(frozen=True)
class Subject:
    """A noun phrase with the number that its verb must agree with."""

    phrase: Phrase
    plural: bool


class Grammar:
    """Puts clauses into words, drawing every free choice from one random stream."""

    def __init__(self, stream: random.Random, terse: bool = False) -> None:
        self.stream = stream
        self.terse = terse

    # Choices.

    def pick(self, options: Sequence[Any]) -> Any:
        """Return one of the options, each as likely as the others."""
        return options[self.stream.randrange(len(options))]

    def chance(self, probability: float) -> bool:
        """Return whether an event of this probability happens."""
        return self.stream.random() < probability

    def optional(self, probability: float) -> bool:
        """Return whether to add a modifier that says nothing; a terse grammar never does."""
        return not self.terse and self.chance(probability)

    def draw(self, shares: Sequence[tuple[str, float]]) -> str:
        """Return one of the names, each with its share as its probability; shares sum to one."""
        names, weights = zip(*shares, strict=True)
        return self.stream.choices(names, weights)[0]

    # Noun phrases.

    def noun_phrase(self, nouns: Sequence[Noun], richness: float = 0.25) -> Subject:
        """Return a neutral noun phrase; `richness` is the chance of each optional modifier."""
        plural = self.chance(0.3)
        noun = self.pick(nouns)
        determiners = (
            ("the/DET", "these/DET", "its/PRON", f"{self.pick(lexicon.NUMBERS)}/NUM")
            if plural
            else ("the/DET", "the/DET", "this/DET", "a/DET", "its/PRON")
        )
        phrase = tagged(self.pick(determiners))
        if self.optional(0.1):
            phrase = self._owner()
        if self.optional(richness):
            phrase += one(self.pick(lexicon.NEUTRAL_ADJECTIVES), "ADJ")
        phrase += one(noun.plural if plural else noun.singular, "NOUN")
        return Subject(_with_article(phrase), plural)

    def work(self) -> Subject:
        """Return a noun phrase for a film or a part of one."""
        draw = self.stream.random()
        if self.terse:
            draw *= 0.65
        if draw < 0.15:
            return Subject(tagged("it/PRON"), False)
        if draw < 0.22:
            return Subject(tagged(self.pick(("this/PRON", "that/PRON"))), False)
        if draw < 0.32:
            return Subject(tagged(f"the/DET {self.pick(lexicon.MASS_PARTS)}/NOUN"), False)
        return self.noun_phrase(lexicon.WORKS if draw < 0.65 else lexicon.PARTS)

    def person(self) -> Subject:
        """Return a noun phrase for somebody in or behind a film."""
        draw = self.stream.random()
        if draw < 0.15:
            return Subject(tagged(self.pick(("he/PRON", "she/PRON"))), False)
        if draw < 0.35:
            return Subject(one(self.pick(lexicon.NAMES), "PROPN"), False)
        return self.noun_phrase(lexicon.PEOPLE)

    def audience(self) -> Subject:
        """Return a noun phrase for somebody who has seen a film."""
        draw = self.stream.random()
        if draw < 0.5:
            return Subject(tagged(self.pick(("i/PRON", "we/PRON"))), True)
        noun = self.pick(lexicon.AUDIENCE)
        return Subject(tagged(f"{self.pick(('the', 'some', 'most'))}/DET {noun.plural}/NOUN"), True)

    def place(self) -> Phrase:
        """Return where something happens, without its preposition."""
        if self.chance(0.4):
            return one(self.pick(lexicon.TOWNS), "PROPN")
        return tagged("the/DET") + one(self.pick(lexicon.PLACES).singular, "NOUN")

    def setting(self) -> Phrase:
        """Return a neutral prepositional phrase."""
        draw = self.stream.random()
        if draw < 0.35:
            return tagged(
                f"in/ADP the/DET {self.pick(('first', 'second', 'final', 'last'))}/ADJ "
                f"{self.pick(lexicon.SECTIONS)}/NOUN"
            )
        if draw < 0.6:
            return tagged(f"{self.pick(('in', 'near', 'from'))}/ADP") + self.place()
        if draw < 0.8:
            return tagged(
                f"{self.pick(('since', 'before', 'after'))}/ADP the/DET "
                f"{self.pick(lexicon.TIMES).singular}/NOUN"
            )
        return tagged("by/ADP") + one(self.pick(lexicon.NAMES), "PROPN")

    def _owner(self) -> Phrase:
        if self.chance(0.5):
            return one(self.pick(lexicon.NAMES), "PROPN") + tagged("'s/PART")
        return tagged(f"the/DET {self.pick(lexicon.PEOPLE).singular}/NOUN 's/PART")

    def _relative(self, plural: bool) -> Phrase:
        pronoun = self.pick(("that/PRON", "which/PRON"))
        verb = self.pick(lexicon.EVENT_VERBS)
        form = self.pick((verb.base if plural else verb.singular, verb.past))
        return tagged(f"{pronoun} {form}/VERB") + self.person_object()

    def person_object(self) -> Phrase:
        """Return a person as an object."""
        phrase = self.person().phrase
        return {"he": tagged("him/PRON"), "she": tagged("her/PRON")}.get(phrase[0][0], phrase)

    # Neutral clauses.

    def neutral_clause(self, negated: bool) -> Phrase:
        """Return a clause without sentiment; a negator inside it ends at its border."""
        draw = self.stream.random()
        if draw < 0.3:
            return self._passive(negated)
        subject = self.person()
        if draw < 0.45:
            copula = self._copula(subject, 0.5, negated)
            form = one(self.pick(lexicon.PROGRESSIVES), "VERB")
            return subject.phrase + copula + form + tagged("to/ADP") + self.place()
        if draw < 0.6:
            purpose = self.pick(lexicon.EVENT_VERBS).base
            want = Verb("want", "wants", "wanted")
            predicate = self._verb(subject, want, negated) + tagged(f"to/PART {purpose}/VERB")
            return subject.phrase + predicate + self.person_object()
        if draw < 0.8:
            predicate = self._verb(subject, self.pick(lexicon.MOTION_VERBS), negated)
            return subject.phrase + predicate + tagged("to/ADP") + self.place()
        predicate = self._verb(subject, self.pick(lexicon.EVENT_VERBS), negated)
        return subject.phrase + predicate + self.person_object()

    def _passive(self, negated: bool) -> Phrase:
        subject = self.noun_phrase(lexicon.WORKS)
        participle = one(self.pick(lexicon.PARTICIPLES), "VERB")
        predicate = self._copula(subject, 0.6, negated) + participle
        return subject.phrase + predicate + tagged("in/ADP") + self.place()

    # Polar clauses.

    def polar_clause(self, clause: Clause) -> Phrase:
        """Return the words of a clause that expresses its target."""
        polarity = -clause.target if clause.negated else clause.target
        if clause.head == "verb":
            subject, predicate = self._polar_verb(clause, polarity)
        elif clause.head == "adverb":
            subject = self.person() if self.chance(0.5) else self.work()
            predicate = self._verb(subject, self.pick(lexicon.MANNER_VERBS), clause.negated)
            predicate += one(self.pick(lexicon.ADVERBS[polarity]), "ADV")
        elif clause.head == "noun":
            subject, predicate = self._polar_noun(clause, polarity)
        else:
            subject, predicate = self._polar_adjective(clause, polarity)
        return self._around(clause, subject, predicate)

    def _around(self, clause: Clause, subject: Subject, predicate: Phrase) -> Phrase:
        """Return subject and predicate with their optional phrases about them."""
        named = subject.phrase[-1][1] == "NOUN"
        words = subject.phrase
        if named and clause.distractor != "middle" and self.optional(0.12):
            words += self._relative(subject.plural)
        elif named and clause.distractor != "middle" and self.optional(0.12):
            words += tagged(f"by/ADP {self.pick(lexicon.NAMES)}/PROPN")
        if clause.distractor == "front":
            words = self.distractor(-clause.target) + COMMA + words
        elif clause.distractor == "middle":
            words += COMMA + self.distractor(-clause.target) + COMMA
        words += predicate
        if clause.distractor == "end":
            words += self.distractor(-clause.target)
        elif clause.negated and self.chance(0.08):
            words += tagged("at/ADP all/PRON")
        elif self.optional(0.12):
            words += self.setting()
        return words

    def distractor(self, polarity: int) -> Phrase:
        """Return a prepositional phrase with a polar word that decides nothing."""
        preposition = tagged(
            self.pick(
                (
                    "despite/ADP",
                    "despite/ADP",
                    "with/ADP",
                    "after/ADP",
                    "beyond/ADP",
                    "for/ADP all/DET",
                    "in/ADP spite/NOUN of/ADP",
                )
            )
        )
        determiner = tagged(self.pick(("its/PRON", "the/DET", "this/DET")))
        if self.chance(0.25):
            quality = one(self.pick(lexicon.QUALITIES[polarity]), "NOUN")
            owner = tagged("of/ADP") + self.noun_phrase(lexicon.PARTS, richness=0.0).phrase
            return preposition + tagged("the/DET") + quality + owner
        adjective = one(self.pick(lexicon.ADJECTIVES[polarity]), "ADJ")
        noun = one(self.pick(lexicon.TITLES + lexicon.PARTS).singular, "NOUN")
        return preposition + determiner + adjective + noun

    def _polar_adjective(self, clause: Clause, polarity: int) -> tuple[Subject, Phrase]:
        is_person = self.chance(0.25)
        subject = self.noun_phrase(lexicon.PEOPLE) if is_person else self.work()
        adjective = one(self.pick(lexicon.ADJECTIVES[polarity]), "ADJ")
        if clause.weighed:
            weak = one(self.pick(lexicon.DAMPERS), "ADV")
            weak += one(self.pick(lexicon.ADJECTIVES[-polarity]), "ADJ")
            strong = one(self.pick(lexicon.BOOSTERS), "ADV") + adjective
            first, second = (weak, strong) if self.chance(0.5) else (strong, weak)
            adjective = first + tagged("and/CCONJ") + second
        elif clause.intensified:
            adjective = one(self.pick(lexicon.BOOSTERS + lexicon.HEDGES), "ADV") + adjective
        copula = self._copula(subject, 0.3, clause.negated)
        if not clause.weighed and not subject.plural and self.chance(0.35):
            kinds = lexicon.PEOPLE if is_person else lexicon.WORKS + lexicon.PARTS
            kind = one(self.pick(kinds).singular, "NOUN")
            adjective = _with_article(tagged("a/DET") + adjective + kind)
        elif not clause.negated and self.optional(0.1):
            copula += one(self.pick(lexicon.FREQUENCIES), "ADV")
        return subject, copula + adjective

    def _polar_noun(self, clause: Clause, polarity: int) -> tuple[Subject, Phrase]:
        if self.chance(0.35):
            subject = self.noun_phrase(lexicon.WORKS + lexicon.PARTS)
            predicate = self._verb(subject, Verb("have", "has", "had"), clause.negated)
            amount = tagged(self.pick(("much/ADJ", "real/ADJ", "enough/ADJ")))
            return subject, predicate + amount + one(self.pick(lexicon.QUALITIES[polarity]), "NOUN")
        subject = self.work()
        while subject.plural:
            subject = self.work()
        verdict = tagged(self.pick(("a/DET", "a/DET real/ADJ", "a/DET complete/ADJ")))
        verdict = _with_article(verdict + one(self.pick(lexicon.NOUNS[polarity]), "NOUN"))
        return subject, self._copula(subject, 0.3, clause.negated) + verdict

    def _polar_verb(self, clause: Clause, polarity: int) -> tuple[Subject, Phrase]:
        draw = self.stream.random()
        if draw < 0.35:
            subject, table = self.audience(), lexicon.OPINION_VERBS
            thing = self.work().phrase
        elif draw < 0.55:
            subject, table = self.work(), lexicon.TREATMENT_VERBS
            thing = self.noun_phrase(lexicon.PARTS + lexicon.PEOPLE).phrase
        else:
            subject, table = self.work(), lexicon.EFFECT_VERBS
            people = self.pick(lexicon.AUDIENCE).plural
            thing = self.pick(((), tagged("us/PRON"), tagged(f"the/DET {people}/NOUN")))
        verb = self.pick(table[polarity])
        return subject, self._verb(subject, verb, clause.negated) + thing

    # Verbs and negators.

    def _copula(self, subject: Subject, past_share: float, negated: bool) -> Phrase:
        """Return a form of `be` that agrees with the subject, and its negator."""
        negator = self._after_auxiliary() if negated else ()
        if self.chance(past_share):
            return one("were" if subject.plural else "was", "AUX") + negator
        if subject.plural:
            return one("are", "AUX") + negator
        contracted = negator != (("n't", "PART"),) and self.chance(0.3)
        return one("'s" if contracted else "is", "AUX") + negator

    def _after_auxiliary(self) -> Phrase:
        negator = self.pick(NEGATORS)
        return one(negator, "PART" if negator in ("n't", "not") else "ADV")

    def _verb(self, subject: Subject, verb: Verb, negated: bool) -> Phrase:
        """Return a verb that agrees with its subject, negated by do-support or by an adverb."""
        past = self.chance(0.35)
        present = verb.base if subject.plural else verb.singular
        if not negated:
            if self.chance(0.08):
                return tagged(f"{self.pick(('will', 'can', 'may'))}/AUX {verb.base}/VERB")
            return one(verb.past if past else present, "VERB")
        negator = self._after_auxiliary()
        if negator[0][1] == "ADV":
            return negator + one(verb.past if past else present, "VERB")
        auxiliary = "did" if past else "do" if subject.plural else "does"
        return one(auxiliary, "AUX") + negator + one(verb.base, "VERB")


def _with_article(phrase: Phrase) -> Phrase:
    """Return the phrase with `an` for `a` before a vowel."""
    if phrase[0] == ("a", "DET") and phrase[1][0][0] in "aeiou":
        return (("an", "DET"), *phrase[1:])
    return phrase
