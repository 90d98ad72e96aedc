"""The English-French grammar against written-out French, and what its splits promise."""

import re
import subprocess
import sys
from collections import Counter
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

import datasets.english_french as english_french_module
from datasets.english_french import (
    MAX_LENGTH,
    MAX_TRAIN_LENGTH,
    SPLITS,
    TOKEN,
    english_french,
)
from datasets.english_french.grammar import Grammar
from datasets.english_french.lexicon import (
    ADJECTIVES,
    DETERMINERS,
    NAMES,
    NOUNS,
    NUMBERS,
    PREPOSITIONS,
    PRONOUNS,
    VERBS,
    adjectives_of,
    held_out,
)
from datasets.english_french.morphology import (
    french_agreement,
    french_imperfect,
    french_participle,
    french_plural,
    french_present,
    join_french,
)
from datasets.english_french.phrases import (
    FUTURE,
    PAST,
    PERFECT,
    PRESENT,
    PROGRESSIVE,
    Afraid,
    Compound,
    Names,
    NounPhrase,
    ObjectQuestion,
    ObjectRelative,
    Owner,
    Predicate,
    Prepositional,
    Question,
    Statement,
    SubjectRelative,
    WhereIs,
    WhoQuestion,
    write_english,
    write_french,
)

NOUN = {noun.english[0]: noun for noun in NOUNS}
ADJECTIVE = {adjective.english: adjective for adjective in ADJECTIVES}
NUMBER = {english: (english, french) for english, french in NUMBERS}
I, HE, SHE, WE, YOU, THEY = (PRONOUNS[word] for word in "I he she we you they".split())
PAUL, ALICE = Names(("Paul",)), Names(("Alice",))


def np(words: str, modifier=None) -> NounPhrase:
    """The noun phrase of words such as "the two little cat +", where + makes a plural."""
    phrase = NounPhrase(NOUN["cat"], None, words.endswith(" +"), modifier=modifier)
    for word in words.removesuffix(" +").split():
        if word in DETERMINERS:
            phrase.determiner = DETERMINERS[word]
        elif word in NUMBER:
            phrase.number = NUMBER[word]
        elif word in ADJECTIVE:
            phrase.adjectives += (ADJECTIVE[word],)
        else:
            phrase.noun = NOUN[word]
    return phrase


def does(verb: str, tense: int = PRESENT, **more) -> Predicate:
    return Predicate(VERBS[verb], tense, **more)


def is_(adjective: str, tense: int = PRESENT, **more) -> Predicate:
    return Predicate(VERBS["be"], tense, complement=ADJECTIVE[adjective], **more)


def at(preposition: str, nominal) -> Prepositional:
    return Prepositional(PREPOSITIONS[preposition], nominal)


def that(head: str, predicate: Predicate) -> NounPhrase:
    """A noun with the clause it is the subject of."""
    phrase = np(head)
    phrase.modifier = SubjectRelative(predicate, "that", phrase)
    return phrase


