"""The error function and its inverse, and the logarithm of the gamma function."""

from __future__ import annotations

import math
from typing import Any

from ..op import Op, raw
from .choosing import where
from .convert import cast
from .promotion import default_dtype, floating
from .rounding import frac
from .transcendental import exp, function_of, log, sin

ROOT_PI = math.sqrt(math.pi)

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


erf, erfc, erfinv = function_of(Erf), function_of(Erfc), function_of(Erfinv)


def lgamma(input: Any) -> Any:
    """ln |Γ(x)|, by Stirling's series at x + 8 and the reflection formula below 1/2."""
    if raw(input).dtype.kind != "f":
        input = cast(input, default_dtype())
    reflected = input < 0.5
    x = where(reflected, 1.0 - input, input)
    small = x < 8
    near = where(small, x, 1.0)
    shift = log(near)
    for k in range(1, 8):
        shift = shift + log(near + float(k))
    z = where(small, x + 8.0, x)
    over = 1.0 / z
    square = over * over
    series = square * (-1 / 1680 + square * (1 / 1188 - square * (691 / 360360)))
    series = over * (1 / 12 + square * (-1 / 360 + square * (1 / 1260 + series)))
    y = (z - 0.5) * (log(z) - 1.0) + (0.5 * math.log(2 * math.pi) - 0.5) + series
    y = y - where(small, shift, 0.0)
    sine = sin(where(reflected, frac(input), 0.5) * math.pi)  # 0 at whole numbers
    return where(reflected, math.log(math.pi) - log(where(sine < 0, -sine, sine)) - y, y)
