"""Functions of whole numbers, and the next number in a floating-point dtype."""

from __future__ import annotations

from typing import Any

from ..op import Op, raw
from .choosing import where
from .promotion import pair, tensors_only, undefined
from .rounding import floor_divide, remainder


class Whole(Op):
    """y = the function of the array module called `name`, of two integers"""

    def forward(self, a, b):
        undefined(self.name, "f", "b", of=(a, b))
        return getattr(self.xp, self.name)(*pair(a, b))


class NextAfter(Op):
    """y = the number next to a in the direction of b: a itself but for the last digit, dy/da = 1"""

    def forward(self, a, b):
        undefined("nextafter", "i", "u", "b", of=(a, b))
        return self.xp.nextafter(*pair(a, b))

    def backward(self, g, _y, a, b):
        return where(a == b, 0.0, g), g * 0.0


def gcd(input: Any, other: Any) -> Any:
    """The greatest common divisor of integers."""
    tensors_only("gcd", input, other)
    return Whole(name="gcd")(input, other)


def lcm(input: Any, other: Any) -> Any:
    """The least common multiple of integers."""
    tensors_only("lcm", input, other)
    return Whole(name="lcm")(input, other)


def nextafter(input: Any, other: Any) -> Any:
    """The floating-point number that comes after `input` on the way to `other`."""
    tensors_only("nextafter", input, other)
    return NextAfter()(input, other)


def unravel_index(indices: Any, shape: Any) -> tuple:
    """The places in a tensor of `shape` that positions in its flattened form mean, one tensor for
    each dimension.
    """
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    array = raw(indices)
    if array.dtype.kind not in "iu":
        raise ValueError(f"unravel_index takes integers, got {array.dtype}")
    places = []
    for size in shape[::-1]:
        places.append(remainder(indices, size))
        indices = floor_divide(indices, size)
    return tuple(places[::-1])