# Written by hand. One row a construction, or a form in which it goes wrong.
SENTENCES = [
    # articles and number
    (Statement(np("the cat"), does("sleep")), "The cat sleeps.", "Le chat dort."),
    (Statement(np("the cow +"), does("sleep")), "The cows sleep.", "Les vaches dorment."),
    (Statement(np("a goose"), does("play")), "A goose plays.", "Une oie joue."),
    (Statement(np("a child +"), does("play")), "Some children play.", "Des enfants jouent."),
    (Statement(np("two owl +"), does("leave")), "Two owls leave.", "Deux hiboux partent."),
    (Statement(np("the eleven egg +"), is_("good")),
     "The eleven eggs are good.", "Les onze œufs sont bons."),
    # elision, and the h that forbids it
    (Statement(np("the man"), does("leave")), "The man leaves.", "L'homme part."),
    (Statement(np("the owl"), does("leave")), "The owl leaves.", "Le hibou part."),
    (Statement(I, does("open", object=np("the hotel"))), "I open the hotel.", "J'ouvre l'hôtel."),
    (Statement(np("this man"), is_("nice")), "This man is nice.", "Cet homme est gentil."),
    (Statement(np("this owl"), is_("nice")), "This owl is nice.", "Ce hibou est gentil."),
    (Statement(np("this church"), is_("old")), "This church is old.", "Cette église est vieille."),
    (Statement(np("my school"), is_("old")), "My school is old.", "Mon école est vieille."),
    (Statement(np("her apple"), is_("red")), "Her apple is red.", "Sa pomme est rouge."),
    (Statement(np("his orange"), is_("good")), "His orange is good.", "Son orange est bonne."),
    # adjectives
    (Statement(np("the little black cat +"), is_("tired")),
     "The little black cats are tired.", "Les petits chats noirs sont fatigués."),
    (Statement(np("a old man"), does("fall")), "An old man falls.", "Un vieil homme tombe."),
    (Statement(np("the beautiful bird"), does("fall")),
     "The beautiful bird falls.", "Le bel oiseau tombe."),
    (Statement(np("the old man +"), does("fall")),
     "The old men fall.", "Les vieux hommes tombent."),
    (Statement(np("the new hotel"), is_("beautiful")),
     "The new hotel is beautiful.", "Le nouvel hôtel est beau."),
    (Statement(np("the new owl"), is_("sad")),
     "The new owl is sad.", "Le nouveau hibou est triste."),
    (Statement(np("a old goose"), is_("happy")),
     "An old goose is happy.", "Une vieille oie est heureuse."),
    (Statement(np("a good egg +"), is_("expensive")),
     "Some good eggs are expensive.", "De bons œufs sont chers."),
    (Statement(np("a white door +"), is_("open")),
     "Some white doors are open.", "Des portes blanches sont ouvertes."),
    (Statement(np("the horse +"), is_("full")),
     "The horses are full.", "Les chevaux sont rassasiés."),
    # the partitive, and "de" for it after a negation
    (Statement(HE, does("drink", object=np("a water"))),
     "He drinks some water.", "Il boit de l'eau."),
    (Statement(HE, does("eat", object=np("a soup"))),
     "He eats some soup.", "Il mange de la soupe."),
    (Statement(HE, does("eat", object=np("a bread"))), "He eats some bread.", "Il mange du pain."),
    (Statement(HE, does("eat", negation="not", object=np("a bread"))),
     "He does not eat any bread.", "Il ne mange pas de pain."),
    (Statement(HE, does("eat", negation="never", object=np("a apple"))),
     "He never eats an apple.", "Il ne mange jamais de pomme."),
    (Statement(HE, does("have", negation="not", object=np("a owl +"))),
     "He does not have any owls.", "Il n'a pas de hiboux."),
    (Statement(HE, does("eat", PAST, negation="not", object=np("a orange +"))),
     "He did not eat any oranges.", "Il n'a pas mangé d'oranges."),
    (Statement(HE, does("eat", negation="not", object=np("the apple"))),
     "He does not eat the apple.", "Il ne mange pas la pomme."),
    # tenses
    (Statement(WE, does("eat", PROGRESSIVE)), "We are eating.", "Nous mangeons."),
    (Statement(YOU, does("read", PERFECT)), "You have read.", "Vous avez lu."),
    (Statement(YOU, is_("happy", PAST)), "You were happy.", "Vous étiez heureux."),
    (Statement(WE, is_("happy", PAST)), "We were happy.", "Nous étions heureux."),
    (Statement(YOU, is_("tired")), "You are tired.", "Vous êtes fatigué."),
    (Statement(YOU, does("go", PAST)), "You went.", "Vous êtes allé."),
    (Statement(THEY, does("go", PAST)), "They went.", "Ils sont allés."),
    (Statement(SHE, does("leave", PAST)), "She left.", "Elle est partie."),
    (Statement(np("the girl +"), does("arrive", PERFECT)),
     "The girls have arrived.", "Les filles sont arrivées."),
    (Statement(Names(("Marie", "Alice")), does("fall", PAST, negation="not")),
     "Marie and Alice did not fall.", "Marie et Alice ne sont pas tombées."),
    (Statement(Names(("Marie", "Paul")), does("fall", PAST)),
     "Marie and Paul fell.", "Marie et Paul sont tombés."),
    (Statement(I, does("want", PAST, object=np("the key"))),
     "I wanted the key.", "Je voulais la clé."),
    (Statement(SHE, does("sleep", FUTURE)), "She is going to sleep.", "Elle va dormir."),
    (Statement(SHE, does("go", FUTURE, negation="not")),
     "She is not going to go.", "Elle ne va pas aller."),
    (Statement(I, does("sleep", modal=VERBS["can"], negation="not")),
     "I cannot sleep.", "Je ne peux pas dormir."),
    (Statement(PAUL, does("make", modal=VERBS["want"], object=np("a cake"))),
     "Paul wants to make a cake.", "Paul veut faire un gâteau."),
    (Statement(ALICE, does("read", modal=VERBS["like"])),
     "Alice likes to read.", "Alice aime lire."),
    (Statement(np("the king +"), does("leave", modal=VERBS["must"])),
     "The kings must leave.", "Les rois doivent partir."),
    # avoir for be
    (Statement(np("the mouse +"), is_("hungry")), "The mice are hungry.", "Les souris ont faim."),
    (Statement(I, is_("thirsty", PAST, negation="not")),
     "I was not thirsty.", "Je n'avais pas soif."),
    (Statement(np("the mouse +"), Predicate(VERBS["be"], complement=Afraid(np("the cat")))),
     "The mice are afraid of the cat.", "Les souris ont peur du chat."),
    # pronouns before the verb
    (Statement(HE, does("see", PAST, object=SHE)), "He saw her.", "Il l'a vue."),
    (Statement(HE, does("see", PAST, negation="not", object=THEY)),
     "He did not see them.", "Il ne les a pas vus."),
    (Statement(ALICE, does("like", object=I)), "Alice likes me.", "Alice m'aime."),
    (Statement(THEY, does("see", FUTURE, object=HE)),
     "They are going to see him.", "Ils vont le voir."),
    (Statement(np("the girl"), does("see", PERFECT, object=WE)),
     "The girl has seen us.", "La fille nous a vus."),
    (Statement(HE, does("play", places=(at("with", THEY),))),
     "He plays with them.", "Il joue avec eux."),
    # prepositions and contraction
    (Statement(np("the cat"), does("sleep", places=(at("near", np("the market")),))),
     "The cat sleeps near the market.", "Le chat dort près du marché."),
    (Statement(np("the cat"), does("sleep", places=(at("near", np("the hotel")),))),
     "The cat sleeps near the hotel.", "Le chat dort près de l'hôtel."),
    (Statement(np("the cat"), does("sleep", places=(at("near", np("the school +")),))),
     "The cat sleeps near the schools.", "Le chat dort près des écoles."),
    (Statement(WE, does("go", places=(at("to", np("the old church +")),))),
     "We go to the old churches.", "Nous allons aux vieilles églises."),
    (Statement(WE, does("go", places=(at("to", np("the old hotel")),))),
     "We go to the old hotel.", "Nous allons au vieil hôtel."),
    (Statement(WE, does("go", places=(at("to", np("the school")),))),
     "We go to the school.", "Nous allons à l'école."),
    (Statement(I, does("give", object=np("the bag"), places=(at("to", np("the child +")),))),
     "I give the bag to the children.", "Je donne le sac aux enfants."),
    (Statement(np("the dog", Owner(np("the king"))), is_("old")),
     "The king's dog is old.", "Le chien du roi est vieux."),
    (Statement(np("the red apple +", Owner(ALICE)), is_("cold")),
     "Alice's red apples are cold.", "Les pommes rouges d'Alice sont froides."),
    # time
    (Statement(PAUL, does("eat", often=True, object=np("a apple +"))),
     "Paul often eats some apples.", "Paul mange souvent des pommes."),
    (Statement(PAUL, does("play", time=("every day", "tous les jours"))),
     "Paul plays every day.", "Paul joue tous les jours."),
    # relative clauses
    (Statement(np("the apple +", ObjectRelative(np("the boy"), does("eat", PAST))),
               is_("red", PAST)),
     "The apples that the boy ate were red.",
     "Les pommes que le garçon a mangées étaient rouges."),
    (Statement(np("the book +", ObjectRelative(PAUL, does("read", PAST))), is_("good")),
     "The books that Paul read are good.", "Les livres que Paul a lus sont bons."),
    (Statement(np("the key", ObjectRelative(THEY, does("take", PAST))), is_("black")),
     "The key that they took is black.", "La clé qu'ils ont prise est noire."),
    (Statement(np("the letter", ObjectRelative(ALICE, does("write", modal=VERBS["must"]))),
               is_("sad")),
     "The letter that Alice must write is sad.", "La lettre qu'Alice doit écrire est triste."),
    (Statement(that("the cat +", does("eat", PAST, object=np("the fish"),
                                      places=(at("near", np("the river")),))),
               is_("full", PAST)),
     "The cats that ate the fish near the river were full.",
     "Les chats qui ont mangé le poisson près de la rivière étaient rassasiés."),
    (Statement(that("the girl +", does("see", PAST, object=np("the boy"))),
               does("go", PAST, places=(at("to", np("the market")),))),
     "The girls that saw the boy went to the market.",
     "Les filles qui ont vu le garçon sont allées au marché."),
    (Statement(np("the key", at("to/of", np("the old door +"))), is_("red")),
     "The key to the old doors is red.", "La clé des vieilles portes est rouge."),
    # questions
    (Question("", np("the boy"), does("eat", object=np("a cake"))),
     "Does the boy eat a cake?", "Est-ce que le garçon mange un gâteau ?"),
    (Question("", SHE, is_("hungry")), "Is she hungry?", "Est-ce qu'elle a faim ?"),
    (Question("", THEY, does("read", PAST, object=np("the book"))),
     "Did they read the book?", "Est-ce qu'ils ont lu le livre ?"),
    (Question("where", np("the girl +"), does("go", PAST)),
     "Where did the girls go?", "Où est-ce que les filles sont allées ?"),
    (Question("why", ALICE, does("sleep", negation="not")),
     "Why does Alice not sleep?", "Pourquoi est-ce qu'Alice ne dort pas ?"),
    (Question("when", I, does("leave", modal=VERBS["can"])),
     "When can I leave?", "Quand est-ce que je peux partir ?"),
    (Question("what", np("the boy"), does("eat", PROGRESSIVE)),
     "What is the boy eating?", "Qu'est-ce que le garçon mange ?"),
    (ObjectQuestion("how many", np("orange +"), HE, does("buy", PAST)),
     "How many oranges did he buy?", "Combien d'oranges est-ce qu'il a achetées ?"),
    (ObjectQuestion("which", np("hat"), PAUL, does("want")),
     "Which hat does Paul want?", "Quel chapeau est-ce que Paul veut ?"),
    (ObjectQuestion("which", np("red box +"), SHE, does("open", PERFECT)),
     "Which red boxes has she opened?", "Quelles boîtes rouges est-ce qu'elle a ouvertes ?"),
    (WhoQuestion(does("eat", PAST, object=np("the cake +"))),
     "Who ate the cakes?", "Qui a mangé les gâteaux ?"),
    (WhoQuestion(does("arrive", PAST)), "Who arrived?", "Qui est arrivé ?"),
    (WhereIs(np("the bird +"), PRESENT), "Where are the birds?", "Où sont les oiseaux ?"),
    (WhereIs(SHE, PAST), "Where was she?", "Où était-elle ?"),
    # two statements
    (Compound(Statement(PAUL, does("sleep")), "but", Statement(ALICE, does("play"))),
     "Paul sleeps, but Alice plays.", "Paul dort, mais Alice joue."),
    (Compound(Statement(SHE, is_("sad")), "because", Statement(HE, does("leave", PAST))),
     "She is sad because he left.", "Elle est triste parce qu'il est parti."),
]  # fmt: skip


