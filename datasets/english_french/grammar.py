"""Which sentences are made: every choice, with its probability.

The drawing goes from the verb outwards: a verb, a subject that can do it, objects it can be done
to, then what may surround them. The splits differ only in how freely modifiers are added, in
whether the subject must have one, and in whether held-out adjectives may be drawn.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Sequence
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
        "statement": 64, "compound": 6, "yes_no": 8, "where": 3, "when": 2, "why": 2, "what": 2,
        "which": 5, "how many": 4, "who": 2, "where_is": 2,
    }
)  # fmt: skip
MAIN_VERBS = Weighted(
    {
        VERBS[word]: weight
        for word, weight in {
            "be": 23, "eat": 4, "drink": 5, "read": 4, "write": 4.5, "see": 4, "buy": 4, "sell": 4,
            "open": 4, "take": 4, "choose": 4, "make": 4, "put": 5, "give": 4.5,
            "sleep": 6, "play": 6, "go": 6, "arrive": 5.5, "leave": 7.5, "fall": 6, "have": 4,
            "want": 4, "like": 3,
        }.items()
    }
)  # fmt: skip
ACTIONS = tuple(verb for verb in VERBS.values() if verb.subjects and not verb.state)
WITH_A_PLACE = verbs("eat drink read write see buy sell make sleep play fall")
ASKED_WHERE = verbs("eat drink read write see buy sell make sleep play go put")
ASKED_WHAT = verbs("eat drink read write see buy sell open take choose make put want")
ASKED_WHICH = Weighted(  # few nouns can be read or made, so that their feminines would be rare
    {
        VERBS[word]: weight
        for word, weight in {
            "eat": 3, "read": 3, "write": 2, "see": 1, "buy": 2, "sell": 2, "open": 2, "take": 2,
            "choose": 2, "make": 3, "put": 2.5,
        }.items()
    }
)  # fmt: skip
BEFORE_THE_VERB = verbs("eat read write see buy sell open take choose make put want like")
SEE, FALL, ARRIVE, LIKE = verbs("see fall arrive like")
CAN, MUST, WANT = verbs("can must want")

MODAL = -1  # stands for a tense where a modal is drawn
ACTION_TENSES = Weighted(
    {PRESENT: 34, PROGRESSIVE: 16, PAST: 26, PERFECT: 8, FUTURE: 8, MODAL: 8}
)
# Most often past, where the participle agrees: "the apples that the boy ate"
TENSES_AFTER_THE_OBJECT = Weighted({PRESENT: 10, PAST: 65, PERFECT: 20, FUTURE: 2, MODAL: 3})
STATE_TENSES = Weighted({PRESENT: 60, PAST: 40})
BE_TENSES = Weighted({PRESENT: 50, PAST: 42, FUTURE: 4, MODAL: 4})
MODALS = Weighted({CAN: 3, MUST: 3, WANT: 3, LIKE: 1})

STATEMENT_DETERMINERS = Weighted({"the": 62, "this": 14, "own": 16, "some": 8})
OBJECT_DETERMINERS = Weighted({"the": 36, "this": 10, "own": 18, "some": 36})
DEFINITE_DETERMINERS = Weighted({"the": 60, "this": 16, "own": 24})
PLACE_DETERMINERS = Weighted({"the": 74, "this": 10, "own": 6, "some": 10})

# Where something is: a preposition and the tag of what may follow it.
PLACES_OF_CREATURES = Weighted(
    {("near", "place"): 4, ("in", "inside"): 3, ("behind", "building"): 2,
     ("in front of", "building"): 2}
)  # fmt: skip
PLACES_OF_ANIMALS = Weighted(
    {("near", "place"): 4, ("in", "inside"): 3, ("behind", "building"): 2, ("under", "surface"): 2}
)
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
GROUNDS = {
    tag: tagged(tag) for tag in ("place", "inside", "building", "surface", "container", "goal")
}

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


def seen_and_held_out(noun: Noun, not_at: str) -> tuple[tuple[Adjective, ...], ...]:
    """The adjectives of a noun but those of one position: known with it, and held out."""
    fitting = tuple(a for a in adjectives_of(noun) if a.position != not_at)
    return (
        tuple(a for a in fitting if not held_out(noun, a)),
        tuple(a for a in fitting if held_out(noun, a)),
    )


ATTRIBUTES = {noun: seen_and_held_out(noun, "predicate") for noun in NOUNS}
SAID = {noun: seen_and_held_out(noun, "attribute") for noun in NOUNS}
PEOPLE, ANIMATE = tagged("person"), tagged("person", "animal")
ADJECTIVES_OF_PEOPLE = tuple(
    a for a in ADJECTIVES if {"person", "adult"} & set(a.tags) and a.topic != "size"
)
FEELINGS = tuple(a for a in ADJECTIVES if a.topic in ("mood", "health", "hunger", "thirst"))
PASSING = FEELINGS + tuple(a for a in ADJECTIVES if a.topic in ("heat", "filling", "opening"))
POSSESSIVES = tuple(DETERMINERS[word] for word in "my your his her our their".split())
ALL_PRONOUNS = tuple(PRONOUNS.values())
# "he, she, they" have the verb forms of nouns; the others are the only ones to show theirs.
SUBJECT_PRONOUNS = Weighted(dict(zip(ALL_PRONOUNS, (7, 2, 2, 8, 8, 2))))  # I he she we you they
# Whom each row can see or play with: never itself, "I see us".
OBJECT_PRONOUNS = {
    row: tuple(p for p in ALL_PRONOUNS if p.row not in excluded)
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
            modified = self.modified or self.chance(0.3)
            return self.statement(self.weighted(MAIN_VERBS), modified=modified)
        if kind == "compound":
            return self.compound()
        if kind == "where_is":
            return WhereIs(self.subject(BE, plain=True), PAST if self.chance(0.3) else PRESENT)
        if kind == "who":
            return self.who()
        if kind in ("which", "how many"):
            return self.object_question(kind)
        return self.question("" if kind == "yes_no" else kind)

    def statement(self, verb: Verb, modified: bool = False, plain: bool = False) -> Statement:
        """`plain` leaves out relative clauses and times, for parts of a longer sentence."""
        subject = self.subject(verb, STATEMENT_DETERMINERS, modified, plain)
        indefinite = isinstance(subject, NounPhrase) and subject.determiner in (SOME, None)
        negation = self.negation() if not indefinite and self.chance(0.2) else ""
        return Statement(subject, self.predicate(verb, subject, negation, plain=plain))

    def compound(self) -> Compound:
        plain = self.tries == 1
        conjunction = self.choice(("and", "but", "because"))
        second = self.statement(self.weighted(MAIN_VERBS), plain=plain)
        if conjunction != "because":
            return Compound(
                self.statement(self.weighted(MAIN_VERBS), plain=plain), conjunction, second
            )
        subject = self.nominal(ANIMATE, BE, plain=plain)
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
        verb = self.weighted(ASKED_WHICH)
        subject = self.subject(verb)
        noun = self.choice(OBJECTS_TO_COUNT[verb])
        plural = word == "how many" or self.chance(0.35)
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

    def subject(
        self,
        verb: Verb,
        determiners: Weighted[str] = DEFINITE_DETERMINERS,
        modified: bool = False,
        plain: bool = False,
    ) -> Nominal:
        nouns = SUBJECTS[verb]
        if verb is BE:
            nouns = ANIMATE if self.chance(0.4) else NOUNS
        return self.nominal(nouns, verb, determiners, modified, plain)

    def nominal(
        self,
        nouns: Sequence[Noun],
        verb: Verb,
        determiners: Weighted[str] = DEFINITE_DETERMINERS,
        modified: bool = False,
        plain: bool = False,
    ) -> Nominal:
        """A subject: a pronoun, a name or two, or a noun. With `modified` a noun in any case."""
        if not modified:
            share = self.random()
            if share < 0.4:
                return self.weighted(SUBJECT_PRONOUNS)
            if share < 0.49:
                return self.names()
        phrase = self.noun_phrase(nouns, determiners)
        if phrase.determiner is SOME and phrase.noun not in ANIMATE:
            # "des clés sont sur la table" is poor French: only who acts is indefinite
            phrase.determiner = THE
        if modified or (not plain and self.more(0.55)):
            self.modify(phrase, verb, force=modified)
        return phrase

    def names(self, besides: Nominal | None = None) -> Names:
        taken = besides.names if isinstance(besides, Names) else ()
        free = tuple(name for name in NAMES if name not in taken)
        first = self.choice(free)
        if self.chance(0.75):
            return Names((first,))
        return Names((first, self.choice(tuple(name for name in free if name != first))))

    def noun_phrase(
        self, nouns: Sequence[Noun], determiners: Weighted[str], plural: float = 0.45
    ) -> NounPhrase:
        noun = self.choice(nouns)
        phrase = NounPhrase(noun, THE, not noun.mass and self.chance(plural))
        kind = self.weighted(determiners)
        if kind == "this":
            phrase.determiner = DETERMINERS["this"]
        elif kind == "own" and can_be_owned(noun):
            if self.more(0.27):
                phrase.modifier = Owner(self.owner(noun))
            else:
                phrase.determiner = self.choice(POSSESSIVES)
        elif kind == "some" and "kin" not in noun.tags:
            phrase.determiner = SOME
        if phrase.plural and phrase.determiner in (THE, SOME) and self.chance(0.22):
            phrase.number = self.choice(NUMBERS)
            if phrase.determiner is SOME:
                phrase.determiner = None
        if self.more(0.28):
            phrase.adjectives = self.attributes(noun)
        return phrase

    def owner(self, owned: Noun) -> Nominal:
        if self.chance(0.45):
            return Names((self.choice(tuple(NAMES)),))
        return NounPhrase(self.choice([noun for noun in PEOPLE if noun is not owned]))

    # Adjectives. None that is drawn is thrown away, or `has_new_pair` would not be true.

    def attributes(self, noun: Noun) -> tuple[Adjective, ...]:
        """One adjective, or one before and one after in French: "the little red box"."""
        seen, unseen = ATTRIBUTES[noun]
        first = self.adjective(seen, unseen)
        if self.chance(0.85):
            return (first,)
        others = tuple(a for a in seen if a.goes_before != first.goes_before)
        if not others:
            return (first,)
        second = self.choice(others)
        return (first, second) if first.goes_before else (second, first)

    def adjective(self, seen: Sequence[Adjective], unseen: Sequence[Adjective]) -> Adjective:
        if self.unseen and unseen and self.chance(0.5):
            self.has_new_pair = True
            return self.choice(unseen)
        return self.choice(seen)

    def said_of(self, subject: Nominal) -> Adjective | None:
        """An adjective for a subject, not of a topic it has one of: "the old king is young".

        None when nothing is left to say, as of good cold milk.
        """
        if not isinstance(subject, NounPhrase):
            return self.choice(ADJECTIVES_OF_PEOPLE)
        seen, unseen = SAID[subject.noun]
        if subject.adjectives:
            topics = [adjective.topic for adjective in subject.adjectives]
            seen = tuple(a for a in seen if a.topic not in topics)
            unseen = tuple(a for a in unseen if a.topic not in topics)
        if self.chance(0.2):  # those only said with "be" have no other place to be learned
            seen = tuple(a for a in seen if a.position == "predicate") or seen
        return self.adjective(seen, unseen) if seen else None

    def feeling(self, subject: Nominal) -> Adjective:
        if not isinstance(subject, NounPhrase):
            return self.choice(FEELINGS)
        topics = [adjective.topic for adjective in subject.adjectives]
        seen = SAID[subject.noun][0]
        return self.choice([a for a in FEELINGS if a in seen and a.topic not in topics])

    # What follows a noun

    def modify(self, phrase: NounPhrase, verb: Verb, force: bool = False) -> None:
        """A place or a relative clause after a definite noun that goes with `verb`."""
        definite = phrase.determiner in (THE, DETERMINERS["this"])
        if isinstance(phrase.modifier, Owner) or not definite:
            if not force:
                return
            phrase.determiner, phrase.modifier = THE, None
        phrase.modifier = self.modifier(phrase, verb)

    def modifier(self, head: NounPhrase, main: Verb) -> Modifier:
        """The clause has another verb than `main`: "the king who falls fell" is left out."""
        noun, kind = head.noun, self.random()
        if noun.english[0] == "key" and kind < 0.6:
            return self.ground("to/of", OBJECTS[VERBS["open"]])
        if 0.25 < kind < 0.55 and (noun in ANIMATE or "thing" in noun.tags):
            verb = self.choice([verb for verb in VERBS_WITH_SUBJECT[noun] if verb is not main])
            predicate = self.predicate(verb, head, plain=True)
            who = noun in PEOPLE and self.chance(0.6)
            return SubjectRelative(predicate, "who" if who else "that", head)
        verbs_with_object = [verb for verb in VERBS_WITH_OBJECT[noun] if verb is not main]
        if kind > 0.25 and verbs_with_object:
            verb = self.choice(verbs_with_object)
            others = [other for other in SUBJECTS[verb] if other is not noun]
            subject = self.nominal(others, verb, plain=True)
            predicate = self.predicate(verb, subject, asked="what", plain=True)
            return ObjectRelative(subject, predicate)
        if "part" in noun.tags:
            return self.ground("of", GROUNDS["building"])
        return self.place(self.places_of(noun), noun)

    def places_of(self, noun: Noun) -> Weighted[tuple[str, str]]:
        if noun in ANIMATE:
            return PLACES_OF_CREATURES if noun in PEOPLE else PLACES_OF_ANIMALS
        if not noun.tags.isdisjoint(("portable", "text")) and "container" not in noun.tags:
            return PLACES_OF_SMALL_THINGS
        if not noun.tags.isdisjoint(("food", "drink", "container")):
            return PLACES_OF_MEALS
        return PLACES_OF_BIG_THINGS

    def place(self, table: Weighted[tuple[str, str]], besides: Noun | None = None) -> Prepositional:
        """`besides` is the noun that is there: "the house near the house" is left out."""
        preposition, tag = self.weighted(table)
        return self.ground(preposition, tuple(n for n in GROUNDS[tag] if n is not besides))

    def ground(self, preposition: str, nouns: Sequence[Noun]) -> Prepositional:
        """A place to be in, at or go to is mostly one; there is no indefinite plural, for
        "près de maisons" and "aller à des hôtels" are heard, but not first.
        """
        plural = 0.15 if preposition in ("in", "at", "to") else 0.45
        phrase = self.noun_phrase(nouns, PLACE_DETERMINERS, plural)
        if phrase.determiner is SOME and phrase.plural:
            phrase.determiner = THE
        return Prepositional(PREPOSITIONS[preposition], phrase)

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
        self.set_tense(predicate, subject, asked)
        if verb is BE:
            self.set_complement(predicate, subject)
        else:
            if verb.objects and asked != "what":
                predicate.object = self.object(verb, subject, negation, plain)
            predicate.places = self.places(verb, subject, asked, plain)
        if asked not in ("when", "what"):
            self.set_time(predicate, subject, plain)
        return predicate

    def set_tense(self, predicate: Predicate, subject: Nominal, asked: str) -> None:
        verb = predicate.verb
        if verb is LIKE:
            tense = PRESENT
        elif verb.state:
            tense = self.weighted(BE_TENSES if verb is BE else STATE_TENSES)
        else:
            tense = self.weighted(TENSES_AFTER_THE_OBJECT if asked == "what" else ACTION_TENSES)
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
            feared = tuple(other for other in ANIMATE if other is not noun)
            predicate.complement = Afraid(self.noun_phrase(feared, DEFINITE_DETERMINERS))
            return
        placed = noun is not None and isinstance(subject.modifier, Prepositional)
        if share > 0.28 or placed or (noun is not None and "part" in noun.tags):
            predicate.complement = self.said_of(subject)
        if predicate.complement is None:
            table = self.places_of(noun) if noun is not None else PLACES_OF_CREATURES
            predicate.complement = self.place(table, noun)
        elif predicate.complement not in PASSING:
            # what lasts is now or was: "he must be old" and "he is never old" are left out
            if predicate.tense == FUTURE or predicate.modal is not None:
                predicate.tense, predicate.modal = PRESENT, None
            if predicate.negation:
                predicate.negation = "not"

    def object(self, verb: Verb, subject: Nominal, negation: str, plain: bool) -> Nominal:
        if verb in (SEE, LIKE) and self.chance(0.4):
            return self.choice(OBJECT_PRONOUNS[subject.row])
        nouns = OBJECTS[verb]
        if isinstance(subject, NounPhrase) and subject.noun in nouns:  # "the cats see the cat"
            nouns = tuple(noun for noun in nouns if noun is not subject.noun)
        phrase = self.noun_phrase(
            nouns, DEFINITE_DETERMINERS if verb is LIKE else OBJECT_DETERMINERS
        )
        if negation and phrase.determiner is None:  # "he does not see two dogs"
            phrase.number, phrase.determiner = None, SOME
        if not plain and self.more(0.2):
            self.modify(phrase, verb)
        return phrase

    def places(
        self, verb: Verb, subject: Nominal, asked: str, plain: bool
    ) -> tuple[Prepositional, ...]:
        if verb.follows == "to":
            return (Prepositional(PREPOSITIONS["to"], self.companion(subject, pronoun=0.0)),)
        if asked == "where":
            return ()
        if verb.follows == "on":
            return (self.place(PLACES_TO_PUT),)
        if verb.follows == "goal":
            return (self.ground("to", GROUNDS["goal"]),)
        if verb.follows == "at" and self.chance(0.6):
            return (self.ground("at", GROUNDS["goal"]),)
        if verb.follows == "with" and self.chance(0.3):
            return (Prepositional(PREPOSITIONS["with"], self.companion(subject, pronoun=0.4)),)
        share = 0.1 if plain else 0.2 if verb.objects else 0.5
        thing = isinstance(subject, NounPhrase) and subject.noun not in ANIMATE
        if verb in WITH_A_PLACE and not thing and self.more(share):
            return (self.place(PLACES_OF_ACTIONS),)
        return ()

    def companion(self, subject: Nominal, pronoun: float) -> Nominal:
        """Who is played with or given something: not the subject itself."""
        if self.chance(pronoun):
            return self.choice(OBJECT_PRONOUNS[subject.row])
        if self.chance(0.3):
            return self.names(besides=subject)
        return self.noun_phrase(PEOPLE, OBJECT_DETERMINERS)

    def set_time(self, predicate: Predicate, subject: Nominal, plain: bool) -> None:
        """ "often", or a time that goes with the tense, where the predicate may change in time."""
        verb, tense, complement = predicate.verb, predicate.tense, predicate.complement
        if isinstance(complement, Adjective):
            lasting = complement not in PASSING
        else:
            lasting = (verb.state and verb is not BE) or (verb is FALL and tense == PRESENT)
        if lasting or predicate.negation == "never" or predicate.modal not in (None, CAN, MUST):
            return
        if tense == PRESENT and predicate.modal is None and not predicate.negation:
            if self.chance(0.12):
                predicate.often = True
                return
        if not plain and self.more(0.2):
            if predicate.modal is not None:
                tense = FUTURE
            times = TIMES_OF_BEING if verb is BE else TIMES
            if not (tense == PRESENT and predicate.negation and verb is not BE):
                predicate.time = self.choice(times[tense])
