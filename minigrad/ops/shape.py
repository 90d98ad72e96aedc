"""Ops that look at elements in another shape or order, join and cut, and compute nothing."""

from __future__ import annotations

import math
from operator import index as as_int
from typing import Any

from ..backend import is_array
from ..dtypes import Size, dtype
from ..op import Op
from ..tensor import Tensor
from .convert import clone
from .indexing import Index, IndexAdd
from .names import data_of, flat, numpy_names, several
from .promotion import promoted


class Reshape(Op):
    """The same elements in another shape; one size may be -1"""

    view = True

    def forward(self, x):
        self.origin = x.shape
        y = x.reshape(self.shape)
        if y.shape != self.shape and -1 not in self.shape:  # NumPy takes any negative size for -1
            raise RuntimeError(f"shape {self.shape}: a size is at least 0, or -1 for the one left")
        return y

    def backward(self, g, _y, _x):
        return reshape(g, self.origin)


class View(Reshape):
    """The same elements in another shape, never copied"""

    def forward(self, x):
        y = super().forward(x)
        if not x.flags.c_contiguous and x.size and not self.backend.is_view(y, x):
            raise RuntimeError(
                f"no view of shape {self.shape} fits the strides of this tensor: "
                "use reshape, which copies where it must, or contiguous() before"
            )
        return y


class Reinterpret(Op):
    """The same memory read as another dtype: no derivative"""

    view = True

    def forward(self, x):
        return x.view(self.dtype)


class Permute(Op):
    """The dimensions in another order"""

    view = always = True

    def __init__(self, dims):
        self.dims = dims

    def forward(self, x):
        return x.transpose(self.dims)

    def backward(self, g, _y, _x):
        dims = self.dims
        return Permute([dims.index(i) for i in range(len(dims))])(g)


class Expand(Op):
    """Broadcast to a larger shape; the engine sums the gradient back"""

    view = True

    def forward(self, x):
        lead = len(self.shape) - x.ndim
        if -1 in self.shape[: max(lead, 0)]:
            raise RuntimeError(
                f"expand to {self.shape}: -1 keeps a size, and a new dimension has none"
            )
        shape = [x.shape[i - lead] if n == -1 else n for i, n in enumerate(self.shape)]
        y = self.xp.broadcast_to(x, shape)
        return x.reshape(shape) if y.size == x.size else y  # nothing repeated: not read-only

    def backward(self, g, _y, _x):
        return g


def in_one_dtype(xs):
    dtype = xs[0].dtype
    return promoted(*xs) if any([x.dtype is not dtype for x in xs]) else xs


class Cat(Op):
    """Several arrays joined along `dim`"""

    def __init__(self, dim):
        self.dim = dim

    def forward(self, *xs):
        self.sizes = [x.shape[self.dim] for x in xs]
        return self.xp.concatenate(in_one_dtype(xs), axis=self.dim)

    def backward(self, g, _y, *_xs):
        return Split(self.sizes, self.dim)(g)


class Stack(Op):
    """Several arrays of one shape joined along a new dimension"""

    def forward(self, *xs):
        return self.xp.stack(in_one_dtype(xs), axis=self.dim)

    def backward(self, g, _y, *_xs):
        return unbind(g, self.dim)


class Split(Op):
    """One array cut along `dim` into pieces of the given sizes: one op, so one gradient array for
    all pieces
    """

    view = always = True

    def __init__(self, sizes, dim):
        self.sizes, self.dim = sizes, dim

    def forward(self, x):
        if sum(self.sizes) != x.shape[self.dim]:
            raise RuntimeError(
                f"sizes {self.sizes} do not add up to {x.shape[self.dim]}, "
                f"the size of dimension {self.dim}"
            )
        pieces, start, lead = [], 0, (slice(None),) * (self.dim % x.ndim)
        for size in self.sizes:
            pieces.append(x[(*lead, slice(start, start + size))])
            start += size
        return tuple(pieces)

    def backward(self, gs, _ys, _x):
        return Cat(self.dim)(*gs) if isinstance(gs, list) else gs


