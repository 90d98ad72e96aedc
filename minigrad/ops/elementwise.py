"""Elementwise ops.

Broadcasting is undone, and a promoted gradient cast back, by the engine, once for all ops.
"""

from __future__ import annotations

import math
from typing import Any

from ..backend import is_array, module_of
from ..op import Op, raw
from ..tensor import Tensor, wrap
from .promotion import floating, promoted, result_type


class Add(Op):
    """y = a + b"""

    def forward(self, a, b):
        a, b = promoted(a, b)
        return a + b

    def backward(self, g, _y, _a, _b):
        return g, g


class Sub(Op):
    """y = a - b"""

    def forward(self, a, b):
        a, b = promoted(a, b)
        return a - b

    def backward(self, g, _y, _a, _b):
        return g, -g


class Mul(Op):
    """y = a b,  dy/da = b,  dy/db = a"""

    bilinear = True

    def forward(self, a, b):
        a, b = promoted(a, b)
        return a * b

    def backward(self, g, _y, a, b):
        return (g * b if self.needs[0] else None, g * a if self.needs[1] else None)


class Div(Op):
    """y = a / b,  dy/da = 1 / b,  dy/db = -y / b"""

    def forward(self, a, b):
        a, b = promoted(a, b)
        if not any(is_array(x) and x.dtype.kind == "f" for x in (a, b)):
            a = floating(a) if is_array(a) else a
            b = floating(b) if is_array(b) else b
        return a / b

    def backward(self, g, y, _a, b):
        over_b = g / b
        return over_b, (-over_b * y if self.needs[1] else None)


class Neg(Op):
    """y = -x"""

    def forward(self, x):
        return -x

    def backward(self, g, _y, _x):
        return -g


class Pow(Op):
    """y = aᵇ,  dy/da = b aᵇ⁻¹,  dy/db = y log a (0 where a = 0)"""

    def forward(self, a, b):
        a, b = promoted(a, b)
        return a**b

    def backward(self, g, y, a, b):
        da = db = None
        if self.needs[0]:
            da = g * b * a ** lowered(b)
        if self.needs[1]:
            db = g * y * log_or_zero(a)
        return da, db


def lowered(b):
    """b - 1, but 0 for b = 0: there the factor b is 0, and 0⁻¹ would make it NaN."""
    return b - (b != 0)


def log_or_zero(a):
    """ln a, but 0 for a = 0."""
    if not hasattr(a, "shape"):
        return math.log(a) if a > 0 else math.nan if a else 0.0
    return masked_fill(log(masked_fill(a, eq(a, 0), 1.0)), eq(a, 0), 0.0)


class Exp(Op):
    """y = eˣ,  dy/dx = y"""

    def forward(self, x):
        return self.xp.exp(floating(x))

    def backward(self, g, y, _x):
        return g * y


class Log(Op):
    """y = ln x,  dy/dx = 1 / x"""

    def forward(self, x):
        return self.xp.log(floating(x))

    def backward(self, g, _y, x):
        return g / x


class Sqrt(Op):
    """y = √x,  dy/dx = 1 / 2y"""

    def forward(self, x):
        return self.xp.sqrt(floating(x))

    def backward(self, g, y, _x):
        return g / (y * 2.0)


class Sin(Op):
    """y = sin x,  dy/dx = cos x"""

    def forward(self, x):
        return self.xp.sin(floating(x))

    def backward(self, g, _y, x):
        return g * cos(x)


class Cos(Op):
    """y = cos x,  dy/dx = -sin x"""

    def forward(self, x):
        return self.xp.cos(floating(x))

    def backward(self, g, _y, x):
        return -g * sin(x)


class Tanh(Op):
    """y = tanh x,  dy/dx = 1 - y²"""

    def forward(self, x):
        return self.xp.tanh(floating(x))

    def backward(self, g, y, _x):
        return g * (1.0 - y * y)


class Sigmoid(Op):
    """y = 1 / (1 + e⁻ˣ),  dy/dx = y (1 - y)"""

    def forward(self, x):
        x = floating(x)
        z = self.xp.exp(-self.xp.abs(x))  # at most 1: no overflow at either end
        return self.xp.where(x >= 0, 1.0, z) / (1.0 + z)

    def backward(self, g, y, _x):
        return g * (y * (1.0 - y))


class Relu(Op):
    """y = max(x, 0),  dy/dx = 1 where x > 0"""

    def forward(self, x):
        return self.xp.maximum(x, 0)

    def backward(self, g, y, _x):
        return g * (y > 0)