@pytest.mark.parametrize("sentence, english, french", SENTENCES, ids=lambda value: str(value)[:40])
def test_sentence(sentence, english, french):
    assert write_english(sentence) == english
    assert write_french(sentence) == french


# je, il, nous, vous, ils; the participle; the first person of the imparfait (Bescherelle)
CONJUGATION = """
être     suis est sommes êtes sont                          été     étais
avoir    ai a avons avez ont                                eu      avais
aller    vais va allons allez vont                          allé    allais
faire    fais fait faisons faites font                      fait    faisais
vouloir  veux veut voulons voulez veulent                   voulu   voulais
pouvoir  peux peut pouvons pouvez peuvent                   pu      pouvais
devoir   dois doit devons devez doivent                     dû      devais
voir     vois voit voyons voyez voient                      vu      voyais
boire    bois boit buvons buvez boivent                     bu      buvais
lire     lis lit lisons lisez lisent                        lu      lisais
écrire   écris écrit écrivons écrivez écrivent              écrit   écrivais
dormir   dors dort dormons dormez dorment                   dormi   dormais
partir   pars part partons partez partent                   parti   partais
mettre   mets met mettons mettez mettent                    mis     mettais
prendre  prends prend prenons prenez prennent               pris    prenais
ouvrir   ouvre ouvre ouvrons ouvrez ouvrent                 ouvert  ouvrais
acheter  achète achète achetons achetez achètent            acheté  achetais
vendre   vends vend vendons vendez vendent                  vendu   vendais
choisir  choisis choisit choisissons choisissez choisissent choisi  choisissais
manger   mange mange mangeons mangez mangent                mangé   mangeais
donner   donne donne donnons donnez donnent                 donné   donnais
jouer    joue joue jouons jouez jouent                      joué    jouais
arriver  arrive arrive arrivons arrivez arrivent            arrivé  arrivais
tomber   tombe tombe tombons tombez tombent                 tombé   tombais
aimer    aime aime aimons aimez aiment                      aimé    aimais
"""


