"""Elementwise ops, with PyTorch's type promotion.

Broadcasting is undone, and a promoted gradient cast back, by the engine, once for all ops.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import is_array, module_of
from ..op import Op, raw
from ..tensor import Tensor

_KINDS = {"b": 0, "u": 1, "i": 1, "f": 2}
_NUMBERS = {bool: np.dtype(bool), int: np.dtype(np.int64), float: np.dtype(np.float32)}


def result_type(*operands: Any) -> np.dtype:
    """PyTorch's rule: arrays outrank 0-d arrays, those outrank numbers, unless the lower has the
    higher kind.

    The kinds are bool < integer < float. NumPy alone would make float64 of int64 with float32.
    """
    ranks: tuple[list, list, list] = ([], [], [])
    for x in operands:
        if not is_array(x):
            ranks[2].append(_NUMBERS[type(x)])
        elif x.dtype.kind in _KINDS:
            ranks[x.ndim == 0].append(x.dtype)
        else:
            raise TypeError(
                f"dtype {x.dtype} is not supported: use a float, an integer or a bool dtype"
            )
    best, best_kind = None, -1
    for dtypes in ranks:
        kind = max((_KINDS[dtype.kind] for dtype in dtypes), default=-1)
        if kind > best_kind:
            best, best_kind = np.result_type(*[d for d in dtypes if _KINDS[d.kind] == kind]), kind
    return best


def promoted(a, b):
    """Both operands in one dtype; Python numbers stay numbers, which costs no upload."""
    if is_array(a):
        if (is_array(b) and a.dtype == b.dtype) or (a.dtype.kind == "f" and type(b) in _NUMBERS):
            return a, b
    elif b.dtype.kind == "f":
        return a, b
    dtype = result_type(a, b)
    return [x.astype(dtype) if is_array(x) and x.dtype != dtype else x for x in (a, b)]


def floating(x):
    """x itself, or float32 of an integer or bool array."""
    return x if x.dtype.kind == "f" else x.astype(np.float32)


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
            power = where(
                ne(b, 0), b - 1, 1
            )  # at b = 0 the factor b is 0, and 0⁻¹ would make it NaN
            da = g * b * a**power
        if self.needs[1]:
            zero = eq(a, 0)
            db = g * y * masked_fill(log(masked_fill(a, zero, 1.0)), zero, 0.0)
        return da, db


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
        return self.xp.clip(x, self.low, self.high)

    def backward(self, g, _y, x):
        inside = True
        if self.low is not None:
            inside = x >= self.low
        if self.high is not None:
            inside = inside & (x <= self.high)
        return g * inside


class Where(Op):
    """y = a where the mask is true, b elsewhere"""

    def forward(self, a, b):
        a, b = promoted(a, b) if is_array(a) or is_array(b) else (a, b)
        y = module_of(self.mask).where(self.mask, a, b)
        dtype = result_type(a, b)  # of two numbers NumPy would make float64
        return y if y.dtype == dtype else y.astype(dtype)

    def backward(self, g, _y, _a, _b):
        return masked_fill(g, logical_not(self.mask), 0.0), masked_fill(g, self.mask, 0.0)


def share(a, b):
    """1 where a > b, 1/2 where they are equal, 0 elsewhere."""
    return where(a > b, 1.0, where(a == b, 0.5, 0.0))


def _comparison(name: str):
    def compare(a: Any, b: Any) -> Tensor:
        x, y = raw(a), raw(b)
        result = getattr(module_of(x, y), name)(x, y)
        return (
            Tensor(module_of(x, y).asarray(result))
            if isinstance(a, Tensor) or isinstance(b, Tensor)
            else result
        )

    compare.__name__ = name
    compare.__doc__ = f"{name} elementwise: a bool Tensor, a constant to the tape."
    return compare


eq, ne = _comparison("equal"), _comparison("not_equal")
lt, le = _comparison("less"), _comparison("less_equal")
gt, ge = _comparison("greater"), _comparison("greater_equal")
logical_and, logical_or = _comparison("logical_and"), _comparison("logical_or")


def logical_not(x: Any) -> Tensor:
    return eq(x, False)


def sign(x: Any) -> Any:
    """-1, 0 or 1, a constant to the tape."""
    result = module_of(raw(x)).sign(raw(x))
    return Tensor(result) if isinstance(x, Tensor) else result


def isfinite(x: Any) -> Any:
    """Whether each element is neither infinite nor NaN."""
    result = module_of(raw(x)).isfinite(raw(x))
    return Tensor(result) if isinstance(x, Tensor) else result


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
    return Clamp(low=min, high=max)(x)


def where(condition, a, b):
    """a where the condition is true, b elsewhere; all three broadcast."""
    mask = raw(condition)
    if isinstance(condition, Tensor) and not (isinstance(a, Tensor) or isinstance(b, Tensor)):
        return Tensor(Where(mask=mask)(a, b))
    return Where(mask=mask)(a, b)


def masked_fill(x, mask, value):
    """x with `value` where the mask is true; the mask broadcasts."""
    return where(mask, value, x)
