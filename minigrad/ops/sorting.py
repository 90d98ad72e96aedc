"""Order, ranks and counts: indices are constants to the tape, values are gathered by them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backend import CPU, backend_of, is_array, kernels_for, module_of
from ..kernels import Long
from ..tensor import Tensor
from . import elementwise as ew
from .convert import clone
from .names import data_of, numpy_names, return_types
from .reduce import Amax, floats_only, picked, with_kept_dims
from .scatter import Gather, constant
from .shape import dim_of, reshape, transpose, unsqueeze

# the kernel for the largest has a block for each row, which reads it k times: that is for beams
ROUNDS, LONGEST = 16, 2**17


def order(x: Any, dim: int, descending: bool) -> Any:
    """The indices that sort an array along `dim`: stable, and NaN is the largest."""
    xp = module_of(x)
    if not descending:
        return xp.argsort(x, axis=dim, kind="stable")
    backwards = xp.argsort(xp.flip(x, dim), axis=dim, kind="stable")
    return x.shape[dim] - 1 - xp.flip(backwards, dim)


def ranked(kind: type, input: Any, dim: int, indices: Any) -> Any:
    """The elements at `indices`, none twice, and the indices."""
    if not data_of(input).ndim:
        return kind(clone(input), constant(indices.reshape(()), input))
    values = Gather(dim=dim, distinct=True)(input, indices)
    return kind(values, constant(indices, input))


def _line(x: Any) -> Any:
    return x if x.ndim else x.reshape(1)


@numpy_names
def sort(input, dim=-1, descending=False, stable=False):
    """The elements in order along `dim`, always stable, and where they stood."""
    dim = dim_of(input, dim)
    return ranked(return_types.sort, input, dim, order(_line(data_of(input)), dim, descending))


@numpy_names
def argsort(input, dim=-1, descending=False, stable=False):
    return sort(input, dim, descending).indices


def msort(input):
    """Sorted along the first dimension."""
    return sort(input, 0).values


@numpy_names
def topk(input, k, dim=-1, largest=True, sorted=True):
    """The `k` largest or smallest elements along `dim`, best first, and where they stood."""
    dim, x = dim_of(input, dim), _line(data_of(input))
    n = x.shape[dim]
    if not 0 <= k <= n:
        raise RuntimeError(f"topk: {k} of {n} elements along dimension {dim}")
    xp, lead = module_of(x), (slice(None),) * dim
    lines = largest and dim == x.ndim - 1 and x.size > 0
    if lines and 0 < k <= ROUNDS and n <= LONGEST and (kernels := kernels_for(x)):
        indices, rows = xp.empty((*x.shape[:-1], k), np.int64), x.size // n
        kernels.rows("topk.largest", x.dtype, rows, Long(rows), n, k, x, indices)
    elif n > 64 and 0 < k < n // 4:  # a partition is linear in n, a sort is not
        cut, best = (n - k, slice(n - k, None)) if largest else (k - 1, slice(0, k))
        some = xp.argpartition(x, cut, axis=dim)[(*lead, best)]
        ranks = order(xp.take_along_axis(x, some, dim), dim, largest)
        indices = xp.take_along_axis(some, ranks, dim)
    else:
        indices = order(x, dim, largest)[(*lead, slice(k))]
    return ranked(return_types.topk, input, dim, indices)


@numpy_names
def kthvalue(input, k, dim=-1, keepdim=False):
    """The k-th smallest element along `dim`, counted from 1, and where it stands."""
    dim, x = dim_of(input, dim), _line(data_of(input))
    if not 0 < k <= x.shape[dim]:
        raise RuntimeError(f"kthvalue: number {k} of {x.shape[dim]} elements")
    return _at_rank(return_types.kthvalue, input, dim, k - 1, keepdim)


def _at_rank(kind, input, dim, rank, keepdim):
    """The element of each line at a rank, a number or an array (kept dim)."""
    x = _line(data_of(input))
    indices, xp = order(x, dim, False), module_of(x)
    if is_array(rank):
        indices = xp.take_along_axis(indices, rank, dim)
    else:
        indices = indices[(slice(None),) * dim + (slice(rank, rank + 1),)]
    return picked(kind, input, dim, constant(indices, input), keepdim)


def _median(name: str):
    @numpy_names
    def median(input, dim=None, keepdim=False):
        x = data_of(input)
        if dim is None:
            return MiddleOf(dim=None, keepdim=False, kind=name)(input)
        dim = dim_of(input, dim)
        if not (x.shape or (1,))[dim]:
            raise IndexError(f"{name} of no elements: shape {x.shape} along {dim}")
        kind = getattr(return_types, name)
        return _at_rank(kind, input, dim, middle(_line(x), dim, name), keepdim)

    median.__name__ = name
    median.__doc__ = (
        "The middle element, the lower of two"
        + (", of what is not NaN" if name == "nanmedian" else "; NaN if any is")
        + "; with `dim` values and indices."
    )
    return median


def middle(x, dim, name):
    """The rank of the median in each line."""
    xp, n = module_of(x), x.shape[dim]
    if x.dtype.kind != "f":
        return (n - 1) // 2
    good = n - (x != x).sum(axis=dim, keepdims=True)
    lower = xp.maximum(good - 1, 0) // 2
    # NaN sorts behind all: the first of them where one counts
    return lower if name == "nanmedian" else xp.where(good < n, good, lower)


class MiddleOf(Amax):
    """y = the median of all elements; elements that tie share the gradient evenly"""

    def forward(self, x):
        self.prepare(x)
        line = x.reshape(-1)
        if not x.size:
            return self.xp.asarray(math.nan).astype(x.dtype)
        rank = middle(line, 0, self.kind)
        return self.xp.sort(line)[rank].reshape(())

    def ties(self, x, y):
        return (x == y) | ((x != x) & (y != y))


median, nanmedian = _median("median"), _median("nanmedian")


@numpy_names
def mode(input, dim=-1, keepdim=False):
    """The most frequent element along `dim`, the smallest of several, and its last place."""
    dim, x = dim_of(input, dim), _line(data_of(input))
    xp = module_of(x)
    if not x.shape[dim]:
        raise IndexError(f"mode of no elements: shape {x.shape} along {dim}")
    ids = xp.moveaxis(order(x, dim, False), dim, -1)
    ranked = xp.take_along_axis(xp.moveaxis(x, dim, -1), ids, -1)
    counts = (ranked[..., :, None] == ranked[..., None, :]).sum(-1)
    best = counts.argmax(-1, keepdims=True)
    last = best + xp.take_along_axis(counts, best, -1) - 1
    indices = xp.moveaxis(xp.take_along_axis(ids, xp.maximum(last, best), -1), -1, dim)
    return picked(return_types.mode, input, dim, constant(indices, input), keepdim)


_BETWEEN = {
    "linear": lambda rank: rank,
    "lower": lambda rank: rank // 1,
    "higher": lambda rank: -(-rank // 1),
    "nearest": None,
    "midpoint": lambda rank: (rank // 1 + -(-rank // 1)) / 2,
}


@numpy_names
def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """The elements at the shares `q` (a number or a vector, from 0 to 1) of the sorted input."""
    return _quantile("quantile", input, q, dim, keepdim, interpolation)


@numpy_names
def nanquantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """`quantile` of what is not NaN."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation)