class Abs(Op):
    """y = |x|,  dy/dx = sign x"""

    def forward(self, x):
        return self.xp.abs(x)

    def backward(self, g, _y, x):
        return g * sign(x)


class Maximum(Op):
    """y = max(a, b); where they are equal each gets half the gradient"""

    def forward(self, a, b):
        return self.xp.maximum(*promoted(a, b))

    def backward(self, g, _y, a, b):
        return g * share(a, b), g * share(b, a)


class Minimum(Op):
    """y = min(a, b); where they are equal each gets half the gradient"""

    def forward(self, a, b):
        return self.xp.minimum(*promoted(a, b))

    def backward(self, g, _y, a, b):
        return g * share(b, a), g * share(a, b)


class Clamp(Op):
    """y = x limited to [low, high]; no gradient where it was cut"""

    def forward(self, x):
        dtype = result_type(x, *[bound for bound in (self.low, self.high) if bound is not None])
        return self.xp.clip(x.astype(dtype, copy=False), self.low, self.high)

    def backward(self, g, _y, x):
        if self.low is not None:
            g = g * (x >= self.low)
        if self.high is not None:
            g = g * (x <= self.high)
        return g


class Where(Op):
    """y = a where the mask is true, b elsewhere"""

    def forward(self, mask, a, b):
        y = self.xp.where(mask, a, b)
        dtype = result_type(a, b)  # of two numbers NumPy would make float64
        return y if y.dtype == dtype else y.astype(dtype)

    def backward(self, g, _y, mask, _a, _b):
        da = Where()(mask, g, 0.0) if self.needs[1] else None
        db = Where()(mask, 0.0, g) if self.needs[2] else None
        return None, da, db


def share(a, b):
    """1 where a > b, 1/2 where they are equal, 0 elsewhere."""
    return where(a > b, 1.0, where(a == b, 0.5, 0.0))


def _constant(name: str):
    """A function that the tape takes for a constant: it has no gradient, or one of zero."""

    def function(*inputs: Any) -> Any:
        arrays = [raw(x) for x in inputs]
        xp = module_of(*arrays)
        result = getattr(xp, name)(*arrays)
        return wrap(xp.asarray(result)) if any(isinstance(x, Tensor) for x in inputs) else result

    function.__name__ = name
    function.__doc__ = f"{name} elementwise, a constant to the tape."
    return function


eq, ne = _constant("equal"), _constant("not_equal")
lt, le = _constant("less"), _constant("less_equal")
gt, ge = _constant("greater"), _constant("greater_equal")
logical_and, logical_or = _constant("logical_and"), _constant("logical_or")
logical_not = _constant("logical_not")
bitwise_and, bitwise_or = _constant("bitwise_and"), _constant("bitwise_or")
bitwise_not = _constant("invert")
sign, isfinite = _constant("sign"), _constant("isfinite")


def add(a, b):
    return Add()(a, b)


def sub(a, b):
    return Sub()(a, b)


def mul(a, b):
    return Mul()(a, b)


def div(a, b):
    return Div()(a, b)


def neg(x):
    return Neg()(x)


def pow(a, b):
    return Pow()(a, b)


def exp(x):
    return Exp()(x)


def log(x):
    return Log()(x)


def sqrt(x):
    return Sqrt()(x)


def sin(x):
    return Sin()(x)


def cos(x):
    return Cos()(x)


def tanh(x):
    return Tanh()(x)


def sigmoid(x):
    return Sigmoid()(x)


def relu(x):
    return Relu()(x)


def abs(x):  # noqa: A001 - PyTorch's name
    return Abs()(x)


def maximum(a, b):
    return Maximum()(a, b)


def minimum(a, b):
    return Minimum()(a, b)


def clamp(x, min=None, max=None):  # noqa: A002
    """x limited to numbers from min to max; None leaves a side open."""
    low, high = (bound if bound is None else raw(bound) for bound in (min, max))
    for bound in (low, high):
        if is_array(bound):
            raise TypeError("clamp takes numbers as bounds; use maximum and minimum for tensors")
    return Clamp(low=low, high=high)(x)


def where(condition, a, b):
    """a where the condition is true, b elsewhere; all three broadcast."""
    return Where()(condition, a, b)


def masked_fill(x, mask, value):
    """x with `value` where the mask is true; the mask broadcasts."""
    return where(mask, value, x)
