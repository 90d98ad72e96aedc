"""Elements by index along one dimension."""

from __future__ import annotations

from ..backend import CPU, backend_of
from ..op import Op, raw
from .shape import checked_dim


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


def gather(x, dim, index):
    """The elements of x at `index` along `dim`; all other sizes must agree."""
    ids, array = raw(index), raw(x)
    size = array.shape[checked_dim(dim, array.ndim)]
    if backend_of(ids) is CPU and ids.size and not 0 <= ids.min() <= ids.max() < size:
        raise RuntimeError(
            f"gather: an index is outside 0 to {size - 1}; negative ones do not wrap"
        )
    return Gather(dim=dim)(x, index)
