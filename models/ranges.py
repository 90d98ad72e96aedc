"""What an option may be: said once, in the annotation of its field, for the options themselves and
for the command line.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_type_hints


class OptionError(ValueError):
    """Options out of range or that do not go together; the message says why and what to do."""


@dataclass(frozen=True)
class Range:
    """Finite numbers of a kind, from `low` to `high`."""

    kind: type
    low: float
    high: float = math.inf

    def __contains__(self, value: object) -> bool:
        kinds = int if self.kind is int else (int, float)
        number = isinstance(value, kinds) and not isinstance(value, bool)
        return number and self.low <= value <= self.high and value < math.inf

    def __str__(self) -> str:
        if self.high < math.inf:
            name, bounds = "number", f"from {self.low} to {self.high}"
        else:
            name, bounds = "finite number", f"of at least {self.low}"
        return f"a {'whole number' if self.kind is int else name} {bounds}"


@dataclass(frozen=True)
class Words:
    known: tuple[str, ...]

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str) and value in self.known

    def __str__(self) -> str:
        return f"one of {', '.join(self.known)}"


@dataclass(frozen=True)
class Kind:
    """Anything of a type."""

    kind: type
    name: str

    def __contains__(self, value: object) -> bool:
        return isinstance(value, self.kind)

    def __str__(self) -> str:
        return self.name


# beyond 10⁹ NumPy speaks of dimensions, not of memory
Size = Annotated[int, Range(int, 1, 10**9)]
Layers = Annotated[int, Range(int, 1, 100)]
Count = Annotated[int, Range(int, 0)]
Share = Annotated[float, Range(float, 0, 0.99)]
Amount = Annotated[float, Range(float, 0)]
Positive = Annotated[float, Range(float, 1e-12)]

PLAIN = {bool: Kind(bool, "true or false"), dict: Kind(dict, "names with their values")}


def rule(hint: Any) -> Range | Words | Kind:
    """What a value of this annotation may be, apart from None."""
    parts = [hint, *get_args(hint)]  # X | None: each of them
    found = [part.__metadata__[0] for part in parts if hasattr(part, "__metadata__")]
    return found[0] if found else PLAIN[hint]


def rules(options: type) -> dict[str, Range | Words | Kind]:
    """What each field of a class of options may be, apart from None."""
    return {name: rule(hint) for name, hint in hints(options).items()}


@cache
def hints(options: type) -> dict[str, Any]:
    return get_type_hints(options, include_extras=True)


def check_ranges(options: Any) -> None:
    """Raises OptionError for a value that its field does not take."""
    for name, hint in hints(type(options)).items():
        value, allowed = getattr(options, name), rule(hint)
        if value not in allowed and not (value is None and type(None) in get_args(hint)):
            raise OptionError(f"{name} is {value!r}: expected {allowed}")


def number(allowed: Range) -> Callable[[str], float]:
    """An argparse type: a number of a range."""

    def parse(text: str) -> float:
        try:
            value = allowed.kind(text)
        except ValueError:
            value = None
        if value not in allowed:
            raise argparse.ArgumentTypeError(f"{text} given, expected {allowed}")
        return value

    return parse


def path(text: str) -> str:
    """An argparse type: the name of a file or directory; an unset shell variable gives none."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the name is empty")
    return text
