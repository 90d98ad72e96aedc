"""Reductions. `dim` is None (all dimensions), one dimension or several; `keepdim` keeps them with
size 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backend import CPU, module_of
from ..op import Op
from ..tensor import Tensor
from . import elementwise as ew
from .convert import cast
from .names import data_of, numpy_names, return_types, several
from .promotion import floating, tensors_only
from .scatter import Gather, constant
from .shape import dim_of, expand, reshape, squeeze, unique_dims


def dims_of(dim: Any, ndim: int) -> tuple[int, ...]:
    """The dimensions meant by `dim`, counted from 0: all of them for None or ().

    Raises IndexError for one that does not exist, RuntimeError for one named twice.
    """
    if type(dim) is int and -ndim <= dim < ndim:
        return (dim % ndim,)
    if dim is None or dim == ():
        return tuple(range(ndim))
    checked = unique_dims(several(dim), ndim)  # a 0-d tensor may be reduced along 0
    return checked if ndim and checked else tuple(range(ndim))


def with_kept_dims(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([1 if i in dims else n for i, n in enumerate(shape)])


def typed(op: Op, input: Any, dtype: Any) -> Any:
    """The op with `dtype` for its input and its result, where one is asked for."""
    if dtype is None:
        return op(input)
    dtype = np.dtype(dtype)
    y = op(input if data_of(input).dtype == dtype else cast(input, dtype))
    return y if data_of(y).dtype == dtype else cast(y, dtype)


def wide(x):
    """Half precision as single, in which reductions compute before they round."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


def floats_only(input: Any, name: str, error: type = RuntimeError) -> None:
    """Raise where the input holds no floating-point numbers."""
    dtype = data_of(input).dtype
    if dtype.kind != "f":
        raise error(
            f"{name} of {dtype}: convert to a floating dtype first, e.g. x.float().{name}()"
        )


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
        floats_only(x, "mean")
        self.prepare(x)
        return total(x, self.dims, self.keepdim, over=self.count or math.nan)

    def backward(self, g, _y, _x):
        return self.back(g / (self.count or math.nan))


class Amax(Reduction):
    """y = max x; elements that tie share the gradient evenly"""

    reduce = "max"

    def forward(self, x):
        self.prepare(x)
        if not self.count:
            error = RuntimeError if self.dim is None else IndexError
            raise error(f"the {self.reduce} of no elements, shape {x.shape} along {self.dim}")
        return getattr(x, self.reduce)(axis=self.dims, keepdims=self.keepdim)

    def backward(self, g, y, x):
        ties = self.ties(x, reshape(y, self.kept))
        return ties * reshape(g / sum_(ties, self.dims, self.keepdim), self.kept)

    def ties(self, x, y):
        return ew.eq(x, y)


class Amin(Amax):
    """y = min x; elements that tie share the gradient evenly"""

    reduce = "min"


def top(x, dims):
    """The maximum along `dims`, kept: what an exponential is shifted by. 0 where it is infinite."""
    xp = module_of(x)
    if not x.size:  # the maximum of nothing
        return xp.zeros(with_kept_dims(x.shape, dims), x.dtype)
    y = x.max(axis=dims, keepdims=True)
    return xp.where(xp.isfinite(y), y, 0) if y.dtype.kind == "f" else y


class Var(Reduction):
    """y = Σ (x - mean)² / (n - correction),  dy/dx = 2 (x - mean) / (n - correction)"""

    def forward(self, x):
        floats_only(x, "var")
        self.prepare(x)
        dtype, x = x.dtype, wide(x)
        off = x - total(x, self.dims, True, over=self.count or math.nan)
        y = (off * off).sum(axis=self.dims, keepdims=self.keepdim)
        free = self.count - self.correction
        y = y / free if free > 0 else self.xp.where(y > 0, math.inf, math.nan)
        return y.astype(dtype, copy=False) if hasattr(y, "astype") else y

    def slope(self, x):
        """(x - mean) / (n - correction)"""
        free = self.count - self.correction
        return (x - mean(x, self.dims, True)) * (1 / free if free > 0 else math.nan)

    def backward(self, g, _y, x):
        return reshape(g, self.kept) * 2.0 * self.slope(x)


class Std(Var):
    """y = √var,  dy/dx = (x - mean) / (y (n - correction)), 0 where y = 0"""

    def forward(self, x):
        y = self.xp.sqrt(super().forward(wide(x)))
        return y.astype(x.dtype, copy=False)

    def backward(self, g, y, x):
        return reshape(over_nonzero(g, y), self.kept) * self.slope(x)


