"""The words of the probe corpus, by part of speech and polarity.

Three kinds of word matter. *Polar* words carry a sentiment of +1 or -1 that the grammar may keep,
reverse or cancel. *Neutral* words carry none. *Ambiguous* words appear in two tables under
different tags (`charm`, `bore`, `shot`, `play`, `pretty`, `moving`), so a look-up table cannot tag
this corpus: a tagger has to read the context.
"""

from typing import NamedTuple

POSITIVE = 1
NEGATIVE = -1


class Verb(NamedTuple):
    """The three forms of a verb that the grammar uses."""

    base: str
    singular: str  # third person singular, present
    past: str


class Noun(NamedTuple):
    """The two forms of a countable noun."""

    singular: str
    plural: str


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _verbs(text: str) -> tuple[Verb, ...]:
    return tuple(Verb(*forms.split("/")) for forms in text.split())


def _nouns(text: str) -> tuple[Noun, ...]:
    return tuple(Noun(*forms.split("/")) for forms in text.split())


# Polar words: the sentiment of a sentence comes from these and from the grammar around them.

ADJECTIVES = {
    POSITIVE: _words(
        "good great funny charming clever brilliant warm moving touching fresh superb witty lovely "
        "generous elegant smart delightful pretty"
    ),
    NEGATIVE: _words(
        "bad awful boring dull clumsy stupid weak silly flat tedious lifeless shallow thin poor "
        "bland ugly messy annoying"
    ),
}

ADVERBS = {
    POSITIVE: _words("beautifully brilliantly superbly elegantly cleverly well perfectly warmly"),
    NEGATIVE: _words("badly poorly clumsily awkwardly lazily stupidly carelessly miserably"),
}

# What a film does, with no object or with people as its object.
EFFECT_VERBS = {
    POSITIVE: _verbs(
        "charm/charms/charmed delight/delights/delighted dazzle/dazzles/dazzled "
        "impress/impresses/impressed amuse/amuses/amused thrill/thrills/thrilled "
        "inspire/inspires/inspired please/pleases/pleased"
    ),
    NEGATIVE: _verbs(
        "bore/bores/bored annoy/annoys/annoyed disappoint/disappoints/disappointed "
        "irritate/irritates/irritated insult/insults/insulted frustrate/frustrates/frustrated "
        "offend/offends/offended fail/fails/failed"
    ),
}

# What a film does to its own parts.
TREATMENT_VERBS = {
    POSITIVE: _verbs("honor/honors/honored enrich/enriches/enriched lift/lifts/lifted"),
    NEGATIVE: _verbs("waste/wastes/wasted ruin/ruins/ruined spoil/spoils/spoiled"),
}

# What people do who have seen it.
OPINION_VERBS = {
    POSITIVE: _verbs(
        "love/loves/loved enjoy/enjoys/enjoyed admire/admires/admired like/likes/liked"
    ),
    NEGATIVE: _verbs(
        "hate/hates/hated dislike/dislikes/disliked regret/regrets/regretted "
        "despise/despises/despised"
    ),
}

# Verdicts ("it is a gem"). Several are verbs as well.
NOUNS = {
    POSITIVE: _words("triumph delight gem joy masterpiece thrill pleasure winner"),
    NEGATIVE: _words("mess bore flop insult failure disaster mistake loser"),
}

# Qualities that a film may have, without an article.
QUALITIES = {
    POSITIVE: _words("charm wit grace warmth style"),
    NEGATIVE: _words("kitsch noise padding nonsense drivel"),
}

# Words that turn or weigh a polarity.

BOOSTERS = _words("very really truly extremely deeply remarkably utterly")
DAMPERS = _words("slightly somewhat mildly faintly")
HEDGES = _words("pretty quite rather fairly")
FREQUENCIES = _words("often always usually still again")

# Neutral words.

NEUTRAL_ADJECTIVES = _words(
    "new french old young quiet short second final main local american early recent small classic"
)

WORKS = _nouns("film/films movie/movies drama/dramas sequel/sequels comedy/comedies play/plays")
PARTS = _nouns(
    "plot/plots script/scripts story/stories scene/scenes joke/jokes song/songs shot/shots "
    "score/scores ending/endings character/characters show/shows cut/cuts turn/turns voice/voices"
)
MASS_PARTS = _words("acting dialogue music camerawork editing")
PEOPLE = _nouns(
    "actor/actors director/directors writer/writers singer/singers star/stars teacher/teachers "
    "soldier/soldiers painter/painters lawyer/lawyers family/families cast/casts guide/guides"
)
AUDIENCE = _nouns("viewer/viewers critic/critics fan/fans friend/friends guest/guests")
PLACES = _nouns(
    "city/cities village/villages house/houses hotel/hotels island/islands river/rivers "
    "station/stations theater/theaters"
)
TIMES = _nouns("war/wars summer/summers winter/winters visit/visits fight/fights walk/walks")
SECTIONS = _words("half act hour part third minute")
TITLES = _nouns("title/titles poster/posters trailer/trailers premise/premises start/starts")
NAMES = _words("anna marlow keller ortega lindqvist tanaka moreau bennett")
TOWNS = _words("paris berlin lisbon boston kyoto vienna")
NUMBERS = _words("two three four five")

# Events that carry no judgment. The first group takes a thing or person, the second a place.
EVENT_VERBS = _verbs(
    "follow/follows/followed visit/visits/visited guide/guides/guided show/shows/showed "
    "star/stars/starred voice/voices/voiced play/plays/played fight/fights/fought"
)
MOTION_VERBS = _verbs(
    "return/returns/returned walk/walks/walked turn/turns/turned hurry/hurries/hurried "
    "move/moves/moved travel/travels/traveled"
)
PROGRESSIVES = _words("moving returning walking traveling hurrying")
PARTICIPLES = _words("shot set made filmed cast cut")
# Manner verbs that wait for a polar adverb.
MANNER_VERBS = _verbs(
    "work/works/worked act/acts/acted end/ends/ended open/opens/opened play/plays/played "
    "speak/speaks/spoke"
)
INTERJECTIONS = _words("well yes oh")
# Two of them are prepositions as well.
SUBORDINATORS = _words("because since after before")