def _quantile(name, input, q, dim, keepdim, interpolation):
    x = data_of(input)
    xp, ndim = module_of(x), x.ndim
    if x.dtype not in (np.float32, np.float64):
        raise RuntimeError(f"{name} of {x.dtype}: convert to float32 or float64 first")
    if not x.size:
        raise RuntimeError(f"{name} of no elements")
    if interpolation not in _BETWEEN:
        raise RuntimeError(f"{name}: interpolation is one of {', '.join(_BETWEEN)}")
    shares = data_of(q) if is_array(data_of(q)) else xp.asarray(q, x.dtype)
    if shares.ndim > 1:
        raise RuntimeError(f"{name}: q is a number or a vector, not of shape {shares.shape}")
    if is_array(data_of(q)) and shares.dtype != x.dtype:
        raise RuntimeError(f"{name}: q is {shares.dtype}, the input {x.dtype}")
    if backend_of(shares) is CPU and not ((shares >= 0) & (shares <= 1)).all():
        raise RuntimeError(f"{name}: q must be between 0 and 1")
    kept = with_kept_dims(x.shape, tuple(range(ndim)) if dim is None else (dim_of(input, dim),))
    line = reshape(input, (x.size,)) if dim is None or not ndim else input
    at = 0 if dim is None or not ndim else dim_of(input, dim)
    ranks = sort(transpose(line, at, -1)).values  # the dimension last
    size = data_of(ranks).shape[-1]
    bad = (data_of(ranks) != data_of(ranks)).sum(axis=-1, keepdims=True)
    last = xp.maximum(size - 1 - bad, 0) if name == "nanquantile" else size - 1 + 0 * bad
    rank = shares.reshape(-1) * last.astype(x.dtype)
    between = _BETWEEN[interpolation]
    rank = xp.rint(rank) if between is None else between(rank)
    low = xp.floor(rank).astype(np.int64)
    high = xp.minimum(low + 1, last)
    a, b = Gather(dim=-1)(ranks, low), Gather(dim=-1)(ranks, high)
    part = rank - low.astype(x.dtype)
    if interpolation == "linear" and isinstance(q, Tensor):
        part = reshape(q, (shares.size,)) * last.astype(x.dtype) - low.astype(x.dtype)
    y = a + (b - a) * part
    if name == "quantile":
        y = ew.where(bad > 0, float("nan"), y)
    y = transpose(unsqueeze(y, 0), 0, -1)  # q first; a dimension of size 1 last
    y = reshape(transpose(y, at + 1, -1), (shares.size, *kept)) if dim is not None else y
    shape = kept if keepdim else _without(kept, at) if dim is not None and ndim else ()
    return reshape(y, shares.shape + tuple(shape))