class Norm(Reduction):
    """y = (Σ |x|ᵖ)¹ᐟᵖ,  dy/dx = sign x (|x| / y)ᵖ⁻¹ (0 where y = 0)"""

    def forward(self, x):
        floats_only(x, "norm")
        self.prepare(x)
        dtype, x = x.dtype, wide(x)
        largest = self.xp.abs(x).max() if x.size else x.sum()
        usable = (largest > 0) & self.xp.isfinite(largest)
        scale = self.xp.where(usable, largest, 1).astype(x.dtype)  # squares stay in range
        x = x / scale
        if self.p == 2:
            y = self.xp.sqrt((x * x).sum(axis=self.dims, keepdims=self.keepdim))
        else:
            x = self.xp.abs(x) ** self.p
            y = x.sum(axis=self.dims, keepdims=self.keepdim) ** (1 / self.p)
        return (y * scale).astype(dtype, copy=False)

    def backward(self, g, y, x):
        if self.p == 2:
            return reshape(over_nonzero(g, y), self.kept) * x
        y, g = reshape(y, self.kept), reshape(g, self.kept)
        ratio = ew.where(ew.eq(x, 0), 1.0, ew.abs(x)) / ew.where(ew.eq(y, 0), 1.0, y)
        return g * ew.sign(x) * ratio ** (self.p - 1.0)


def over_nonzero(g, y):
    """g / y, but 0 where y = 0."""
    zero = ew.eq(y, 0)
    return ew.where(zero, 0.0, g) / ew.where(zero, 1.0, y)


class LogSumExp(Reduction):
    """y = ln Σ eˣ, shifted by the maximum so that nothing overflows;  dy/dx = softmax x"""

    def forward(self, x):
        x = floating(x)
        self.prepare(x)
        dtype, x = x.dtype, wide(x)
        shift = top(x, self.dims)
        mass = self.xp.exp(x - shift).sum(axis=self.dims, keepdims=True)
        y = (log_of_sum(self.xp, mass) + shift).astype(dtype, copy=False)
        kept = [n for i, n in enumerate(x.shape) if i not in self.dims]
        return y if self.keepdim else y.reshape(kept)

    def backward(self, g, y, x):
        return reshape(g, self.kept) * ew.exp(x - reshape(y, self.kept))


def log_of_sum(xp, mass):
    """ln of a sum, -inf for 0 without a warning; NaN stays."""
    empty = mass == 0
    return xp.where(empty, -math.inf, xp.log(xp.where(empty, 1, mass))).astype(mass.dtype)


class Softmax(Op):
    """y = eˣ / Σ eˣ,  dx = y (g - Σ g y)"""

    fresh = True

    def forward(self, x):
        xp, inside, y = self.xp, wide(x), None
        # without a shift by the maximum of each row, where that is safe: a pass less, and one
        # maximum instead of many (NaN is not below 50)
        if x.size and self.backend is CPU and inside.max() < 50:
            y = xp.exp(inside)
            mass = row_sums(y, self.dim)
            if mass.min() < 1e-4:
                y = None
        if y is None:
            y = xp.exp(inside - top(inside, dims_of(self.dim, x.ndim)))
            mass = row_sums(y, self.dim)
        y /= mass
        return y if inside is x else y.astype(x.dtype)

    def backward(self, g, y, _x):
        last = y.ndim > 1 and self.dim % y.ndim == y.ndim - 1
        if not last or type(y) is not np.ndarray:  # CuPy's einsum makes of it many small products
            return y * (g - sum_(g * y, self.dim, True))
        dx = g - self.xp.einsum("...i,...i->...", g, y)[..., None]
        dx *= y
        return dx


class LogSoftmax(Op):
    """y = x - ln Σ eˣ,  dx = g - eʸ Σ g"""

    fresh = True

    def forward(self, x):
        inside = wide(x)
        y = inside - top(inside, dims_of(self.dim, x.ndim))
        y -= log_of_sum(self.xp, row_sums(self.xp.exp(y), self.dim))
        return y if inside is x else y.astype(x.dtype)

    def backward(self, g, y, _x):
        if isinstance(g, Tensor) or not y.ndim:
            return g - ew.exp(y) * sum_(g, self.dim, True)
        dx = self.xp.exp(y)
        dx *= row_sums(g, self.dim)
        self.xp.subtract(g, dx, out=dx)
        return dx


