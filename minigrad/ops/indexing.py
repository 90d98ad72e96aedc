"""Reading and writing through an index: `x[...]`.

An index is taken as PyTorch takes it: integers, slices, None and Ellipsis first, which gives a
view, then all arrays of integers or bools at once, which gives a copy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import CPU, add_in_order, backend_of, is_array, kernels_for
from ..modes import is_recording
from ..op import Op, raw
from ..tensor import Tensor
from .writing import become, check_memory, write


def parsed(index: Any, x: Any) -> tuple[tuple | None, list | None]:
    """An index as a basic one and as the arrays that index what that shows, dimension by dimension;
    None for what is not needed. Raises IndexError for what is no index.
    """
    if type(index) is int:  # x[t]: by far the most frequent
        return (index, Ellipsis), None
    parts = index if isinstance(index, tuple) else (index,)
    basic, arrays, ellipsis, simple = [], [], None, True
    for part in parts:
        if type(part) is slice and part.step is None:  # the most frequent
            basic.append(part)
            arrays.append(None)
            continue
        if isinstance(part, (int, np.integer)) and not isinstance(part, (bool, np.bool_)):
            basic.append(part)
            continue
        if isinstance(part, slice):
            if part.step is not None and int(part.step) <= 0:
                raise ValueError(f"slice step {part.step}: expected a positive one; use flip()")
        elif part is Ellipsis:
            if ellipsis is not None:
                raise IndexError("an index can have only one Ellipsis (...)")
            ellipsis = len(basic), len(arrays)
            basic.append(part)
            continue
        elif part is not None:
            part = _index_array(part)
            if isinstance(part, int):  # a tensor of one integer
                basic.append(part)
                continue
            simple = False
            arrays.append(part)
            # a mask stands for as many dimensions as it has
            basic += [slice(None)] * (raw(part).ndim if raw(part).dtype.kind == "b" else 1)
            continue
        basic.append(part)
        arrays.append(None)
    if simple:  # a slice or an ellipsis: without one the result might be a number, no array
        return (tuple(basic) if arrays or ellipsis else (*basic, Ellipsis)), None
    ndim = x.ndim + sum(
        part is None for part in basic
    )  # what the basic index leaves, plus integers
    if ellipsis:
        rest = ndim - (len(basic) - 1)
        basic[ellipsis[0] : ellipsis[0] + 1] = [slice(None)] * rest
        arrays[ellipsis[1] : ellipsis[1]] = [None] * max(rest, 0)
    if all(isinstance(part, slice) and part == slice(None) for part in basic):
        return None, arrays
    return tuple(basic), arrays


def _index_array(part: Any) -> Any:
    """A Tensor, array, list or bool as an array of integers or bools; one integer as an int."""
    if isinstance(part, (list, range)):
        part = np.asarray(
            [raw(p).item() if isinstance(p, Tensor) and p.numel() == 1 else p for p in part]
        )
        part = part if part.size else part.astype(np.int64)
    elif isinstance(part, (bool, np.bool_)):
        part = np.asarray(part)
    elif isinstance(part, np.ndarray):
        part = part.copy()  # the caller may change his
    array = part.array if isinstance(part, Tensor) else part
    if not is_array(array):
        raise IndexError(
            f"an index is made of integers, slices, None, Ellipsis and integer or bool tensors, "
            f"not of {type(part).__name__}"
        )
    if array.dtype.kind not in "iub":
        raise IndexError(f"index tensors must be integers or bools, this one is {array.dtype}")
    if array.ndim == 0 and array.dtype.kind != "b":
        return int(array)
    return part


class Part:
    """A gradient that is zero outside `index`: added where it belongs it costs its own size only,
    where a loop over x[t] would fill T arrays of zeros.

    `distinct` promises that no place occurs twice; what goes to row `skip` is dropped.
    """

    __slots__ = "values", "index", "distinct", "skip", "basic", "dtype"

    def __init__(
        self,
        values: Any,
        index: Any,
        distinct: bool,
        skip: int | None = None,
        basic: bool = False,
    ):
        self.values, self.index, self.distinct = values, index, distinct
        self.skip, self.basic, self.dtype = skip, basic, values.dtype

    def add_to(self, whole: Any, zeros: bool = False) -> None:
        if self.basic:
            part = whole[self.index]  # a view: `whole[...] +=` would write it into itself after
            part += self.values
        elif self.distinct:
            whole[self.index] += self.values
        elif len(self.index) == 1 and self.index[0].dtype.kind != "b":
            add_rows(whole, self.index[0], self.values, self.skip, zeros)
        else:
            backend_of(whole).add_at(whole, self.index, self.values)

    def whole(self, shape: tuple) -> Any:
        whole = backend_of(self.values).xp.zeros(shape, self.dtype)
        if self.distinct:
            whole[self.index] = self.values
        else:
            self.add_to(whole, zeros=True)
        return whole


def runs(ids: Any) -> tuple:
    """The order that sorts ids, ids in that order, and where in it each value begins and how often
    it occurs.
    """
    xp = backend_of(ids).xp
    order = ids.argsort()
    ids = ids[order]
    new = xp.ones(len(ids) + 1, bool)
    new[1:-1] = ids[1:] != ids[:-1]
    edges = xp.flatnonzero(new)
    return order, ids, edges[:-1], xp.diff(edges)


def add_rows(table: Any, ids: Any, rows: Any, skip: int | None = None, zeros: bool = False) -> None:
    """table[ids] += rows, where ids may occur again and again; row `skip` is left out. `zeros` says
    that the table holds nothing else.

    The n-th occurrences of all ids are distinct, so they are added together; what remains when
    only a few frequent ids are left is summed id by id.
    """
    ids, rows = ids.reshape(-1), rows.reshape(ids.size, *table.shape[1:])
    backend = backend_of(table)
    kernels = kernels_for(table)
    if kernels and rows.size:
        ids = ids.astype(np.int64) % len(table)  # from the end: the same row under two names
        add_in_order(kernels, table, ids, rows, -1 if skip is None else skip % len(table))
        return
    if skip is not None and (backend is not CPU or rows.size < SMALL):
        kept = ids % len(table) != skip
        if backend is CPU:
            ids, rows = ids[kept], rows[kept]
        else:  # nobody waits to know how many they are
            rows = backend.xp.where(kept.reshape(-1, *[1] * (rows.ndim - 1)), rows, 0)
    if backend is not CPU or rows.size < SMALL or rows.size < 8 * ids.size:
        backend.add_at(table, ids, rows)
        return
    if ids.min() < 0:  # from the end: the same row under two names
        ids = backend.xp.where(ids < 0, ids + len(table), ids)
    order, ids, first, counts = runs(ids)
    if skip is not None:
        kept = ids[first] != skip
        first, counts = first[kept], counts[kept]
    at_once = max(1, PIECE * len(rows) // rows.size)
    n, most = 0, counts.max(initial=0)
    # few ids are worth a round, which takes more calls than a sum, only if few rounds are left
    while len(first) >= 20 or most - n < len(first) // 2:
        again = counts > n
        first, counts = first[again], counts[again]
        if not len(first):
            return
        to, of = ids[first], order[first + n]
        for i in range(0, len(to), at_once):
            j = i + at_once
            if zeros and n == 0:
                table[to[i:j]] = rows[of[i:j]]
            else:
                table[to[i:j]] += rows[of[i:j]]
        n += 1
    for start, count in zip(first.tolist(), counts.tolist()):
        if count > n:
            table[ids[start]] += rows[order[start + n : start + count]].sum(axis=0)


SMALL = 4096  # numbers; to add fewer, sorting their ids is not worth it
PIECE = 65536  # numbers that stay in a cache between two passes


class Index(Op):
    """y = x[index], a basic index: a view"""

    view = always = fresh = True

    def __init__(self, index):  # by place: by name it takes 0.6 µs more, an eighth of the whole op
        self.index = index

    def forward(self, x):
        self.shape = x.shape
        return x[self.index]

    def backward(self, g, _y, _x):
        if not isinstance(g, Tensor):
            return Part(g, self.index, distinct=True, basic=True)
        return IndexAdd(index=self.index, shape=self.shape)(g)


class IndexAdd(Op):
    """Zeros of `shape` with x at a basic index: the adjoint of reading there"""

    def forward(self, x):
        y = self.xp.zeros(self.shape, x.dtype)
        y[self.index] = x
        return y

    def backward(self, g, _y, _x):
        return Index(self.index)(g)


class Pick(Op):
    """y = x[..., i, j, ...] with arrays of integers or bools; None in `dims`: a whole dimension"""

    fresh = True

    def forward(self, x, *arrays):
        self.shape = x.shape
        return x[filled(self.dims, arrays)]

    def backward(self, g, _y, _x, *arrays):
        if isinstance(g, Tensor):
            return PickAdd(dims=self.dims, shape=self.shape)(g, *arrays), *[None] * len(arrays)
        masks = all(i.dtype.kind == "b" for i in arrays)
        return Part(g, filled(self.dims, arrays), distinct=masks), *[None] * len(arrays)


class PickAdd(Op):
    """Zeros of `shape` with x added where `Pick` reads: its adjoint"""

    fresh = True

    def forward(self, x, *arrays):
        return Part(x, filled(self.dims, arrays), distinct=False).whole(self.shape)

    def backward(self, g, _y, _x, *arrays):
        return Pick(dims=self.dims)(g, *arrays), *[None] * len(arrays)


class Put(Op):
    """x with `value` at arrays of integers or bools, or added there"""

    def forward(self, x, value, *arrays):
        y, index = x.copy(), filled(self.dims, arrays)
        self.value_shape = getattr(value, "shape", ())
        if self.accumulate:
            self.backend.add_at(y, index, value)
        else:
            y[index] = value
        return y

    def backward(self, g, _y, _x, _value, *arrays):
        dx = g if self.accumulate else Put(dims=self.dims, accumulate=False)(g, 0.0, *arrays)
        dvalue = Pick(dims=self.dims)(g, *arrays) if self.needs[1] else None
        return dx, dvalue, *[None] * len(arrays)


def filled(dims: list, arrays: tuple) -> tuple:
    """An index with the arrays in the places that `dims` marks with True."""
    arrays = iter(arrays)
    return tuple([next(arrays) if marked else slice(None) for marked in dims])


def _split(parts: list, x: Any) -> tuple[list, list]:
    """Which dimensions have an array, and the arrays, on x's device."""
    place = backend_of(raw(x)).place
    arrays = [
        part if isinstance(part, Tensor) and type(part.array) is type(raw(x)) else place(raw(part))
        for part in parts
        if part is not None
    ]
    return [part is not None for part in parts], arrays