def _without(shape, dim):
    return (*shape[:dim], *shape[dim + 1 :])


# sets and counts


@numpy_names
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The different elements in order, or slices along `dim`; also, for each element of the input,
    which it is, and how often each occurs.
    """
    x = data_of(input)
    dim = dim if dim is None else dim_of(input, dim)
    found = module_of(x).unique(
        x, return_inverse=True, return_counts=True, axis=dim, equal_nan=False
    )
    return _found(input, found, return_inverse, return_counts, dim)


def _found(input, found, return_inverse, return_counts, dim):
    values, inverse, counts = [constant(array, input) for array in found]
    shape = data_of(input).shape
    inverse = reshape(inverse, shape if dim is None else (shape[dim],))
    if not return_inverse and not return_counts:
        return values
    return (values, *[inverse] * return_inverse, *[counts] * return_counts)


@numpy_names
def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """The elements, or slices along `dim`, that differ from the one before; and as `unique`."""
    x = data_of(input)
    xp = module_of(x)
    lines = x.reshape(-1) if dim is None else xp.moveaxis(x, dim_of(input, dim), 0)
    n = lines.shape[0]
    new = xp.ones(n, bool)
    if n > 1:
        new[1:] = (lines[1:] != lines[:-1]).reshape(n - 1, -1).any(axis=1)
    (starts,) = xp.nonzero(new)
    counts = xp.diff(xp.concatenate([starts, xp.full(1, n, starts.dtype)]))
    values = lines[starts] if dim is None else xp.moveaxis(lines[starts], 0, dim_of(input, dim))
    found = values, xp.cumsum(new) - 1, counts
    return _found(input, found, return_inverse, return_counts, dim)


def bincount(input, weights=None, minlength=0):
    """How often each integer occurs, or the sum of its weights."""
    x, w = data_of(input), None if weights is None else data_of(weights)
    if x.dtype.kind not in "iu":
        raise NotImplementedError(f"bincount of {x.dtype}: expected integers")
    if x.ndim != 1 or (backend_of(x) is CPU and x.size and x.min() < 0):
        raise RuntimeError("bincount takes a vector of integers that are not negative")
    if minlength < 0:
        raise RuntimeError(f"bincount: minlength {minlength} is negative")
    if w is not None and w.shape != x.shape:
        raise RuntimeError(f"bincount: weights {w.shape} for an input {x.shape}")
    backend, ids = backend_of(x), x.astype(np.int64)
    if w is None or backend is CPU:
        y = backend.xp.bincount(ids, weights=w, minlength=minlength)
    else:  # CuPy's is atomic
        most = int(ids.max()) + 1 if ids.size else 0
        y = backend.xp.zeros(max(minlength, most), np.float64)
        backend.add_at(y, (ids,), w)
    return constant(y.astype(np.float32) if w is not None and w.dtype == np.float32 else y, input)


def histc(input, bins=100, min=0, max=0):
    """How many elements fall into each of `bins` equal ranges from min to max (0 and 0: of the
    input).
    """
    floats_only(input, "histc", NotImplementedError)
    x, low, high = data_of(input).reshape(-1), float(min), float(max)
    if low == high == 0 and x.size:
        low, high = float(x.min()), float(x.max())
    if low == high:
        low, high = low - 1, high + 1
    if bins < 1 or low > high:
        raise RuntimeError(f"histc: {bins} bins from {low} to {high}")
    counts, _ = module_of(x).histogram(x, bins, range=(low, high))
    return constant(counts.astype(x.dtype), input)


def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None):
    """Where each element of the input would go into the sorted last dimension of a sequence:
    before equal elements, or behind them with `right`.
    """
    if side not in (None, "left", "right") or (side == "left" and right):
        raise RuntimeError(f"searchsorted: side {side!r} with right={right}")
    line, right = data_of(sorted_sequence), right or side == "right"
    xp = module_of(line)
    if sorter is not None:
        line = xp.take_along_axis(line, data_of(sorter), -1)
    values = data_of(input) if is_array(data_of(input)) else xp.asarray(input)
    if line.ndim == 1:
        y = xp.searchsorted(line, values, side="right" if right else "left")
    elif values.shape[:-1] != line.shape[:-1]:
        raise RuntimeError(f"searchsorted: values {values.shape} for a sequence {line.shape}")
    else:
        smaller = (xp.less_equal if right else xp.less)(line[..., None, :], values[..., None])
        y = smaller.sum(axis=-1)
    y = xp.asarray(y).astype(np.int32 if out_int32 else np.int64)
    return constant(y, sorted_sequence, *([input] if is_array(data_of(input)) else []))


def bucketize(input, boundaries, *, out_int32=False, right=False):
    """Which of the ranges between sorted boundaries each element falls into."""
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def nonzero(input, *, as_tuple=False):
    """The indices of what is not 0, one row each; or one vector a dimension."""
    x = data_of(input)
    xp = module_of(x)
    found = xp.nonzero(_line(x))
    if as_tuple:
        return tuple([constant(i, input) for i in found])
    rows = xp.stack(found, axis=1) if x.ndim else xp.zeros((found[0].size, 0), np.int64)
    return constant(rows, input)


def argwhere(input):
    return nonzero(input)


def isin(elements, test_elements, *, assume_unique=False, invert=False):
    """Whether each element is among others."""
    a, b = [x if is_array(data_of(x)) else None for x in (elements, test_elements)]
    xp = module_of(*[data_of(x) for x in (a, b) if x is not None])
    arrays = [
        data_of(x) if is_array(data_of(x)) else xp.asarray(x) for x in (elements, test_elements)
    ]
    y = xp.isin(*arrays, invert=invert)
    return constant(y, *[x for x in (a, b) if x is not None])
