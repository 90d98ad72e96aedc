"""Repeating, padding, turning around, sliding windows and diagonals."""

from __future__ import annotations

import math

from ..backend import CPU, backend_of, module_of
from ..op import Op
from ..tensor import Tensor, wrap
from .convert import clone
from .elementwise import where
from .names import data_of, flat, numpy_names, several
from .scatter import pick, written
from .shape import (
    checked_dim,
    cut,
    dim_of,
    expand,
    flatten,
    movedim,
    narrow,
    paste,
    reshape,
    transpose,
    unflatten,
    unique_dims,
    unsqueeze,
)


class Flip(Op):
    """The order reversed along `dims`"""

    def forward(self, x):
        return self.xp.flip(x, self.dims).copy()  # not a view, as in PyTorch

    def backward(self, g, _y, _x):
        return flip(g, self.dims)


class Roll(Op):
    """Moved around in a circle along `dims`"""

    def forward(self, x):
        return self.xp.roll(x, self.shifts, self.dims)

    def backward(self, g, _y, _x):
        return Roll(shifts=tuple([-n for n in self.shifts]), dims=self.dims)(g)


def diagonal_view(xp, x, offset, dim1, dim2):
    """The diagonal of the dimensions as the last: a view."""
    x = xp.moveaxis(x, (dim1, dim2), (-2, -1))
    x = x[..., max(-offset, 0) :, max(offset, 0) :]
    n = min(x.shape[-2:])
    return xp.einsum("...ii->...i", x[..., :n, :n])


class Diagonal(Op):
    """y[..., i] = x[..., i, i + offset], for the dimensions `dim1` and `dim2`"""

    view = True

    def forward(self, x):
        self.shape = x.shape
        return diagonal_view(self.xp, x, self.offset, self.dim1, self.dim2)

    def backward(self, g, _y, _x):
        params = dict(offset=self.offset, dim1=self.dim1, dim2=self.dim2)
        return OnDiagonal(shape=self.shape, **params)(g)


class OnDiagonal(Op):
    """Zeros of `shape` with x on a diagonal: the adjoint of `Diagonal`"""

    fresh = True

    def forward(self, x):
        y = self.xp.zeros(self.shape, x.dtype)
        diagonal_view(self.xp, y, self.offset, self.dim1, self.dim2)[...] = x
        return y

    def backward(self, g, _y, _x):
        return Diagonal(offset=self.offset, dim1=self.dim1, dim2=self.dim2)(g)


def flip(input, *dims, **named):
    dims = several(named["dims"]) if named else flat(dims)
    return (
        Flip(dims=unique_dims(dims, data_of(input).ndim))(input)
        if data_of(input).ndim
        else clone(input)
    )


def fliplr(input):
    if data_of(input).ndim < 2:
        raise RuntimeError(f"fliplr needs 2 dimensions at least, got {data_of(input).ndim}")
    return flip(input, 1)


def flipud(input):
    if not data_of(input).ndim:
        raise RuntimeError("flipud needs 1 dimension at least, got 0")
    return flip(input, 0)


@numpy_names
def roll(input, shifts, dims=None):
    """Moved by `shifts` along `dims`, what leaves at one end enters at the other; without `dims` in
    the flat input.
    """
    shifts, x = several(shifts), data_of(input)
    if dims is None or dims == ():
        if len(shifts) != 1:
            raise RuntimeError(f"roll by {shifts}: give as many dims")
        return reshape(Roll(shifts=shifts, dims=(0,))(reshape(input, (x.size,))), x.shape)
    dims = several(dims)
    if len(dims) != len(shifts):
        raise RuntimeError(f"roll by {shifts} along {dims}: give as many of each")
    dims = tuple([checked_dim(dim, x.ndim) for dim in dims])
    return Roll(shifts=shifts, dims=dims)(input)


def rot90(input, k=1, dims=(0, 1)):
    """Turned by 90 degrees `k` times, from the first of two dimensions towards the second."""
    ndim, dims = data_of(input).ndim, tuple(dims)
    if len(dims) != 2 or ndim < 2:
        raise RuntimeError(f"rot90 along {dims} of {ndim} dimensions: expected two of at least two")
    a, b = [checked_dim(dim, ndim) for dim in dims]
    if a == b:
        raise RuntimeError(f"rot90 along {dims}: expected two different dimensions")
    k %= 4
    if k == 2:
        return flip(input, a, b)
    if k == 1:
        return transpose(flip(input, b), a, b)
    return flip(transpose(input, a, b), b) if k else clone(input)