@pytest.mark.parametrize("line", CONJUGATION.strip().split("\n"), ids=lambda line: line.split()[0])
def test_conjugation(line):
    infinitive, *present, participle, imperfect = line.split()
    assert french_present(infinitive) == tuple(present)
    assert french_participle(infinitive) == participle
    assert french_imperfect(infinitive)[0] == imperfect


def test_conjugation_table_has_every_verb():
    table = {line.split()[0] for line in CONJUGATION.strip().split("\n")}
    assert table == {verb.infinitive for verb in VERBS.values()}


@pytest.mark.parametrize(
    "forms",
    """petit petite petits petites
    grand grande grands grandes
    beau belle beaux belles
    nouveau nouvelle nouveaux nouvelles
    vieux vieille vieux vieilles
    jeune jeune jeunes jeunes
    bon bonne bons bonnes
    joli jolie jolis jolies
    blanc blanche blancs blanches
    noir noire noirs noires
    heureux heureuse heureux heureuses
    fatigué fatiguée fatigués fatiguées
    gentil gentille gentils gentilles
    cher chère chers chères
    froid froide froids froides
    mis mise mis mises
    pris prise pris prises""".split("\n"),
)
def test_agreement_of_adjectives(forms):
    forms = tuple(forms.split())
    assert french_agreement(forms[0]) == forms


