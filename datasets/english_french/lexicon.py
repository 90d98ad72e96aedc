"""The words: one line a word, what no rule of `morphology` gives written out."""

from dataclasses import dataclass
from hashlib import blake2b

from .morphology import (
    BEFORE_VOWEL,
    IL,
    ILS,
    JE,
    NOUS,
    VOUS,
    english_plural,
    english_progressive,
    english_third_person,
    french_agreement,
    french_imperfect,
    french_participle,
    french_plural,
    french_present,
    starts_with_vowel,
)

# Tags say what a noun can be or undergo; verbs, adjectives and prepositions ask for tags.
# A slash gives an irregular plural. Nouns tagged "mass" have none: "fish" is the food.
NOUN_TABLE = """
boy             garçon          m   person
girl            fille           f   person
man/men         homme           m   person adult
woman/women     femme           f   person adult
child/children  enfant          m   person owned
king            roi             m   person adult
queen           reine           f   person adult
brother         frère           m   person owned kin
sister          sœur            f   person owned kin
cat             chat            m   animal
dog             chien           m   animal
horse           cheval          m   animal
bird            oiseau          m   animal
owl             hibou/hiboux    m   animal
cow             vache           f   animal
mouse/mice      souris          f   animal
goose/geese     oie             f   animal
apple           pomme           f   food portable coloured
orange          orange          f   food portable
egg             œuf             m   food portable
cake            gâteau          m   food portable made
bread           pain            m   food mass made
fish            poisson         m   food mass
soup            soupe           f   food mass made
water           eau             f   drink mass
milk            lait            m   drink mass
coffee          café            m   drink mass made
book            livre           m   text written portable thing
letter          lettre          f   text written portable
story/stories   histoire        f   text written
newspaper       journal         m   text portable
door            porte           f   part openable
window          fenêtre         f   part openable
box             boîte           f   thing portable openable container made
bag             sac             m   thing portable openable container
key             clé             f   thing portable
hat             chapeau         m   thing portable
car             voiture         f   thing
computer        ordinateur      m   thing portable
flower          fleur           f   thing portable
table           table           f   thing surface made
bed             lit             m   thing surface made
house           maison          f   place inside building owned
school          école           f   place inside building goal owned
church          église          f   place inside building goal
hotel           hôtel           m   place inside building goal
station         gare            f   place inside building goal
market          marché          m   place goal
garden          jardin          m   place inside owned
forest          forêt           f   place inside
river           rivière         f   place
"""

# "before" and "after" say where French puts it. "attribute" goes before too, and is not said of
# a noun with "be": what "is new" would rather be "neuf". "predicate" is only said with "be", and
# with "avoir" is a noun in French: "she is hungry", "elle a faim". The next column is what the
# adjective speaks of: a noun has one of a kind.
ADJECTIVE_TABLE = """
little          petit           before      size      person animal thing place
big             grand           before      size      animal thing place part
beautiful       beau            before      looks     person animal thing place part text
old             vieux           before      age       adult animal thing text building goal part
new             nouveau         attribute   age       thing text building goal part
young           jeune           before      age       person animal
good            bon             before      quality   food drink text
pretty          joli            before      looks     thing place
red             rouge           after       colour    thing part coloured
white           blanc           after       colour    thing part animal
black           noir            after       colour    thing part animal
intelligent     intelligent     after       mind      person animal
happy           heureux         after       mood      person animal
sad             triste          after       mood      person animal text
tired           fatigué         after       health    person animal
sick            malade          after       health    person animal
nice            gentil          after       manner    person animal
expensive       cher            after       price     thing food drink
cold            froid           after       heat      food drink building
empty           vide            after       filling   container building
open            ouvert          after       opening   openable building
full            rassasié        predicate   hunger    person animal
hungry          avoir/faim      predicate   hunger    person animal
thirsty         avoir/soif      predicate   thirst    person animal
"""

# English base, past, participle | French infinitive | subject | direct object | what follows.
# The last column names the phrase that must or may follow. "state" verbs tell the past in the
# imparfait and have no progressive; "être" is the auxiliary of the passé composé.
VERB_TABLE = """
eat ate eaten          | manger  | person animal       | food                           |
drink drank drunk      | boire   | person              | drink                          |
read read read         | lire    | person              | text                           |
write wrote written    | écrire  | person              | written                        |
see saw seen           | voir    | person animal       | person animal thing place text |
buy bought bought      | acheter | person              | thing food animal              |
sell sold sold         | vendre  | person              | thing food animal              |
open opened opened     | ouvrir  | person              | openable                       |
take took taken        | prendre | person              | portable                       |
choose chose chosen    | choisir | person              | thing text animal              |
make made made         | faire   | person              | made                           |
put put put            | mettre  | person              | portable                       | on
give gave given        | donner  | person              | portable                       | to
sleep slept slept      | dormir  | person animal       |                                |
play played played     | jouer   | person animal       |                                | with
go went gone           | aller   | person              |                                | goal être
arrive arrived arrived | arriver | person              |                                | at être
leave left left        | partir  | person animal       |                                | with être
fall fell fallen       | tomber  | person animal thing |                                | être
have had had           | avoir   | person              | portable thing animal          | state
want wanted wanted     | vouloir | person              | portable thing food            | state
like liked liked       | aimer   | person              | person animal place food drink | state
be                     | être    |                     |                                | state
can                    | pouvoir |                     |                                |
must                   | devoir  |                     |                                |
"""

# The key is the English words; "to/of" is the "to" that is "de": "the key to the door".
PREPOSITION_TABLE = """
in          | dans
near        | près de
behind      | derrière
in front of | devant
at          | à
to          | à
on          | sur
under       | sous
with        | avec
of          | de
to/of       | de
"""

