"""The constructions, each with its English above its French.

A phrase is a tree of small objects; `english()` and `french()` write it out as lists of words,
French ones before elision and contraction ("de le homme"), which `morphology.join_french` does
last. Nothing here is random.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Union

from .lexicon import (
    DETERMINERS,
    NAMES,
    PRONOUNS,
    VERBS,
    Adjective,
    Determiner,
    Noun,
    Preposition,
    Pronoun,
    Verb,
)
from .morphology import IL, ILS, JE, join_english, join_french

THE, SOME = DETERMINERS["the"], DETERMINERS["a"]
BE, HAVE, GO = VERBS["be"], VERBS["have"], VERBS["go"]

# Tenses as English tells them apart. French has one présent for the first two; for the next two
# the passé composé, or the imparfait where the verb is a state; the futur proche for the last.
PRESENT, PROGRESSIVE, PAST, PERFECT, FUTURE = range(5)


@dataclass(eq=False, slots=True)
class Names:
    """One name or two: "Marie", "Marie and Paul". A group is feminine when all of it is."""

    names: tuple[str, ...]
    modifier: None = None

    @property
    def feminine(self) -> bool:
        return all(NAMES[name] for name in self.names)

    @property
    def plural(self) -> bool:
        return len(self.names) > 1

    @property
    def row(self) -> int:
        return ILS if self.plural else IL

    def english(self, negated: bool = False) -> list[str]:
        return " and ".join(self.names).split()

    def french(self, negated: bool = False) -> list[str]:
        return " et ".join(self.names).split()

    def nouns(self) -> Iterator[Nominal]:
        yield self


@dataclass(eq=False, slots=True)
class NounPhrase:
    """Determiner, number, adjectives, noun, and what follows it.

    `determiner` None is the indefinite of a number: "two cats".
    """

    noun: Noun
    determiner: Determiner | None = THE
    plural: bool = False
    number: tuple[str, str] | None = None
    adjectives: tuple[Adjective, ...] = ()
    modifier: Modifier | None = None

    @property
    def feminine(self) -> bool:
        return self.noun.feminine

    @property
    def row(self) -> int:
        return ILS if self.plural else IL

    def english(self, negated: bool = False) -> list[str]:
        if isinstance(self.modifier, Owner):
            words = self.modifier.english()
        elif self.determiner is None:
            words = []
        elif self.determiner is SOME and (self.plural or self.noun.mass):
            words = ["any" if negated else "some"]
        else:
            words = [self.determiner.english[self.plural]]
        words += self.bare_english()
        if self.modifier is not None and not isinstance(self.modifier, Owner):
            words += self.modifier.english()
        return words

    def bare_english(self) -> list[str]:
        words = [self.number[0]] if self.number else []
        words += [adjective.english for adjective in self.adjectives]
        words.append(self.noun.english[self.plural])
        return words

    def french(self, negated: bool = False) -> list[str]:
        words = self.french_determiner(negated) + self.bare_french()
        if self.modifier is not None:
            words += self.modifier.french(self)
        return words

    def french_determiner(self, negated: bool) -> list[str]:
        """The article: "de" for any indefinite after a negation ("il ne mange pas de pomme") and
        for "des" before an adjective ("de petits chats"); "du, de la" before a mass noun."""
        if self.determiner is None:
            return []
        if self.determiner is SOME:
            if negated or (self.plural and any(a.goes_before for a in self.adjectives)):
                return ["de"]
            if self.noun.mass:
                return ["de", "la" if self.noun.feminine else "le"]
        return [self.determiner.french[2 if self.plural else self.noun.feminine]]

    def bare_french(self) -> list[str]:
        """The number, the adjectives on their sides, the noun; "un vieil homme" before a vowel.

        An adjective before the noun stands alone there, so the noun is what follows it.
        """
        noun = self.noun
        words = [self.number[1]] if self.number else []
        after = []
        for adjective in self.adjectives:
            if not adjective.goes_before:
                after.append(adjective.french[noun.feminine + 2 * self.plural])
            elif noun.elides and not noun.feminine and not self.plural:
                words.append(adjective.before_vowel)
            else:
                words.append(adjective.french[noun.feminine + 2 * self.plural])
        words.append(noun.french[self.plural])
        return words + after

    def nouns(self) -> Iterator[Nominal]:
        """This noun and all those within what follows it, in order."""
        yield self
        if self.modifier is not None:
            yield from self.modifier.nouns()


Nominal = Union[Pronoun, Names, NounPhrase]


@dataclass(eq=False, slots=True)
class Prepositional:
    """ "near the old house": "près de la vieille maison". A pronoun is stressed: "avec lui"."""

    preposition: Preposition
    nominal: Nominal

    def english(self) -> list[str]:
        if isinstance(self.nominal, Pronoun):
            return [*self.preposition.english, self.nominal.english_object]
        return [*self.preposition.english, *self.nominal.english()]

    def french(self, head: Nominal | None = None) -> list[str]:
        if isinstance(self.nominal, Pronoun):
            return [*self.preposition.french, self.nominal.stressed]
        return [*self.preposition.french, *self.nominal.french()]

    def nouns(self) -> Iterator[Nominal]:
        if not isinstance(self.nominal, Pronoun):
            yield from self.nominal.nouns()


@dataclass(eq=False, slots=True)
class Owner:
    """ "the king's" before a noun: "de le roi" after it."""

    nominal: Nominal

    def english(self) -> list[str]:
        *words, last = self.nominal.english()
        return [*words, last + "'s"]

    def french(self, head: NounPhrase) -> list[str]:
        return ["de", *self.nominal.french()]

    def nouns(self) -> Iterator[Nominal]:
        return iter(())  # none of them stands between the noun and its verb in English


@dataclass(eq=False, slots=True)
class SubjectRelative:
    """ "the girls that went": "les filles qui sont allées"; `pronoun` is "that" or "who"."""

    predicate: Predicate
    pronoun: str
    head: NounPhrase

    def english(self) -> list[str]:
        return [self.pronoun, *self.predicate.english(self.head)]

    def french(self, head: NounPhrase) -> list[str]:
        return ["qui", *self.predicate.french(head)]

    def nouns(self) -> Iterator[Nominal]:
        return self.predicate.nouns()


@dataclass(eq=False, slots=True)
class ObjectRelative:
    """ "the apples that the boy ate": "les pommes que le garçon a mangées"."""

    subject: Nominal
    predicate: Predicate

    def english(self) -> list[str]:
        return ["that", *english_subject(self.subject), *self.predicate.english(self.subject)]

    def french(self, head: NounPhrase) -> list[str]:
        return [
            "que",
            *french_subject(self.subject),
            *self.predicate.french(self.subject, fronted=head),
        ]

    def nouns(self) -> Iterator[Nominal]:
        if not isinstance(self.subject, Pronoun):
            yield from self.subject.nouns()
        yield from self.predicate.nouns()


Modifier = Union[Prepositional, Owner, SubjectRelative, ObjectRelative]


def english_subject(nominal: Nominal) -> list[str]:
    return [nominal.english] if isinstance(nominal, Pronoun) else nominal.english()


def french_subject(nominal: Nominal) -> list[str]:
    return [nominal.french] if isinstance(nominal, Pronoun) else nominal.french()


@dataclass(eq=False, slots=True)
class Afraid:
    """ "afraid of the cat": "peur de le chat", with avoir for be."""

    of: Nominal


@dataclass(eq=False, slots=True)
class Predicate:
    """A verb with all that belongs to it: "does not eat any apples in the garden today".

    `verb` is "be" with a `complement` (an adjective, a place or Afraid), or a full verb with an
    `object` or none. `modal` is can, must, want or like: "wants to eat". `negation` is "", "not"
    or "never". `time` is (English, French).
    """

    verb: Verb
    tense: int = PRESENT
    modal: Verb | None = None
    negation: str = ""
    often: bool = False
    object: Nominal | None = None
    complement: Adjective | Prepositional | Afraid | None = None
    places: tuple[Prepositional, ...] = ()
    time: tuple[str, str] | None = None

    def english(self, subject: Nominal) -> list[str]:
        auxiliary, rest = self.english_parts(subject)
        return auxiliary + rest

    def english_parts(
        self, subject: Nominal, question: bool = False
    ) -> tuple[list[str], list[str]]:
        """The auxiliary, which questions put before the subject, and the rest.

        "do" comes in where a question or "not" needs an auxiliary and there is no other.
        """
        verb, third = self.verb, subject.row == IL
        chain: list[str] = []  # the infinitive after "wants to", "is going to"
        if self.modal is not None:
            if self.modal.base in ("can", "must"):
                auxiliary, form = self.modal.base, verb.base
            else:
                verb, chain = self.modal, ["to", verb.base]
                auxiliary, form = self.english_finite(verb, third, question)
        elif self.tense == FUTURE:
            auxiliary, form = english_be(subject, PRESENT), "going"
            chain = ["to", verb.base]
        elif verb is BE:
            auxiliary, form = english_be(subject, self.tense), ""
        elif self.tense == PROGRESSIVE:
            auxiliary, form = english_be(subject, PRESENT), verb.progressive
        elif self.tense == PERFECT:
            auxiliary, form = "has" if third else "have", verb.participle
        else:
            auxiliary, form = self.english_finite(verb, third, question)

        if auxiliary == "can" and self.negation == "not" and not question:
            head, rest = ["cannot"], []
        else:
            head = [auxiliary] if auxiliary else []
            rest = [self.negation] if self.negation else []
        if self.often:
            rest.append("often")
        if form:
            rest.append(form)
        rest += chain
        if isinstance(self.complement, Adjective):
            rest.append(self.complement.english)
        elif isinstance(self.complement, Prepositional):
            rest += self.complement.english()
        elif isinstance(self.complement, Afraid):
            rest += ["afraid", "of", *self.complement.of.english()]
        if isinstance(self.object, Pronoun):
            rest.append(self.object.english_object)
        elif self.object is not None:
            rest += self.object.english(bool(self.negation))
        for place in self.places:
            rest += place.english()
        if self.time is not None:
            rest.append(self.time[0])
        return head, rest

    def english_finite(self, verb: Verb, third: bool, question: bool) -> tuple[str, str]:
        """Simple present or past, with "do" in a question or before "not"."""
        if question or self.negation == "not":
            return "did" if self.tense == PAST else "does" if third else "do", verb.base
        if self.tense == PAST:
            return "", verb.past
        return "", verb.third if third else verb.base

    def french(self, subject: Nominal, fronted: Nominal | None = None) -> list[str]:
        """`fronted` is the direct object when it stands before the verb, as in a relative clause.

        The participle agrees with the subject after être, after avoir with a direct object that
        stands before it.
        """
        verb, row = self.verb, subject.row
        complement: list[str] = []
        if isinstance(self.complement, Adjective):
            if self.complement.having:
                verb, complement = HAVE, [self.complement.having]
            else:
                complement = [self.complement.french[subject.feminine + 2 * subject.plural]]
        elif isinstance(self.complement, Prepositional):
            complement = self.complement.french()
        elif isinstance(self.complement, Afraid):
            verb, complement = HAVE, ["peur", "de", *self.complement.of.french()]

        clitic = [self.object.clitic] if isinstance(self.object, Pronoun) else []
        if self.modal is not None or self.tense == FUTURE:
            outer = self.modal or GO
            finite = (outer.imperfect if self.tense == PAST else outer.present)[row]
            rest = [*clitic, verb.infinitive]
            clitic = []
        elif self.tense in (PAST, PERFECT) and not verb.state:
            auxiliary = BE if verb.etre else HAVE
            finite = auxiliary.present[row]
            agrees = subject if verb.etre else self.object if clitic else fronted
            index = 0 if agrees is None else agrees.feminine + 2 * agrees.plural
            rest = [verb.participles[index]]
        else:
            finite = (verb.imperfect if self.tense == PAST else verb.present)[row]
            rest = []

        words = [*clitic, finite]
        if self.negation:
            words = ["ne", *words, "pas" if self.negation == "not" else "jamais"]
        if self.often:
            words.append("souvent")
        words += rest
        words += complement
        if self.object is not None and not isinstance(self.object, Pronoun):
            words += self.object.french(bool(self.negation))
        for place in self.places:
            words += place.french()
        if self.time is not None:
            words.append(self.time[1])
        return words

    def nouns(self) -> Iterator[Nominal]:
        """All nouns within, in order."""
        parts = [self.object, *self.places]
        if isinstance(self.complement, Prepositional):
            parts.append(self.complement)
        elif isinstance(self.complement, Afraid):
            parts.append(self.complement.of)
        for part in parts:
            if part is not None and not isinstance(part, Pronoun):
                yield from part.nouns()

    def shows_gender(self) -> bool:
        """Whether the French verb or adjective agrees in gender with the subject.

        An adjective in -e, as "rouge", has one form for both.
        """
        if isinstance(self.complement, Adjective):
            return self.complement.french[0] != self.complement.french[1]
        return self.verb.etre and self.modal is None and self.tense in (PAST, PERFECT)


def english_be(subject: Nominal, tense: int) -> str:
    if tense == PAST:
        return "was" if subject.row in (JE, IL) else "were"
    return "am" if subject.row == JE else "is" if subject.row == IL else "are"


@dataclass(eq=False, slots=True)
class Statement:
    subject: Nominal
    predicate: Predicate

    end = "."

    def english(self) -> list[str]:
        return english_subject(self.subject) + self.predicate.english(self.subject)

    def french(self) -> list[str]:
        return french_subject(self.subject) + self.predicate.french(self.subject)

    def agrees_at_a_distance(self) -> bool:
        """Whether the verb stands at least four words after its subject's noun, past a noun that
        would have given it another French form: other number, or other gender where it shows.
        """
        subject = self.subject
        if subject.modifier is None or isinstance(subject.modifier, Owner):
            return False
        if len(subject.modifier.english()) < 3:
            return False
        shows_gender = self.predicate.shows_gender()
        return any(
            noun.plural != subject.plural
            or (shows_gender and noun.feminine != subject.feminine)
            for noun in subject.modifier.nouns()
        )


@dataclass(eq=False, slots=True)
class Compound:
    """Two statements joined: "because" is "parce que", a comma goes before "but"."""

    first: Statement
    conjunction: str
    second: Statement

    end = "."
    french_conjunctions = {
        "and": ["et"], "but": [",", "mais"], "because": ["parce", "que"],
    }  # fmt: skip

    def english(self) -> list[str]:
        comma = [","] if self.conjunction == "but" else []
        return [*self.first.english(), *comma, self.conjunction, *self.second.english()]

    def french(self) -> list[str]:
        conjunction = self.french_conjunctions[self.conjunction]
        return [*self.first.french(), *conjunction, *self.second.french()]


@dataclass(eq=False, slots=True)
class Question:
    """ "Does she sleep?", "Where did the boy go?", "What is Paul eating?".

    Always with "est-ce que", which keeps the order of the statement. `word` is "" for a question
    of yes or no. "What" asks for the object, masculine singular for the participle.
    """

    word: str
    subject: Nominal
    predicate: Predicate

    end = "?"
    french_words = {
        "": ["est-ce", "que"],
        "where": ["où", "est-ce", "que"],
        "when": ["quand", "est-ce", "que"],
        "why": ["pourquoi", "est-ce", "que"],
        "what": ["que", "est-ce", "que"],
    }

    def english(self) -> list[str]:
        auxiliary, rest = self.predicate.english_parts(self.subject, question=True)
        word = [self.word] if self.word else []
        return [*word, *auxiliary, *english_subject(self.subject), *rest]

    def french(self) -> list[str]:
        return [
            *self.french_words[self.word],
            *french_subject(self.subject),
            *self.predicate.french(self.subject),
        ]


@dataclass(eq=False, slots=True)
class ObjectQuestion:
    """ "How many apples did the boy eat?": "Combien de pommes est-ce que le garçon a mangées ?";
    "which hat": "quel chapeau". The participle agrees with what is asked for.
    """

    word: str  # "how many" or "which"
    asked: NounPhrase
    subject: Nominal
    predicate: Predicate

    end = "?"
    which = ("quel", "quelle", "quels", "quelles")

    def english(self) -> list[str]:
        auxiliary, rest = self.predicate.english_parts(self.subject, question=True)
        asked = self.asked.bare_english()
        return [*self.word.split(), *asked, *auxiliary, *english_subject(self.subject), *rest]

    def french(self) -> list[str]:
        asked = self.asked
        if self.word == "which":
            words = [self.which[asked.feminine + 2 * asked.plural]]
        else:
            words = ["combien", "de"]
        return [
            *words,
            *asked.bare_french(),
            "est-ce",
            "que",
            *french_subject(self.subject),
            *self.predicate.french(self.subject, fronted=asked),
        ]


@dataclass(eq=False, slots=True)
class WhoQuestion:
    """ "Who ate the apple?": "Qui a mangé la pomme ?"; third person singular, masculine."""

    predicate: Predicate

    end = "?"
    who = PRONOUNS["he"]

    def english(self) -> list[str]:
        return ["who", *self.predicate.english(self.who)]

    def french(self) -> list[str]:
        return ["qui", *self.predicate.french(self.who)]


@dataclass(eq=False, slots=True)
class WhereIs:
    """ "Where are the cats?": "Où sont les chats ?"; a pronoun is inverted: "Où sont-ils ?"."""

    subject: Nominal
    tense: int

    end = "?"

    def english(self) -> list[str]:
        return ["where", english_be(self.subject, self.tense), *english_subject(self.subject)]

    def french(self) -> list[str]:
        verb = (BE.imperfect if self.tense == PAST else BE.present)[self.subject.row]
        if isinstance(self.subject, Pronoun):
            return ["où", f"{verb}-{self.subject.french}"]
        return ["où", verb, *self.subject.french()]


Sentence = Union[Statement, Compound, Question, ObjectQuestion, WhoQuestion, WhereIs]


def write_english(sentence: Sentence) -> str:
    text = join_english(sentence.english())
    return text[0].upper() + text[1:] + sentence.end


def write_french(sentence: Sentence) -> str:
    """As English, but a blank goes before the question mark."""
    text = join_french(sentence.french())
    return text[0].upper() + text[1:] + (" ?" if sentence.end == "?" else ".")