def repeat(input, *repeats, **named):
    """The input side by side with itself, so many times along each dimension."""
    repeats = tuple(named["repeats"]) if named else flat(repeats)
    shape = data_of(input).shape
    new = len(repeats) - len(shape)
    if new < 0 or min(repeats, default=0) < 0:
        raise RuntimeError(
            f"repeat {repeats} of a tensor of shape {shape}: give a count for each dimension"
        )
    shape = (1,) * new + shape
    pairs = [pair for n, size in zip(repeats, shape) for pair in (n, size)]
    split = [pair for size in shape for pair in (1, size)]
    tiled = expand(reshape(input, split), pairs)
    # a copy first: of a single element a reshape could go on showing the input's memory
    return reshape(clone(tiled), [n * size for n, size in zip(repeats, shape)])


def tile(input, *dims, **named):
    """`repeat` with counts for the last dimensions only, if fewer are given."""
    dims = tuple(named["dims"]) if named else flat(dims)
    return repeat(input, (1,) * (data_of(input).ndim - len(dims)) + dims)


@numpy_names
def repeat_interleave(input, repeats=None, dim=None, *, output_size=None):
    """Each element `repeats` times in a row along `dim`, or in the flat input; `repeats` may be a
    tensor with a count for each. Of counts alone, the positions repeated that often.
    """
    if repeats is None:
        return _repeated_positions(input, output_size)
    if dim is None:
        input, dim = reshape(input, (data_of(input).size,)), 0
    ndim, dim = data_of(input).ndim, dim_of(input, dim)
    if not ndim:
        input = reshape(input, (1,))
    if isinstance(repeats, int):
        if repeats < 0:
            raise RuntimeError(f"repeat_interleave {repeats} times: expected at least 0")
        x = unsqueeze(input, dim + 1)
        shape = [repeats if i == dim + 1 else n for i, n in enumerate(data_of(x).shape)]
        return flatten(clone(expand(x, shape)), dim, dim + 1)
    counts, size = data_of(repeats), data_of(input).shape[dim]
    if counts.ndim > 1 or (counts.size not in (1, size)):
        raise RuntimeError(f"repeat_interleave: counts {counts.shape} for {size} elements")
    if counts.size != size:
        counts = module_of(counts).broadcast_to(counts.reshape(-1), (size,))
    return pick(input, dim, _repeated_positions(counts.reshape(-1), output_size))


def _repeated_positions(repeats, output_size=None):
    """0 as often as the first count says, 1 as often as the second, ..."""
    counts = data_of(repeats)
    xp = module_of(counts)
    if counts.dtype.kind not in "iu":
        raise NotImplementedError(f"repeat_interleave: counts must be integers, not {counts.dtype}")
    if backend_of(counts) is CPU and counts.size and counts.min() < 0:
        raise RuntimeError("repeat_interleave: a count is negative")
    ends = xp.cumsum(counts)
    total = (int(ends[-1]) if counts.size else 0) if output_size is None else output_size
    ids = xp.searchsorted(ends, xp.arange(total), side="right")
    return wrap(ids) if isinstance(repeats, Tensor) else ids


_EDGES = {  # which element of n stands at place i, before 0 or after n - 1
    "reflect": lambda i, n: n - 1 - abs(n - 1 - abs(i)),
    "replicate": lambda i, n: min(max(i, 0), n - 1),
    "circular": lambda i, n: i % n,
}


def _ends(input, pad):
    """By dimension: how many elements to add before and behind."""
    ndim, pad = data_of(input).ndim, tuple([int(n) for n in pad])
    if len(pad) % 2 or len(pad) > 2 * ndim:
        raise RuntimeError(f"pad {pad} of {ndim} dimensions: give two numbers for each of the last")
    return dict(zip(range(ndim - 1, -1, -1), zip(pad[::2], pad[1::2])))


def constant_pad_nd(input, pad, value=0):
    """More elements, all `value`, at both ends of the last dimensions, see `pad`."""
    return _padded(input, _ends(input, pad), value)


@numpy_names
def pad(input, pad, mode="constant", value=None):
    """More elements at both ends of the last dimensions: `pad` is (before, after) of the last, then
    of the last but one, ...; negative ones cut.

    `mode`: "constant" (`value`, 0 unless given), "reflect", "replicate" or "circular".
    """
    if mode == "constant":
        return constant_pad_nd(input, pad, 0 if value is None else value)
    ndim, pairs = data_of(input).ndim, _ends(input, pad)
    if mode not in _EDGES:
        raise NotImplementedError(f"pad mode {mode!r} is none of constant, {', '.join(_EDGES)}")
    if value:
        raise RuntimeError(f"pad mode {mode!r} takes no value")
    if not len(pairs) < ndim <= len(pairs) + 2:
        raise NotImplementedError(
            f"pad {pad} with mode {mode!r} of {ndim} dimensions: pad all but the first or first two"
        )
    for dim, (before, after) in pairs.items():
        if mode == "circular":  # what is cut comes first, and goes around no more
            input = _padded(input, {dim: (min(before, 0), min(after, 0))}, 0)
            before, after = max(before, 0), max(after, 0)
        size = data_of(input).shape[dim]
        most = {"reflect": size - 1, "circular": size}.get(mode, math.inf)
        if max(before, after) > most or before + after + size < 1 or not size:
            raise RuntimeError(f"pad by {before} and {after}: {mode} of {size} elements")
        if before or after:
            ids = [_EDGES[mode](i, size) for i in range(-before, size + after)]
            input = pick(input, dim, backend_of(data_of(input)).place(ids))
    return input


