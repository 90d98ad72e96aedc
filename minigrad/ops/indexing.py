"""Reading and adding through an index."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import CPU, backend_of, is_array
from ..op import Op, raw
from ..tensor import Tensor
from .elementwise import eq, masked_fill
from .shape import checked_dim


def raw_index(index: Any) -> Any:
    """An index with the arrays of the Tensors in it."""
    if isinstance(index, Tensor):
        return index.array
    if isinstance(index, tuple):
        return tuple([raw_index(part) for part in index])
    return index.copy() if isinstance(index, np.ndarray) else index  # the caller may change his


def is_basic(index: Any) -> bool:
    """Whether an index meets every element at most once (no integer arrays, no lists)."""
    parts = index if isinstance(index, tuple) else (index,)
    return not any(isinstance(i, (list, np.ndarray)) or (is_array(i) and i.ndim) for i in parts)


def read(x: Any, index: Any) -> Any:
    """x[index]; one element by a basic index is a 0-d view, where NumPy would copy a scalar."""
    parts = index if isinstance(index, tuple) else (index,)
    if is_basic(index) and all(part is not Ellipsis for part in parts):
        return x[(*parts, ...)]
    return x[index]


class Index(Op):
    """y = x[index], for every form of NumPy index"""

    view = True
    fresh = True

    def forward(self, x):
        self.shape, self.index = x.shape, self.backend.place(self.index)
        return read(x, self.index)

    def backward(self, g, _y, _x):
        return IndexAdd(index=self.index, shape=self.shape)(g)


class IndexAdd(Op):
    """Zeros of `shape` with x added at `index`: the adjoint of reading there"""

    def forward(self, x):
        y = self.xp.zeros(self.shape, x.dtype)
        if is_basic(self.index):
            y[self.index] = x
        else:
            self.backend.add_at(y, self.index, x)
        return y

    def backward(self, g, _y, _x):
        return Index(index=self.index)(g)


class Gather(Op):
    """y[i, j] = x[i, index[i, j]] along `dim`"""

    fresh = True

    def forward(self, x, index):
        self.shape = x.shape
        if x.ndim == index.ndim:  # the index may be smaller in the other dimensions, as in PyTorch
            sizes = [
                slice(n if d != self.dim % x.ndim else None) for d, n in enumerate(index.shape)
            ]
            x = x[tuple(sizes)]
        return self.xp.take_along_axis(x, index, axis=self.dim)

    def backward(self, g, _y, _x, index):
        return ScatterAdd(dim=self.dim, shape=self.shape)(g, index), None


class ScatterAdd(Op):
    """Zeros of `shape` with x added where `gather` would read: its adjoint"""

    fresh = True

    def forward(self, x, index):
        y = self.xp.zeros(self.shape, x.dtype)
        where = [
            self.xp.arange(n).reshape([-1 if axis == d else 1 for axis in range(x.ndim)])
            for d, n in enumerate(index.shape)
        ]
        where[self.dim] = index
        self.backend.add_at(y, tuple(where), x)
        return y

    def backward(self, g, _y, _x, index):
        return Gather(dim=self.dim)(g, index), None


class Rows(Op):
    """y = table[ids], the rows of a table (V, D) at ids of any shape S: (*S, D)

    Row `padding_idx` is read and gets no gradient.
    """

    fresh = True

    def forward(self, table, ids):
        self.shape = table.shape
        return table[ids]

    def backward(self, g, _y, _table, ids):
        return AddRows(shape=self.shape, padding_idx=self.padding_idx)(g, ids), None


class AddRows(Op):
    """Zeros of `shape` (V, D) with the rows of g added at ids: the adjoint of reading rows there"""

    def forward(self, g, ids):
        table = self.xp.zeros(self.shape, g.dtype)
        self.backend.add_at(table, ids.reshape(-1), g.reshape(-1, self.shape[1]))
        if self.padding_idx is not None:
            table[self.padding_idx] = 0
        return table

    def backward(self, g, _y, _g, ids):
        rows = Rows(padding_idx=None)(g, ids)
        if self.padding_idx is not None:
            pads = eq(ids, self.padding_idx)
            rows = masked_fill(rows, pads.reshape((*pads.shape, 1)), 0.0)
        return rows, None


def index(x, index):
    """x[index]; IndexError where the index does not fit."""
    op = Index(index=raw_index(index))
    y = op(x)
    if op.recorded:  # an index that changes before backward would send the gradient astray
        parts = index if isinstance(index, tuple) else (index,)
        for i, part in enumerate(parts):
            if isinstance(part, Tensor):
                op.versions["index", i] = part.version, part.version[0]
    return y


def gather(x, dim, index):
    """The elements of x at `index` along `dim`; all other sizes must agree."""
    ids, array = raw(index), raw(x)
    size = array.shape[checked_dim(dim, array.ndim)]
    if backend_of(ids) is CPU and ids.size and not 0 <= ids.min() <= ids.max() < size:
        raise RuntimeError(
            f"gather: an index is outside 0 to {size - 1}; negative ones do not wrap"
        )
    return Gather(dim=dim)(x, index)


def embedding(ids, table, padding_idx=None):
    """Rows of `table` (V, D) at ids, integers of any shape."""
    return Rows(padding_idx=padding_idx)(table, ids)
