"""Which sentences are made: every choice, with its probability.

The drawing goes from the verb outwards: a verb, a subject that can do it, objects it can be done
to, then what may surround them. The splits differ only in how freely modifiers are added, in
whether the subject must have one, and in whether held-out adjectives may be drawn.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

from .lexicon import (
    ADJECTIVES,
    DETERMINERS,
    NAMES,
    NOUNS,
    NUMBERS,
    PREPOSITIONS,
    PRONOUNS,
    VERBS,
    Adjective,
    Determiner,
    Noun,
    Verb,
    adjectives_of,
    held_out,
)
from .morphology import IL, ILS, JE, NOUS, VOUS
from .phrases import (
    BE,
    FUTURE,
    PAST,
    PERFECT,
    PRESENT,
    PROGRESSIVE,
    SOME,
    THE,
    Afraid,
    Compound,
    Modifier,
    Names,
    Nominal,
    NounPhrase,
    ObjectQuestion,
    ObjectRelative,
    Owner,
    Predicate,
    Prepositional,
    Question,
    Sentence,
    Statement,
    SubjectRelative,
    WhereIs,
    WhoQuestion,
)

T = TypeVar("T")


class Weighted(Generic[T]):
    """Options drawn in proportion to their weights."""

    def __init__(self, weights: dict[T, float]) -> None:
        self.options = tuple(weights)
        self.shares = tuple(accumulate(weights.values()))


def tagged(*tags: str) -> tuple[Noun, ...]:
    return tuple(noun for noun in NOUNS if not noun.tags.isdisjoint(tags))


def verbs(words: str) -> tuple[Verb, ...]:
    return tuple(VERBS[word] for word in words.split())


SENTENCES = Weighted(
    {
        "statement": 66, "compound": 7, "yes_no": 9, "where": 3, "when": 2, "why": 3, "what": 2,
        "which": 2, "how many": 2, "who": 2, "where_is": 2,
    }
)  # fmt: skip
MAIN_VERBS = Weighted(
    {
        VERBS[word]: weight
        for word, weight in {
            "be": 30, "eat": 4, "drink": 4, "read": 4, "write": 4, "see": 4, "buy": 4, "sell": 4,
            "open": 4, "take": 4, "choose": 4, "make": 4, "put": 4, "give": 4, "talk": 3,
            "sleep": 3, "sing": 3, "play": 3, "go": 6, "arrive": 5, "leave": 5, "fall": 5,
            "have": 4, "want": 4, "like": 3,
        }.items()
    }
)  # fmt: skip
ACTIONS = tuple(verb for verb in VERBS.values() if verb.subjects and not verb.state)
WITH_A_PLACE = verbs("eat drink read write see buy sell choose make sleep sing play arrive fall")
ASKED_WHERE = verbs("eat drink read write see buy sell choose make sleep sing play go put")
ASKED_WHAT = verbs("eat drink read write see buy sell open take choose make put want")
BEFORE_THE_VERB = verbs("eat drink read write see buy sell open take choose make put want like")
SEE, FALL, ARRIVE, LIKE = verbs("see fall arrive like")
CAN, MUST, WANT = verbs("can must want")

MODAL = -1  # stands for a tense where a modal is drawn
ACTION_TENSES = Weighted(
    {PRESENT: 24, PROGRESSIVE: 14, PAST: 34, PERFECT: 8, FUTURE: 10, MODAL: 10}
)
STATE_TENSES = Weighted({PRESENT: 60, PAST: 40})
BE_TENSES = Weighted({PRESENT: 50, PAST: 42, FUTURE: 4, MODAL: 4})
MODALS = Weighted({CAN: 3, MUST: 3, WANT: 3, LIKE: 1})

SUBJECT_DETERMINERS = Weighted({"the": 62, "this": 14, "own": 16, "some": 8})
OBJECT_DETERMINERS = Weighted({"the": 36, "this": 10, "own": 18, "some": 36})
DEFINITE_DETERMINERS = Weighted({"the": 60, "this": 16, "own": 24})
PLACE_DETERMINERS = Weighted({"the": 74, "this": 10, "own": 6, "some": 10})

# Where something is: a preposition and the tag of what may follow it.
PLACES_OF_CREATURES = Weighted(
    {("near", "place"): 4, ("in", "inside"): 3, ("behind", "building"): 2,
     ("in front of", "building"): 2, ("under", "surface"): 1}
)  # fmt: skip
PLACES_OF_BIG_THINGS = Weighted(
    {("near", "place"): 3, ("behind", "building"): 2, ("in front of", "building"): 2}
)
PLACES_OF_SMALL_THINGS = Weighted(
    {("on", "surface"): 4, ("under", "surface"): 3, ("in", "container"): 3}
)
PLACES_OF_MEALS = Weighted({("on", "surface"): 1})
PLACES_OF_ACTIONS = Weighted(
    {("in", "inside"): 4, ("near", "place"): 3, ("behind", "building"): 1,
     ("in front of", "building"): 1, ("at", "goal"): 2}
)  # fmt: skip
PLACES_TO_PUT = Weighted({("on", "surface"): 1, ("in", "container"): 1, ("under", "surface"): 1})
GROUNDS = {tag: tagged(tag) for tag in ("place", "inside", "building", "surface", "container",
                                        "goal")}  # fmt: skip

TIMES = {
    PRESENT: (("every day", "tous les jours"),),
    PROGRESSIVE: (("today", "aujourd'hui"), ("now", "maintenant")),
    PAST: (("yesterday", "hier"), ("this morning", "ce matin")),
    PERFECT: (("today", "aujourd'hui"),),
    FUTURE: (("tomorrow", "demain"), ("today", "aujourd'hui")),
}
TIMES_OF_BEING = {**TIMES, PRESENT: (("today", "aujourd'hui"), ("now", "maintenant"))}

SUBJECTS = {verb: tagged(*verb.subjects) for verb in VERBS.values()}
OBJECTS = {verb: tagged(*verb.objects) for verb in VERBS.values()}
OBJECTS_TO_COUNT = {
    verb: tuple(noun for noun in nouns if not noun.mass) for verb, nouns in OBJECTS.items()
}
VERBS_WITH_OBJECT = {
    noun: tuple(verb for verb in BEFORE_THE_VERB if noun in OBJECTS[verb]) for noun in NOUNS
}
VERBS_WITH_SUBJECT = {
    noun: tuple(verb for verb in (*ACTIONS, BE) if noun in SUBJECTS[verb] or verb is BE)
    for noun in NOUNS
}
SEEN = {noun: tuple(a for a in adjectives_of(noun) if not held_out(noun, a)) for noun in NOUNS}
UNSEEN = {noun: tuple(a for a in adjectives_of(noun) if held_out(noun, a)) for noun in NOUNS}
PEOPLE, ANIMATE = tagged("person"), tagged("person", "animal")
ADJECTIVES_OF_PEOPLE = tuple(a for a in ADJECTIVES if {"person", "adult"} & set(a.tags))
FEELINGS = tuple(
    a for a in ADJECTIVES if a.english in "happy sad tired sick full hungry thirsty".split()
)
LASTING = tuple(  # what is not so "today" or "often"
    a for a in ADJECTIVES if a not in FEELINGS and a.english not in ("cold", "empty", "open")
)
POSSESSIVES = tuple(DETERMINERS[word] for word in "my your his her our their".split())
SUBJECT_PRONOUNS = tuple(PRONOUNS.values())
# Whom each row can see: never itself, for that would ask for reflexive verbs.
OBJECT_PRONOUNS = {
    row: tuple(p for p in SUBJECT_PRONOUNS if p.row not in excluded)
    for row, excluded in {
        JE: (JE, NOUS), NOUS: (JE, NOUS), VOUS: (VOUS,), IL: (), ILS: (),
    }.items()
}  # fmt: skip


def can_be_owned(noun: Noun) -> bool:
    """Whether "my" goes before it: "my woman" and "my river" are left out."""
    return "owned" in noun.tags or noun.tags.isdisjoint(("person", "place"))


class Grammar:
    """Draws sentences. `tries` chances for each modifier, instead of one, make long ones.

    Only `random.Random(seed).random()` is used: its numbers are the same on every version of
    Python, unlike those of `choice` or `shuffle`.
    """

    def __init__(
        self, seed: int, tries: int = 1, unseen: bool = False, modified: bool = False
    ) -> None:
        self.random = random.Random(seed).random
        self.tries = tries
        self.unseen = unseen  # draw held-out adjectives too
        self.modified = modified  # only statements, with something after the subject's noun
        self.has_new_pair = False

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def more(self, probability: float) -> bool:
        """A chance to add something that makes the sentence longer."""
        return self.random() < 1 - (1 - probability) ** self.tries

    def choice(self, options: Sequence[T]) -> T:
        return options[int(self.random() * len(options))]

    def weighted(self, table: Weighted[T]) -> T:
        return table.options[bisect(table.shares, self.random() * table.shares[-1])]

    # Sentences

    def sentence(self) -> Sentence:
        self.has_new_pair = False
        kind = "statement" if self.modified else self.weighted(SENTENCES)
        if kind == "statement":
            return self.statement(self.weighted(MAIN_VERBS), modified=self.modified)
        if kind == "compound":
            return self.compound()
        if kind == "where_is":
            return WhereIs(self.being(), PAST if self.chance(0.3) else PRESENT)
        if kind == "who":
            return self.who()
        if kind in ("which", "how many"):
            return self.object_question(kind)
        return self.question("" if kind == "yes_no" else kind)

    def statement(self, verb: Verb, modified: bool = False, plain: bool = False) -> Statement:
        """`plain` leaves out relative clauses and times, for parts of a longer sentence."""
        subject = self.subject(verb, modified, plain)
        negation = self.negation() if self.chance(0.2) else ""
        return Statement(subject, self.predicate(verb, subject, negation, plain=plain))

    def compound(self) -> Compound:
        plain = self.tries == 1
        conjunction = self.choice(("and", "but", "because"))
        second = self.statement(self.weighted(MAIN_VERBS), plain=plain)
        if conjunction != "because":
            return Compound(
                self.statement(self.weighted(MAIN_VERBS), plain=plain), conjunction, second
            )
        subject = self.subject_of_kind(ANIMATE, plain=plain)
        tense = PAST if second.predicate.tense in (PAST, PERFECT) else PRESENT
        feeling = Predicate(BE, tense, complement=self.feeling(subject))
        return Compound(Statement(subject, feeling), conjunction, second)

    def question(self, word: str) -> Question:
        if word == "where":
            verb = self.choice(ASKED_WHERE)
        elif word == "when":
            verb = self.choice(ACTIONS)
        elif word == "what":
            verb = self.choice(ASKED_WHAT)
        else:
            verb = self.weighted(MAIN_VERBS)
        subject = self.subject(verb)
        negation = "not" if word == "why" and self.chance(0.3) else ""
        return Question(word, subject, self.predicate(verb, subject, negation, asked=word))

    def object_question(self, word: str) -> ObjectQuestion:
        verb = self.choice(ASKED_WHAT)
        while not OBJECTS_TO_COUNT[verb]:  # "which water"
            verb = self.choice(ASKED_WHAT)
        subject = self.subject(verb)
        noun = self.choice(OBJECTS_TO_COUNT[verb])
        plural = word == "how many" or self.chance(0.5)
        asked = NounPhrase(noun, None, plural)
        if self.chance(0.1):
            asked.adjectives = self.attributes(noun)
        return ObjectQuestion(
            word, asked, subject, self.predicate(verb, subject, asked="what", plain=True)
        )

    def who(self) -> WhoQuestion:
        who = WhoQuestion.who
        verb = self.weighted(MAIN_VERBS)
        return WhoQuestion(self.predicate(verb, who, self.negation() if self.chance(0.1) else ""))

    # Subjects and other nominals

    def subject(self, verb: Verb, modified: bool = False, plain: bool = False) -> Nominal:
        if verb is BE:
            return self.being(modified, plain)
        return self.subject_of_kind(SUBJECTS[verb], modified, plain)

    def being(self, modified: bool = False, plain: bool = False) -> Nominal:
        """The subject of "be": a person as often as for another verb, else anything."""
        return self.subject_of_kind(ANIMATE if self.chance(0.45) else NOUNS, modified, plain)

    def subject_of_kind(
        self, nouns: Sequence[Noun], modified: bool = False, plain: bool = False
    ) -> Nominal:
        if not modified:
            share = self.random()
            if share < 0.26:
                return self.choice(SUBJECT_PRONOUNS)
            if share < 0.38:
                return self.names()
        phrase = self.noun_phrase(
            nouns, DEFINITE_DETERMINERS if modified else SUBJECT_DETERMINERS, subject=True
        )
        if modified or (not plain and self.more(0.4)):
            self.modify(phrase, force=modified)
        return phrase

    def names(self) -> Names:
        first = self.choice(tuple(NAMES))
        if self.chance(0.75):
            return Names((first,))
        second = self.choice(tuple(name for name in NAMES if name != first))
        return Names((first, second))

    def noun_phrase(
        self, nouns: Sequence[Noun], determiners: Weighted[str], subject: bool = False
    ) -> NounPhrase:
        noun = self.choice(nouns)
        phrase = NounPhrase(noun, THE, not noun.mass and self.chance(0.45))
        kind = self.weighted(determiners)
        if kind == "this":
            phrase.determiner = DETERMINERS["this"]
        elif kind == "own" and can_be_owned(noun):
            if self.more(0.2):
                phrase.modifier = Owner(self.owner())
            else:
                phrase.determiner = self.choice(POSSESSIVES)
        elif kind == "some" and "kin" not in noun.tags:
            # "des clés sont sur la table" is poor French: only who acts is an indefinite subject
            if not subject or noun in ANIMATE:
                phrase.determiner = SOME
        if phrase.plural and phrase.determiner in (THE, SOME) and self.chance(0.22):
            phrase.number = self.choice(NUMBERS)
            if phrase.determiner is SOME:
                phrase.determiner = None
        if self.more(0.26):
            phrase.adjectives = self.attributes(noun)
        return phrase

    def owner(self) -> Nominal:
        if self.chance(0.5):
            return Names((self.choice(tuple(NAMES)),))
        return NounPhrase(self.choice(PEOPLE))

    def attributes(self, noun: Noun) -> tuple[Adjective, ...]:
        """One adjective, or one before and one after in French: "the little red box"."""
        first = self.adjective(noun)
        if first is None or first.position == "predicate":
            return ()
        second = self.adjective(noun) if self.chance(0.15) else None
        if second is None or {first.position, second.position} != {"before", "after"}:
            return (first,)
        return (first, second) if first.position == "before" else (second, first)

    def adjective(self, noun: Noun, besides: Sequence[Adjective] = ()) -> Adjective | None:
        """One that goes with the noun; None when those `besides` were all there are."""
        if self.unseen and UNSEEN[noun] and self.chance(0.5):
            options = UNSEEN[noun]
        else:
            options = SEEN[noun]
        if besides:
            options = tuple(a for a in options if a not in besides)
        if not options:
            return None
        adjective = self.choice(options)
        if adjective in UNSEEN[noun]:
            self.has_new_pair = True
        return adjective

    def said_of(self, subject: Nominal) -> Adjective | None:
        """An adjective for a subject, not the one it has: "the red door is red"."""
        if isinstance(subject, NounPhrase):
            return self.adjective(subject.noun, subject.adjectives)
        return self.choice(ADJECTIVES_OF_PEOPLE)

    def feeling(self, subject: Nominal) -> Adjective:
        if isinstance(subject, NounPhrase):
            return self.choice([a for a in FEELINGS if a in SEEN[subject.noun]])
        return self.choice(FEELINGS)

    # What follows a noun

    def modify(self, phrase: NounPhrase, force: bool = False) -> None:
        """A place or a relative clause after a definite noun."""
        definite = phrase.determiner in (THE, DETERMINERS["this"])
        if isinstance(phrase.modifier, Owner) or not definite:
            if not force:
                return
            phrase.determiner, phrase.modifier = THE, None
        phrase.modifier = self.modifier(phrase)

    def modifier(self, head: NounPhrase) -> Modifier:
        noun, kind = head.noun, self.random()
        if noun.english[0] == "key" and kind < 0.6:
            ground = self.noun_phrase(OBJECTS[VERBS["open"]], DEFINITE_DETERMINERS)
            return Prepositional(PREPOSITIONS["to/of"], ground)
        if kind < 0.3 or not (VERBS_WITH_OBJECT[noun] or noun in ANIMATE):
            if "part" in noun.tags:
                ground = self.noun_phrase(GROUNDS["building"], PLACE_DETERMINERS)
                return Prepositional(PREPOSITIONS["of"], ground)
            return self.place(self.places_of(noun), noun)
        if kind < 0.65 and (noun in ANIMATE or "thing" in noun.tags):
            verb = self.choice(VERBS_WITH_SUBJECT[noun])
            predicate = self.predicate(verb, head, plain=True)
            who = noun in PEOPLE and self.chance(0.6)
            return SubjectRelative(predicate, "who" if who else "that", head)
        if not VERBS_WITH_OBJECT[noun]:
            return self.place(self.places_of(noun), noun)
        verb = self.choice(VERBS_WITH_OBJECT[noun])
        subject = self.subject(verb, plain=True)
        predicate = self.predicate(verb, subject, asked="what", plain=True)
        return ObjectRelative(subject, predicate)

    def places_of(self, noun: Noun) -> Weighted[tuple[str, str]]:
        if noun in ANIMATE:
            return PLACES_OF_CREATURES
        if "portable" in noun.tags and "container" not in noun.tags:
            return PLACES_OF_SMALL_THINGS
        if not noun.tags.isdisjoint(("food", "drink", "container")):
            return PLACES_OF_MEALS
        return PLACES_OF_BIG_THINGS

    def place(self, table: Weighted[tuple[str, str]], besides: Noun | None = None) -> Prepositional:
        preposition, tag = self.weighted(table)
        ground = self.noun_phrase(GROUNDS[tag], PLACE_DETERMINERS)
        while ground.noun is besides:  # "the house near the house"
            ground = self.noun_phrase(GROUNDS[tag], PLACE_DETERMINERS)
        if preposition == "near" and ground.determiner is SOME and ground.plural:
            ground.determiner = THE  # "près de maisons" is heard, but not first
        return Prepositional(PREPOSITIONS[preposition], ground)

    # Predicates

    def negation(self) -> str:
        return "not" if self.chance(0.7) else "never"

    def predicate(
        self,
        verb: Verb,
        subject: Nominal,
        negation: str = "",
        asked: str = "",
        plain: bool = False,
    ) -> Predicate:
        """`asked` is what a question or a relative pronoun stands for, and so is left out."""
        predicate = Predicate(verb, negation=negation)
        self.set_tense(predicate, subject)
        if verb is BE:
            self.set_complement(predicate, subject)
        else:
            if verb.objects and asked != "what":
                predicate.object = self.object(verb, subject, negation, plain)
            predicate.places = self.places(verb, asked, plain)
        if asked not in ("when", "what"):
            self.set_time(predicate, subject, plain)
        return predicate

    def set_tense(self, predicate: Predicate, subject: Nominal) -> None:
        verb = predicate.verb
        if verb is LIKE:
            tense = PRESENT
        else:
            tense = self.weighted(
                BE_TENSES if verb is BE else STATE_TENSES if verb.state else ACTION_TENSES
            )
        if tense == MODAL and verb in (FALL, ARRIVE):
            tense = FUTURE
        if tense == PROGRESSIVE and verb is SEE:
            tense = PRESENT
        if tense == MODAL:
            modal = self.weighted(MODALS)
            predicate.modal = MUST if verb is BE else modal
            tense = PAST if predicate.modal is WANT and self.chance(0.4) else PRESENT
        elif predicate.negation == "never" and tense in (PROGRESSIVE, FUTURE):
            tense = PRESENT
        if tense == PRESENT and predicate.modal is None:
            # "the boys read" and "the boys put" would be present as well as past
            if verb.past == verb.base and verb is not BE and subject.row != IL:
                tense = PAST if predicate.negation == "never" else PROGRESSIVE
        predicate.tense = tense

    def set_complement(self, predicate: Predicate, subject: Nominal) -> None:
        """What "be" says: an adjective, a place, or fear."""
        noun = subject.noun if isinstance(subject, NounPhrase) else None
        animate = noun is None or noun in ANIMATE
        share = self.random()
        if share < 0.1 and animate:
            predicate.complement = Afraid(self.noun_phrase(ANIMATE, DEFINITE_DETERMINERS))
            return
        if share > 0.28 or (noun is not None and "part" in noun.tags):
            predicate.complement = self.said_of(subject)
        if predicate.complement is None:
            table = PLACES_OF_CREATURES if animate else self.places_of(noun)
            predicate.complement = self.place(table, noun)

    def object(self, verb: Verb, subject: Nominal, negation: str, plain: bool) -> Nominal:
        if verb in (SEE, LIKE) and self.chance(0.4):
            return self.choice(OBJECT_PRONOUNS[subject.row])
        phrase = self.noun_phrase(
            OBJECTS[verb], DEFINITE_DETERMINERS if verb is LIKE else OBJECT_DETERMINERS
        )
        if negation and phrase.determiner is None:  # "he does not see two dogs"
            phrase.number, phrase.determiner = None, SOME
        if not plain and self.more(0.12):
            self.modify(phrase)
        return phrase

    def places(self, verb: Verb, asked: str, plain: bool) -> tuple[Prepositional, ...]:
        if verb.follows == "to":
            return (Prepositional(PREPOSITIONS["to"], self.person()),)
        if asked == "where":
            return ()
        if verb.follows == "on":
            return (self.place(PLACES_TO_PUT),)
        if verb.follows == "goal":
            ground = self.noun_phrase(GROUNDS["goal"], PLACE_DETERMINERS)
            return (Prepositional(PREPOSITIONS["to"], ground),)
        if verb.follows == "at" and self.chance(0.6):
            ground = self.noun_phrase(GROUNDS["goal"], PLACE_DETERMINERS)
            return (Prepositional(PREPOSITIONS["at"], ground),)
        if verb.follows == "with" and self.chance(0.3):
            return (Prepositional(PREPOSITIONS["with"], self.person(pronoun=0.4)),)
        if verb in WITH_A_PLACE and self.more(0.1 if plain else 0.2):
            return (self.place(PLACES_OF_ACTIONS),)
        return ()

    def person(self, pronoun: float = 0.0) -> Nominal:
        if self.chance(pronoun):
            return self.choice(SUBJECT_PRONOUNS)
        if self.chance(0.3):
            return self.names()
        return self.noun_phrase(PEOPLE, OBJECT_DETERMINERS)

    def set_time(self, predicate: Predicate, subject: Nominal, plain: bool) -> None:
        """ "often", or a time that goes with the tense, where the predicate may change in time."""
        verb, tense, complement = predicate.verb, predicate.tense, predicate.complement
        lasting = complement in LASTING or (verb.state and verb is not BE)
        if predicate.negation == "never" or lasting or predicate.modal not in (None, CAN, MUST):
            return
        if tense == PRESENT and predicate.modal is None and not predicate.negation:
            if self.chance(0.12):
                predicate.often = True
                return
        if not plain and self.more(0.13):
            if predicate.modal is not None:
                tense = FUTURE
            times = TIMES_OF_BEING if verb is BE else TIMES
            if not (tense == PRESENT and predicate.negation and verb is not BE):
                predicate.time = self.choice(times[tense])