def row_sums(x, dim):
    """The sums along `dim`, kept. Rows in memory are summed by BLAS, as a product with ones."""
    rows = x.ndim > 1 and dim % x.ndim == x.ndim - 1 and x.flags.c_contiguous
    rows = rows and type(x) is np.ndarray  # on a GPU products may be of few digits
    if not rows or not x.size or x.dtype.itemsize < 4:
        return x.sum(axis=dim, keepdims=True)
    n = x.shape[-1]
    ones = module_of(x).ones((n, 1), x.dtype)
    return (x.reshape(-1, n) @ ones).reshape(*x.shape[:-1], 1)


class SumTo(Op):
    """The adjoint of broadcasting: x summed down to `shape`"""

    def forward(self, x):
        self.origin = x.shape
        return summed_to(x, self.shape)

    def backward(self, g, _y, _x):
        lead = len(self.shape) - len(self.origin)
        return expand(g if lead <= 0 else reshape(g, self.shape[lead:]), self.origin)


def summed_to(x, shape):
    extra = x.ndim - len(shape)
    if extra < 0:  # a value with leading sizes of 1 was written into fewer dimensions
        x, extra = x.reshape((1,) * -extra + x.shape), 0
    if not extra or 1 in shape:
        ones = [i + extra for i, n in enumerate(shape) if n == 1 and x.shape[i + extra] != 1]
        return x.sum(axis=(*range(extra), *ones)).reshape(shape)
    return x.sum(axis=0 if extra == 1 else tuple(range(extra)))


# sums and means


@numpy_names
def sum_(input, dim=None, keepdim=False, *, dtype=None):
    return typed(Sum(dim=dim, keepdim=keepdim), input, dtype)


@numpy_names
def mean(input, dim=None, keepdim=False, *, dtype=None):
    return typed(Mean(dim=dim, keepdim=keepdim), input, dtype)


@numpy_names
def nansum(input, dim=None, keepdim=False, *, dtype=None):
    """The sum of what is not NaN."""
    return sum_(without_nan(input), dim, keepdim, dtype=dtype)


