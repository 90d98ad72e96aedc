"""How English and French words change: plurals, feminines, conjugation, elision.

Each function states the rule it applies; what no rule gives is data, in the tables. The French
forms are those of the Bescherelle and of the Grévisse.
"""

VOWELS = frozenset("Aaeiouyàâéèêëîïôœû")
ASPIRATED = frozenset(("hibou", "hiboux", "huit", "onze"))  # "le hibou", "les gens que onze..."

# The rows of a French conjugation. "tu" has none: "you" is always the polite "vous".
JE, IL, NOUS, VOUS, ILS = range(5)

PRESENT = {
    "être": "suis est sommes êtes sont",
    "avoir": "ai a avons avez ont",
    "aller": "vais va allons allez vont",
    "faire": "fais fait faisons faites font",
    "vouloir": "veux veut voulons voulez veulent",
    "pouvoir": "peux peut pouvons pouvez peuvent",
    "devoir": "dois doit devons devez doivent",
    "voir": "vois voit voyons voyez voient",
    "boire": "bois boit buvons buvez boivent",
    "lire": "lis lit lisons lisez lisent",
    "écrire": "écris écrit écrivons écrivez écrivent",
    "dormir": "dors dort dormons dormez dorment",
    "partir": "pars part partons partez partent",
    "mettre": "mets met mettons mettez mettent",
    "prendre": "prends prend prenons prenez prennent",
    "ouvrir": "ouvre ouvre ouvrons ouvrez ouvrent",
    "acheter": "achète achète achetons achetez achètent",
}

PARTICIPLE = {
    "être": "été",
    "avoir": "eu",
    "faire": "fait",
    "vouloir": "voulu",
    "pouvoir": "pu",
    "devoir": "dû",
    "voir": "vu",
    "boire": "bu",
    "lire": "lu",
    "écrire": "écrit",
    "mettre": "mis",
    "prendre": "pris",
    "ouvrir": "ouvert",
}

FEMININE = {
    "beau": "belle",
    "nouveau": "nouvelle",
    "vieux": "vieille",
    "blanc": "blanche",
    "gentil": "gentille",
}

BEFORE_VOWEL = {"beau": "bel", "nouveau": "nouvel", "vieux": "vieil"}


def starts_with_vowel(word: str) -> bool:
    """Whether a French word lets the one before it elide: a vowel or a mute h."""
    return (word[0] in VOWELS or word[0] == "h") and word not in ASPIRATED


def french_plural(word: str) -> str:
    """-s, -x, -z stay; -eau gives -eaux, -al gives -aux; any other word takes -s."""
    if word[-1] in "sxz":
        return word
    if word.endswith("eau"):
        return word + "x"
    if word.endswith("al"):
        return word[:-2] + "aux"
    return word + "s"


def french_feminine(word: str) -> str:
    """-e stays; -eux gives -euse, -er gives -ère, -on gives -onne; any other word takes -e."""
    if word in FEMININE:
        return FEMININE[word]
    if word.endswith("e"):
        return word
    if word.endswith("eux"):
        return word[:-1] + "se"
    if word.endswith("er"):
        return word[:-2] + "ère"
    if word.endswith("on"):
        return word + "ne"
    return word + "e"


def french_agreement(word: str) -> tuple[str, str, str, str]:
    """The four forms of an adjective or participle, at index feminine + 2 * plural."""
    feminine = french_feminine(word)
    return word, feminine, french_plural(word), french_plural(feminine)


def french_present(infinitive: str) -> tuple[str, ...]:
    """Présent of the three regular groups (-er, -ir with -iss-, -re); the others from PRESENT."""
    if infinitive in PRESENT:
        return tuple(PRESENT[infinitive].split())
    stem, group = infinitive[:-2], infinitive[-2:]
    if group == "er":
        soft = "e" if stem.endswith("g") else ""  # "mangeons": the g keeps its sound
        endings = ("e", "e", soft + "ons", "ez", "ent")
    elif group == "ir":
        endings = ("is", "it", "issons", "issez", "issent")
    else:
        endings = ("s", "", "ons", "ez", "ent")
    return tuple(stem + ending for ending in endings)


def french_imperfect(infinitive: str) -> tuple[str, ...]:
    """Imparfait: the "nous" form of the présent, its -ons replaced; only être differs."""
    stem = "ét" if infinitive == "être" else french_present(infinitive)[NOUS][:-3]
    return tuple(stem + ending for ending in ("ais", "ait", "ions", "iez", "aient"))


def french_participle(infinitive: str) -> str:
    """Participe passé: -er gives -é, -ir gives -i, -re gives -u; the others from PARTICIPLE."""
    if infinitive in PARTICIPLE:
        return PARTICIPLE[infinitive]
    return infinitive[:-2] + {"er": "é", "ir": "i", "re": "u"}[infinitive[-2:]]


def english_plural(word: str) -> str:
    """-es after a hissing sound, else -s."""
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


def english_third_person(verb: str) -> str:
    """-es after -o or a hissing sound, else -s; only have and be differ."""
    if verb == "have":
        return "has"
    return verb + ("es" if verb.endswith(("o", "s", "x", "ch", "sh")) else "s")


def english_progressive(verb: str) -> str:
    """A mute -e falls; "put" doubles its consonant; every verb takes -ing."""
    if verb == "put":
        return "putting"
    return (verb[:-1] if verb.endswith("e") and not verb.endswith("ee") else verb) + "ing"


ELIDED = {
    "le": "l'", "la": "l'", "je": "j'", "me": "m'", "ne": "n'", "de": "d'", "que": "qu'",
    "ce": "cet ", "ma": "mon ", "sa": "son ",
}  # fmt: skip
CONTRACTED = {
    ("de", "le"): "du", ("de", "les"): "des", ("à", "le"): "au", ("à", "les"): "aux",
}  # fmt: skip


def join_french(words: list[str]) -> str:
    """The words as they are written: "de le homme que elle a vu" as "de l'homme qu'elle a vu".

    Elision comes before contraction, which is why the words are taken from the right: "de le
    homme" is "de l'homme", never "du homme". Here "ce", "ma" and "sa" are determiners only, and
    "à le", "de le" an article only, never a pronoun: the grammar makes no others.
    """
    text, following = "", ""
    for word in reversed(words):
        contraction = CONTRACTED.get((word, following))
        if contraction is not None:
            text = contraction + text[len(following) :]
            following = contraction
        elif word in ELIDED and text and starts_with_vowel(following):
            text = ELIDED[word] + text
            following = ELIDED[word]  # ends in "'" or a blank: it contracts with nothing
        elif word == ",":
            text = ", " + text.lstrip()
            following = word
        else:
            text = word + " " + text if text and text[0] != "," else word + text
            following = word
    return text


def join_english(words: list[str]) -> str:
    """The words as they are written, with "an" for "a" before a vowel letter."""
    words = [
        "an" if word == "a" and after[0] in "aeiou" else word
        for word, after in zip(words, words[1:] + ["."])
    ]
    return " ".join(words).replace(" ,", ",")