class Unbind(Op):
    """One array taken apart along `dim`: one op, so one gradient array for all pieces"""

    view = always = True

    def forward(self, x):
        lead = (slice(None),) * (self.dim % x.ndim)
        return tuple([x[(*lead, i, ...)] for i in range(x.shape[self.dim])])

    def backward(self, gs, _ys, _x):
        return stack(gs if isinstance(gs, list) else [gs], self.dim)


def checked_dim(dim: int, ndim: int) -> int:
    """`dim` counted from 0; IndexError where it does not exist."""
    if not -ndim <= dim < ndim:
        raise IndexError(
            f"dimension {dim} of a tensor with {ndim} dimensions: expected {-ndim} to {ndim - 1}"
        )
    return as_int(dim) % ndim


def dim_of(x: Any, dim: int, extra: int = 0) -> int:
    """`dim` of x, counted from 0; a 0-d tensor passes for one of one dimension, as in PyTorch."""
    return checked_dim(dim, data_of(x).ndim + extra or 1)


def unique_dims(dims: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    """`dims` counted from 0; RuntimeError where one is named twice."""
    dims = tuple([checked_dim(dim, ndim or 1) for dim in dims])
    if len(set(dims)) < len(dims):
        raise RuntimeError(f"dimensions {dims}: each may appear once")
    return dims


def _dim_to_cut(x: Any, dim: int, name: str) -> int:
    """`dim` of x, counted from 0; a 0-d tensor has none to cut."""
    ndim = data_of(x).ndim
    if not ndim:
        raise RuntimeError(f"{name} of a 0-d tensor: expected at least 1 dimension")
    return checked_dim(dim, ndim)


# the same elements in another shape


def reshape(input, *shape, **named):
    """The same elements in another shape, a view where possible; one size may be -1."""
    if named.keys() - {"shape"}:  # NumPy's np.reshape asks for an order, and goes on without one
        raise TypeError(f"reshape has no argument {', '.join(named.keys() - {'shape'})}")
    return Reshape(shape=tuple(named["shape"]) if named else flat(shape))(input)


def view(input, *shape, **named):
    """The same memory in another shape; RuntimeError where a view would have to be copied.

    A tensor with memory of its own may lie there in another order than PyTorch's, so it is copied
    where it must be. With a dtype, the same memory read as that.
    """
    shape = named.get("shape", named.get("dtype", named.get("size"))) if named else flat(shape)
    if isinstance(shape, dtype) or (len(shape) == 1 and isinstance(shape[0], dtype)):
        target = (shape if isinstance(shape, dtype) else shape[0]).dtype
        return input if data_of(input).dtype == target else Reinterpret(dtype=target)(input)
    if isinstance(input, Tensor) and input.base is None:
        return Reshape(shape=tuple(shape))(input)
    return View(shape=tuple(shape))(input)


def view_as(input, other):
    return view(input, data_of(other).shape)


def reshape_as(input, other):
    return reshape(input, data_of(other).shape)


def ravel(input):
    """In one dimension: a view of contiguous memory, else a copy."""
    x = data_of(input)
    return reshape(input if x.flags.c_contiguous else clone(input), (x.size,))


def flatten(input, start_dim=0, end_dim=-1):
    shape = data_of(input).shape
    if not shape:
        return reshape(input, (1,))
    start, end = dim_of(input, start_dim), dim_of(input, end_dim)
    if start > end:
        raise RuntimeError(f"flatten from dimension {start} to {end}: the start is after the end")
    return reshape(input, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


@numpy_names
def unflatten(input, dim, sizes):
    """Dimension `dim` in several of the given sizes, one of which may be -1."""
    shape, dim, sizes = data_of(input).shape, dim_of(input, dim), several(sizes)
    rest = math.prod([n for n in sizes if n != -1])
    fits = math.prod(sizes) == shape[dim] or (rest and sizes.count(-1) == 1)
    if not sizes or not fits or shape[dim] % (rest or 1):
        raise RuntimeError(
            f"unflatten: sizes {sizes} do not multiply to {shape[dim]}, the size of dimension {dim}"
        )
    sizes = [shape[dim] // rest if n == -1 else n for n in sizes]
    return reshape(input, (*shape[:dim], *sizes, *shape[dim + 1 :]))


@numpy_names
def squeeze(input, dim=None):
    """Without the dimensions of size 1: all of them, or those among `dim`."""
    shape = data_of(input).shape
    dims = range(len(shape)) if dim is None else unique_dims(several(dim), len(shape))
    keep = [n for i, n in enumerate(shape) if n != 1 or i not in dims]
    return reshape(input, keep)


@numpy_names
def unsqueeze(input, dim):
    shape = data_of(input).shape
    dim = checked_dim(dim, len(shape) + 1)
    return reshape(input, (*shape[:dim], 1, *shape[dim:]))


# dimensions in another order


def permute(input, *dims, **named):
    dims = tuple(named["dims"]) if named else flat(dims)
    array = data_of(input)
    if len(dims) != array.ndim:
        raise RuntimeError(f"permute to {dims} of a tensor with {array.ndim} dimensions: name each")
    return Permute(unique_dims(dims, array.ndim))(input)


def transpose(input, dim0, dim1):
    dims = list(range(data_of(input).ndim))
    a, b = dim_of(input, dim0), dim_of(input, dim1)
    if dims:
        dims[a], dims[b] = b, a
    return Permute(tuple(dims))(input)


def swapaxes(input, axis0, axis1):
    return transpose(input, axis0, axis1)


swapdims = transpose


def t(input):
    """The transpose of a matrix; a vector or a scalar as it is."""
    ndim = data_of(input).ndim
    if ndim > 2:
        raise RuntimeError(
            f"t() takes at most 2 dimensions, got {ndim}: use transpose, permute or mT"
        )
    return transpose(input, 0, 1) if ndim == 2 else input


def movedim(input, source, destination):
    """The dimensions `source` at the places `destination`, the others in their order."""
    if isinstance(source, int) != isinstance(destination, int):
        raise TypeError(f"movedim from {source} to {destination}: give two ints or two tuples")
    ndim = data_of(input).ndim
    source = unique_dims(several(source), ndim)
    destination = unique_dims(several(destination), ndim)
    if len(source) != len(destination):
        raise RuntimeError(f"movedim from {source} to {destination}: give as many of each")
    rest = iter([i for i in range(ndim) if i not in source])
    dims = [source[destination.index(i)] if i in destination else next(rest) for i in range(ndim)]
    return permute(input, dims)


moveaxis = movedim


# broadcasting


def expand(input, *size, **named):
    size = tuple(named["size"]) if named else flat(size)
    shape = data_of(input).shape
    if len(size) < len(shape):
        raise RuntimeError(f"expand {shape} to {size}: give a size for each dimension")
    return Expand(shape=size)(input)


def expand_as(input, other):
    return expand(input, data_of(other).shape)


def broadcast_to(input, size):
    return expand(input, size)


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that operands of these shapes have together; RuntimeError where there is none."""
    shapes = [several(shape) for shape in shapes]
    ndim = max(map(len, shapes), default=0)
    padded = [(1,) * (ndim - len(shape)) + tuple(shape) for shape in shapes]
    result = []
    for i, sizes in enumerate(zip(*padded)):
        found = {n for n in sizes if n != 1} or {1}
        if len(found) > 1 or min(found) < 0:
            raise RuntimeError(f"shapes {shapes} do not broadcast: sizes {sizes} at dimension {i}")
        result += found
    return Size(result)


def broadcast_tensors(*tensors):
    tensors = flat(tensors)
    shape = broadcast_shapes(*[data_of(x).shape for x in tensors])
    return tuple([expand(x, shape) for x in tensors])


def _at_least(ndim: int, *tensors):
    def one(x):
        shape = data_of(x).shape
        missing = ndim - len(shape)
        if missing <= 0:
            return x
        # as NumPy has it, a row (1, N, 1) in three dimensions
        trailing = 1 if ndim == 3 and shape else 0
        return reshape(x, ((1,) * (missing - trailing) + shape + (1,) * trailing))

    many = len(tensors) != 1 or isinstance(tensors[0], (tuple, list))
    return tuple([one(x) for x in flat(tensors)]) if many else one(tensors[0])


def atleast_1d(*tensors):
    return _at_least(1, *tensors)


def atleast_2d(*tensors):
    return _at_least(2, *tensors)


def atleast_3d(*tensors):
    return _at_least(3, *tensors)


# joined


def _listed(tensors: Any, name: str, error: type = RuntimeError) -> list:
    """Tensors as a list; TypeError for what is no list, `error` for none."""
    if not isinstance(tensors, (list, tuple)):
        if isinstance(tensors, Tensor) or is_array(tensors) or not hasattr(tensors, "__iter__"):
            raise TypeError(f"{name} takes a tuple or list of tensors, not a {type(tensors)}")
        tensors = list(tensors)
    if not tensors:
        raise error(f"{name} of an empty list: expected at least one tensor")
    return tensors


@numpy_names
def cat(tensors, dim=0):
    """Tensors joined along `dim`; all other sizes must agree. Empty vectors are left out."""
    tensors = _listed(tensors, "cat", ValueError)
    try:
        ndims = {x.ndim for x in tensors}
    except AttributeError:
        raise TypeError(f"cat takes tensors, got {[type(x).__name__ for x in tensors]}") from None
    if 0 in ndims:
        raise RuntimeError("cat of a 0-d tensor: it has no dimension to join, use stack")
    if len(ndims) > 1:
        tensors = [x for x in tensors if data_of(x).shape != (0,)]
    return Cat(checked_dim(dim, max(ndims)))(*tensors)


concat = concatenate = cat


@numpy_names
def stack(tensors, dim=0):
    """Tensors of one shape joined along a new dimension `dim`."""
    tensors = _listed(tensors, "stack")
    return Stack(dim=dim_of(tensors[0], dim, extra=1))(*tensors)


def hstack(tensors):
    """Joined along the second dimension, vectors along their only one."""
    tensors = [atleast_1d(x) for x in _listed(tensors, "hstack")]
    return cat(tensors, 0 if data_of(tensors[0]).ndim == 1 else 1)


def vstack(tensors):
    """Rows, matrices and more joined along the first dimension."""
    return cat([atleast_2d(x) for x in _listed(tensors, "vstack")], 0)


row_stack = vstack


def dstack(tensors):
    """Joined along the third dimension."""
    return cat([atleast_3d(x) for x in _listed(tensors, "dstack")], 2)


def column_stack(tensors):
    """Joined along the second dimension, vectors as columns."""
    tensors = [
        reshape(x, (data_of(x).size, 1)) if data_of(x).ndim < 2 else x
        for x in _listed(tensors, "column_stack")
    ]
    return cat(tensors, 1)


def block_diag(*tensors):
    """Matrices along the diagonal of one, zeros elsewhere."""
    blocks = [atleast_2d(x) for x in tensors]
    width = sum(data_of(x).shape[1] for x in blocks)
    rows, start = [], 0
    for block in blocks:
        height, n = data_of(block).shape
        rows.append(paste(block, (slice(None), slice(start, start + n)), (height, width)))
        start += n
    return cat(rows, 0)


# taken apart


@numpy_names
def split(tensor, split_size_or_sections=None, dim=0, *, split_size=None):
    """Pieces of one size along `dim` (the last may be smaller), or of each size in a list."""
    size = split_size_or_sections if split_size is None else split_size
    dim = _dim_to_cut(tensor, dim, "split")
    total = data_of(tensor).shape[dim]
    if isinstance(size, (tuple, list)):
        if min(size, default=0) < 0:
            raise RuntimeError(f"split into pieces of {size}: no size can be negative")
        return Split(list(size), dim)(tensor)
    if size < 1 and (size < 0 or total):
        raise RuntimeError(f"split into pieces of {size}: expected a size of at least 1")
    return Split(_sizes(total, size), dim)(tensor)


def _sizes(total: int, size: int) -> list[int]:
    """The sizes of the pieces of `size` of so many, the last of which may be smaller."""
    return [min(size, total - start) for start in range(0, total, size or 1)] or [0]


@numpy_names
def split_with_sizes(input, split_sizes, dim=0):
    return split(input, list(split_sizes), dim)


@numpy_names
def chunk(input, chunks, dim=0):
    """At most `chunks` pieces of equal size along `dim`; the last may be smaller."""
    if chunks < 1:
        raise RuntimeError(f"chunk into {chunks} pieces: expected at least 1")
    dim = _dim_to_cut(input, dim, "chunk")
    total = data_of(input).shape[dim]
    return Split(_sizes(total, max(1, -(-total // chunks))), dim)(input)


@numpy_names
def tensor_split(input, indices_or_sections=None, dim=0, *, sections=None, indices=None):
    """That many pieces along `dim` of sizes that differ by 1 at most, or cuts before each index."""
    given = next(v for v in (indices_or_sections, sections, indices) if v is not None)
    dim = _dim_to_cut(input, dim, "tensor_split")
    total = data_of(input).shape[dim]
    if isinstance(given, Tensor):
        given = given.tolist()
    if isinstance(given, (tuple, list)):
        cuts = [0, *[min(max(i + total if i < 0 else i, 0), total) for i in given], total]
        return tuple([narrow(input, dim, a, max(b - a, 0)) for a, b in zip(cuts, cuts[1:])])
    if given < 1:
        raise RuntimeError(f"tensor_split into {given} pieces: expected at least 1")
    small, larger = divmod(total, given)
    return split(input, [small + (i < larger) for i in range(given)], dim)


def _split_along(name: str, dim: int, at_least: int):
    def function(input, indices_or_sections):
        x = data_of(input)
        along = 0 if name == "hsplit" and x.ndim == 1 else dim
        if x.ndim < at_least:
            raise RuntimeError(f"{name} needs {at_least} dimensions at least, got {x.ndim}")
        if isinstance(indices_or_sections, int) and (
            indices_or_sections < 1 or x.shape[along] % indices_or_sections
        ):
            raise RuntimeError(
                f"{name}: size {x.shape[along]} does not divide into {indices_or_sections} pieces"
            )
        return tensor_split(input, indices_or_sections, along)

    function.__name__ = name
    function.__doc__ = f"Equal pieces along dimension {dim}, or cuts before each index."
    return function


hsplit = _split_along("hsplit", 1, 1)
vsplit = _split_along("vsplit", 0, 2)
dsplit = _split_along("dsplit", 2, 3)


@numpy_names
def unbind(input, dim=0):
    """The slices along `dim`, without it."""
    x = data_of(input)
    if not x.ndim:
        raise IndexError("unbind of a 0-d tensor: it has no dimension")
    dim = checked_dim(dim, x.ndim)
    return Unbind(dim=dim)(input) if x.shape[dim] else ()


def cut(input, index):
    """A view by an index of slices and integers."""
    return Index((*index, ...))(input)


def paste(input, index, shape):
    """Zeros of `shape` with the input at an index of slices and integers."""
    return IndexAdd(index=(*index, ...), shape=tuple(shape))(input)


@numpy_names
def narrow(input, dim, start, length):
    """The `length` elements from `start` on along `dim`."""
    dim = _dim_to_cut(input, dim, "narrow")
    size, place = data_of(input).shape[dim], data_of(start)
    if is_array(place) and (place.ndim or place.dtype.kind not in "iu"):
        raise RuntimeError(f"narrow: start is an integer, not {place.dtype} of {place.shape}")
    start = int(place)
    if not -size <= start <= size:
        raise IndexError(f"narrow: start {start} is outside {-size} to {size}")
    start += size if start < 0 else 0
    if length < 0 or start + length > size:
        raise RuntimeError(f"narrow: {length} elements from {start} of {size} along {dim}")
    return cut(input, (slice(None),) * dim + (slice(start, start + length),))


@numpy_names
def select(input, dim, index):
    """The slice at `index` along `dim`, without it."""
    x = data_of(input)
    if not x.ndim:
        raise IndexError("select of a 0-d tensor: use item()")
    dim = checked_dim(dim, x.ndim)
    if not -x.shape[dim] <= index < x.shape[dim]:
        raise IndexError(f"select: index {index} of {x.shape[dim]} along dimension {dim}")
    return cut(input, (slice(None),) * dim + (int(index),))


def numel(input) -> int:
    """How many elements there are."""
    return data_of(input).size


def is_same_size(input, other) -> bool:
    return data_of(input).shape == data_of(other).shape
