"""Reading and writing at positions along one dimension: out of place, with gradients.

Indices are checked on the CPU, where that costs nothing; on a GPU that would mean waiting for it.
"""

from __future__ import annotations

import math
from typing import Any

from ..backend import CPU, backend_of, is_array, module_of
from ..op import Op
from ..tensor import Tensor, wrap
from .convert import cast, clone
from .elementwise import clamp, eq, ne, where
from .indexing import Pick, Put
from .names import data_of, numpy_names
from .shape import broadcast_shapes, checked_dim, cut, dim_of, expand, paste, reshape


class Gather(Op):
    """y[i, j] = x[i, index[i, j]] along `dim`

    `distinct` promises that no element is read twice, which makes going back faster.
    """

    fresh = True
    distinct = False

    def forward(self, x, index):
        self.shape = x.shape
        if x.ndim == index.ndim:  # the index may be smaller in the other dimensions, as in PyTorch
            sizes = [
                slice(n if d != self.dim % x.ndim else None) for d, n in enumerate(index.shape)
            ]
            x = x[tuple(sizes)]
        return self.xp.take_along_axis(x, index, axis=self.dim)

    def backward(self, g, _y, _x, index):
        adjoint = ScatterAdd(dim=self.dim, shape=self.shape, distinct=self.distinct)
        return adjoint(g, index), None


class ScatterAdd(Op):
    """Zeros of `shape` with x added where `gather` would read: its adjoint"""

    fresh = True
    distinct = False

    def forward(self, x, index):
        y = self.xp.zeros(self.shape, x.dtype)
        if self.distinct:
            y[places(self.xp, index, self.dim)] = x
        else:
            self.backend.add_at(y, places(self.xp, index, self.dim), x)
        return y

    def backward(self, g, _y, _x, index):
        return Gather(dim=self.dim, distinct=self.distinct)(g, index), None


class ScatterExtreme(Op):
    """y = the largest (`reduce` "amax") or smallest of x and what of src is sent there

    Elements that tie share the gradient evenly.
    """

    def forward(self, x, index, src):
        y = x.copy()
        name = {"amax": "maximum", "amin": "minimum"}[self.reduce]
        self.backend.at(name, y, places(self.xp, index, self.dim), src)
        return y

    def backward(self, g, y, x, index, src):
        shape = data_of(x).shape
        mine = 1.0 * eq(x, y)
        theirs = 1.0 * eq(src, Gather(dim=self.dim)(y, index))
        shares = g / clamp(mine + ScatterAdd(dim=self.dim, shape=shape)(theirs, index), 1.0)
        return shares * mine, None, Gather(dim=self.dim)(shares, index) * theirs


class ScatterProduct(Op):
    """y = x times all of src that is sent there;  dx = g Π src,  dsrc = g y / src"""

    def forward(self, x, index, src):
        y = x.copy()
        self.backend.at("multiply", y, places(self.xp, index, self.dim), src)
        return y

    def backward(self, g, _y, x, index, src):
        def read(a):
            return Gather(dim=self.dim)(a, index)

        # the product of the others: where src is the only zero, of all but the zeros
        zeros, ones = eq(src, 0), full_as(x, x, 1)
        count = read(ScatterAdd(dim=self.dim, shape=data_of(x).shape)(1.0 * zeros, index))
        nonzero = where(zeros, 1.0, src)
        rest = scatter_product(ones, self.dim, index, nonzero)
        single = where(zeros, 1.0 * eq(count, 1), 1.0 * eq(count, 0))
        dsrc = read(g * x * rest) * single / nonzero
        return g * scatter_product(ones, self.dim, index, src), None, dsrc


def scatter_product(x, dim, index, src):
    return ScatterProduct(dim=dim)(x, index, src)


def places(xp: Any, index: Any, dim: int) -> tuple:
    """The index of all dimensions that means `index` along `dim`, and each its own elsewhere."""
    ndim = index.ndim
    where = [
        xp.arange(n).reshape([-1 if axis == d else 1 for axis in range(ndim)])
        for d, n in enumerate(index.shape)
    ]
    if ndim:
        where[dim] = index
    return tuple(where)


