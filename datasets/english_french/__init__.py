"""English sentences with their French, without end, from a grammar written for this project.

    pairs = english_french("train", 30_000, seed=0)

A sentence of English has one French sentence here, so what English leaves open is settled:

- "you" is the polite "vous" to one man: "vous êtes fatigué". "I" is a man, "we" and "they" are
  men or both: "nous sommes fatigués", "ils", "them" is "les".
- The simple past and the present perfect of an action are the passé composé; the simple past of
  a state (be, have, want) is the imparfait. The simple present and the progressive are the
  présent. "is going to eat" is the futur proche.
- Read and put, whose past looks like their present, take the progressive for the present unless
  an -s tells the two apart.
- A question keeps the order of the statement with "est-ce que"; only "où" before être inverts.
- "some" is "des", "du", "de la"; "des" is "de" before an adjective; after a negation the
  indefinite article of a direct object is "de" ("any" in English).
- Participles agree with the subject after être, and with a direct object that stands before the
  verb after avoir: "les pommes que le garçon a mangées", "il l'a vue", "combien de pommes".
- "little, big, beautiful, old, new, young, good, pretty" go before the French noun, all other
  adjectives after it. "Hungry", "thirsty" and "afraid" are avoir with a noun.
- A relative clause belongs to the noun just before it.

The splits never share an English sentence, whatever their seeds: a digest of the sentence says
which one it is in.

- train, valid, test: 18, 1 and 1 in twenty of the sentences of at most MAX_TRAIN_LENGTH tokens.
- agreement: those of the test sentences whose main verb follows its subject's noun by four words
  or more, with a noun of other number or gender in between.
- longer: sentences of more than MAX_TRAIN_LENGTH tokens, at most MAX_LENGTH.
- new_pairs: sentences with a noun and an adjective that meet nowhere else, in any form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .grammar import Grammar
from .lexicon import digest
from .phrases import Sentence, Statement, write_english, write_french

SPLITS = ("train", "valid", "test", "agreement", "longer", "new_pairs")
MAX_TRAIN_LENGTH = 14  # tokens of English, punctuation included
MAX_LENGTH = 22
MAX_MISSES = 20_000  # consecutive draws that give nothing new before we say that all is said

TOKEN = re.compile(r"\w+'?|[^\w\s]")


@dataclass(frozen=True)
class Pair:
    """A sentence and its translation.

    `agreement`: the main verb stands at least four words after its subject's noun, with a noun
    between them that would have given it another French form.
    """

    source: str
    target: str
    agreement: bool = False


def english_french(split: str, count: int, seed: int = 0) -> list[Pair]:
    """The first `count` pairs of a split; the same for a seed everywhere and always.

    A greater `count` continues the same list. No English sentence stands in it twice.
    Raises ValueError for an unknown split, and when a split has no more sentences to give.
    """
    return take(SPLITS, split, count, seed, _draws)


def take(
    splits: Sequence[str],
    split: str,
    count: int,
    seed: int,
    draws: Callable[[str, int], Iterator[Any]],
) -> list[Any]:
    """`count` pairs from `draws(split, seed)`, each `source` once; a draw of None is a miss.

    Raises ValueError for a split that is not one of `splits`, and when no more pairs come.
    """
    if split not in splits:
        raise ValueError(f"unknown split {split!r}: expected one of {', '.join(splits)}")
    if count < 0:
        raise ValueError(f"count is {count}: expected the number of pairs wanted, 0 or more")
    pairs: list[Any] = []
    seen: set[str] = set()
    drawn = draws(split, seed)
    misses = 0
    while len(pairs) < count:
        pair = next(drawn)
        if pair is None or pair.source in seen:
            misses += 1
            if misses == MAX_MISSES:
                raise ValueError(
                    f"the split {split!r} gave {len(pairs)} different sentences with seed {seed}, "
                    f"then none in {MAX_MISSES} draws; {count} were asked for: ask for fewer"
                )
            continue
        misses = 0
        seen.add(pair.source)
        pairs.append(pair)
    return pairs


def draw_sentences(
    split: str, seed: int, modified: bool = False
) -> Iterator[tuple[str, Sentence] | None]:
    """Sentences of train, valid, test, longer or new_pairs with their English, repeats among
    them, and None for each draw that is not of the split.

    With `modified` only statements, with something after the subject's noun.
    """
    grammar = Grammar(
        seed,
        tries=4 if split == "longer" else 1,
        unseen=split == "new_pairs",
        modified=modified,
    )
    while True:
        sentence = grammar.sentence()
        source = write_english(sentence)
        length = len(TOKEN.findall(source))
        if split == "longer":
            fits = MAX_TRAIN_LENGTH < length <= MAX_LENGTH
        elif split == "new_pairs":
            fits = grammar.has_new_pair and length <= MAX_TRAIN_LENGTH
        else:
            fits = length <= MAX_TRAIN_LENGTH and _side(source) == split
        yield (source, sentence) if fits else None


def _draws(split: str, seed: int) -> Iterator[Pair | None]:
    distant = split == "agreement"
    for drawn in draw_sentences("test" if distant else split, seed, modified=distant):
        if drawn is None:
            yield None
            continue
        source, sentence = drawn
        agreement = isinstance(sentence, Statement) and sentence.agrees_at_a_distance()
        if distant and not agreement:
            yield None
        else:
            yield Pair(source, write_french(sentence), agreement)


def _side(source: str) -> str:
    """One in twenty is for validation, one in twenty for test, by a digest that stays the same."""
    return {0: "test", 1: "valid"}.get(digest(source.lower()) % 20, "train")
