"""Running sums, products and extremes along one dimension, and the product, whose gradient needs
them.
"""

from __future__ import annotations

import math

import numpy as np

from ..backend import module_of
from ..op import Op
from . import elementwise as ew
from .convert import clone
from .names import data_of, numpy_names, return_types
from .reduce import floats_only, typed, wide, with_kept_dims
from .scatter import Gather, constant, full_as
from .shape import cat, checked_dim, dim_of, expand, narrow, paste, reshape
from .tiling import flip


class CumSum(Op):
    """y[i] = x[0] + ... + x[i],  dx[i] = g[i] + g[i + 1] + ..."""

    def forward(self, x):
        y = self.xp.cumsum(x, axis=self.dim, dtype=inside(x))
        return y.astype(x.dtype) if x.dtype == np.float16 else y

    def backward(self, g, _y, _x):
        return flip(CumSum(dim=self.dim)(flip(g, self.dim)), self.dim)


class CumProd(Op):
    """y[i] = x[0] ... x[i],  dx[i] = y[i - 1] r[i]  with  r[i] = g[i] + x[i + 1] r[i + 1]

    Right with zeros among x, since nothing is divided.
    """

    def forward(self, x):
        y = self.xp.cumprod(x, axis=self.dim, dtype=inside(x))
        return y.astype(x.dtype) if x.dtype == np.float16 else y

    def backward(self, g, y, x):
        return before(y, self.dim) * recurrence(g, after(x, self.dim), self.dim)


class Prod(Op):
    """y = Π x,  dy/dx[i] = the product of all before i times the product of all after i"""

    def forward(self, x):
        self.shape, self.kept = x.shape, with_kept_dims(x.shape, (self.dim,))
        y = x.prod(axis=self.dim, keepdims=self.keepdim, dtype=inside(x))
        return y.astype(x.dtype) if x.dtype == np.float16 else y

    def backward(self, g, _y, x):
        if not data_of(x).size:
            return x * 1.0
        left = before(CumProd(dim=self.dim)(x), self.dim)
        right = before(CumProd(dim=self.dim)(flip(x, self.dim)), self.dim)
        return expand(reshape(g, self.kept), self.shape) * left * flip(right, self.dim)


class LogCumSumExp(Op):
    """y[i] = ln(eˣ⁰ + ... + eˣⁱ),  dx[i] = exp(x[i] - y[i]) r[i]
    with  r[i] = g[i] + exp(y[i] - y[i + 1]) r[i + 1],  whose exponents are at most 0
    """

    def forward(self, x):
        y = doubled(self.xp, wide(x), self.dim, self.xp.logaddexp)
        return y.astype(x.dtype, copy=False)

    def backward(self, g, y, x):
        y = ew.where(ew.eq(y, -math.inf), 0.0, y)
        step = ew.exp(narrow(y, self.dim, 0, data_of(y).shape[self.dim] - 1)
                      - narrow(y, self.dim, 1, data_of(y).shape[self.dim] - 1))  # fmt: skip
        last = narrow(y, self.dim, 0, 1)
        step = cat([step, full_as(last, last, 0)], self.dim)
        return ew.exp(x - y) * recurrence(g, step, self.dim)


def inside(x):
    """The dtype in which running results are computed."""
    return np.int64 if x.dtype.kind in "bui" else np.float32 if x.dtype == np.float16 else None


def before(x, dim):
    """x[i - 1] at i, and 1 at 0."""
    first = narrow(x, dim, 0, 1)
    return cat([full_as(first, x, 1), narrow(x, dim, 0, data_of(x).shape[dim] - 1)], dim)


def after(x, dim, by=1):
    """x[i + by] at i, and 0 where there is none."""
    shape = data_of(x).shape
    n = shape[dim] - by
    return paste(narrow(x, dim, by, n), (slice(None),) * dim + (slice(n),), shape)


