"""English sentences with their Chinese: those of `english_french`, in Mandarin and simplified
characters.

    pairs = english_chinese("train", 30_000, seed=0)

A sentence of English has one Chinese sentence here, so what English leaves open is settled:

- "you" is 你, one person; "they" are people, 他们. A brother is 弟弟, a sister 妹妹.
- "the" is not said of one thing before the verb or in a place (猫在花园里). It is 那 with the
  measure word where Chinese would else hear "a" or a whole kind: of an object (喜欢那只猫), with a
  number (那两只猫), and of more than one thing (那些猫). What has an owner needs none of it.
- People who are known and more than one take 们, unless counted: 男孩们, 我的弟弟们, 那三个男孩,
  这些男孩. "My cats" are 我的猫, as is "my cat".
- "a" is 一 with the measure word, "some" 一些; before the verb 有一只猫, 有些孩子. After a
  negation nothing is left of either: 他不吃苹果. A mass noun is measured as it is served: 那杯水.
- Of an action the simple past is 了, the present perfect 已经...了 (to have seen 看见过), the
  progressive 正在 (在 after 今天), "is going to" 会, "never" with a past 从来没有...过. "Is falling,
  arriving" is 就要...了.
- The simple present of an action is the bare verb. The past of a state is not marked: only the
  time word tells.
- Where and when something was done is 是...的. All questions keep the order of the statement.
- "must" of an action is 必须, of a state 一定. Not to be allowed is 不可以.
- Adjectives are said with 很, which negation and 吗 take away; colours, "empty" and "open" are
  是...的. Being sick is the verb 生病.
- A known object of put and give goes before the verb with 把; any other after it.
- "because" is 因为...，所以..., with the reason first. Clauses joined by "and" have a comma.
- A relative clause goes before its noun. 了 stays in it only before an object.
- A place right after an object belongs to the verb if something can be done there, else to the
  object: 在花园里看见了那只猫, but 吃桌子上的那个苹果. After a relative clause it belongs to the
  verb of that clause if it can. A time belongs to the main verb.

The splits never share an English sentence, whatever their seeds; they are the splits of
`english_french`, with `relative` in place of `agreement`, for nothing agrees in Chinese.

- train, valid, test: 18, 1 and 1 in twenty of the sentences of at most MAX_TRAIN_LENGTH tokens.
- relative: those of the test sentences whose subject has a relative clause, which English has
  after its noun and Chinese before.
- longer: sentences of more than MAX_TRAIN_LENGTH tokens, at most MAX_LENGTH.
- new_pairs: sentences with a noun and an adjective that meet nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..english_french import MAX_LENGTH, MAX_TRAIN_LENGTH, draw_sentences, take
from ..english_french.phrases import ObjectRelative, SubjectRelative
from .phrases import write_chinese

__all__ = ["MAX_LENGTH", "MAX_TRAIN_LENGTH", "SPLITS", "Pair", "english_chinese"]

SPLITS = ("train", "valid", "test", "relative", "longer", "new_pairs")


@dataclass(frozen=True)
class Pair:
    """A sentence and its translation."""

    source: str
    target: str


def english_chinese(split: str, count: int, seed: int = 0) -> list[Pair]:
    """The first `count` pairs of a split; the same for a seed everywhere and always.

    A greater `count` continues the same list. No English sentence stands in it twice.
    Raises ValueError for an unknown split, and when a split has no more sentences to give.
    """
    return take(SPLITS, split, count, seed, _draws)


def _draws(split: str, seed: int) -> Iterator[Pair | None]:
    relative = split == "relative"
    for drawn in draw_sentences("test" if relative else split, seed, modified=relative):
        if drawn is None:
            yield None
            continue
        source, sentence = drawn
        if relative and not isinstance(
            sentence.subject.modifier, (SubjectRelative, ObjectRelative)
        ):
            yield None
        else:
            yield Pair(source, write_chinese(sentence))