# fmt: skip
@pytest.mark.parametrize(
    "singular, plural",
    [
        ("journal", "journaux"), ("cheval", "chevaux"), ("oiseau", "oiseaux"),
        ("souris", "souris"), ("œuf", "œufs"), ("voix", "voix"), ("nez", "nez"),
    ],
)
def test_french_plural(singular, plural):
    assert french_plural(singular) == plural


@pytest.mark.parametrize(
    "words, text",
    [
        ("de le homme", "de l'homme"),
        ("près de le hibou", "près du hibou"),
        ("à les écoles", "aux écoles"),
        ("de les œufs", "des œufs"),
        ("à la école", "à l'école"),
        ("que onze garçons", "que onze garçons"),
        ("que Antoine ne a pas", "qu'Antoine n'a pas"),
        ("ma oie", "mon oie"),
        ("ce homme et ce hibou", "cet homme et ce hibou"),
        ("de huit chats", "de huit chats"),
    ],
)
def test_elision_and_contraction(words, text):
    assert join_french(words.split()) == text


@pytest.fixture(scope="module")
def corpora():
    """Two seeds of every split."""
    counts = dict(train=15_000, valid=400, test=400, agreement=400, longer=3_000, new_pairs=3_000)
    return {split: [english_french(split, counts[split], s) for s in (0, 7)] for split in SPLITS}