# what the functions check, and the index as they need it


def integers(index: Any, name: str, error: type = RuntimeError) -> Any:
    """The array of an index; RuntimeError where it holds no integers."""
    ids = data_of(index)
    if not is_array(ids) or ids.dtype.kind not in "iu":
        raise error(f"{name}: expected an index of integers, got {getattr(ids, 'dtype', ids)}")
    return ids


def within(ids: Any, size: int, name: str, error: type = RuntimeError, wraps: bool = False) -> None:
    """Raise `error` where an index is outside; only with `wraps` do negative ones count back."""
    low = -size if wraps else 0
    if backend_of(ids) is CPU and ids.size and not low <= ids.min() <= ids.max() < size:
        raise error(
            f"{name}: an index is outside {low} to {size - 1}"
            + ("" if wraps else "; negative ones do not wrap")
        )


def _positions(input: Any, dim: int, index: Any, name: str) -> tuple[Any, int]:
    """The index of gather and scatter, checked, and its dimension counted from 0."""
    x, dim, ids = data_of(input), dim_of(input, dim), integers(index, name)
    if ids.size:
        if (ids.ndim or 1) != (x.ndim or 1):
            raise RuntimeError(
                f"{name}: an index with {ids.ndim} dimensions for a tensor with {x.ndim}"
            )
        if any(n > m for d, (n, m) in enumerate(zip(ids.shape, x.shape)) if d != dim):
            raise RuntimeError(
                f"{name}: index {ids.shape} is larger than the tensor {x.shape} beside dim {dim}"
            )
        within(ids, x.shape[dim] if x.ndim else 1, name)
    return ids, dim


def _same_dtype(input: Any, source: Any, name: str) -> None:
    a, b = data_of(input), data_of(source)
    if is_array(b) and a.dtype != b.dtype:
        raise RuntimeError(f"{name}: {b.dtype} into a tensor of {a.dtype}: convert it first")


def constant(array: Any, *inputs: Any) -> Any:
    """A result without gradient: a Tensor if one of the inputs is."""
    if any([isinstance(x, Tensor) for x in inputs]):
        return wrap(module_of(*map(data_of, inputs)).asarray(array))
    return array


def _line(input):
    """A 0-d tensor as a vector, for the rules of dimensions."""
    return input if data_of(input).ndim else reshape(input, (1,))


# reading


@numpy_names
def gather(input, dim, index, *, sparse_grad=False):
    """The elements of the input at `index` along `dim`, in the shape of the index."""
    ids, dim = _positions(input, dim, index, "gather")
    if not ids.size and ids.ndim != data_of(input).ndim:
        return reshape(cut(reshape(input, (-1,)), (slice(0),)), ids.shape)
    if not data_of(input).ndim or not ids.ndim:
        return reshape(Gather(dim=0)(_line(input), _line(index)), ids.shape)
    return Gather(dim=dim)(input, index)


@numpy_names
def take_along_dim(input, indices, dim=None):
    """The elements at `indices` along `dim`, all else broadcasting; of the flat input without."""
    if dim is None:
        input, indices, dim = reshape(input, (-1,)), reshape(indices, (-1,)), 0
    ids, x = integers(indices, "take_along_dim"), data_of(input)
    if ids.ndim != x.ndim:
        raise RuntimeError(
            f"take_along_dim: indices with {ids.ndim} dimensions for a tensor with {x.ndim}"
        )
    dim = checked_dim(dim, x.ndim)
    within(ids, x.shape[dim], "take_along_dim", wraps=True)
    shape = list(broadcast_shapes((*x.shape[:dim], 1, *x.shape[dim + 1 :]),
                                  (*ids.shape[:dim], 1, *ids.shape[dim + 1 :])))  # fmt: skip
    shapes = [(*shape[:dim], a.shape[dim], *shape[dim + 1 :]) for a in (x, ids)]
    return Gather(dim=dim)(expand(input, shapes[0]), expand(indices, shapes[1]))


