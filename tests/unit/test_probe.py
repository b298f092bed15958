"""The probe corpus: its labels follow from its grammar, and counting words does not find them."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from ggsa.assets import probe
from ggsa.assets.probe import lexicon, treebank
from ggsa.workspace.errors import UserError
from ggsa.workspace.vocabulary import UNIVERSAL_TAGS

SEED = 2605
EVALUATION = ("selection", "validation", "test")
CONCESSIVE = ("although", "though")
GOVERNING = ("despite", "with", "after", "beyond", "of", "for")


@pytest.fixture(scope="module")
def corpus() -> dict[str, list[probe.ProbeSentence]]:
    return probe.generate(SEED)


# What a reader who knows the words, but not how the sentence was made, takes it to say.


def polarities() -> dict[tuple[str, str], int]:
    """Word and tag of every polar word, with its sign."""
    found = {}
    for sign in (lexicon.POSITIVE, lexicon.NEGATIVE):
        for tag, table in (("ADJ", lexicon.ADJECTIVES), ("ADV", lexicon.ADVERBS)):
            found |= {(word, tag): sign for word in table[sign]}
        for table in (lexicon.NOUNS, lexicon.QUALITIES):
            found |= {(word, "NOUN"): sign for word in table[sign]}
        for table in (lexicon.EFFECT_VERBS, lexicon.TREATMENT_VERBS, lexicon.OPINION_VERBS):
            found |= {(form, "VERB"): sign for verb in table[sign] for form in verb}
    return found


POLARITIES = polarities()


def is_governed(clause: list[tuple[str, str]], place: int) -> bool:
    """Whether a polar adjective or noun stands inside a prepositional phrase."""
    if clause[place][1] not in ("ADJ", "NOUN"):
        return False
    before = place - 1
    while before >= 0 and clause[before][1] in ("DET", "PRON", "ADJ"):
        before -= 1
    return before >= 0 and clause[before][1] == "ADP" and clause[before][0] in GOVERNING


def value(clause: list[tuple[str, str]]) -> int:
    """What one clause says: +1, -1, or 0 where it says nothing."""
    heads = [
        i for i, item in enumerate(clause) if item in POLARITIES and not is_governed(clause, i)
    ]
    if len(heads) == 2:  # weighed against each other: the boosted one counts
        heads = [i for i in heads if clause[i - 1][0] in lexicon.BOOSTERS]
    if not heads:
        return 0
    (head,) = heads
    negated = any(word in ("n't", "not", "never", "hardly") for word, _ in clause[:head])
    return POLARITIES[clause[head]] * (-1 if negated else 1)


def reading(sentence: probe.ProbeSentence) -> int:
    """The sentiment of a sentence, read off its words and tags alone."""
    clauses: list[tuple[str, list[tuple[str, str]]]] = [("", [])]
    for word, tag in zip(sentence.words, sentence.tags, strict=True):
        if tag in ("PUNCT", "SCONJ") or word == "but":
            clauses.append((word, []))
        else:
            clauses[-1][1].append((word, tag))
    links = [link for link, _ in clauses]
    if "but" in links:
        clauses = clauses[links.index("but") :]
    said = [value(clause) for link, clause in clauses if link not in CONCESSIVE]
    (decided,) = [polarity for polarity in said if polarity]
    return int(decided > 0)


def test_labels_are_what_a_reader_of_words_and_tags_concludes(corpus) -> None:
    wrong = [
        " ".join(sentence.words)
        for split in corpus.values()
        for sentence in split
        if reading(sentence) != sentence.label
    ]
    assert wrong == []


# The corpus as a whole.


def test_the_same_seed_gives_the_same_corpus_and_another_seed_another() -> None:
    one, again, other = (probe.generate(seed, 200, 50) for seed in (1, 1, 2))
    assert one == again
    assert all(one[split] != other[split] for split in one)


def test_the_evaluation_splits_do_not_depend_on_the_size_of_train() -> None:
    small, large = probe.generate(1, 100, 50), probe.generate(1, 400, 50)
    assert all(small[split] == large[split] for split in EVALUATION)


def test_the_splits_have_their_sizes_and_balanced_labels(corpus) -> None:
    assert list(corpus) == ["train", *EVALUATION]
    assert [len(corpus[split]) for split in EVALUATION] == [600] * 3
    assert len(corpus["train"]) == probe.TRAIN_SENTENCES <= 20000
    for split in corpus.values():
        assert Counter(s.label for s in split) == {0: len(split) / 2, 1: len(split) / 2}


def test_no_sentence_occurs_twice(corpus) -> None:
    everything = [sentence.words for split in corpus.values() for sentence in split]
    assert len(everything) == len(set(everything))


def test_lengths_span_four_to_sixty_words(corpus) -> None:
    lengths = [len(sentence.words) for split in corpus.values() for sentence in split]
    assert min(lengths) == 4
    assert 50 < max(lengths) <= 60
    for split in EVALUATION:
        assert 12 < np.mean([len(sentence.words) for sentence in corpus[split]]) < 22


def test_every_word_has_one_universal_tag_and_is_lower_case(corpus) -> None:
    for split in corpus.values():
        for sentence in split:
            assert len(sentence.words) == len(sentence.tags)
            assert set(sentence.tags) <= set(UNIVERSAL_TAGS)
            assert all(
                word == word.lower() and not set(word) & set(" \t\n") for word in sentence.words
            )


def test_clitics_and_punctuation_are_words_of_their_own(corpus) -> None:
    for sentence in corpus["train"]:
        for word in sentence.words:
            assert word.isalpha() or word in ("n't", "'s", ",", ";", ".", "!")


def test_every_tag_but_symbol_and_other_occurs(corpus) -> None:
    assert {tag for s in corpus["train"] for tag in s.tags} == set(UNIVERSAL_TAGS) - {"SYM", "X"}


def test_the_vocabulary_is_a_few_hundred_words_all_seen_in_training(corpus) -> None:
    words = {split: {w for s in corpus[split] for w in s.words} for split in corpus}
    assert 300 < len(words["train"]) < 600
    assert all(words[split] <= words["train"] for split in EVALUATION)


def test_every_phenomenon_has_its_share_of_each_evaluation_split(corpus) -> None:
    for split in EVALUATION:
        counts = Counter(name for sentence in corpus[split] for name in sentence.phenomena)
        assert set(counts) == set(probe.PHENOMENA)
        assert min(counts.values()) >= 50


def test_phenomena_show_in_the_words(corpus) -> None:
    negators = {"n't", "not", "never", "hardly"}
    for sentence in corpus["validation"]:
        words, shown = set(sentence.words), set(sentence.phenomena)
        assert ("but" in words) == ("but" in shown)
        assert bool(words & set(CONCESSIVE)) == ("although" in shown)
        assert (len(sentence.words) > 30) == ("long" in shown)
        assert not words & negators if "plain" in shown else True
        assert words & negators if shown & {"negation", "scope"} else True


def test_every_polar_word_is_of_little_use_alone(corpus) -> None:
    labels = defaultdict(list)
    for split in EVALUATION:
        for sentence in corpus[split]:
            for item in zip(sentence.words, sentence.tags, strict=True):
                if item in POLARITIES:
                    labels[POLARITIES[item]].append(sentence.label)
    assert 0.4 < np.mean(labels[lexicon.POSITIVE]) < 0.6
    assert 0.4 < np.mean(labels[lexicon.NEGATIVE]) < 0.6


@pytest.mark.parametrize("counted", [CountVectorizer, TfidfVectorizer])
@pytest.mark.parametrize("longest", [1, 2])
def test_bags_of_words_and_of_bigrams_stay_low(corpus, counted, longest) -> None:
    def texts(split: str) -> list[str]:
        return [" ".join(sentence.words) for sentence in corpus[split]]

    bag = counted(ngram_range=(1, longest), token_pattern=r"\S+")
    model = LogisticRegression(max_iter=500)
    model.fit(bag.fit_transform(texts("train")), [s.label for s in corpus["train"]])
    for split in ("validation", "test"):
        accuracy = model.score(bag.transform(texts(split)), [s.label for s in corpus[split]])
        assert accuracy < 0.70


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(UserError, match="at least one sentence in every split, got 0"):
        probe.generate(SEED, train_sentences=0)


# The treebank.


def columns(text: str) -> list[list[list[str]]]:
    """The rows of every sentence of a CoNLL-U text."""
    return [
        [line.split("\t") for line in block.splitlines() if not line.startswith("#")]
        for block in text.strip().split("\n\n")
    ]


def test_the_treebank_is_conllu_with_universal_tags_alone() -> None:
    bank = treebank.treebank(SEED)
    assert list(bank) == ["train", "dev"]
    for text in bank.values():
        for sentence in columns(text):
            assert [int(row[0]) for row in sentence] == list(range(1, len(sentence) + 1))
            assert all(len(row) == 10 for row in sentence)
            assert {row[3] for row in sentence} <= set(UNIVERSAL_TAGS)
            assert {row[column] for row in sentence for column in (2, 4, 5)} == {"_"}


def test_the_treebank_follows_its_seed() -> None:
    assert treebank.treebank(1) == treebank.treebank(1)
    assert treebank.treebank(1) != treebank.treebank(2)


def test_the_treebank_knows_nearly_every_word_of_the_corpus(corpus) -> None:
    known = {row[1] for sentence in columns(treebank.treebank(SEED)["train"]) for row in sentence}
    words = {word for split in corpus.values() for s in split for word in s.words}
    assert len(words - known) < 0.02 * len(words)


def test_many_words_stand_under_two_tags(corpus) -> None:
    tags = defaultdict(Counter)
    for sentence in corpus["train"]:
        for word, tag in zip(sentence.words, sentence.tags, strict=True):
            tags[word][tag] += 1
    assert sum({"NOUN", "VERB"} <= set(found) for found in tags.values()) >= 15
    correct = sum(max(found.values()) for found in tags.values())
    assert correct / sum(sum(found.values()) for found in tags.values()) < 0.97
