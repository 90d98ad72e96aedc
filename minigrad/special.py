"""Functions of mathematics under the names of `torch.special`."""

from __future__ import annotations

import math
from typing import Any

from . import ops
from .ops import (  # noqa: F401
    digamma,
    erf,
    erfc,
    erfinv,
    exp2,
    expm1,
    log1p,
    log_softmax,
    logit,
    logsumexp,
    mvlgamma,
    polygamma,
    round,
    sinc,
    softmax,
    xlogy,
)

expit, psi, gammaln, multigammaln = ops.sigmoid, digamma, ops.lgamma, mvlgamma


def entr(input: Any) -> Any:
    """-x ln x, 0 at 0, -∞ below"""
    return ops.where(ops.lt(input, 0), -math.inf, -xlogy(input, input))


def xlog1py(input: Any, other: Any) -> Any:
    """x ln(1 + y), 0 where x is 0"""
    if isinstance(other, (int, float)):
        return xlogy(input, 1 + other)
    zero = ops.eq(input, 0) & ~ops.isnan(other)
    return ops.where(zero, 0.0, input * log1p(ops.where(zero, 0.0, other)))


def ndtr(input: Any) -> Any:
    """The area under the normal density up to x: ½ erfc(-x / √2)"""
    return 0.5 * erfc(input * -math.sqrt(0.5))


def ndtri(input: Any) -> Any:
    """The x up to which the normal density has this area."""
    return erfinv(2.0 * input - 1.0) * math.sqrt(2.0)


def log_ndtr(input: Any) -> Any:
    """ln of `ndtr`: far below 0, where that is 0, by its asymptotic series."""
    far = input < -10
    x = ops.where(far, input, -10.0)
    over = 1.0 / (x * x)
    series = 1.0 - over * (1.0 - over * (3.0 - over * (15.0 - over * 105.0)))
    tail = -0.5 * x * x - ops.log(-x) - 0.5 * math.log(2 * math.pi) + ops.log(series)
    return ops.where(far, tail, ops.log(ndtr(ops.where(far, 0.0, input))))


__all__ = [name for name, value in vars().items() if callable(value) and name not in ("Any",)]