@numpy_names
def index_select(input, dim, index):
    """The slices along `dim` at `index`, a vector."""
    x, dim, ids = data_of(input), dim_of(input, dim), integers(index, "index_select")
    if ids.ndim > 1:
        raise IndexError(f"index_select: expected a vector of indices, got shape {ids.shape}")
    within(ids, x.shape[dim] if x.ndim else 1, "index_select", IndexError)
    if not x.ndim:
        return reshape(pick(_line(input), 0, reshape(index, (ids.size,))), ())
    return pick(input, dim, reshape(index, (ids.size,)))


def pick(input, dim, ids):
    """The slices along `dim`, counted from 0, at integers of any shape."""
    return Pick(dims=[False] * dim + [True])(input, ids)


def take(input, index):
    """The elements of the flat input at `index`, in its shape; negative ones count from the end."""
    ids = integers(index, "take")
    within(ids, data_of(input).size, "take", IndexError, wraps=True)
    return pick(reshape(input, (data_of(input).size,)), 0, index)


def masked_select(input, mask):
    """The elements where the mask is true, as a vector; input and mask broadcast."""
    flags, x = data_of(mask), data_of(input)
    if flags.dtype.kind != "b":
        raise RuntimeError(f"masked_select: expected a mask of bool, got {flags.dtype}")
    shape = broadcast_shapes(x.shape, flags.shape)
    xp = module_of(flags)
    (chosen,) = xp.nonzero(xp.broadcast_to(flags, shape).reshape(-1))
    return pick(reshape(expand(input, shape), (math.prod(shape),)), 0, chosen)


# writing


def _scatter(input, dim, index, src, name):
    """The arguments of the scatter functions: checked, of one dimension at least, src cut."""
    ids, dim = _positions(input, dim, index, name)
    if is_array(data_of(src)):
        _same_dtype(input, src, name)
        shape = data_of(src).shape or (1,)
        if ids.size and (
            len(shape) != (ids.ndim or 1) or any(n > m for n, m in zip(ids.shape, shape))
        ):
            raise RuntimeError(f"{name}: src {shape} is smaller than the index {ids.shape}")
        src = _line(src)
        if ids.size and (ids.shape or (1,)) != shape:
            src = cut(src, tuple([slice(n) for n in ids.shape]))
    return _line(input), dim, _line(index), src


@numpy_names
def scatter(input, dim, index, src=None, *, value=None, reduce=None):
    """The input with src, a tensor or number, written where `gather` with `index` would read;
    `reduce` "add" or "multiply" combines instead.
    """
    src = value if src is None else src
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError(f"scatter: reduce is 'add' or 'multiply', not {reduce!r}")
    x, dim, at, values = _scatter(input, dim, index, src, "scatter")
    if not data_of(at).size:
        return clone(input)
    if reduce is not None:
        if not is_array(data_of(values)):
            values = full_as(at, x, values)
        y = (
            ScatterProduct(dim=dim)(x, at, values)
            if reduce == "multiply"
            else x + ScatterAdd(dim=dim, shape=data_of(x).shape)(values, at)
        )
    else:
        where_to = list(places(module_of(data_of(at)), data_of(at), dim))
        where_to[dim] = at
        y = Put(dims=[True] * len(where_to), accumulate=False)(x, values, *where_to)
    return reshape(y, data_of(input).shape)


def full_as(at, x, value):
    """A number in the shape of one tensor and the dtype of another."""
    array = module_of(data_of(at)).full(data_of(at).shape, value, data_of(x).dtype)
    return wrap(array) if isinstance(at, Tensor) else array


@numpy_names
def scatter_add(input, dim, index, src):
    """The input with src added where `gather` with `index` would read."""
    x, dim, at, src = _scatter(input, dim, index, src, "scatter_add")
    if not data_of(at).size:
        return clone(input)
    return reshape(x + ScatterAdd(dim=dim, shape=data_of(x).shape)(src, at), data_of(input).shape)


