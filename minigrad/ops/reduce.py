"""Reductions. `dim` is None (all dimensions), one dimension or several; `keepdim` keeps them with
size 1.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..backend import module_of
from ..op import Op, raw
from ..tensor import Tensor, wrap
from . import elementwise as ew
from .promotion import floating
from .scatter import gather
from .shape import checked_dim, expand, reshape, squeeze


class ValuesIndices(NamedTuple):
    """What `max(x, dim)` and `min(x, dim)` return."""

    values: Any
    indices: Any


def dims_of(dim: Any, ndim: int) -> tuple[int, ...]:
    """The dimensions meant by `dim`, counted from 0; IndexError for one that does not exist."""
    if dim is None:
        return tuple(range(ndim))
    dims = dim if isinstance(dim, (tuple, list)) else (dim,)
    checked = [checked_dim(d, max(ndim, 1)) for d in dims]  # a 0-d tensor may be reduced along 0
    return tuple(checked) if ndim else ()


def with_kept_dims(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if i in dims else n for i, n in enumerate(shape))


class Reduction(Op):
    """An op that folds `dims`; keeps in `shape` and `kept` what its rule needs to go back."""

    def prepare(self, x):
        self.dims = dims_of(self.dim, x.ndim)
        self.shape, self.kept = x.shape, with_kept_dims(x.shape, self.dims)
        self.count = math.prod(n for i, n in enumerate(x.shape) if i in self.dims)

    def back(self, g):
        """A gradient of the output in the shape of the input."""
        return expand(reshape(g, self.kept), self.shape)

    def backward(self, g, _y, _x):
        return self.back(g)


def total(x, dims, keepdim, over=1):
    """Σ x / over; small integers are summed in int64, float16 in float32 before it is rounded."""
    inside = np.int64 if x.dtype.kind in "bui" else np.float32 if x.dtype == np.float16 else None
    y = x.sum(axis=dims, keepdims=keepdim, dtype=inside)
    y = y if over == 1 else y / over
    return y.astype(x.dtype) if x.dtype == np.float16 else y


class Sum(Reduction):
    """y = Σ x"""

    def forward(self, x):
        self.prepare(x)
        return total(x, self.dims, self.keepdim)


class Mean(Reduction):
    """y = Σ x / n"""

    def forward(self, x):
        if x.dtype.kind != "f":
            raise RuntimeError(
                f"mean of {x.dtype}: convert to a floating dtype first, e.g. x.float().mean()"
            )
        self.prepare(x)
        return total(x, self.dims, self.keepdim, over=self.count or math.nan)

    def backward(self, g, _y, _x):
        return self.back(g / (self.count or math.nan))


class Amax(Reduction):
    """y = max x; elements that tie share the gradient evenly"""

    reduce = "max"

    def forward(self, x):
        self.prepare(x)
        return getattr(x, self.reduce)(axis=self.dims, keepdims=self.keepdim)

    def backward(self, g, y, x):
        ties = ew.eq(x, reshape(y, self.kept))
        return ties * reshape(g / sum_(ties, self.dims, self.keepdim), self.kept)


class Amin(Amax):
    """y = min x; elements that tie share the gradient evenly"""

    reduce = "min"


def top(x, dims):
    """The maximum along `dims`, kept: what an exponential is shifted by. 0 where it is infinite."""
    xp = module_of(x)
    shape = with_kept_dims(x.shape, dims)
    if math.prod(shape) and not x.size:  # the maximum of nothing
        return xp.zeros(shape, x.dtype)
    y = x.max(axis=dims, keepdims=True)
    return xp.where(xp.isfinite(y), y, 0) if y.dtype.kind == "f" else y


class Norm(Reduction):
    """y = √Σ x²,  dy/dx = x / y (0 where y = 0)"""

    def forward(self, x):
        x = floating(x)
        self.prepare(x)
        largest = self.xp.abs(x).max() if x.size else x.sum()
        usable = (largest > 0) & self.xp.isfinite(largest)
        scale = self.xp.where(usable, largest, 1).astype(x.dtype)  # squares stay in range
        x = x / scale
        return self.xp.sqrt((x * x).sum(axis=self.dims, keepdims=self.keepdim)) * scale

    def backward(self, g, y, x):
        return reshape(g / ew.masked_fill(y, ew.eq(y, 0), 1.0), self.kept) * x


class LogSumExp(Reduction):
    """y = ln Σ eˣ, shifted by the maximum so that nothing overflows;  dy/dx = softmax x"""

    def forward(self, x):
        x = floating(x)
        self.prepare(x)
        shift = top(x, self.dims)
        mass = self.xp.exp(x - shift).sum(axis=self.dims, keepdims=True)
        y = log_of_sum(self.xp, mass) + shift
        kept = [n for i, n in enumerate(x.shape) if i not in self.dims]
        return y if self.keepdim else y.reshape(kept)

    def backward(self, g, y, x):
        return reshape(g, self.kept) * ew.exp(x - reshape(y, self.kept))


def log_of_sum(xp, mass):
    """ln of a sum, -inf for 0 without a warning."""
    return xp.where(mass > 0, xp.log(xp.where(mass > 0, mass, 1)), -math.inf).astype(mass.dtype)


class Softmax(Op):
    """y = eˣ / Σ eˣ,  dx = y (g - Σ g y)"""

    def forward(self, x):
        x = floating(x)
        y = self.xp.exp(x - top(x, dims_of(self.dim, x.ndim)))
        y /= y.sum(axis=self.dim, keepdims=True)
        return y

    def backward(self, g, y, _x):
        return y * (g - sum_(g * y, self.dim, True))


class LogSoftmax(Op):
    """y = x - ln Σ eˣ,  dx = g - eʸ Σ g"""

    def forward(self, x):
        x = floating(x)
        shifted = x - top(x, dims_of(self.dim, x.ndim))
        mass = self.xp.exp(shifted).sum(axis=self.dim, keepdims=True)
        return shifted - log_of_sum(self.xp, mass)

    def backward(self, g, y, _x):
        return g - ew.exp(y) * sum_(g, self.dim, True)


class SumTo(Op):
    """The adjoint of broadcasting: x summed down to `shape`"""

    def forward(self, x):
        self.origin = x.shape
        extra = x.ndim - len(self.shape)
        dims = tuple(range(extra)) + tuple(
            i + extra for i, n in enumerate(self.shape) if n == 1 and x.shape[i + extra] != 1
        )
        return x.sum(axis=dims).reshape(self.shape)

    def backward(self, g, _y, _x):
        return expand(g, self.origin)


def _named(dim: Any, keepdim: bool, axis: Any = None, keepdims: bool = False) -> tuple[Any, bool]:
    """NumPy's names beside PyTorch's, as PyTorch accepts them."""
    return (dim if axis is None else axis), keepdim or keepdims


def sum_(x, dim=None, keepdim=False, **names):
    dim, keepdim = _named(dim, keepdim, **names)
    return Sum(dim=dim, keepdim=keepdim)(x)


def mean(x, dim=None, keepdim=False, **names):
    dim, keepdim = _named(dim, keepdim, **names)
    return Mean(dim=dim, keepdim=keepdim)(x)


def amax(x, dim=None, keepdim=False, **names):
    dim, keepdim = _named(dim, keepdim, **names)
    return Amax(dim=dim, keepdim=keepdim)(x)


def amin(x, dim=None, keepdim=False, **names):
    dim, keepdim = _named(dim, keepdim, **names)
    return Amin(dim=dim, keepdim=keepdim)(x)


def max_(x, dim=None, keepdim=False, **names):
    """The largest element; with `dim` a tensor, values and indices; with a second tensor the
    elementwise maximum.
    """
    dim, keepdim = _named(dim, keepdim, **names)
    return _extremum(x, dim, keepdim, ew.maximum, amax, argmax)


def min_(x, dim=None, keepdim=False, **names):
    """The smallest element; with `dim` a tensor, values and indices; with a second tensor the
    elementwise minimum.
    """
    dim, keepdim = _named(dim, keepdim, **names)
    return _extremum(x, dim, keepdim, ew.minimum, amin, argmin)


def _extremum(x, dim, keepdim, elementwise, reduce, arg):
    if dim is None:
        return reduce(x)
    if isinstance(dim, Tensor):
        return elementwise(x, dim)
    indices = arg(x, dim, True)
    # the gradient goes to the first of several equal elements, as in PyTorch
    values = gather(x, dim, indices)
    return ValuesIndices(
        *((values, indices) if keepdim else (squeeze(values, dim), squeeze(indices, dim)))
    )


def _constant_reduction(name: str):
    def reduce(x, dim=None, keepdim=False, **names):
        dim, keepdim = _named(dim, keepdim, **names)
        array = raw(x)
        if dim is not None:
            dims_of(dim, array.ndim)
        if name.startswith("arg") and not array.size:
            raise IndexError(f"{name} of an empty tensor, of shape {array.shape}")
        result = getattr(array, name)(axis=dim, keepdims=keepdim)
        return result if x is array else wrap(module_of(array).asarray(result))

    reduce.__name__ = name
    reduce.__doc__ = f"{name} along `dim`, or of the flattened tensor: a constant to the tape."
    return reduce


argmax, argmin = _constant_reduction("argmax"), _constant_reduction("argmin")
all_, any_ = _constant_reduction("all"), _constant_reduction("any")


def logsumexp(x, dim, keepdim=False, **names):
    dim, keepdim = _named(dim, keepdim, **names)
    return LogSumExp(dim=dim, keepdim=keepdim)(x)


def softmax(x, dim):
    return Softmax(dim=dim)(x)


def log_softmax(x, dim):
    return LogSoftmax(dim=dim)(x)


def sum_to(x, shape):
    return SumTo(shape=tuple(shape))(x)


def norm(x):
    """The Euclidean norm of all elements; its gradient at zero is zero, as in PyTorch."""
    return Norm(dim=None, keepdim=False)(x)
