"""Exponentials, logarithms, roots, circles and hyperbolas, the error function.

Integers and bools become the default floating dtype.
"""

from __future__ import annotations

import math
from typing import Any

from ..op import Op
from .choosing import clamp, masked_fill
from .promotion import floating

LN2, LN10, ROOT_PI = math.log(2), math.log(10), math.sqrt(math.pi)


class Unary(Op):
    """One function of the array module: that of the class's name in small letters, or `known_as`."""

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
    """y = 1 / (1 + e⁻ˣ),  dy/dx = y (1 - y)"""

    def forward(self, x):
        x = floating(x)
        z = self.xp.exp(-self.xp.abs(x))  # at most 1: no overflow at either end
        return self.xp.where(x >= 0, 1.0, z) / (1.0 + z)

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
        return self.xp.sinc(floating(x))

    def backward(self, g, _y, x):
        zero = x == 0
        x = masked_fill(x, zero, 1.0) * math.pi
        return g * masked_fill((cos(x) * x - sin(x)) / (x * x) * math.pi, zero, 0.0)


# W. J. Cody, "Rational Chebyshev approximations for the error function", Mathematics of
# Computation 23 (1969): numerators and denominators, highest power first
SMALL = (
    (0.185777706184603153, 3.16112374387056560, 113.864154151050156, 377.485237685302021,
     3209.37758913846947),
    (1.0, 23.6012909523441209, 244.024637934444173, 1282.61652607737228, 2844.23683343917062),
)  # fmt: skip
MIDDLE = (
    (2.15311535474403846e-8, 0.564188496988670089, 8.88314979438837594, 66.1191906371416295,
     298.635138197400131, 881.952221241769090, 1712.04761263407058, 2051.07837782607147,
     1230.33935479799725),
    (1.0, 15.7449261107098347, 117.693950891312499, 537.181101862009858, 1621.38957456669019,
     3290.79923573345963, 4362.61909014324716, 3439.36767414372164, 1230.33935480374942),
)  # fmt: skip
LARGE = (
    (0.0163153871373020978, 0.305326634961232344, 0.360344899949804439, 0.125781726111229246,
     0.0160837851487422766, 0.000658749161529837803),
    (1.0, 2.56852019228982242, 1.87295284992346725, 0.527905102951428412, 0.0605183413124413191,
     0.00233520497626869185),
)  # fmt: skip


def ratio(coefficients, x):
    """A quotient of two polynomials at x, by Horner's rule."""
    tops = []
    for first, *rest in coefficients:
        y = first * x
        for c in rest[:-1]:
            y = (y + c) * x
        tops.append(y + rest[-1])
    return tops[0] / tops[1]


def erf_and_erfc(xp, x):
    """erf x and 1 - erf x, each to the precision of x."""
    a = xp.minimum(xp.abs(x), 30.0)  # beyond, erfc is 0 and x² might be infinite
    inner, low, high = xp.minimum(a, 0.46875), xp.clip(a, 0.46875, 4.0), xp.maximum(a, 4.0)
    small = xp.sign(x) * inner * ratio(SMALL, inner * inner)
    over = 1.0 / (high * high)
    tail = (1.0 / ROOT_PI - over * ratio(LARGE, over)) / high
    # e^-a² of a rounded to sixteenths is exact to the last digit, and the rest of a² is small
    coarse = xp.floor(a * 16.0) / 16.0
    decay = xp.exp(-coarse * coarse) * xp.exp(-(a - coarse) * (a + coarse))
    beyond = decay * xp.where(a <= 4.0, ratio(MIDDLE, low), tail)
    middle = a <= 0.46875
    erf = xp.where(middle, small, xp.sign(x) * (1.0 - beyond))
    erfc = xp.where(middle, 1.0 - small, xp.where(x < 0, 2.0 - beyond, beyond))
    return erf, erfc


class Erf(Op):
    """y = 2/√π ∫₀ˣ e^-t² dt,  dy/dx = 2/√π e^-x²"""

    part = 0

    def forward(self, x):
        x = floating(x)
        inside = x.astype("float32") if x.dtype.itemsize == 2 else x  # its polynomials overflow
        return erf_and_erfc(self.xp, inside)[self.part].astype(x.dtype, copy=False)

    def backward(self, g, _y, x):
        return g * (exp(-x * x) * (2.0 / ROOT_PI))


class Erfc(Erf):
    """y = 1 - erf x,  dy/dx = -2/√π e^-x²"""

    part = 1

    def backward(self, g, _y, x):
        return g * (exp(-x * x) * (-2.0 / ROOT_PI))


class Erfinv(Op):
    """The x with erf x = y;  dx/dy = √π/2 e^x²"""

    def forward(self, y):
        y, xp = floating(y), self.xp
        kind, y = y.dtype, y.astype("float64")
        a = xp.abs(y)
        c, w = 2.0 / (math.pi * 0.147), xp.log((1.0 - a) * (1.0 + a))
        # Winitzki's estimate, good to three digits, then Halley's steps, which treble the digits
        x = xp.sqrt(xp.sqrt((c + w / 2.0) ** 2 - w / 0.147) - (c + w / 2.0))
        for _ in range(3):
            erf, erfc = erf_and_erfc(xp, x)
            miss = xp.where(a < 0.5, erf - a, (1.0 - a) - erfc)
            step = miss * (ROOT_PI / 2.0) * xp.exp(x * x)
            x = x - step / (1.0 + x * step)
        x = xp.where(a < 1.0, x, xp.where(a == 1.0, math.inf, math.nan))
        return xp.copysign(x, y).astype(kind)

    def backward(self, g, y, _x):
        return g * (exp(y * y) * (ROOT_PI / 2.0))


def _function(op: type[Op]):
    """The public function of one input that applies `op`."""

    def function(input: Any) -> Any:
        return op()(input)

    function.__name__ = function.__qualname__ = op.__name__.lower()
    function.__doc__ = op.__doc__
    return function


exp, exp2, expm1 = _function(Exp), _function(Exp2), _function(Expm1)
log, log1p, log2, log10 = _function(Log), _function(Log1p), _function(Log2), _function(Log10)
sqrt, rsqrt, reciprocal = _function(Sqrt), _function(Rsqrt), _function(Reciprocal)
sin, cos, tan = _function(Sin), _function(Cos), _function(Tan)
asin, acos, atan = _function(Asin), _function(Acos), _function(Atan)
sinh, cosh, tanh = _function(Sinh), _function(Cosh), _function(Tanh)
asinh, acosh, atanh = _function(Asinh), _function(Acosh), _function(Atanh)
sigmoid, sinc = _function(Sigmoid), _function(Sinc)
erf, erfc, erfinv = _function(Erf), _function(Erfc), _function(Erfinv)
arcsin, arccos, arctan, arcsinh, arccosh, arctanh = asin, acos, atan, asinh, acosh, atanh
expit = sigmoid


def logit(input: Any, eps: float | None = None) -> Any:
    """ln(x / (1 - x)), the inverse of `sigmoid`; with eps, of x limited to [eps, 1 - eps]."""
    return Logit()(input if eps is None else clamp(input, eps, 1.0 - eps))
