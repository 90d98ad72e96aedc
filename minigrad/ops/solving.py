"""Equations with factored and with rectangular matrices, exponentials and powers of matrices."""

from __future__ import annotations

import math
from typing import Any

from ..backend import module_of, to_numpy
from .factorize import (
    _square,
    cholesky,
    inv,
    mT,
    matrix_rank,
    pinv,
    solve,
    svdvals,
)
from .convert import cast, clone
from .creation import full_like
from .grids import tril, triu
from .names import data_of, return_types
from .products import matmul
from .reduce import sum_
from .scatter import constant
from .shape import movedim, narrow, reshape, squeeze, stack, unsqueeze
from .tiling import flip


def solve_triangular(
    A: Any, B: Any, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Any:
    """X with A X = B (X A = B unless `left`), where only a triangle of A is read; its diagonal
    counts as 1 with `unitriangular`.
    """
    _square(A, "solve_triangular")
    if data_of(B).ndim < 2:
        raise RuntimeError(f"solve_triangular: B has shape {data_of(B).shape}, expected matrices")
    part = triu if upper else tril
    triangle = part(A, (1 if upper else -1) if unitriangular else 0)
    if unitriangular:
        ones = module_of(data_of(A)).eye(data_of(A).shape[-1], dtype=data_of(A).dtype)
        triangle = triangle + constant(ones, A)
    return solve(triangle, B, left=left)


def triangular_solve(
    input: Any, A: Any, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Any:
    """`solve_triangular` in its older form: the solution, and A."""
    a, flipped = (mT(A), not upper) if transpose else (A, upper)
    return return_types.triangular_solve(
        solve_triangular(a, input, upper=flipped, unitriangular=unitriangular), clone(A)
    )


def _triangle(L, upper):
    """L without what stands in the other triangle; as in PyTorch its gradient is a full matrix."""
    xp = module_of(data_of(L))
    return L - constant(xp.tril(data_of(L), -1) if upper else xp.triu(data_of(L), 1), L)


def cholesky_solve(input: Any, input2: Any, upper: bool = False) -> Any:
    """X with L Lᵀ X = B (Lᵀ L X = B if `upper`), where B is `input` and L is `input2`."""
    _square(input2, "cholesky_solve")
    L = _triangle(input2, upper)
    first, second = (mT(L), L) if upper else (L, mT(L))
    return solve(second, solve(first, input))


def cholesky_inverse(input: Any, upper: bool = False) -> Any:
    """The inverse of L Lᵀ (of Lᵀ L for an `upper` triangle)."""
    _square(input, "cholesky_inverse")
    half = inv(_triangle(input, upper))
    return matmul(half, mT(half)) if upper else matmul(mT(half), half)


def _with_info(function: Any, name: str) -> Any:
    """A factorisation beside a number, 0 where it succeeded: here it does, or raises."""

    def call(A: Any, **options: Any) -> Any:
        options.pop("check_errors", None)
        y = function(A, **options)
        zeros = module_of(data_of(A)).zeros(data_of(A).shape[:-2], "int32")
        return getattr(return_types, name)(y, constant(zeros, A))

    call.__name__ = name
    call.__doc__ = (
        f"`{function.__name__}`, and 0 for each matrix; RuntimeError where there is none."
    )
    return call


cholesky_ex, inv_ex = _with_info(cholesky, "cholesky_ex"), _with_info(inv, "inv_ex")


def lstsq(A: Any, B: Any, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """The X with the smallest ‖A X - B‖, and of those the smallest; with the squares of what
    remains, the rank of A and, if the driver finds them, its singular values.
    """
    a, b = data_of(A), data_of(B)
    if a.ndim < 2 or b.ndim < 1 or driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(f"lstsq of shapes {a.shape} and {b.shape} with driver {driver!r}")
    vector = b.ndim == 1 or (a.ndim - 1 == b.ndim and b.shape == a.shape[:-1])
    right = unsqueeze(B, -1) if vector else B
    if data_of(right).shape[-2] != a.shape[-2]:
        raise RuntimeError(f"lstsq of shapes {a.shape} and {b.shape}: sizes differ")
    X = matmul(pinv(A, rtol=rcond), right)
    rank = matrix_rank(A, rtol=rcond)
    nothing = narrow(reshape(A, (-1,)), 0, 0, 0)
    full = a.shape[-2] > a.shape[-1] and bool((data_of(rank) == a.shape[-1]).all())
    residuals = nothing
    if full and driver not in (None, "gelsy"):
        rest = matmul(A, X) - right
        residuals = sum_(rest * rest, -2)
    values = constant(data_of(svdvals(A) if driver in ("gelsd", "gelss") else nothing), A)
    if driver == "gels":
        rank = cast(nothing, "int64")
    return return_types.lstsq(squeeze(X, -1) if vector else X, residuals, rank, values)


def matrix_exp(A: Any) -> Any:
    """1 + A + A²/2! + A³/3! + ..., of A / 2ᵏ with a small norm, then squared k times."""
    _square(A, "matrix_exp")
    a = data_of(A)
    eye = constant(module_of(a).eye(a.shape[-1], dtype=a.dtype), A)
    norm = float(to_numpy(abs(a).sum(axis=-1).max())) if a.size else 0.0
    small = 1.0 if a.dtype.itemsize == 8 else 3.0  # there 18 terms reach the last digit
    squarings = max(0, math.ceil(math.log2(norm / small))) if 0 < norm < math.inf else 0
    A = A * 0.5**squarings
    y = eye + A * (1 / 18)
    for k in range(17, 0, -1):
        y = eye + matmul(A, y) * (1 / k)
    for _ in range(squarings):
        y = matmul(y, y)
    return y


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """The powers x^(N - 1), ... x, 1 of each element as columns, from 1 up if `increasing`."""
    if data_of(x).ndim != 1:
        raise RuntimeError(f"vander of {data_of(x).ndim} dimensions: expected one")
    y = increasing_powers(x, N)
    return y if increasing else flip(y, 1)


def increasing_powers(x: Any, N: int | None) -> Any:
    """1, x, x², ... x^(N - 1) along a new last dimension."""
    x = x if data_of(x).ndim else reshape(x, (1,))
    N = data_of(x).shape[-1] if N is None else N
    columns = [full_like(x, 1)]
    for _ in range(N - 1):
        columns.append(columns[-1] * x)
    return stack(columns, -1) if N else stack(columns, -1)[..., :0]


def tensorinv(A: Any, ind: int = 2) -> Any:
    """The inverse of A as a map from its last dimensions to its first `ind`."""
    shape = tuple(data_of(A).shape)
    rows = math.prod(shape[:ind])
    return reshape(inv(reshape(A, (rows, -1))), (*shape[ind:], *shape[:ind]))


def tensorsolve(A: Any, B: Any, dims: Any = None) -> Any:
    """X with tensordot(A, X, X.ndim) = B."""
    if dims is not None:
        A = movedim(A, tuple(dims), tuple(range(-len(dims), 0)))
    shape = tuple(data_of(A).shape)[data_of(B).ndim :]
    count = math.prod(shape)
    return reshape(solve(reshape(A, (count, count)), reshape(B, (-1,))), shape)
