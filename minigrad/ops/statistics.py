"""Covariances, distances, and sums and slopes of sampled functions."""

from __future__ import annotations

from typing import Any

from ..backend import module_of
from . import elementwise as ew
from .choosing import clamp, where
from .comparisons import gt
from .convert import cast
from .from_data import as_tensor
from .names import data_of, numpy_names, several
from .products import matmul
from .promotion import default_dtype
from .reduce import norm, sum_
from .scan import cumsum
from .shape import cat, checked_dim, narrow, reshape, squeeze, transpose, unsqueeze
from .tiling import diagonal
from .transcendental import sqrt


def dist(input: Any, other: Any, p: float = 2) -> Any:
    """The p-norm of the difference."""
    return norm(ew.sub(input, other), p)


def renorm(input: Any, p: float, dim: int, maxnorm: float) -> Any:
    """Each slice along `dim` with a p-norm of at most `maxnorm`, scaled down where it has more."""
    ndim = data_of(input).ndim
    if ndim < 2:
        raise RuntimeError(f"renorm of {ndim} dimensions: expected at least 2")
    if maxnorm < 0 or p <= 0:
        raise RuntimeError(f"renorm with p={p}, maxnorm={maxnorm}: expected p > 0, maxnorm >= 0")
    dim = checked_dim(dim, ndim)
    size = norm(input, p, tuple([d for d in range(ndim) if d != dim]), True)
    return input * where(gt(size, maxnorm), maxnorm / (size + 1e-7), 1.0)


