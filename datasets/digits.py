"""Tasks on digits, learned character by character: addition, copying, reversing.

    addition(45_000, seed=0)                        # ("52+607", "659"), ...
    copy(20_000, seed=0, shortest=1, longest=10)    # ("31415", "31415"), ...
    reverse(20_000, seed=0, shortest=1, longest=10)  # ("31415", "51413"), ...

No question occurs twice in a list, and a greater `count` continues the same list. Short questions
are few and soon all said, so the beginning of a list is easier than its end: shuffle it before
cutting it into parts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable

MAX_DIGITS = 3  # of a number to be added
MAX_MISSES = 20_000  # consecutive draws that give nothing new before we say that all is said


def addition(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Sums of two numbers of up to MAX_DIGITS digits, as in chapter 7 of Saito, "Deep Learning
    from Scratch 2" (O'Reilly Japan, 2018), without its padding.

    Each number is a row of one, two or three digits, all lengths alike, read without the zeros it
    begins with. Of 8+4 and 4+8 only one occurs. Raises ValueError for a count that is negative or
    comes too near to the 500,500 questions there are.
    """
    draw = random.Random(seed).random

    def number() -> int:
        return int(draw() * 10 ** (1 + int(draw() * MAX_DIGITS)))

    def operands() -> tuple[int, int]:
        return number(), number()

    return [(f"{a}+{b}", str(a + b)) for a, b in _distinct(count, operands, same=frozenset)]


def copy(count: int, seed: int = 0, shortest: int = 1, longest: int = 10) -> list[tuple[str, str]]:
    """Sequences of `shortest` to `longest` digits, each with itself.

    All lengths are alike probable, until one has no more sequences to give. Raises ValueError for
    lengths that are none, and for a count that is negative or comes too near to the number of
    sequences there are.
    """
    return [(digits, digits) for digits in _sequences(count, seed, shortest, longest)]


def reverse(
    count: int, seed: int = 0, shortest: int = 1, longest: int = 10
) -> list[tuple[str, str]]:
    """As `copy`, each sequence with itself read from its end."""
    return [(digits, digits[::-1]) for digits in _sequences(count, seed, shortest, longest)]


def _sequences(count: int, seed: int, shortest: int, longest: int) -> list[str]:
    if not 1 <= shortest <= longest:
        raise ValueError(
            f"lengths from {shortest} to {longest}: expected 1 or more digits, and the shortest "
            "length not above the longest"
        )
    draw = random.Random(seed).random

    def sequence() -> str:
        length = shortest + int(draw() * (longest - shortest + 1))
        return "".join(str(int(draw() * 10)) for _ in range(length))

    return _distinct(count, sequence, same=str)


def _distinct(count: int, draw: Callable, same: Callable[..., Hashable]) -> list:
    """The first `count` draws that differ; two for which `same` gives the same are one."""
    if count < 0:
        raise ValueError(f"count is {count}: expected the number of pairs wanted, 0 or more")
    found: dict = {}
    misses = 0
    while len(found) < count:
        question = draw()
        key = same(question)
        misses = misses + 1 if key in found else 0
        if misses == MAX_MISSES:
            raise ValueError(
                f"{len(found)} different questions were drawn, then no other in {MAX_MISSES} "
                f"draws; {count} were asked for: ask for fewer, or for longer ones"
            )
        found.setdefault(key, question)
    return list(found.values())
