"""The Chinese of the sentences of `english_french`: a function for each of their constructions.

The order of a clause is the same in all: subject, time, question adverb, how it is (not, already,
can), place or company, verb with its aspect, object. Nothing here is random.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..english_french.lexicon import NAMES as IS_FEMININE
from ..english_french.lexicon import Adjective, Pronoun
from ..english_french.phrases import (
    BE,
    FUTURE,
    HAVE,
    PAST,
    PERFECT,
    PRESENT,
    PROGRESSIVE,
    SOME,
    THE,
    Afraid,
    Compound,
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
    SubjectRelative,
    Statement,
    WhereIs,
    WhoQuestion,
)
from .lexicon import (
    COMPOUNDS,
    MODALS,
    NAMES,
    NOUNS,
    NUMBERS,
    POSSESSIVES,
    PREPOSITIONS,
    PRONOUNS,
    TIMES,
    adjective_forms,
    verb_word,
)

GOING = frozenset(("go", "leave"))  # "is not going", "is going today" are plans: 不去, 今天去
SUDDEN = frozenset(("arrive", "fall"))  # no 正在: what is about to happen is 就要...了
TAKES_A_PLACE = frozenset("eat drink read write see buy sell make sleep play fall arrive".split())
AT_WORK = frozenset(("in", "near", "behind", "in front of", "at"))  # where one does something


def write_chinese(sentence: Sentence) -> str:
    return _sentence(sentence) + ("？" if sentence.end == "?" else "。")


def _sentence(sentence: Sentence) -> str:
    match sentence:
        case Statement(subject=subject, predicate=predicate):
            return statement(subject, predicate)
        case Compound(first=first, conjunction=conjunction, second=second):
            one, other = _sentence(first), _sentence(second)
            if conjunction == "because":
                return f"因为{other}，所以{one}"
            return f"{one}，{'但是' if conjunction == 'but' else ''}{other}"
        case Question(word="", subject=subject, predicate=predicate):
            return nominal(subject) + Clause(subject, predicate, ending="吗").write()
        case Question(word="what", subject=subject, predicate=predicate):
            return nominal(subject) + Clause(subject, predicate, asked="什么").write()
        case Question(word=word, subject=subject, predicate=predicate):
            return nominal(subject) + Clause(subject, predicate, word=word).write()
        case ObjectQuestion(word=word, asked=asked, subject=subject, predicate=predicate):
            measure = NOUNS[asked.noun.english[0]][1]
            count = (
                "多少" + measure
                if word == "how many"
                else "哪" + ("些" if asked.plural else measure)
            )
            clause = Clause(
                subject, predicate, asked=count + described(asked), object=asked,
                definite=word == "which",
            )  # fmt: skip
            return nominal(subject) + clause.write()
        case WhoQuestion(predicate=predicate):
            return "谁" + Clause(sentence.who, predicate).write()
        case WhereIs(subject=subject):
            return nominal(subject) + "在哪里"
    raise TypeError(f"no Chinese for a {type(sentence).__name__}")


def statement(subject: Nominal, predicate: Predicate) -> str:
    """What is not known yet is brought in by 有, and the time goes before it."""
    clause = Clause(subject, predicate)
    if isinstance(subject, NounPhrase) and subject.determiner is SOME:
        time, clause.time = clause.time, ""
        introduced = "有些" + described(subject) if subject.plural else "有" + nominal(subject)
        return time + introduced + clause.write()
    return nominal(subject) + clause.write()


# Nouns


def kinds_of(phrase: Nominal) -> frozenset[str]:
    """What the tables ask for: the noun and its tags, or a pronoun that stands for its like."""
    if isinstance(phrase, NounPhrase):
        return phrase.noun.tags | {phrase.noun.english[0]}
    if isinstance(phrase, Names):
        women = {IS_FEMININE[name] for name in phrase.names}
        pronoun = "they" if len(women) == 2 else "she" if women == {True} else "he"
    else:
        pronoun = phrase.english if phrase.english in ("he", "she") else "they"
    return frozenset(("person", "adult", pronoun))


def nominal(phrase: Nominal, after_verb: bool = False, bare: bool = False) -> str:
    """`after_verb`: an object, where "the" needs a word; `bare`: after a negation, without any."""
    if isinstance(phrase, Pronoun):
        return PRONOUNS[phrase.english]
    if isinstance(phrase, Names):
        return "和".join(NAMES[name] for name in phrase.names)
    if bare and phrase.determiner is SOME:
        return described(phrase)
    owner, count = possessor(phrase), counted(phrase, after_verb)
    ending = ""
    if phrase.plural and not count and "person" in phrase.noun.tags:
        ending = "们"
    modifier = phrase.modifier
    if isinstance(modifier, (SubjectRelative, ObjectRelative)):
        clause = with_de(relative(modifier, phrase))
        if isinstance(modifier.predicate.complement, Adjective):
            count += clause  # 那个高兴的女孩, as if it were an adjective
        else:
            count = clause + count
    elif isinstance(modifier, Prepositional) and not belongs(modifier):
        count = with_de(place(modifier).removeprefix("在")) + count
    return owner + count + described(phrase) + ending


def belongs(modifier: Prepositional) -> bool:
    """ "the door of the house", "the key to the door"."""
    return modifier.preposition.english in (("of",), ("to",))


def possessor(phrase: NounPhrase) -> str:
    """我的狗, but 我弟弟. The 的 also falls before an adjective of degree that brings one: 我聪明的狗,
    but 我的开着的窗户, for 我开着的窗户 would be the window I have open.
    """
    if isinstance(phrase.modifier, Owner):
        return nominal(phrase.modifier.nominal) + "的"
    if isinstance(phrase.modifier, Prepositional) and belongs(phrase.modifier):
        return nominal(phrase.modifier.nominal) + "的"
    word = phrase.determiner.english[0] if phrase.determiner else ""
    if word not in POSSESSIVES:
        return ""
    kin = "kin" in phrase.noun.tags and not phrase.plural and word not in ("our", "their")
    kinds = kinds_of(phrase)
    forms = (adjective_forms(adjective, kinds) for adjective in phrase.adjectives)
    if kin or any(before.endswith("的") and "很" in said for before, said in forms):
        return POSSESSIVES[word]
    return POSSESSIVES[word] + "的"


def counted(phrase: NounPhrase, after_verb: bool) -> str:
    """这 or 那, the number, the measure word; "" where the noun stands without.

    "The" is not said of one thing before the verb or in a place. It is 那 after the verb, with a
    number, and with more than one thing; people are 们 and kin and what has an owner need none.
    """
    measure = NOUNS[phrase.noun.english[0]][1]
    tags, determiner = phrase.noun.tags, phrase.determiner
    pointing = "这" if determiner is not None and determiner.english[0] == "this" else ""
    owned = possessor(phrase) != ""
    if determiner is THE and not owned:
        people = phrase.plural and "person" in tags
        if phrase.number or not (people or "kin" in tags or not (phrase.plural or after_verb)):
            pointing = "那"
    if phrase.number:
        return pointing + NUMBERS[phrase.number[0]] + measure
    if determiner is SOME:
        return "一些" if phrase.plural or phrase.noun.mass else "一" + measure
    return pointing + ("些" if phrase.plural else measure) if pointing else ""


def described(phrase: NounPhrase) -> str:
    """The noun with its adjectives. One that has 的 goes first, one without touches the noun."""
    english, kinds = phrase.noun.english[0], kinds_of(phrase)
    word, adjectives = NOUNS[english][0], phrase.adjectives
    if adjectives and (adjectives[0].english, english) in COMPOUNDS:
        word, adjectives = COMPOUNDS[adjectives[0].english, english], adjectives[1:]
    forms = [adjective_forms(adjective, kinds) for adjective in adjectives]
    if len(forms) < 2:
        return "".join(before for before, _ in forms) + word
    (first, first_said), (second, second_said) = forms
    if first.endswith("的") and second.endswith("的"):
        if "很" in first_said and "很" in second_said:
            return f"又{first[:-1]}又{second}{word}"
        return second + first + word
    if first.endswith("的"):
        return first + second + word
    return (second if second.endswith("的") else second_said.removeprefix("是")) + first + word


def with_de(text: str) -> str:
    return text if text.endswith("的") else text + "的"


def relative(modifier: SubjectRelative | ObjectRelative, head: NounPhrase) -> str:
    predicate = modifier.predicate
    if isinstance(modifier, SubjectRelative):
        return Clause(head, predicate, relative=True).write()
    subject = modifier.subject
    return nominal(subject) + Clause(subject, predicate, object=head, relative=True).write()


def place(phrase: Prepositional) -> str:
    before, after = PREPOSITIONS[" ".join(phrase.preposition.english)]
    return before + nominal(phrase.nominal) + after


# Clauses


def attached(predicate: Predicate, word: str) -> Predicate:
    """English leaves open what a place after an object belongs to; here it is settled.

    Directly after the object, where the verb can take such a place: to the verb. After a relative
    clause whose verb can take it: to that verb.
    """
    object, modifier = predicate.object, getattr(predicate.object, "modifier", None)
    if isinstance(modifier, Prepositional):
        if predicate.verb.base in TAKES_A_PLACE and not predicate.places and word != "where":
            if at_work(modifier):
                return replace(predicate, object=replace(object, modifier=None), places=(modifier,))
    elif isinstance(modifier, (SubjectRelative, ObjectRelative)):
        inner = modifier.predicate
        doer = kinds_of(
            modifier.head if isinstance(modifier, SubjectRelative) else modifier.subject
        )
        if (
            predicate.verb.base in TAKES_A_PLACE and predicate.places and not inner.places
            and inner.verb.base in TAKES_A_PLACE and doer & {"person", "animal"}
            and (inner.verb.base != "arrive" or predicate.places[0].preposition.english == ("at",))
        ):  # fmt: skip
            inner = replace(inner, places=predicate.places)
            object = replace(object, modifier=replace(modifier, predicate=inner))
            return replace(predicate, object=object, places=())
    return predicate


def at_work(phrase: Prepositional) -> bool:
    preposition = " ".join(phrase.preposition.english)
    tags = phrase.nominal.noun.tags
    return preposition in AT_WORK and (preposition != "in" or "inside" in tags)


@dataclass
class Clause:
    """What follows the subject.

    `word` is "where", "when" or "why" where that is asked; `asked` is what stands for the object
    in a question, `definite` when it is "which"; `object` is what is asked for, or the noun that
    a relative clause is about. `ending` is 吗 or "".
    """

    subject: Nominal
    predicate: Predicate
    word: str = ""
    asked: str = ""
    object: NounPhrase | None = None
    definite: bool = False
    relative: bool = False
    ending: str = ""

    def __post_init__(self) -> None:
        self.predicate = attached(self.predicate, self.word)
        self.time = TIMES[self.predicate.time[0]] if self.predicate.time else ""
        self.object = self.object or self.predicate.object

    def write(self) -> str:
        predicate = self.predicate
        if predicate.verb is BE:
            said = self.being()
        elif predicate.verb.state:
            said = self.state()
        else:
            said = self.action()
        why = "为什么" if self.word == "why" else ""
        return self.time + why + said + self.ending

    # States: the past is that of the time word alone

    def how(self, negation: str = "不") -> str:
        """What goes before a state. `negation` is the word for "not"."""
        predicate = self.predicate
        negation = {"": "", "not": negation, "never": "从来" + negation}[predicate.negation]
        must = "一定" if predicate.modal else ""
        often = "常常" if predicate.often else ""
        return must + negation + often + ("会" if predicate.tense == FUTURE else "")

    def being(self) -> str:
        complement = self.predicate.complement
        if isinstance(complement, Prepositional):
            return self.how() + place(complement)
        if isinstance(complement, Afraid):
            return self.how() + "害怕" + nominal(complement.of, after_verb=True)
        return self.quality(complement)

    def quality(self, adjective: Adjective) -> str:
        _, said = adjective_forms(adjective, kinds_of(self.subject))
        said, _, asked = said.partition("/")
        how = self.how()
        if asked and self.ending and not how:
            return asked
        if said == "病了":
            if not how:
                return "生病" if self.relative else said
            return how.replace("不", "没有") + "生病" if how in ("不", "一定不") else how + "生病"
        _, very, quality = said.partition("很")
        if not very:  # 是...的
            return said.removeprefix("是") if self.relative and not how else how + said
        plain = not how and (self.ending or (self.relative and len(quality) > 1))
        if self.predicate.negation or plain:
            very = ""
        return how + very + quality

    def state(self) -> str:
        """有, 想要, 喜欢"""
        if self.predicate.verb is HAVE:
            how = self.how("没")
            return how + "有" + self.object_text(bool(self.predicate.negation))
        word = verb_word(self.predicate.verb.base, frozenset())
        return self.how() + word + self.object_text(bool(self.predicate.negation))

    # Actions

    def object_text(self, bare: bool = False, after_verb: bool = True) -> str:
        if self.asked:
            return self.asked
        if self.predicate.object is None:
            return ""
        return nominal(self.predicate.object, after_verb, bare)

    def manner(self) -> tuple[str, str, str]:
        """What goes before the verb, after it (了, 过) and at the end (了, or the 的 of 是...的)."""
        predicate, tense = self.predicate, self.predicate.tense
        verb, negation = predicate.verb.base, predicate.negation
        if predicate.modal is not None:
            return MODALS[predicate.modal.base][negation], "", ""
        if tense == FUTURE:
            return "不会" if negation else "会", "", ""
        if tense in (PAST, PERFECT):
            if negation == "never":
                return "从来没有", "过", ""
            if negation:
                return "没有" if tense == PAST else "还没有", "", ""
            if self.word == "when" or (self.word == "where" and verb not in ("go", "put")):
                return "是", "", "的"
            if verb == "see" and tense == PERFECT:
                return "", "过", ""
            return "" if tense == PAST else "已经", "" if self.loses_aspect() else "了", ""
        if tense == PROGRESSIVE and self.word not in ("where", "when"):
            if verb in SUDDEN:
                return ("不会", "", "") if negation else ("就要", "", "" if self.relative else "了")
            if negation:
                return "不" if verb in GOING else "没有在", "", ""
            if self.time == TIMES["today"]:
                return "" if verb in GOING else "在", "", ""
            return "正在", "", ""
        if verb == "see" and negation == "not":
            return "没有", "", ""
        often = "常常" if predicate.often else ""
        return {"": "", "not": "不", "never": "从来不"}[negation] + often, "", ""

    def loses_aspect(self) -> bool:
        """In a relative clause 了 stays before an object: 吃了鱼的猫, 去了市场的女孩. It goes at the
        end, 离开的女孩; of the noun that follows, 男孩吃的鱼, but 已经吃了的鱼; and from 放在.
        """
        predicate = self.predicate
        if not self.relative or predicate.verb.base == "go":
            return False
        if predicate.verb.base == "put" and (predicate.object is None or self.known()):
            return True
        fronted = predicate.object is None and bool(predicate.verb.objects)
        return predicate.tense == PAST if fronted else predicate.object is None

    def action(self) -> str:
        predicate = self.predicate
        before, aspect, final = self.manner()
        done_to = kinds_of(self.object) if self.object else frozenset()
        word = verb_word(predicate.verb.base, kinds_of(self.subject) | done_to)
        if word == "看见":
            before, word = self.seeing(before, word, "person" in done_to)
        bare = bool(predicate.negation) or final == "的"
        base = predicate.verb.base
        if base == "put":
            rest = self.putting(word, aspect, bare)
        elif base == "give":
            rest = self.giving(word, aspect, bare)
        elif base in ("go", "arrive"):
            rest = word + aspect + self.goal()
        else:
            # 睡 has 觉 for its object, but 睡觉了 is said of having gone to sleep
            done = "睡过觉" if word + aspect == "睡觉过" else word + aspect
            rest = self.surroundings() + done + self.object_text(bare)
        if before.endswith("在") and rest.startswith("在"):
            rest = rest[1:]
        if self.word == "when":
            before = "是什么时候" if before == "是" else "什么时候" + before
        return before + rest + final

    def seeing(self, before: str, word: str, person: bool) -> tuple[str, str]:
        """看见 is what happens; what one does is 见 or 看, what one can do 看得见, 看不见."""
        predicate = self.predicate
        modal, negation = predicate.modal, predicate.negation
        if modal is not None and modal.base != "can":
            return before, "见" if person else "看"
        if modal is not None and negation:
            return {"not": "", "never": "永远"}[negation], "看不见"
        if negation == "never" and predicate.tense == PRESENT:
            return "从来", "看不见"
        if self.ending and predicate.tense == PRESENT and not (modal or before or self.time):
            return "", "看得见"
        return before, word

    def surroundings(self) -> str:
        if self.word == "where":
            return "在哪里"
        return "".join(place(phrase) for phrase in self.predicate.places)

    def goal(self) -> str:
        if self.word == "where":
            return "哪里"
        return "".join(place(phrase).removeprefix("在") for phrase in self.predicate.places)

    def known(self) -> bool:
        """Whether the object is one that 把 can take."""
        if self.asked:
            return self.definite
        object = self.predicate.object
        return not isinstance(object, NounPhrase) or object.determiner not in (SOME, None)

    def putting(self, word: str, aspect: str, bare: bool) -> str:
        """把书放在桌子上, 往桌子上放一本书, 放在桌子上的书"""
        where = "哪里" if self.word == "where" else place(self.predicate.places[0])[1:]
        if self.relative and self.predicate.object is None:
            ongoing = self.predicate.tense == PROGRESSIVE and self.predicate.modal is None
            return f"往{where}{word}" if ongoing else f"{word}在{where}"
        if self.known() or self.word == "where":
            if aspect == "过":  # 把 and 过 do not go together
                aspect = ""
            return f"把{self.object_text(after_verb=False)}{word}在{aspect}{where}"
        return f"往{where}{word}{aspect}{self.object_text(bare)}"

    def giving(self, word: str, aspect: str, bare: bool) -> str:
        """把书给保罗, 给保罗一本书"""
        receiver = nominal(self.predicate.places[0].nominal)
        if self.known():
            return "把" + self.object_text(after_verb=False) + word + aspect + receiver
        return word + aspect + receiver + self.object_text(bare)