def cov(input: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    """The covariances of variables (rows) over observations (columns), with a count (`fweights`) or
    an importance (`aweights`) of each observation.
    """
    ndim, x = data_of(input).ndim, input
    if ndim > 2:
        raise RuntimeError(f"cov of {ndim} dimensions: expected variables and observations, 2")
    if data_of(x).dtype.kind != "f":
        x = cast(x, default_dtype())
    x = reshape(x, (1, -1)) if ndim < 2 else x
    count, weights = data_of(x).shape[1], None
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        w = None if given is None else data_of(given)
        if w is not None and (w.shape != (count,) or (w < 0).any()):
            raise RuntimeError(
                f"cov: {name} of shape {w.shape}, expected {count} numbers of at least 0"
            )
    if fweights is not None:
        if data_of(fweights).dtype.kind not in "iu":
            raise RuntimeError(f"fweights are counts, integers, got {data_of(fweights).dtype}")
        weights = cast(fweights, data_of(x).dtype)
        count = sum_(weights)
    degrees = count - correction
    if aweights is not None:
        weights = aweights if weights is None else weights * aweights
        degrees = sum_(weights) - correction * sum_(weights * aweights) / sum_(weights)
        count = sum_(weights)
    weighted = x if weights is None else x * weights
    centred = x - sum_(weighted, 1, True) / count
    again = centred if weights is None else centred * weights
    if not isinstance(degrees, (int, float)):
        degrees = clamp(degrees, min=0)
        return squeeze(matmul(again, transpose(centred, 0, 1)) / degrees)
    products = matmul(again, transpose(centred, 0, 1))
    # 0 / 0 is NaN as an array and an error as a number
    return squeeze(products / degrees if degrees > 0 else products / (products * 0.0))


def corrcoef(input: Any) -> Any:
    """The correlations of variables (rows) over observations (columns)."""
    if data_of(input).ndim > 2:
        raise RuntimeError(f"corrcoef of {data_of(input).ndim} dimensions: expected at most 2")
    c = cov(input)
    if not data_of(c).ndim:
        return c / c
    spread = sqrt(diagonal(c))
    return clamp(c / unsqueeze(spread, 1) / spread, -1, 1)


@numpy_names
def trapezoid(y: Any, x: Any = None, *, dx: float = 1.0, dim: int = -1) -> Any:
    """The integral along `dim` of a function sampled at x, or at steps of `dx`: Σ ½ (y₀ + y₁) Δx"""
    return sum_(_areas(y, x, dx, dim), dim)


def cumulative_trapezoid(y: Any, x: Any = None, *, dx: float = 1.0, dim: int = -1) -> Any:
    """The integrals up to each sample but the first; see `trapezoid`."""
    return cumsum(_areas(y, x, dx, dim), dim)


trapz = trapezoid


def _areas(y, x, dx, dim):
    n, ndim = data_of(y).shape[dim], data_of(y).ndim
    dim = checked_dim(dim, ndim)
    heights = narrow(y, dim, 1, n - 1) + narrow(y, dim, 0, n - 1) if n else y
    if x is None:
        return heights * (0.5 * dx)
    places = data_of(x).ndim
    if places == 1:
        x, at = reshape(x, (-1, *[1] * (ndim - 1 - dim))), -1 - (ndim - 1 - dim)
    else:
        at = dim - ndim
    if data_of(x).shape[at] != n:
        raise RuntimeError(f"trapezoid: {n} values at {data_of(x).shape[at]} places")
    return heights * (0.5 * (narrow(x, at, 1, n - 1) - narrow(x, at, 0, n - 1)))


def gradient(
    input: Any, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1
) -> tuple[Any, ...]:
    """The slopes of a sampled function along each of the dimensions: in the middle from both
    neighbours, at the edges from one (`edge_order` 1) or two.

    `spacing` is a number, a number for each dimension, or for each a tensor of coordinates.
    """
    ndim = data_of(input).ndim
    dims = [checked_dim(d, ndim) for d in (range(ndim) if dim is None else several(dim))]
    if len(set(dims)) != len(dims):
        raise RuntimeError(f"gradient: a dimension occurs twice in {dim}")
    spacing = 1 if spacing is None else spacing
    single = isinstance(spacing, (int, float)) or hasattr(spacing, "ndim")
    steps = [spacing] * len(dims) if single else list(spacing)
    if edge_order not in (1, 2):
        raise RuntimeError(f"edge_order is {edge_order}, expected 1 or 2")
    if len(steps) != len(dims):
        raise RuntimeError(f"{len(steps)} spacings for {len(dims)} dimensions")
    return tuple([_slopes(input, d, step, edge_order) for d, step in zip(dims, steps)])


def _slopes(y, dim, step, edge_order):
    n, ndim = data_of(y).shape[dim], data_of(y).ndim
    if n < edge_order + 1:
        raise RuntimeError(f"gradient along a dimension of {n}: expected at least {edge_order + 1}")
    if data_of(y).dtype.kind != "f":
        y = cast(y, default_dtype())
    if not getattr(step, "ndim", 0):
        step = [float(step)] * (n - 1)
    else:
        x = data_of(step)
        step = [float(v) for v in x[1:] - x[:-1]]
    xp, shape = module_of(data_of(y)), (-1, *[1] * (ndim - 1 - dim))

    def row(values):
        """Host numbers as constants along `dim`."""
        made = xp.asarray(values, data_of(y).dtype).reshape(shape)
        return made if y is data_of(y) else as_tensor(made)

    def at(i, count):
        return narrow(y, dim, i, count)

    a, b = row(step[:-1]), row(step[1:])  # to the left and to the right of the inner samples
    parts = []
    if n > 2:
        left, centre, right = at(0, n - 2), at(1, n - 2), at(2, n - 2)
        parts = [
            left * (-b / (a * (a + b))) + centre * ((b - a) / (a * b)) + right * (a / (b * (a + b)))
        ]
    if edge_order == 1:
        first = (at(1, 1) - at(0, 1)) / step[0]
        last = (at(n - 1, 1) - at(n - 2, 1)) / step[-1]
    else:
        first = _edge(at(0, 1), at(1, 1), at(2, 1), step[0], step[1])
        last = -_edge(at(n - 1, 1), at(n - 2, 1), at(n - 3, 1), step[-1], step[-2])
    return cat([first, *parts, last], dim)


def _edge(y0, y1, y2, a, b):
    """The slope at the first of three samples, by the parabola through them."""
    return y0 * (-(2 * a + b) / (a * (a + b))) + y1 * ((a + b) / (a * b)) - y2 * (a / (b * (a + b)))
