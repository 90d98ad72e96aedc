"""Arithmetic, and what is made of it.

Broadcasting is undone, and a promoted gradient cast back, by the engine, once for all ops.
"""

from __future__ import annotations

import math
from typing import Any

from ..backend import is_array
from ..op import Op, raw
from .choosing import clamp, masked_fill, maximum, minimum, where  # noqa: F401  found here too
from .comparisons import eq, logical_and, lt, ne  # noqa: F401
from .convert import cast
from .creation import zeros_like
from .promotion import NUMBERS, common_dtype, floating, pair, some_tensor, tensors_only, undefined
from .rounding import FloorDivide, TruncDivide, sign
from .transcendental import exp, log, sigmoid, sqrt  # noqa: F401


def no_bools(*operands: Any) -> None:
    """RuntimeError, as in PyTorch, where a bool array meets a minus sign."""
    if any(is_array(x) and x.dtype.kind == "b" for x in operands):
        raise RuntimeError("a minus sign before a bool tensor: use ~, logical_not() or ^")


class Add(Op):
    """y = a + b"""

    def forward(self, a, b):
        if type(a) in NUMBERS or type(b) in NUMBERS or a.dtype is not b.dtype:
            a, b = pair(a, b)
        return a + b

    def backward(self, g, _y, _a, _b):
        return g, g


class Sub(Op):
    """y = a - b"""

    def forward(self, a, b):
        p, q = pair(a, b)
        if p is not a or q is not b:
            no_bools(a, b)
        try:
            return p - q
        except TypeError:  # of two bools
            no_bools(a, b)
            raise

    def backward(self, g, _y, _a, _b):
        return g, -g


class Mul(Op):
    """y = a b,  dy/da = b,  dy/db = a"""

    bilinear = fresh = True

    def forward(self, a, b):
        if type(a) in NUMBERS or type(b) in NUMBERS or a.dtype is not b.dtype:
            a, b = pair(a, b)
        return a * b

    def backward(self, g, _y, a, b):
        needs_a, needs_b = self.needs
        return g * b if needs_a else None, g * a if needs_b else None


class Div(Op):
    """y = a / b,  dy/da = 1 / b,  dy/db = -a / b²"""

    needed_by = (1,), (0, 1)
    fresh = True

    def forward(self, a, b):
        p, q = pair(a, b)
        if (q if type(p) in NUMBERS else p).dtype.kind != "f":
            p, q = [floating(x) if is_array(x) else x for x in (a, b)]
        return p / q

    def backward(self, g, _y, a, b):
        over_b = g / b
        return over_b, (-over_b * (a / b) if self.needs[1] else None)


class Neg(Op):
    """y = -x"""

    def forward(self, x):
        try:
            return -x
        except TypeError:
            no_bools(x)
            raise

    def backward(self, g, _y, _x):
        return -g


class Abs(Op):
    """y = |x|,  dy/dx = sign x"""

    def forward(self, x):
        undefined("abs", "b", of=[x])
        return self.xp.abs(x)

    def backward(self, g, _y, x):
        return g * sign(x)


class Square(Op):
    """y = x²,  dy/dx = 2x"""

    def forward(self, x):
        return x * x if x.dtype.kind != "b" else x.astype("int64")

    def backward(self, g, _y, x):
        return g * (x * 2.0)


class Pow(Op):
    """y = aᵇ,  dy/da = b aᵇ⁻¹ (0 for b = 0),  dy/db = aᵇ ln a (0 for a = 0, b ≥ 0)"""

    def forward(self, a, b):
        p, q = pair(a, b)
        kind = (q if type(p) in NUMBERS else p).dtype.kind
        return p**q if kind == "f" else self.whole(p, q, b)

    def whole(self, a, b, given):
        """Integers to negative powers are 1, -1 or 0; a number is refused there."""
        if type(given) in NUMBERS:
            if given < 0:
                raise RuntimeError("an integer tensor to a negative integer power: use .float()")
            return (a ** int(given)).astype(a.dtype)
        undefined("pow", "b", of=[b])
        xp = self.xp
        inverse = xp.where(a == 1, 1, xp.where(a == -1, 1 - 2 * (b & 1), 0))
        y = a ** xp.maximum(b, 0)
        return xp.where(b < 0, inverse.astype(y.dtype), y)

    def backward(self, g, _y, a, b):
        da = db = None
        if self.needs[0]:
            da = g * b * a ** lowered(b)
        if self.needs[1]:
            db = g * (Pow()(a, b) * log_or_zero(a, b))
        return da, db