def recurrence(g, a, dim):
    """r with r[i] = g[i] + a[i] r[i + 1]: log n steps, differentiable to any order."""
    by = 1
    while by < data_of(g).shape[dim]:
        g = g + a * after(g, dim, by)
        a = a * after(a, dim, by)
        by *= 2
    return g


def doubled(xp, x, dim, combine):
    """The running `combine` of an array along `dim`, in log n steps."""
    x, by = xp.moveaxis(x, dim, -1), 1
    while by < x.shape[-1]:
        x = xp.concatenate([x[..., :by], combine(x[..., by:], x[..., :-by])], axis=-1)
        by *= 2
    return xp.moveaxis(x, -1, dim)


def _along(op, input, dim, dtype=None):
    """A scan along `dim`; of one element, or of none, it is that."""
    dim, x = dim_of(input, dim), data_of(input)
    if x.ndim and x.size:
        return typed(op(dim=dim), input, dtype)
    line = reshape(input, (1,)) if not x.ndim else input
    return reshape(typed(CumSum(dim=dim), line, dtype), x.shape)


@numpy_names
def cumsum(input, dim, *, dtype=None):
    return _along(CumSum, input, dim, dtype)


@numpy_names
def cumprod(input, dim, *, dtype=None):
    return _along(CumProd, input, dim, dtype)


@numpy_names
def logcumsumexp(input, dim):
    floats_only(input, "logcumsumexp", NotImplementedError)
    return _along(LogCumSumExp, input, dim)


@numpy_names
def prod(input, dim=None, keepdim=False, *, dtype=None):
    x = data_of(input)
    if dim is None:
        dim, input = 0, reshape(input, (x.size,))
        y = typed(Prod(dim=0, keepdim=False), input, dtype)
        return reshape(y, (1,) * x.ndim) if keepdim else y
    dim = dim_of(input, dim)
    if not x.ndim:
        return reshape(typed(Prod(dim=0, keepdim=False), reshape(input, (1,)), dtype), ())
    return typed(Prod(dim=dim, keepdim=keepdim), input, dtype)


def _running_extreme(name: str, combine: str, reaches: str):
    @numpy_names
    def function(input, dim):
        x, dim = data_of(input), dim_of(input, dim)
        if not x.ndim:
            zero = constant(module_of(x).zeros((), np.int64), input)
            return getattr(return_types, name)(clone(input), zero)
        xp = module_of(x)
        running = doubled(xp, x, dim, getattr(xp, combine))
        places = xp.arange(x.shape[dim]).reshape([-1 if d == dim else 1 for d in range(x.ndim)])
        reached = getattr(xp, reaches)(x, running) | (x != x)  # the last of several; NaN is extreme
        indices = doubled(xp, xp.where(reached, places, 0), dim, xp.maximum)
        values = Gather(dim=dim)(input, indices)
        return getattr(return_types, name)(values, constant(indices, input))

    function.__name__ = name
    function.__doc__ = f"The running {name[3:]}imum along `dim`, and where it stands."
    return function


cummax = _running_extreme("cummax", "maximum", "greater_equal")
cummin = _running_extreme("cummin", "minimum", "less_equal")


@numpy_names
def diff(input, n=1, dim=-1, prepend=None, append=None):
    """The differences of neighbours along `dim`, `n` times over."""
    ndim = data_of(input).ndim
    if not ndim:
        raise RuntimeError("diff of a 0-d tensor: expected at least 1 dimension")
    if n < 0:
        raise RuntimeError(f"diff of order {n}: expected at least 0")
    dim = checked_dim(dim, ndim)
    parts = [x for x in (prepend, input, append) if x is not None] if n else [input]
    x = cat(parts, dim) if len(parts) > 1 else input
    for _ in range(n):
        size = data_of(x).shape[dim]
        if not size:
            break
        later, sooner = narrow(x, dim, 1, size - 1), narrow(x, dim, 0, size - 1)
        x = ew.ne(later, sooner) if data_of(x).dtype.kind == "b" else later - sooner
    return clone(x) if x is input else x
