"""Exponentials, logarithms, roots, circles and hyperbolas.

Integers and bools become the default floating dtype.
"""

from __future__ import annotations

import math
from typing import Any

from ..op import Op
from .choosing import clamp, masked_fill
from .promotion import floating

LN2, LN10 = math.log(2), math.log(10)


class Unary(Op):
    """One function of the array module: the class's name in small letters, or `known_as`."""

    fresh = True

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.known_as = vars(cls).get("known_as", cls.__name__.lower())

    def forward(self, x):
        return getattr(self.xp, self.known_as)(floating(x))

    def backward(self, g, y, x):
        raise NotImplementedError


class Exp(Unary):
    """y = eˣ,  dy/dx = y"""

    def backward(self, g, y, _x):
        return g * y


class Exp2(Unary):
    """y = 2ˣ,  dy/dx = y ln 2"""

    def backward(self, g, y, _x):
        return g * y * LN2


class Expm1(Unary):
    """y = eˣ - 1,  dy/dx = y + 1"""

    def backward(self, g, y, _x):
        return g * (y + 1.0)


class Log(Unary):
    """y = ln x,  dy/dx = 1 / x"""

    def backward(self, g, _y, x):
        return g / x


class Log1p(Unary):
    """y = ln(1 + x),  dy/dx = 1 / (1 + x)"""

    def backward(self, g, _y, x):
        return g / (x + 1.0)


class Log2(Unary):
    """y = log₂ x,  dy/dx = 1 / (x ln 2)"""

    def backward(self, g, _y, x):
        return g / (x * LN2)


class Log10(Unary):
    """y = log₁₀ x,  dy/dx = 1 / (x ln 10)"""

    def backward(self, g, _y, x):
        return g / (x * LN10)


class Sqrt(Unary):
    """y = √x,  dy/dx = 1 / 2y"""

    def backward(self, g, y, _x):
        return g / (y * 2.0)


class Rsqrt(Op):
    """y = 1 / √x,  dy/dx = -y³ / 2"""

    def forward(self, x):
        return 1.0 / self.xp.sqrt(floating(x))

    def backward(self, g, y, _x):
        return g * (y * y * y * -0.5)


class Reciprocal(Op):
    """y = 1 / x,  dy/dx = -y²"""

    def forward(self, x):
        return 1.0 / floating(x)

    def backward(self, g, y, _x):
        return -g * (y * y)


class Sin(Unary):
    """y = sin x,  dy/dx = cos x"""

    def backward(self, g, _y, x):
        return g * cos(x)


class Cos(Unary):
    """y = cos x,  dy/dx = -sin x"""

    def backward(self, g, _y, x):
        return -g * sin(x)


class Tan(Unary):
    """y = tan x,  dy/dx = 1 + y²"""

    def backward(self, g, y, _x):
        return g * (1.0 + y * y)


class Asin(Unary):
    """y = arcsin x,  dy/dx = 1 / √(1 - x²)"""

    known_as = "arcsin"

    def backward(self, g, _y, x):
        return g * rsqrt(1.0 - x * x)


class Acos(Unary):
    """y = arccos x,  dy/dx = -1 / √(1 - x²)"""

    known_as = "arccos"

    def backward(self, g, _y, x):
        return -g * rsqrt(1.0 - x * x)


class Atan(Unary):
    """y = arctan x,  dy/dx = 1 / (1 + x²)"""

    known_as = "arctan"

    def backward(self, g, _y, x):
        return g / (x * x + 1.0)


class Sinh(Unary):
    """y = sinh x,  dy/dx = cosh x"""

    def backward(self, g, _y, x):
        return g * cosh(x)


class Cosh(Unary):
    """y = cosh x,  dy/dx = sinh x"""

    def backward(self, g, _y, x):
        return g * sinh(x)


class Tanh(Unary):
    """y = tanh x,  dy/dx = 1 - y²"""

    def backward(self, g, y, _x):
        return g * (1.0 - y * y)


class Asinh(Unary):
    """y = arsinh x,  dy/dx = 1 / √(x² + 1)"""

    known_as = "arcsinh"

    def backward(self, g, _y, x):
        return g * rsqrt(x * x + 1.0)


class Acosh(Unary):
    """y = arcosh x,  dy/dx = 1 / √(x² - 1)"""

    known_as = "arccosh"

    def backward(self, g, _y, x):
        return g * rsqrt(x * x - 1.0)


class Atanh(Unary):
    """y = artanh x,  dy/dx = 1 / (1 - x²)"""

    known_as = "arctanh"

    def backward(self, g, _y, x):
        return g / (1.0 - x * x)


class Sigmoid(Op):
    """y = 1 / (1 + e⁻ˣ) = eˣ / (eˣ + 1),  dy/dx = y (1 - y)"""

    fresh = True

    def forward(self, x):
        x = floating(x)
        # where eˣ would overflow y is 1 already: 4 passes, a fifth of the time of two branches
        y = self.xp.exp(self.xp.minimum(x, 11.0 if x.dtype.itemsize == 2 else 40.0))
        y /= y + 1.0
        return y

    def backward(self, g, y, _x):
        return g * (y * (1.0 - y))


class Logit(Op):
    """y = ln(x / (1 - x)),  dy/dx = 1 / (x (1 - x)), NaN outside of [0, 1]"""

    def forward(self, x):
        x = floating(x)
        return self.xp.log(x / (1.0 - x))

    def backward(self, g, _y, x):
        return g / masked_fill(x * (1.0 - x), (x < 0) | (x > 1), math.nan)


class Sinc(Op):
    """y = sin πx / πx, 1 at 0"""

    def forward(self, x):
        x = floating(x) * math.pi
        y = self.xp.sin(x) / x
        return self.xp.where(x == 0, self.xp.ones_like(y), y)

    def backward(self, g, _y, x):
        zero = x == 0
        x = masked_fill(x, zero, 1.0) * math.pi
        return g * masked_fill((cos(x) * x - sin(x)) / (x * x) * math.pi, zero, 0.0)


def function_of(op: type[Op]):
    """The public function of one input that applies `op`."""

    def function(input: Any) -> Any:
        return op()(input)

    function.__name__ = function.__qualname__ = op.__name__.lower()
    function.__doc__ = op.__doc__
    return function


exp, exp2, expm1 = function_of(Exp), function_of(Exp2), function_of(Expm1)
log, log1p, log2, log10 = (
    function_of(Log),
    function_of(Log1p),
    function_of(Log2),
    function_of(Log10),
)
sqrt, rsqrt, reciprocal = function_of(Sqrt), function_of(Rsqrt), function_of(Reciprocal)
sin, cos, tan = function_of(Sin), function_of(Cos), function_of(Tan)
asin, acos, atan = function_of(Asin), function_of(Acos), function_of(Atan)
sinh, cosh, tanh = function_of(Sinh), function_of(Cosh), function_of(Tanh)
asinh, acosh, atanh = function_of(Asinh), function_of(Acosh), function_of(Atanh)
sigmoid, sinc = function_of(Sigmoid), function_of(Sinc)
arcsin, arccos, arctan, arcsinh, arccosh, arctanh = asin, acos, atan, asinh, acosh, atanh


def logit(input: Any, eps: float | None = None) -> Any:
    """ln(x / (1 - x)), the inverse of `sigmoid`; with eps, of x limited to [eps, 1 - eps]."""
    return Logit()(input if eps is None else clamp(input, eps, 1.0 - eps))
