"""Reading and adding through an index."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import is_array
from ..op import Op
from ..tensor import Tensor


def raw_index(index: Any) -> Any:
    """An index with the arrays of the Tensors in it."""
    if isinstance(index, Tensor):
        return index.array
    if isinstance(index, tuple):
        return tuple([i.array if isinstance(i, Tensor) else i for i in index])
    return index


def is_basic(index: Any) -> bool:
    """Whether an index meets every element at most once (no integer arrays, no lists)."""
    parts = index if isinstance(index, tuple) else (index,)
    return not any(isinstance(i, (list, np.ndarray)) or (is_array(i) and i.ndim) for i in parts)


class Index(Op):
    """y = x[index], for every form of NumPy index"""

    view = True
    fresh = True

    def forward(self, x):
        self.shape, self.index = x.shape, self.backend.place(self.index)
        return x[self.index]

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


def index(x, index):
    """x[index]; IndexError where the index does not fit."""
    return Index(index=raw_index(index))(x)


def gather(x, dim, index):
    """The elements of x at `index` along `dim`; all other sizes must agree."""
    return Gather(dim=dim)(x, index)
