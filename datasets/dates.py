"""Dates as people write them, and as ISO 8601 does.

    pairs = dates(50_000, seed=0)  # ("TUESDAY, SEPTEMBER 25, 1984", "1984-09-25"), ...

The task of chapter 7 of Saito, "Deep Learning from Scratch 2" (O'Reilly Japan, 2018): a day from
FIRST to LAST in one of four formats, each in a quarter of the questions,

    9/25/84   Sep 25, 1984   September 25, 1984   Tuesday, September 25, 1984

those with words as they stand here in half of the cases, all in lower case in a quarter and all
in upper case in a quarter. It differs from the book's file in two things: no question occurs
twice, while many lines there are the same, so that its test repeats some of what was trained on;
and nothing is padded to one length.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta

FIRST, LAST = date(1970, 1, 1), date(2017, 7, 24)  # two digits of a year say which it is
DAYS = (LAST - FIRST).days + 1
MAX_COUNT = 60_000  # of these a quarter are numbers only, of which there is one for each day

MONTHS = (
    "January February March April May June July August September October November December".split()
)
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()

# Not strftime, which writes the names in the language of the user.
FORMATS: tuple[Callable[[date], str], ...] = (
    lambda d: f"{d.month}/{d.day}/{d.year % 100:02}",
    lambda d: f"{MONTHS[d.month - 1][:3]} {d.day}, {d.year}",
    lambda d: f"{MONTHS[d.month - 1]} {d.day}, {d.year}",
    lambda d: f"{WEEKDAYS[d.weekday()]}, {MONTHS[d.month - 1]} {d.day}, {d.year}",
)
CASES = (str, str, str.lower, str.upper)


def dates(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """`count` different questions with their answers YYYY-MM-DD; the same for a seed everywhere.

    A greater `count` continues the same list. Raises ValueError for more than MAX_COUNT.
    """
    if not 0 <= count <= MAX_COUNT:
        raise ValueError(f"count is {count}: expected 0 to {MAX_COUNT} dates")
    draw = random.Random(seed).random
    pairs: dict[str, str] = {}
    while len(pairs) < count:
        write, case = FORMATS[int(draw() * 4)], CASES[int(draw() * 4)]
        # Another day, never another format, instead of a question that is there already: else the
        # format with the fewest questions would become rare.
        while True:
            day = FIRST + timedelta(int(draw() * DAYS))
            question = case(write(day))
            if question not in pairs:
                break
        pairs[question] = day.isoformat()
    return list(pairs.items())