def lowered(b):
    """b - 1, but 0 for b = 0: there the factor b is 0, and 0⁻¹ would make it NaN."""
    return b - (b != 0) if type(b) in NUMBERS else where(eq(b, 0), b, b - 1)


def log_or_zero(a, b):
    """ln a, but 0 for a = 0 where b ≥ 0."""
    if type(a) in NUMBERS:
        if a:
            return math.log(a) if a > 0 else math.nan
        return where(b >= 0, 0.0, -math.inf)
    zero = eq(a, 0) & (b >= 0)
    return masked_fill(log(masked_fill(a + b * 0, zero, 1.0)), zero, 0.0)


class Hypot(Op):
    """y = √(a² + b²),  dy/da = a / y,  dy/db = b / y"""

    def forward(self, a, b):
        a, b = pair(a, b)
        undefined("hypot", "b", "i", "u", of=[a, b])
        return self.xp.hypot(a, b)

    def backward(self, g, y, a, b):
        return g * (a / y), g * (b / y)


class Atan2(Op):
    """y = the angle of the point (b, a),  dy/da = b / (a² + b²),  dy/db = -a / (a² + b²)"""

    def forward(self, a, b):
        a, b = [floating(x) if is_array(x) else x for x in pair(a, b)]
        return self.xp.arctan2(a, b)

    def backward(self, g, _y, a, b):
        square_ = a * a + b * b
        over = g / masked_fill(square_, eq(square_, 0), 1.0)
        return over * b, -over * a


class LogAddExp(Op):
    """y = ln(eᵃ + eᵇ),  dy/da = σ(a - b),  dy/db = σ(b - a)"""

    def forward(self, a, b):
        a, b = pair(a, b)
        undefined("logaddexp", "b", "i", "u", of=[a, b])
        return self.xp.logaddexp(a, b)

    def backward(self, g, _y, a, b):
        return g * sigmoid(a - b), g * sigmoid(b - a)


class Copysign(Op):
    """y = |a| with the sign of b,  dy/da = y / a (0 where a = 0)"""

    def forward(self, a, b):
        a, b = [floating(x) if is_array(x) else x for x in pair(a, b)]
        return self.xp.copysign(a, b)

    def backward(self, g, y, a, _b):
        zero = eq(a, 0)
        return g * masked_fill(y / masked_fill(a, zero, 1.0), zero, 0.0), zeros_like(g)


class XLogY(Op):
    """y = a ln b (0 where a = 0),  dy/da = ln b (0 where a = 0, b ≤ 0),  dy/db = a / b"""

    def forward(self, a, b):
        a, b = [floating(x) if is_array(x) else x for x in pair(a, b)]
        dtype = (a if is_array(a) else b).dtype
        a, b = [self.xp.asarray(x, dtype) for x in (a, b)]  # of a number log makes float64
        return self.xp.where((a == 0) & (b == b), dtype.type(0), a * self.xp.log(b))

    def backward(self, g, _y, a, b):
        da = db = None
        if self.needs[0]:
            zero = logical_and(eq(a, 0), b <= 0)
            da = masked_fill(g * log(where(zero, 1.0, b)), zero, 0.0)
        if self.needs[1]:
            db = g * (a / b)
        return da, db


def _scaled(input, other, alpha):
    """alpha · other, for `add` and `sub`."""
    kind = common_dtype(raw(input), raw(other)).kind
    if type(alpha) is float and kind != "f":
        raise RuntimeError(f"alpha={alpha} for integers: expected an integer")
    if type(alpha) is bool and kind != "b":
        raise RuntimeError(f"alpha={alpha}: a bool scales bools only")
    return other * alpha


