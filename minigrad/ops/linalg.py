"""Products of matrices."""

from __future__ import annotations

from ..op import Op, raw
from .reduce import sum_to
from .shape import reshape, transpose, unsqueeze


class Matmul(Op):
    """y = a b for matrices, batches broadcasting in front:  da = g bᵀ,  db = aᵀ g"""

    fresh = True
    bilinear = True

    def forward(self, a, b):
        self.shapes = a.shape, b.shape
        return self.xp.matmul(a, b)

    def backward(self, g, _y, a, b):
        da = db = None
        if self.needs[0]:
            da = sum_to_shape(matmul(g, transpose(b, -2, -1)), self.shapes[0])
        if self.needs[1]:
            db = sum_to_shape(matmul(transpose(a, -2, -1), g), self.shapes[1])
        return da, db


def sum_to_shape(x, shape):
    return x if raw(x).shape == shape else sum_to(x, shape)


def matmul(a, b):
    """The matrix product; a vector on the left is a row, on the right a column, and its dimension
    goes again.
    """
    x, y = raw(a), raw(b)
    if not x.ndim or not y.ndim:
        raise RuntimeError(
            f"matmul of shapes {x.shape} and {y.shape}: both need at least 1 dimension; "
            "use * for scalars"
        )
    if x.dtype != y.dtype:
        raise RuntimeError(f"matmul of {x.dtype} and {y.dtype}: convert one with .to(dtype=...)")
    if x.ndim == 1:
        a = unsqueeze(a, 0)
    if y.ndim == 1:
        b = unsqueeze(b, 1)
    out = Matmul()(a, b)
    shape = raw(out).shape
    if x.ndim == 1:
        shape = shape[:-2] + shape[-1:]
    if y.ndim == 1:
        shape = shape[:-1]
    return out if shape == raw(out).shape else reshape(out, shape)