def test_every_english_sentence_has_one_french(corpora):
    french = {}
    lists = [pairs for both in corpora.values() for pairs in both]
    lists += [english_french("train", 35_000, seed) for seed in (1, 2)]
    for pairs in lists:
        for pair in pairs:
            assert french.setdefault(pair.source.lower(), pair.target) == pair.target
    assert len(french) > 90_000


@pytest.mark.parametrize("split", SPLITS)
def test_splits_share_no_sentence_whatever_their_seeds(corpora, split):
    sources = {pair.source.lower() for pairs in corpora[split] for pair in pairs}
    for other in SPLITS:
        if other != split and {split, other} != {"test", "agreement"}:  # agreement is test
            assert not any(p.source.lower() in sources for pairs in corpora[other] for p in pairs)


@pytest.mark.parametrize("split", SPLITS)
def test_a_longer_list_starts_with_the_shorter_and_repeats_nothing(corpora, split):
    pairs = corpora[split][0]
    assert english_french(split, 100, seed=0) == pairs[:100]
    assert len({pair.source.lower() for pair in pairs}) == len(pairs)
    assert corpora[split][1][:100] != pairs[:100]


def test_the_same_in_another_process_with_other_hashes(corpora):
    program = (
        "from datasets.english_french import english_french, SPLITS\n"
        "for split in SPLITS:\n"
        "    for p in english_french(split, 30, 7): print(ascii((p.source, p.target, p.agreement)))"
    )
    expected = [
        ascii((p.source, p.target, p.agreement))
        for split in SPLITS
        for p in corpora[split][1][:30]
    ]
    root = str(Path(english_french_module.__file__).parents[2])
    for hash_seed in ("1", "2"):
        # fmt: skip
        result = subprocess.run(
            [sys.executable, "-c", program], cwd=root, text=True, capture_output=True, check=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": root},
        )
        assert result.stdout.splitlines() == expected


def test_lengths(corpora):
    for split in SPLITS:
        lengths = [len(TOKEN.findall(pair.source)) for pairs in corpora[split] for pair in pairs]
        if split == "longer":
            assert min(lengths) > MAX_TRAIN_LENGTH and max(lengths) <= MAX_LENGTH
        else:
            assert max(lengths) <= MAX_TRAIN_LENGTH


