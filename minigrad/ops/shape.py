"""Ops that move or repeat elements and compute nothing."""

from __future__ import annotations

import math

from ..op import Op, raw
from .promotion import promoted


def flat(arguments: tuple) -> tuple:
    """`x.reshape(2, 3)` and `x.reshape((2, 3))` are the same call."""
    if len(arguments) == 1 and isinstance(arguments[0], (tuple, list)):
        return tuple(arguments[0])
    return arguments


class Reshape(Op):
    """The same elements in another shape; one size may be -1"""

    view = True

    def forward(self, x):
        self.origin = x.shape
        return x.reshape(self.shape)

    def backward(self, g, _y, _x):
        return reshape(g, self.origin)


class Permute(Op):
    """The dimensions in another order"""

    view = True

    def forward(self, x):
        return x.transpose(self.dims)

    def backward(self, g, _y, _x):
        return permute(g, sorted(range(len(self.dims)), key=lambda i: self.dims[i]))


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
        return self.xp.broadcast_to(x, shape)

    def backward(self, g, _y, _x):
        return g


class Flip(Op):
    """The order reversed along `dims`"""

    def forward(self, x):
        return self.xp.flip(x, self.dims).copy()  # not a view, as in PyTorch

    def backward(self, g, _y, _x):
        return flip(g, self.dims)


class Cat(Op):
    """Several arrays joined along `dim`"""

    def forward(self, *xs):
        self.sizes = [x.shape[self.dim] for x in xs]
        xs = promoted(*xs)
        return self.xp.concatenate(xs, axis=self.dim)

    def backward(self, g, _y, *_xs):
        return split(g, self.sizes, self.dim)


class Stack(Op):
    """Several arrays of one shape joined along a new dimension"""

    def forward(self, *xs):
        return self.xp.stack(promoted(*xs), axis=self.dim)

    def backward(self, g, _y, *_xs):
        return unbind(g, self.dim)


class Split(Op):
    """One array cut along `dim` into pieces of the given sizes: one op, so one gradient array for
    all pieces
    """

    view = True

    def forward(self, x):
        if sum(self.sizes) != x.shape[self.dim]:
            raise RuntimeError(
                f"sizes {self.sizes} do not add up to {x.shape[self.dim]}, "
                f"the size of dimension {self.dim}"
            )
        pieces, start = [], 0
        for size in self.sizes:
            cut = [slice(None)] * x.ndim
            cut[self.dim] = slice(start, start + size)
            pieces.append(x[tuple(cut)])
            start += size
        return tuple(pieces)

    def backward(self, gs, _ys, _x):
        return cat(gs if isinstance(gs, list) else [gs], self.dim)


class Unbind(Op):
    """One array taken apart along `dim`: one op, so one gradient array for all pieces"""

    view = True

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
    return dim % ndim


def _checked(x, dim: int, extra: int = 0) -> int:
    return checked_dim(dim, raw(x).ndim + extra)


def reshape(x, *shape):
    return Reshape(shape=flat(shape))(x)


view = reshape


def permute(x, *dims):
    dims = flat(dims)
    return Permute(dims=tuple([_checked(x, dim) for dim in dims]))(x)


def transpose(x, dim0, dim1):
    dims = list(range(raw(x).ndim))
    a, b = _checked(x, dim0), _checked(x, dim1)
    dims[a], dims[b] = b, a
    return permute(x, dims)


def t(x):
    """The transpose of a matrix; a vector or a scalar as it is."""
    ndim = raw(x).ndim
    if ndim > 2:
        raise RuntimeError(
            f"t() takes at most 2 dimensions, got {ndim}: use transpose, permute or mT"
        )
    return transpose(x, 0, 1) if ndim == 2 else x


def expand(x, *shape):
    return Expand(shape=flat(shape))(x)


broadcast_to = expand


def squeeze(x, dim=None):
    """Without the dimensions of size 1: all of them, or `dim` if its size is 1."""
    shape = raw(x).shape
    if dim is None:
        return reshape(x, [n for n in shape if n != 1])
    dim = _checked(x, dim)
    return reshape(x, shape[:dim] + shape[dim + 1 :]) if shape[dim] == 1 else x


def unsqueeze(x, dim):
    shape = raw(x).shape
    dim = _checked(x, dim, extra=1)
    return reshape(x, shape[:dim] + (1,) + shape[dim:])


def flatten(x, start_dim=0, end_dim=-1):
    shape = raw(x).shape
    if not shape:
        return reshape(x, (1,))
    start, end = _checked(x, start_dim), _checked(x, end_dim)
    if start > end:
        raise RuntimeError(f"flatten from dimension {start} to {end}: the start is after the end")
    return reshape(x, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def flip(x, *dims):
    dims = flat(dims)
    dims = dims if isinstance(dims, (tuple, list)) else (dims,)
    return Flip(dims=tuple([_checked(x, dim) for dim in dims]))(x)


def cat(xs, dim=0):
    """Arrays joined along `dim`; all other sizes must agree."""
    xs = list(xs)
    if not xs:
        raise ValueError("cat of an empty list: expected at least one tensor")
    return Cat(dim=dim)(*xs)


def stack(xs, dim=0):
    """Arrays of one shape joined along a new dimension `dim`."""
    xs = list(xs)
    if not xs:
        raise RuntimeError("stack of an empty list: expected at least one tensor")
    return Stack(dim=dim)(*xs)


def split(x, size, dim=0):
    """Pieces of `size` along `dim` (the last may be smaller), or of each size in a list."""
    dim = _checked(x, dim)
    total = raw(x).shape[dim]
    if isinstance(size, (tuple, list)):
        return Split(sizes=list(size), dim=dim)(x)
    if size < 1:
        raise RuntimeError(f"split into pieces of {size}: expected a size of at least 1")
    sizes = [min(size, total - start) for start in range(0, total, size)] or [0]
    return Split(sizes=sizes, dim=dim)(x)


def chunk(x, chunks, dim=0):
    """At most `chunks` pieces of equal size along `dim`; the last may be smaller."""
    if chunks < 1:
        raise RuntimeError(f"chunk into {chunks} pieces: expected at least 1")
    total = raw(x).shape[_checked(x, dim)]
    return split(x, max(1, -(-total // chunks)), dim)


def unbind(x, dim=0):
    """The slices along `dim`, without it."""
    if not raw(x).ndim:
        raise TypeError("iteration over a 0-d tensor")
    dim = _checked(x, dim)
    return Unbind(dim=dim)(x) if raw(x).shape[dim] else ()