def _padded(input, pairs, value):
    shape = data_of(input).shape
    inner, outer, whole = [], [], []
    for dim, size in enumerate(shape):
        before, after = pairs.get(dim, (0, 0))
        total = size + before + after
        if total < 0:
            raise RuntimeError(f"pad by {before} and {after}: dimension {dim} has {size} elements")
        inner.append(slice(max(-before, 0), size - max(-after, 0)))
        outer.append(slice(max(before, 0), total - max(after, 0)))
        whole.append(total)
    y = paste(cut(input, tuple(inner)), tuple(outer), whole)
    if value:
        value = data_of(y).dtype.type(value).item()
        mask = module_of(data_of(input)).ones(whole, bool)
        mask[tuple(outer)] = False
        y = where(mask, value, y)
    return y


@numpy_names
def unfold(input, dimension, size, step):
    """Windows of `size` elements, each `step` further along `dimension`, as a new last dimension.

    Windows that overlap are copies, where PyTorch gives a view.
    """
    ndim, dim = data_of(input).ndim, dim_of(input, dimension)
    if not ndim:
        input = reshape(input, (1,))
    length = data_of(input).shape[dim]
    if size > length or size < 0:
        raise RuntimeError(f"unfold: windows of {size} along dimension {dim} of size {length}")
    if step < 1:
        raise RuntimeError(f"unfold: step {step}, expected at least 1")
    count = (length - size) // step + 1
    if not ndim:
        return reshape(input, (1,) * size)
    if size == step:
        y = unflatten(narrow(input, dim, 0, count * size), dim, (count, size))
    else:
        xp = module_of(data_of(input))
        y = pick(input, dim, xp.arange(count)[:, None] * step + xp.arange(size))
    return movedim(y, dim + 1, -1)


# diagonals


def _offset_dims(input, dim1, dim2):
    ndim = data_of(input).ndim
    a, b = checked_dim(dim1, ndim or 1), checked_dim(dim2, ndim or 1)
    if a == b:
        raise RuntimeError(f"a diagonal of dimensions {dim1} and {dim2}: expected two different")
    return a, b


@numpy_names
def diagonal(input, offset=0, dim1=0, dim2=1):
    """The diagonal of two dimensions, as the last dimension: a view."""
    dim1, dim2 = _offset_dims(input, dim1, dim2)
    return Diagonal(offset=offset, dim1=dim1, dim2=dim2)(input)


def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Zeros with the last dimension of the input on the diagonal of two new dimensions."""
    shape = data_of(input).shape
    n, ndim = shape[-1] + abs(offset), len(shape) + 1
    a, b = checked_dim(dim1, ndim), checked_dim(dim2, ndim)
    if a == b:
        raise RuntimeError(f"a diagonal of dimensions {dim1} and {dim2}: expected two different")
    rest = iter(shape[:-1])
    whole = tuple([n if i in (a, b) else next(rest) for i in range(ndim)])
    return OnDiagonal(shape=whole, offset=offset, dim1=a, dim2=b)(input)


def diag(input, diagonal=0):
    """A vector on the diagonal of a matrix, or the diagonal of a matrix as a vector."""
    ndim = data_of(input).ndim
    if ndim not in (1, 2):
        raise RuntimeError(f"diag takes 1 or 2 dimensions, got {ndim}: use diagonal or diag_embed")
    if ndim == 1:
        return diag_embed(input, diagonal)
    return clone(Diagonal(offset=diagonal, dim1=0, dim2=1)(input))


def diagflat(input, offset=0):
    """All elements on the diagonal of a matrix."""
    return diag_embed(reshape(input, (data_of(input).size,)), offset)


@numpy_names
def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    """The input with src as its diagonal."""
    a, b = _offset_dims(input, dim1, dim2)
    place = dict(offset=offset, dim1=a, dim2=b)
    shape = data_of(input).shape
    return written(
        input,
        src,
        Diagonal(**place),
        lambda x: OnDiagonal(shape=shape, **place)(x),
        "diagonal_scatter",
    )