VOWEL = "[aeiouyéèêâîôœ]"
FORBIDDEN = [
    rf"\b(le|la|je|me|ne|de|que|ce|ma|sa) (?!onze\b){VOWEL}",
    r"\b(le|la|je|ne|de|que|ce|ma|sa) h(?!ibou|uit)",
    r"[dlnmjuDLNMJ]'(hibou|huit|onze)",
    r"\bde les?\b",
    r"\bà les?\b",
    r"'(?![aeiouyéèêâîôœhA])",
    r"\b(cet|bel|nouvel|vieil) (?![aeioœ]|hom|hôt)",
    r"\b(beau|nouveau) (homme|enfant|oiseau|hôtel|ordinateur)",
    r"^des (petit|grand|beaux|belles|vieux|vieilles|nouv|jeune|bon|joli)",
    r"\b(le|la|les|de|du|des|un|une|à|au|aux|que|qui|ne|pas) \1\b",
    r"\b(pas|jamais) (un|une|des|du)\b",
    r"  | [.,]|\S\?",
]  # fmt: skip


def test_french_is_written_as_french(corpora):
    for pairs in (p for both in corpora.values() for p in both):
        for pair in pairs:
            target = pair.target
            assert re.fullmatch(r"[A-ZÉŒ][\w' ,-]+( \?|\.)", target), target
            assert re.fullmatch(r"[A-Z][\w' ,]+[.?]", pair.source), pair.source
            for pattern in FORBIDDEN:
                found = re.search(pattern, target[0].lower() + target[1:])
                assert not found, f"{found[0]!r} in {target!r}"


def test_questions_and_statements_end_alike(corpora):
    for pair in corpora["train"][0]:
        assert pair.source.endswith("?") == pair.target.endswith(" ?")


def words_of(pairs, side):
    return Counter(w for pair in pairs for w in TOKEN.findall(getattr(pair, side).lower()))


def test_every_word_is_frequent_enough_to_be_learned():
    pairs = english_french("train", 30_000, seed=3)
    english, french = words_of(pairs, "source"), words_of(pairs, "target")
    assert 250 <= len(english) <= 350
    assert 300 <= len(french) <= 500
    assert min(english.values()) >= 25 and min(french.values()) >= 20
    assert sum(n < 40 for n in french.values()) < len(french) / 12


def test_no_word_of_the_test_splits_is_new(corpora):
    known = words_of(corpora["train"][0], "target") + words_of(corpora["train"][1], "target")
    for split in SPLITS:
        assert not words_of(corpora[split][0], "target").keys() - known.keys()


def walk(thing):
    """A phrase and all phrases within, by their fields."""
    yield thing
    if isinstance(thing, (tuple, list)):
        for part in thing:
            yield from walk(part)
    elif is_dataclass(thing) and not hasattr(thing, "english_object"):
        for field in fields(thing):
            if field.name not in ("head", "noun", "verb", "modal", "determiner"):
                yield from walk(getattr(thing, field.name))


def combinations(sentence):
    """The (noun, adjective) pairs of a sentence, beside the noun and said of it."""
    for phrase in walk(sentence):
        if isinstance(phrase, NounPhrase):
            yield from ((phrase.noun, adjective) for adjective in phrase.adjectives)
        subject = getattr(phrase, "subject", None) or getattr(phrase, "head", None)
        predicate = getattr(phrase, "predicate", None)
        if isinstance(subject, NounPhrase) and predicate and predicate.complement in ADJECTIVES:
            yield subject.noun, predicate.complement


@pytest.mark.parametrize("arguments", [{}, {"tries": 4}, {"modified": True}])
def test_held_out_combinations_are_never_drawn_for_the_other_splits(arguments):
    grammar = Grammar(11, **arguments)
    drawn = [pair for _ in range(8_000) for pair in combinations(grammar.sentence())]
    assert len(drawn) > 2_000
    assert not any(held_out(*pair) for pair in drawn)


def test_new_pairs_are_said_to_be_new_exactly_when_they_are():
    grammar = Grammar(11, unseen=True)
    found = 0
    for _ in range(8_000):
        sentence = grammar.sentence()
        new = any(held_out(*pair) for pair in combinations(sentence))
        assert grammar.has_new_pair == new, write_english(sentence)
        found += new
    assert found > 1_000


