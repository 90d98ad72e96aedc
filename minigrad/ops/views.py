"""Views by sizes and steps in memory, and the small relatives of reshaping."""

from __future__ import annotations

import math
import operator
from typing import Any

from ..backend import backend_of, module_of
from ..op import Op
from ..tensor import Tensor
from .convert import clone
from .indexing import set_item
from .names import data_of, flat
from .reduce import sum_, sum_to
from .shape import chunk, narrow, permute, reshape, split, transpose, unsqueeze


class Strided(Op):
    """y[i, j, ...] = x[offset + i stride[0] + j stride[1] + ...] of a vector x; an element that is
    read several times gets the sum of the gradients
    """

    view = True

    def forward(self, x):
        steps, start = [n * x.itemsize for n in self.stride], self.offset * x.itemsize
        return self.backend.strided(x, self.size, steps, start)

    def backward(self, g, _y, _x):
        return Spread(size=self.size, stride=self.stride, offset=self.offset, count=self.count)(g)


class Spread(Op):
    """The adjoint of Strided: x[place of y[i, j, ...]] += y[i, j, ...]"""

    def forward(self, y):
        xp, places = self.xp, self.offset
        for d, (n, step) in enumerate(zip(self.size, self.stride)):
            places = places + (xp.arange(n) * step).reshape(-1, *[1] * (len(self.size) - 1 - d))
        x = xp.zeros(self.count, y.dtype)
        self.backend.add_at(x, xp.broadcast_to(xp.asarray(places), y.shape), y)
        return x

    def backward(self, g, _y, _x):
        return Strided(size=self.size, stride=self.stride, offset=self.offset, count=self.count)(g)


def owner(array: Any) -> Any:
    """The array whose memory a view shows."""
    while type(getattr(array, "base", None)) is type(array):
        array = array.base
    return array


def storage_offset(input: Tensor) -> int:
    """How many elements into the memory the tensor begins."""
    backend, array = backend_of(input.array), input.array
    base = input if input.base is None else input.base  # CuPy's strided arrays know no owner
    return (backend.address(array) - backend.address(owner(base.array))) // array.itemsize


def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A view of the memory of `input` with these sizes and steps, in elements. What it shows may
    overlap.

    The memory is that of the tensor which `input` is a view of; it must have no gaps.
    """
    size, stride = (tuple(map(operator.index, given)) for given in (size, stride))
    if len(size) != len(stride):
        raise RuntimeError(f"as_strided: {len(size)} sizes and {len(stride)} strides")
    if min(stride, default=0) < 0 or min(size, default=0) < 0:
        raise RuntimeError(f"as_strided: negative numbers in size {size} or stride {stride}")
    base = input if input.base is None else input.base
    backend = backend_of(base.array)
    if storage_offset is None:
        start = backend.address(input.array) - backend.address(base.array)
        storage_offset = start // input.array.itemsize if input.array.size else 0
    order = sorted(range(base.ndim), key=lambda d: -base.array.strides[d])
    rows = base if order == list(range(base.ndim)) else permute(base, order)
    if not rows.array.flags.c_contiguous:
        raise RuntimeError("as_strided of memory with gaps: use .contiguous() first")
    last = storage_offset + sum([(n - 1) * step for n, step in zip(size, stride)])
    if math.prod(size) and not storage_offset <= last < rows.numel():
        raise RuntimeError(
            f"as_strided: size {size}, stride {stride} and offset {storage_offset} reach beyond "
            f"the memory's {rows.numel()} elements"
        )
    options = {"size": size, "stride": stride, "offset": storage_offset, "count": rows.numel()}
    return Strided(**options)(reshape(rows, (-1,)))


def adjoint(input: Any) -> Any:
    """The last two dimensions exchanged."""
    if data_of(input).ndim == 1:
        raise RuntimeError("adjoint of one dimension: expected matrices")
    return transpose(input, -2, -1) if data_of(input).ndim else input


def narrow_copy(input: Any, dim: int, start: int, length: int) -> Any:
    """`narrow` with memory of its own."""
    if dim >= data_of(input).ndim:
        raise RuntimeError(f"narrow_copy along dimension {dim} of {data_of(input).ndim}")
    return clone(narrow(input, dim, start, length))


def sum_to_size(input: Any, *size: Any) -> Any:
    """The sum over the dimensions that broadcasting from `size` made."""
    size, shape = tuple(flat(size)), data_of(input).shape
    pairs = zip(size[::-1], shape[::-1])
    if len(size) > len(shape) or any(n not in (1, m) for n, m in pairs):
        raise RuntimeError(f"sum_to_size: size {size} does not broadcast to {tuple(shape)}")
    if size == tuple(shape) and size:
        return input
    return sum_to(sum_(unsqueeze(input, 0), 0), size)


def unsafe_chunk(input: Any, chunks: int, dim: int = 0) -> tuple:
    return chunk(input, chunks, dim)


def unsafe_split(tensor: Any, split_size: int, dim: int = 0) -> tuple:
    return split(tensor, split_size, dim)


def unsafe_split_with_sizes(input: Any, split_sizes: Any, dim: int = 0) -> tuple:
    return split(input, split_sizes, dim)


def fill_diagonal_(input: Tensor, fill_value: float, wrap: bool = False) -> Tensor:
    """Every element with equal indices becomes `fill_value`; with `wrap` the diagonal of a tall
    matrix begins again below its end.
    """
    shape = input.shape
    if len(shape) < 2:
        raise RuntimeError("fill_diagonal_ needs at least 2 dimensions")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError(f"fill_diagonal_ of shape {tuple(shape)}: expected equal sizes")
    xp = module_of(input.array)
    places = xp.arange(min(shape))
    index = (places,) * len(shape)
    if wrap and shape[0] > shape[1]:
        places = xp.arange(0, shape[0] * shape[1], shape[1] + 1)
        index = places // shape[1], places % shape[1]
    set_item(input, index, fill_value)
    return input