def add(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """input + alpha · other"""
    return Add()(input, other if alpha == 1 else _scaled(input, other, alpha))


def sub(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """input - alpha · other"""
    return Sub()(input, other if alpha == 1 else _scaled(input, other, alpha))


def rsub(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """other - alpha · input"""
    tensors_only("rsub", input)
    return sub(other, input, alpha=alpha)


def mul(input: Any, other: Any) -> Any:
    return Mul()(input, other)


_ROUNDED = {None: Div, "floor": FloorDivide, "trunc": TruncDivide}


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """input / other; rounding_mode "floor" or "trunc" (toward zero) keeps integers integers."""
    try:
        op = _ROUNDED[rounding_mode]
    except KeyError:
        raise RuntimeError(
            f"div: rounding_mode must be None, 'floor' or 'trunc', got {rounding_mode!r}"
        ) from None
    return op()(input, other)


def true_divide(input: Any, other: Any) -> Any:
    return Div()(input, other)


subtract, multiply, divide = sub, mul, div


def neg(input: Any) -> Any:
    return Neg()(input)


negative = neg


def positive(input: Any) -> Any:
    """input itself; RuntimeError for bools."""
    if raw(input).dtype.kind == "b":
        raise RuntimeError("positive is not defined for bools")
    return input


def abs(input: Any) -> Any:  # noqa: A001 - PyTorch's name
    return Abs()(input)


absolute = abs


def square(input: Any) -> Any:
    return Square()(input)


def pow(input: Any, exponent: Any) -> Any:  # noqa: A001
    """input to the power of exponent; one of them may be a number."""
    some_tensor("pow", input, exponent)
    return Pow()(input, exponent)


def float_power(input: Any, exponent: Any) -> Any:
    """`pow` in float64."""
    some_tensor("float_power", input, exponent)
    input, exponent = [cast(x, "float64") if hasattr(x, "dtype") else x for x in (input, exponent)]
    return Pow()(input, exponent)


def hypot(input: Any, other: Any) -> Any:
    tensors_only("hypot", input, other)
    return Hypot()(input, other)


def atan2(input: Any, other: Any) -> Any:
    tensors_only("atan2", input, other)
    return Atan2()(input, other)


arctan2 = atan2


def logaddexp(input: Any, other: Any) -> Any:
    tensors_only("logaddexp", input, other)
    return LogAddExp()(input, other)


def logaddexp2(input: Any, other: Any) -> Any:
    """log₂(2ᵃ + 2ᵇ)"""
    return logaddexp(input * math.log(2), other * math.log(2)) / math.log(2)


def copysign(input: Any, other: Any) -> Any:
    """|input| with the sign of other."""
    tensors_only("copysign", input)
    return Copysign()(input, other)


def xlogy(input: Any, other: Any) -> Any:
    """input · ln other, 0 where input is 0 and other is not NaN."""
    some_tensor("xlogy", input, other)
    return XLogY()(input, other)


def deg2rad(input: Any) -> Any:
    return input * (math.pi / 180)


def rad2deg(input: Any) -> Any:
    return input * (180 / math.pi)


def ldexp(input: Any, other: Any) -> Any:
    """input · 2 to the power of other"""
    tensors_only("ldexp", input, other)
    return input * 2.0**other


def lerp(input: Any, end: Any, weight: Any) -> Any:
    """input + weight · (end - input)"""
    start, stop = raw(input), raw(end)
    if start.dtype != stop.dtype:
        raise RuntimeError(f"lerp from {start.dtype} to {stop.dtype}: expected one dtype")
    undefined("lerp", "b", "i", "u", of=[start])
    return input + (end - input) * weight


def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
    """input + value · tensor1 · tensor2"""
    product = tensor1 * tensor2
    return input + (product if value == 1 else product * value)


def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
    """input + value · tensor1 / tensor2; RuntimeError for integers."""
    if common_dtype(raw(tensor1), raw(tensor2)).kind != "f":
        raise RuntimeError("addcdiv divides no integers: convert them to a floating dtype")
    quotient = tensor1 / tensor2
    return input + (quotient if value == 1 else quotient * value)