def test_new_pairs_stand_in_no_text_of_the_other_splits(corpora):
    """The same by reading the English: an adjective right before a noun, or after "is"."""
    singular = {form: noun.english[0] for noun in NOUNS for form in noun.english}
    nouns, adjectives = "|".join(singular), "|".join(ADJECTIVE)
    beside = re.compile(rf"\b({adjectives}) (?:(?:{adjectives}) )?({nouns})\b")
    said = re.compile(
        rf"^\w+ (?:{adjectives} )*({nouns}) (?:is|was|are|were) (?:not )?({adjectives})"
    )

    def read(pairs):
        for pair in pairs:
            for adjective, noun in beside.findall(pair.source):
                yield singular[noun], adjective
            for noun, adjective in said.findall(pair.source):
                yield singular[noun], adjective

    def new(split):
        found = (pair for pairs in corpora[split] for pair in read(pairs))
        return sum(held_out(NOUN[noun], ADJECTIVE[adjective]) for noun, adjective in found)

    assert new("new_pairs") > 4_000
    assert [new(split) for split in SPLITS[:-1]] == [0, 0, 0, 0, 0]


def test_held_out_combinations_leave_every_word_others():
    possible = [(noun, adjective) for noun in NOUNS for adjective in adjectives_of(noun)]
    out = [pair for pair in possible if held_out(*pair)]
    assert 0.07 < len(out) / len(possible) < 0.13
    for noun in NOUNS:
        assert sum(n is noun and (n, a) not in out for n, a in possible) >= 2, noun.english
    for adjective in ADJECTIVES:
        kept = sum(a is adjective and (n, a) not in out for n, a in possible)
        assert kept >= 5, adjective.english


def test_agreement_is_marked_where_a_noun_of_another_kind_stands_between():
    """Found again by reading the words between the subject's noun and the verb."""
    kinds = {}
    for noun in NOUNS:
        kinds[noun.english[0]] = (noun.feminine, False)
        kinds[noun.english[1]] = (noun.feminine, True)
    kinds.update({name: (feminine, False) for name, feminine in NAMES.items()})
    kinds["stories"] = (True, True)
    grammar = Grammar(5, modified=True)
    marked = 0
    for _ in range(5_000):
        sentence = grammar.sentence()
        if not sentence.agrees_at_a_distance():
            continue
        marked += 1
        words = write_english(sentence).split()
        subject = sentence.subject
        verb = len(" ".join(subject.english()).split())
        head = words.index(subject.noun.english[subject.plural])
        between = [kinds[word.removesuffix("'s")] for word in words[head + 1 : verb]
                   if word.removesuffix("'s") in kinds]  # fmt: skip
        assert verb - head >= 4
        assert any(kind != (subject.feminine, subject.plural) for kind in between) or any(
            a == "and" for a in words[head:verb]
        )
    assert marked > 2_000


def test_agreement_split(corpora):
    assert all(pair.agreement for pairs in corpora["agreement"] for pair in pairs)
    share = sum(pair.agreement for pair in corpora["train"][0]) / len(corpora["train"][0])
    assert 0.09 < share < 0.16


@pytest.mark.parametrize(
    "split, count, message",
    [("training", 1, "unknown split 'training'"), ("train", -1, "count is -1")],
)
def test_wrong_arguments(split, count, message):
    with pytest.raises(ValueError, match=message):
        english_french(split, count)


def test_says_when_nothing_new_comes(monkeypatch):
    words = iter(["sleep", "play", "leave", "fall"])
    sentences = [Statement(PAUL, does(word)) for word in words]
    monkeypatch.setattr(english_french_module, "MAX_MISSES", 50)
    monkeypatch.setattr(Grammar, "sentence", lambda self: sentences[int(self.random() * 4)])
    monkeypatch.setattr(english_french_module, "_side", lambda source: "train")
    assert len(english_french("train", 4)) == 4
    with pytest.raises(ValueError, match="gave 4 different sentences .* 5 were asked for"):
        english_french("train", 5)
