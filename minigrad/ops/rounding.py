"""Rounding, signs, and division that leaves a remainder."""

from __future__ import annotations

import math
from typing import Any

from ..backend import CPU
from ..op import Op, raw
from .creation import zeros_like
from .promotion import NUMBERS, common_dtype, pair, some_tensor, tensors_only, undefined


def divisible(op: Op, a, b):
    """The operands of a division of whole parts in one dtype; RuntimeError for integers by zero."""
    what = type(op).__name__
    some_tensor(what, a, b)
    a, b = pair(a, b)
    kind = common_dtype(a, b).kind
    if kind == "b":
        undefined(what, "b", of=[a, b])
    # a GPU is not asked: that would wait for it at every division
    if kind != "f" and op.backend is CPU and (b == 0 if type(b) in NUMBERS else (b == 0).any()):
        raise RuntimeError(f"ZeroDivisionError: {what} of integers by zero")
    return a, b


def cut(xp, a, b):
    """a / b rounded toward zero."""
    if common_dtype(a, b).kind == "f":
        return xp.trunc(xp.true_divide(a, b))
    y = xp.floor_divide(a, b)
    return y + ((y < 0) & (y * b != a))


class FloorDivide(Op):
    """y = ⌊a / b⌋,  dy = 0"""

    def forward(self, a, b):
        return self.xp.floor_divide(*divisible(self, a, b))

    def backward(self, g, _y, _a, _b):
        return zeros_like(g), zeros_like(g)


class TruncDivide(FloorDivide):
    """y = a / b rounded toward zero,  dy = 0"""

    def forward(self, a, b):
        return cut(self.xp, *divisible(self, a, b))


class Remainder(Op):
    """y = a - b ⌊a / b⌋, with the sign of b"""

    needed_by = (1,), (1,)

    def forward(self, a, b):
        return self.xp.remainder(*divisible(self, a, b))

    def backward(self, g, _y, a, b):
        return g, (-g * FloorDivide()(a, b) if self.needs[1] else None)


class Fmod(Op):
    """y = a - b trunc(a / b), with the sign of a"""

    needed_by = (1,), (1,)

    def forward(self, a, b):
        a, b = divisible(self, a, b)
        if common_dtype(a, b).kind == "f":
            return self.xp.fmod(a, b)
        return a - b * cut(self.xp, a, b)

    def backward(self, g, _y, a, b):
        return g, (-g * TruncDivide()(a, b) if self.needs[1] else None)


class Step(Op):
    """An op that is constant between its jumps,  dy/dx = 0; integers are whole already"""

    def forward(self, x):
        undefined(self.known_as, "b", of=[x])
        return getattr(self.xp, self.known_as)(x) if x.dtype.kind == "f" else x.copy()

    def backward(self, g, _y, _x):
        return zeros_like(g)


class Sign(Step):
    """y = -1, 0 or 1 with the sign of x, 0 of NaN"""

    def forward(self, x):
        return x.copy() if x.dtype.kind == "b" else (x > 0).astype(x.dtype) - (x < 0)


def floor_divide(input: Any, other: Any) -> Any:
    """input / other rounded down."""
    return FloorDivide()(input, other)


def remainder(input: Any, other: Any) -> Any:
    """What floor_divide leaves: it has the sign of `other`, as % in Python."""
    return Remainder()(input, other)


def fmod(input: Any, other: Any) -> Any:
    """What a division rounded toward zero leaves: it has the sign of `input`, as in C."""
    tensors_only("fmod", input)
    return Fmod()(input, other)


def sign(input: Any) -> Any:
    return Sign()(input)


sgn = sign


def floor(input: Any) -> Any:
    return Step(known_as="floor")(input)


def ceil(input: Any) -> Any:
    return Step(known_as="ceil")(input)


def trunc(input: Any) -> Any:
    """input rounded toward zero."""
    return Step(known_as="trunc")(input)


fix = trunc


def round(input: Any, *, decimals: int = 0) -> Any:  # noqa: A001
    """input rounded to the nearest whole number, halves to even, or to so many decimals."""
    if not decimals:
        return Step(known_as="rint")(input)
    undefined("round to decimals", "b", "i", "u", of=[raw(input)])
    scale = 10.0 ** math.fabs(decimals)
    if decimals > 0:
        return Step(known_as="rint")(input * scale) / scale
    return Step(known_as="rint")(input / scale) * scale


def frac(input: Any) -> Any:
    """What `trunc` cuts off."""
    undefined("frac", "b", "i", "u", of=[raw(input)])
    return input - trunc(input)