# Singular, plural | masculine, feminine, plural. The French indefinite mass article is "du, de
# la"; that is a rule of the noun phrase, as are the "any" and "de" of negation.
DETERMINER_TABLE = """
the         | le la les
a some      | un une des
this these  | ce cette ces
my          | mon ma mes
your        | votre votre vos
his         | son sa ses
her         | son sa ses
our         | notre notre nos
their       | leur leur leurs
"""

NAME_TABLE = """
Marie   f
Alice   f
Paul    m
Antoine m
"""

PRONOUN_TABLE = """
I       me      je      me      moi
he      him     il      le      lui
she     her     elle    la      elle
we      us      nous    nous    nous
you     you     vous    vous    vous
they    them    ils     les     eux
"""

NUMBERS = tuple(
    zip(
        "two three four five six seven eight nine ten eleven twelve".split(),
        "deux trois quatre cinq six sept huit neuf dix onze douze".split(),
    )
)


@dataclass(frozen=True, eq=False, slots=True)
class Noun:
    english: tuple[str, str]  # singular, plural
    french: tuple[str, str]
    feminine: bool
    tags: frozenset[str]
    elides: bool
    mass: bool


@dataclass(frozen=True, eq=False, slots=True)
class Adjective:
    english: str
    french: tuple[str, str, str, str]  # at feminine + 2 * plural
    before_vowel: str  # the masculine singular before a vowel
    position: str
    topic: str
    tags: tuple[str, ...]
    having: str  # "faim" in "avoir faim", else ""

    @property
    def goes_before(self) -> bool:
        return self.position in ("before", "attribute")


@dataclass(frozen=True, eq=False, slots=True)
class Verb:
    base: str
    third: str
    past: str
    participle: str
    progressive: str
    infinitive: str
    present: tuple[str, ...]  # by row: je, il, nous, vous, ils
    imperfect: tuple[str, ...]
    participles: tuple[str, str, str, str]  # at feminine + 2 * plural
    subjects: tuple[str, ...]
    objects: tuple[str, ...]
    follows: str
    etre: bool
    state: bool


@dataclass(frozen=True, eq=False, slots=True)
class Preposition:
    english: tuple[str, ...]
    french: tuple[str, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Pronoun:
    english: str
    english_object: str
    french: str
    clitic: str
    stressed: str
    row: int
    feminine: bool
    plural: bool  # of adjectives and participles: the polite "vous" is one person
    modifier: None = None


@dataclass(frozen=True, eq=False, slots=True)
class Determiner:
    english: tuple[str, str]  # singular, plural
    french: tuple[str, str, str]  # masculine, feminine, plural


def _lines(table: str, separator: str | None = None) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.split(separator)] for line in table.strip().split("\n")
    ]


def _noun(english: str, french: str, gender: str, *tags: str) -> Noun:
    singular, _, plural = english.partition("/")
    singulier, _, pluriel = french.partition("/")
    return Noun(
        (singular, plural or english_plural(singular)),
        (singulier, pluriel or french_plural(singulier)),
        gender == "f",
        frozenset(tags),
        starts_with_vowel(singulier),
        "mass" in tags,
    )


def _adjective(english: str, french: str, position: str, topic: str, *tags: str) -> Adjective:
    having = french.removeprefix("avoir/") if french.startswith("avoir/") else ""
    forms = ("",) * 4 if having else french_agreement(french)
    before_vowel = BEFORE_VOWEL.get(french, french)
    return Adjective(english, forms, before_vowel, position, topic, tags, having)


def _verb(english: str, infinitive: str, subjects: str, objects: str, follows: str) -> Verb:
    base, past, participle = (english.split() * 3)[:3]
    return Verb(
        base,
        english_third_person(base),
        past,
        participle,
        english_progressive(base),
        infinitive,
        french_present(infinitive),
        french_imperfect(infinitive),
        french_agreement(french_participle(infinitive)),
        tuple(subjects.split()),
        tuple(objects.split()),
        next((word for word in follows.split() if word not in ("être", "state")), ""),
        "être" in follows,
        "state" in follows,
    )


NOUNS = tuple(_noun(*line) for line in _lines(NOUN_TABLE))
ADJECTIVES = tuple(_adjective(*line) for line in _lines(ADJECTIVE_TABLE))
VERBS = {line[0].split()[0]: _verb(*line) for line in _lines(VERB_TABLE, "|")}
PREPOSITIONS = {
    key: Preposition(tuple(key.removesuffix("/of").split()), tuple(french.split()))
    for key, french in _lines(PREPOSITION_TABLE, "|")
}
PRONOUNS = {
    words[0]: Pronoun(*words, row, feminine=words[0] == "she", plural=words[0] in ("we", "they"))
    for words, row in zip(_lines(PRONOUN_TABLE), (JE, IL, IL, NOUS, VOUS, ILS))
}
DETERMINERS = {
    english.split()[0]: Determiner(tuple((english.split() * 2)[:2]), tuple(french.split()))
    for english, french in _lines(DETERMINER_TABLE, "|")
}
NAMES = {name: gender == "f" for name, gender in _lines(NAME_TABLE)}


def digest(text: str) -> int:
    """A number below 65536 that a text has everywhere and always, unlike `hash(text)`."""
    return int.from_bytes(blake2b(text.encode(), digest_size=2).digest(), "big")


def held_out(noun: Noun, adjective: Adjective) -> bool:
    """Whether the two stand together only in the split "new_pairs": about one in ten do."""
    return digest(f"{noun.english[0]}|{adjective.english}") % 10 == 0


def adjectives_of(noun: Noun) -> tuple[Adjective, ...]:
    """The adjectives that make sense with a noun."""
    return tuple(a for a in ADJECTIVES if not noun.tags.isdisjoint(a.tags))
