"""Linear algebra under the names of `torch.linalg`."""

from __future__ import annotations

from typing import Any

from .ops.factorize import (
    cholesky,
    det,
    eigh,
    eigvalsh,
    inv,
    matrix_rank,
    pinv,
    qr,
    slogdet,
    solve,
    svd,
    svdvals,
)
from .ops.products import matmul, matrix_power, multi_dot, vecdot
from .ops.products import cross as _cross
from .ops.reduce import amax, amin, sum_
from .ops.reduce import norm as _norm
from .ops.elementwise import abs as _abs
from .ops.elementwise import div as _div
from .ops.shape import movedim, reshape
from .ops.solving import (
    cholesky_ex,
    increasing_powers as _increasing_powers,
    inv_ex,
    lstsq,
    matrix_exp,
    solve_triangular,
    tensorinv,
    tensorsolve,
)
from .ops.tiling import diagonal as _diagonal

LinAlgError = RuntimeError

__all__ = [
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "inv_ex",
    "lstsq",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
    "LinAlgError",
]


def vector_norm(x: Any, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype=None):
    """(Σ |x|ᵒʳᵈ)¹ᐟᵒʳᵈ over `dim`, or over all elements."""
    return _norm(x, ord, dim, keepdim, dtype=dtype)


def matrix_norm(A: Any, ord: Any = "fro", dim=(-2, -1), keepdim: bool = False, *, dtype=None):
    """ "fro", "nuc" (sum of singular values), 2 and -2 (the largest and smallest), 1, -1 (of the
    column sums) or inf, -inf (of the row sums).
    """
    row, column = [d % A.ndim for d in dim]
    if row == column:
        raise RuntimeError(f"matrix_norm along {dim}: expected two different dimensions")
    if ord == "fro":
        return _norm(A, 2, (row, column), keepdim, dtype=dtype)
    if ord in ("nuc", 2, -2):
        s = svdvals(movedim(A, (row, column), (-2, -1)))
        y = sum_(s, -1) if ord == "nuc" else (amax if ord == 2 else amin)(s, -1)
    elif ord in (1, -1, float("inf"), -float("inf")):
        first, second = (row, column) if abs(ord) == 1 else (column, row)
        sums = sum_(_abs(A), first, True)
        y = (amax if ord > 0 else amin)(sums, (first, second))
    else:
        raise RuntimeError(f"matrix_norm: order {ord!r} is not supported")
    if keepdim:
        y = reshape(y, [1 if d in (row, column) else n for d, n in enumerate(A.shape)])
    return y


def norm(A: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype=None):
    """`matrix_norm` for two dimensions and an order, else `vector_norm`."""
    both = A.ndim == 2 if dim is None else isinstance(dim, (tuple, list)) and len(dim) == 2
    if ord is not None and both:
        return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)


def cross(input: Any, other: Any, *, dim: int = -1):
    return _cross(input, other, dim)


def diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1):
    return _diagonal(A, offset, dim1, dim2)


def cond(A: Any, p: Any = None):
    """‖A‖ ‖A⁻¹‖ in a norm of `matrix_norm`; for None, 2 and -2 the ratio of singular values."""
    if p in (None, 2, -2):
        s = svdvals(A)
        return _div(s[..., 0], s[..., -1]) if p != -2 else _div(s[..., -1], s[..., 0])
    return matrix_norm(A, p) * matrix_norm(inv(A), p)


def vander(x: Any, *, N: int | None = None):
    """1, x, x², ... x^(N - 1) along a new last dimension."""
    return _increasing_powers(x, N)