def index(input, index):
    """x[index]; IndexError where the index does not fit."""
    basic, parts = parsed(index, raw(input))
    if basic is not None:
        input = Index(basic)(input)
    if parts is None:
        return input
    dims, arrays = _split(parts, input)
    return Pick(dims=dims)(input, *arrays)


def set_item(x: Tensor, index: Any, value: Any) -> None:
    """x[index] = value, with gradients to both."""
    if not isinstance(value, Tensor):
        value = np.asarray(value) if isinstance(value, (list, tuple)) else value
        value = backend_of(x.array).upload(value) if isinstance(value, np.ndarray) else value
    basic, parts = parsed(index, x.array)
    part = x.array if basic is None else _read(x.array, basic)
    if parts is None:
        if isinstance(value, Tensor) and value.array.ndim > part.ndim:
            value = value.reshape(value.shape[value.ndim - part.ndim :])  # leading sizes of 1
        write(x, part, value)
        return
    dims, arrays = _split(parts, x)
    if is_recording() and (x.requires_grad or getattr(value, "requires_grad", False)):
        view = x if basic is None else x[basic]
        if isinstance(value, Tensor) and value.dtype != x.dtype:
            value = value.to(dtype=x.dtype)
        become(view, Put(dims=dims, accumulate=False)(view, value, *arrays))
        return
    check_memory(part)
    try:
        part[filled(dims, [raw(a) for a in arrays])] = raw(value)
    except ValueError as error:  # as PyTorch has it
        raise RuntimeError(f"writing into a tensor of shape {tuple(x.shape)}: {error}") from error
    x.changed()


def _read(array: Any, basic: tuple) -> Any:
    try:
        return array[basic]
    except IndexError as error:
        raise IndexError(f"index of a tensor of shape {tuple(array.shape)}: {error}") from error


def index_put(input, indices, values, accumulate=False):
    """x with `values` at x[indices], or added there."""
    basic, parts = parsed(tuple(indices), raw(input))
    if basic is not None:
        raise IndexError("index_put takes tensors as indices; for slices assign to x[...]")
    dims, arrays = _split(parts or [], input)
    return Put(dims=dims, accumulate=accumulate)(input, values, *arrays)


def index_put_(input, indices, values, accumulate=False):
    return become(input, index_put(input, indices, values, accumulate))