@numpy_names
def scatter_reduce(input, dim, index, src, reduce, *, include_self=True):
    """The input and what of src is sent to each place, reduced: sum, prod, mean, amax or amin.

    Without `include_self` the input stays only where nothing arrives.
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(f"scatter_reduce: {reduce!r} is none of sum, prod, mean, amax, amin")
    x, dim, at, src = _scatter(input, dim, index, src, "scatter_reduce")
    if not data_of(at).size:
        return clone(input)
    if data_of(x).dtype.kind == "b":  # or, and
        numbers = [cast(a, "int64") for a in (x, src)]
        y = scatter_reduce(numbers[0], dim, at, numbers[1], reduce, include_self=include_self)
        return reshape(ne(y, 0), data_of(input).shape)
    shape, dtype = data_of(x).shape, data_of(x).dtype
    hits = ScatterAdd(dim=dim, shape=shape)(full_as(at, x, 1), at)
    hit = ne(hits, 0)
    if not include_self:
        neutral = {"sum": 0, "mean": 0, "prod": 1}.get(reduce)
        if neutral is None:
            info = (
                module_of(data_of(x)).finfo if dtype.kind == "f" else module_of(data_of(x)).iinfo
            )(dtype)
            ends = (info.min, info.max) if dtype.kind != "f" else (-float("inf"), float("inf"))
            neutral = ends[reduce == "amin"]
        x = where(hit, neutral, x)
    if reduce == "prod":
        y = ScatterProduct(dim=dim)(x, at, src)
    elif reduce in ("amax", "amin"):
        y = ScatterExtreme(dim=dim, reduce=reduce)(x, at, src)
    else:
        y = x + ScatterAdd(dim=dim, shape=shape)(src, at)
        if reduce == "mean":
            count = clamp(hits + (1 if include_self else 0), 1)
            y = y / count if dtype.kind == "f" else constant(data_of(y) // data_of(count), y)
    return reshape(y, data_of(input).shape)


def _slices(input, dim, index, source, name, error=RuntimeError, wraps=False):
    """The arguments of the index functions, checked, 1-d at least; and `dims` of Put."""
    x, dim = data_of(input), dim_of(input, dim)
    ids = integers(index, name, error)
    if ids.ndim > 1:
        raise error(f"{name}: expected a vector of indices, got shape {ids.shape}")
    within(ids, x.shape[dim] if x.ndim else 1, name, error, wraps)
    if source is not None:
        _same_dtype(input, source, name)
        s = data_of(source)
        if s.ndim and (s.ndim != x.ndim or s.shape[dim] != ids.size):
            raise error(f"{name}: {ids.size} indices for a source of shape {s.shape}")
        if s.ndim and any(n != m for d, (n, m) in enumerate(zip(s.shape, x.shape)) if d != dim):
            raise error(f"{name}: a source of shape {s.shape} for a tensor of shape {x.shape}")
        if not s.ndim and ids.size != 1:
            raise error(f"{name}: {ids.size} indices for a source of one element")
    return _line(input), dim, _line(index), [False] * dim + [True]


@numpy_names
def index_add(input, dim, index, source, *, alpha=1):
    """The input with `alpha` times the slices of source added at `index` along `dim`."""
    x, _, ids, dims = _slices(input, dim, index, source, "index_add")
    source = _line(source if alpha == 1 else source * alpha)
    return reshape(Put(dims=dims, accumulate=True)(x, source, ids), data_of(input).shape)


@numpy_names
def index_copy(input, dim, index, source):
    """The input with the slices of source written at `index` along `dim`."""
    x, _, ids, dims = _slices(input, dim, index, source, "index_copy", IndexError)
    return reshape(Put(dims=dims, accumulate=False)(x, _line(source), ids), data_of(input).shape)


@numpy_names
def index_fill(input, dim, index, value):
    """The input with `value`, a number or 0-d tensor, at the slices `index` along `dim`."""
    if is_array(data_of(value)) and data_of(value).ndim:
        raise RuntimeError(f"index_fill: one value, not a tensor of shape {data_of(value).shape}")
    x, dim, ids, _ = _slices(input, dim, index, None, "index_fill", IndexError, wraps=True)
    array = data_of(x)
    xp, n = module_of(array), array.shape[dim]
    # where an index occurs twice it fills once, also on the way back
    marked = xp.isin(xp.arange(n), data_of(ids) % max(n, 1))
    y = where(marked.reshape([-1 if d == dim else 1 for d in range(array.ndim)]), value, x)
    return reshape(
        y if data_of(y).dtype == array.dtype else cast(y, array.dtype), data_of(input).shape
    )


@numpy_names
def index_reduce(input, dim, index, source, reduce, *, include_self=True):
    """The slices of source sent to `index` along `dim`, reduced: prod, mean, amax or amin."""
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"index_reduce: {reduce!r} is none of prod, mean, amax, amin")
    x, dim, ids, _ = _slices(input, dim, index, source, "index_reduce", IndexError)
    source = _line(source)
    ids = reshape(ids, [-1 if d == dim else 1 for d in range(data_of(x).ndim)])
    ids = expand(ids, data_of(source).shape)
    y = scatter_reduce(x, dim, ids, source, reduce, include_self=include_self)
    return reshape(y, data_of(input).shape)


def put(input, index, source, accumulate=False):
    """The input with source written, or added, at `index` into the flat input."""
    ids, x = integers(index, "put"), data_of(input)
    _same_dtype(input, source, "put")
    if ids.size != data_of(source).size:
        raise IndexError(f"put: {ids.size} indices for a source of {data_of(source).size} elements")
    within(ids, x.size, "put", IndexError, wraps=True)
    flat, values = reshape(input, (x.size,)), reshape(source, (ids.size,))
    y = Put(dims=[True], accumulate=accumulate)(flat, values, reshape(index, (ids.size,)))
    return reshape(y, x.shape)


def masked_scatter(input, mask, source):
    """The input with the elements of source, in their order, where the mask is true."""
    flags, x, s = data_of(mask), data_of(input), data_of(source)
    if flags.dtype.kind != "b":
        raise RuntimeError(f"masked_scatter: expected a mask of bool, got {flags.dtype}")
    _same_dtype(input, source, "masked_scatter")
    shape = broadcast_shapes(x.shape, flags.shape)
    xp = module_of(flags)
    flags = xp.broadcast_to(flags, shape)
    if backend_of(flags) is CPU and int(flags.sum()) > s.size:
        raise RuntimeError(f"masked_scatter: the mask has more true elements than {s.size}")
    if not s.size:
        return clone(input)
    nth = xp.clip(xp.cumsum(flags.reshape(-1)) - 1, 0, s.size - 1).reshape(shape)
    return where(flags, pick(reshape(source, (s.size,)), 0, nth), expand(input, shape))


def written(input, src, view, adjoint, name):
    """The input with `src` in the region that `view` shows, whose adjoint puts it there."""
    region, values = data_of(view(input)), data_of(src)
    if region.shape != values.shape:
        raise RuntimeError(f"{name}: src {values.shape} for a region of shape {region.shape}")
    mask = adjoint(module_of(values).ones(values.shape, bool))
    return where(mask, adjoint(src), input)


@numpy_names
def select_scatter(input, src, dim, index):
    """The input with src as its slice `index` along `dim`."""
    dim, size = dim_of(input, dim), data_of(input).shape
    if not -size[dim] <= index < size[dim]:
        raise IndexError(f"select_scatter: index {index} of {size[dim]} along dimension {dim}")
    return _written_cut(input, src, (slice(None),) * dim + (int(index),), "select_scatter")


@numpy_names
def slice_scatter(input, src, dim=0, start=None, end=None, step=1):
    """The input with src as its slices start:end:step along `dim`."""
    index = (slice(None),) * dim_of(input, dim) + (slice(start, end, step),)
    return _written_cut(input, src, index, "slice_scatter")


def _written_cut(input, src, index, name):
    shape = data_of(input).shape
    return written(input, src, lambda x: cut(x, index), lambda x: paste(x, index, shape), name)