@numpy_names
def nanmean(input, dim=None, keepdim=False, *, dtype=None):
    """The mean of what is not NaN."""
    floats_only(input, "nanmean")
    count = sum_(ew.eq(input, input), dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / count


def without_nan(x, value=0.0):
    return x if data_of(x).dtype.kind != "f" else ew.where(ew.ne(x, x), value, x)


@numpy_names
def var(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The mean squared distance from the mean, over n - `correction` (1 unless given)."""
    return _spread(Var, input, dim, unbiased, keepdim, correction)


@numpy_names
def std(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The root of `var`; its gradient is 0 where all elements are equal."""
    return _spread(Std, input, dim, unbiased, keepdim, correction)


def _spread(op, input, dim, unbiased, keepdim, correction):
    if isinstance(dim, bool):  # var(x, False) is var(x, unbiased=False)
        dim, unbiased = None, dim
    if unbiased is not None:
        if correction is not None:
            raise TypeError("give unbiased or correction, not both")
        correction = int(unbiased)
    correction = 1 if correction is None else correction
    return op(dim=dim, keepdim=keepdim, correction=correction)(input)


def _mean_too(function: Any, name: str):
    @numpy_names
    def both(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
        spread = function(input, dim, unbiased, keepdim, correction=correction)
        return spread, mean(input, None if isinstance(dim, bool) else dim, keepdim)

    both.__name__, both.__doc__ = name, f"`{function.__name__}` and the mean."
    return both


var_mean, std_mean = _mean_too(var, "var_mean"), _mean_too(std, "std_mean")


@numpy_names
def norm(input, p="fro", dim=None, keepdim=False, out=None, dtype=None):
    """(Σ |x|ᵖ)¹ᐟᵖ over `dim` or all elements; "fro" is 2, "nuc" the sum of the singular values.

    inf and -inf give the largest and smallest |x|, 0 counts what is not 0. The gradient at zero is
    zero.
    """
    if p == "nuc":
        from .factorize import svdvals

        return sum_(svdvals(input), -1, keepdim)
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"norm: order {p!r} is not supported: use a number, 'fro' or 'nuc'")
    floats_only(input, "norm")
    if dtype is not None:
        input = cast(input, dtype)
    p = 2 if p in ("fro", None) else float(p)
    if p == 0:
        return sum_(ew.where(ew.eq(input, input), 1.0 * ew.ne(input, 0), input), dim, keepdim)
    if p == 1:
        return sum_(ew.abs(input), dim, keepdim)
    if math.isinf(p):
        if not data_of(input).size and p > 0 and dim is None:
            return sum_(input)
        return (amax if p > 0 else amin)(ew.abs(input), dim, keepdim)
    return Norm(dim=dim, keepdim=keepdim, p=p)(input)


# extremes


@numpy_names
def amax(input, dim=None, keepdim=False):
    return Amax(dim=dim, keepdim=keepdim)(input)


@numpy_names
def amin(input, dim=None, keepdim=False):
    return Amin(dim=dim, keepdim=keepdim)(input)


@numpy_names
def aminmax(input, *, dim=None, keepdim=False):
    return return_types.aminmax(amin(input, dim, keepdim), amax(input, dim, keepdim))


@numpy_names
def max_(input, dim=None, keepdim=False, *, other=None):
    """The largest element; with `dim` values and indices; with a second tensor the elementwise
    maximum.
    """
    return _extremum("max", input, dim if other is None else other, keepdim)


@numpy_names
def min_(input, dim=None, keepdim=False, *, other=None):
    """The smallest element; with `dim` values and indices; with a second tensor the elementwise
    minimum.
    """
    return _extremum("min", input, dim if other is None else other, keepdim)


def _extremum(name, input, dim, keepdim):
    if dim is None:
        return (amax if name == "max" else amin)(input)
    if not isinstance(dim, int):
        if isinstance(dim, (tuple, list, float, str)):
            raise TypeError(f"{name} along {dim!r}: one dimension, or use amax and amin")
        return (ew.maximum if name == "max" else ew.minimum)(input, dim)
    tensors_only(name, input)
    indices = (argmax if name == "max" else argmin)(input, dim, True)
    # the gradient goes to the first of several equal elements, as in PyTorch
    return picked(getattr(return_types, name), input, dim, indices, keepdim)


def picked(kind, input, dim, indices, keepdim):
    """The elements at `indices`, one along `dim`, and the indices, in a tuple of the given kind."""
    if not data_of(input).ndim:
        return kind(reshape(Gather(dim=0)(reshape(input, (1,)), reshape(indices, (1,))), ()),
                    reshape(indices, ()))  # fmt: skip
    values = Gather(dim=dim_of(input, dim), distinct=True)(input, indices)
    return kind(*((values, indices) if keepdim else (squeeze(values, dim), squeeze(indices, dim))))


# constants to the tape


def _arg(name: str):
    @numpy_names
    def arg(input, dim=None, keepdim=False):
        x = data_of(input)
        if dim is not None:
            dim = dim_of(input, dim)
        if not (x.size if dim is None else (x.shape or (1,))[dim]):
            raise IndexError(f"{name} of no elements: shape {x.shape} along {dim}")
        if not x.ndim:
            return constant(module_of(x).zeros((), np.int64), input)
        return constant(getattr(x, name)(axis=dim, keepdims=keepdim), input)

    arg.__name__ = name
    arg.__doc__ = f"{name} along `dim`, or of the flattened tensor: a constant to the tape."
    return arg


def _quantifier(name: str):
    @numpy_names
    def quantifier(input, dim=None, keepdim=False):
        x = data_of(input)
        dims = () if dim == () else dims_of(dim, x.ndim)
        y = getattr(x != 0, name)(axis=dims, keepdims=keepdim)
        return constant(y.astype(np.uint8) if x.dtype == np.uint8 else y, input)

    quantifier.__name__ = name
    quantifier.__doc__ = f"Whether {name} of the elements are not 0: a constant to the tape."
    return quantifier


argmax, argmin = _arg("argmax"), _arg("argmin")
all_, any_ = _quantifier("all"), _quantifier("any")


@numpy_names
def count_nonzero(input, dim=None):
    return sum_(ew.ne(input, 0), dim)


# exponentials


@numpy_names
def logsumexp(input, dim, keepdim=False):
    return LogSumExp(dim=dim, keepdim=keepdim)(input)


@numpy_names
def softmax(input, dim, dtype=None):
    if dtype is None:
        floats_only(input, "softmax", NotImplementedError)
    return typed(Softmax(dim=dim), input, dtype)


@numpy_names
def log_softmax(input, dim, dtype=None):
    if dtype is None:
        floats_only(input, "log_softmax", NotImplementedError)
    return typed(LogSoftmax(dim=dim), input, dtype)


@numpy_names
def softmin(input, dim, dtype=None):
    return softmax(ew.neg(input), dim, dtype)


def sum_to(x, shape):
    """x, which was broadcast from `shape`, summed down to it again."""
    return SumTo(shape=tuple(shape))(x) if isinstance(x, Tensor) else summed_to(x, tuple(shape))
