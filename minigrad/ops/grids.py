"""Triangles, grids, choices, one-hot vectors: Tensors made of other ones."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np

from ..backend import backend_of
from ..op import Op, raw
from ..tensor import Tensor, wrap
from .creation import empty
from .from_data import tensor_of
from .shape import expand, reshape, stack


class Tril(Op):
    """x with zeros above a diagonal"""

    keep = "tril"

    def forward(self, x):
        if x.ndim < 2:
            raise RuntimeError(f"{self.keep} needs at least 2 dimensions, got shape {x.shape}")
        return getattr(self.xp, self.keep)(x, self.diagonal)

    def backward(self, g, _y, _x):
        return type(self)(diagonal=self.diagonal)(g)


class Triu(Tril):
    """x with zeros below a diagonal"""

    keep = "triu"


def tril(input: Any, diagonal: int = 0) -> Any:
    """The lower triangle of matrices, up to a diagonal counted from the main one."""
    return Tril(diagonal=diagonal)(input)


def triu(input: Any, diagonal: int = 0) -> Any:
    """The upper triangle of matrices, from a diagonal counted from the main one."""
    return Triu(diagonal=diagonal)(input)


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple:
    """Vectors as the coordinates of a grid, one tensor of the grid's shape for each.

    With indexing "ij" the first vector runs along dimension 0, with "xy" along dimension 1.
    """
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if indexing is None:
        warnings.warn(
            'meshgrid: say indexing="ij" (what is done now) or indexing="xy"',
            UserWarning,
            stacklevel=2,
        )
    elif indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing must be 'ij' or 'xy', got {indexing!r}")
    if not tensors:
        raise RuntimeError("meshgrid needs at least one tensor")
    if any(x.ndim > 1 for x in tensors):
        raise RuntimeError(f"meshgrid takes vectors, got {[tuple(x.shape) for x in tensors]}")
    if len({x.dtype for x in tensors}) > 1:
        raise RuntimeError(f"meshgrid takes one dtype, got {[str(x.dtype) for x in tensors]}")
    places = list(range(len(tensors)))
    if indexing == "xy" and len(tensors) > 1:
        places[:2] = 1, 0
    sizes = [math.prod(x.shape) for x in tensors]
    shape = [sizes[i] for i in places]
    grid = []
    for place, size, x in zip(places, sizes, tensors):
        ones_around = [size if d == place else 1 for d in range(len(shape))]
        grid.append(expand(reshape(x, ones_around), shape))
    return tuple(grid)


def cartesian_prod(*tensors: Any) -> Any:
    """All combinations of one element of each vector, one a row."""
    if len(tensors) == 1:
        return tensors[0]
    columns = [reshape(x, (-1,)) for x in meshgrid(*tensors, indexing="ij")]
    return stack(columns, 1)


def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Any:
    """All choices of r elements of a vector, in order, one a row."""
    if input.ndim != 1:
        raise RuntimeError(f"combinations of a vector, got shape {tuple(input.shape)}")
    if r < 0:
        raise RuntimeError(f"combinations of {r} elements: expected at least 0")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(choose(range(len(input)), r))
    if not r:
        return empty(0, dtype=input.dtype, device=input.device)
    if not rows:
        return reshape(input[:0], (0, r))
    return input[tensor_of(rows, device=input.device)]


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """int64 vectors (*S, num_classes) with a one at the place each class number of (*S) names."""
    ids = raw(tensor)
    if ids.dtype != np.int64:
        raise RuntimeError(f"one_hot takes class numbers in int64, got {ids.dtype}: use .long()")
    if not ids.size and num_classes <= 0:
        raise RuntimeError("one_hot of an empty tensor needs num_classes")
    if ids.size and int(ids.min()) < 0:
        raise RuntimeError(f"one_hot: class numbers start at 0, got {int(ids.min())}")
    if num_classes == -1:
        num_classes = int(ids.max()) + 1
    elif num_classes < 1:
        raise RuntimeError(f"one_hot: num_classes must be positive, got {num_classes}")
    elif ids.size and int(ids.max()) >= num_classes:
        raise RuntimeError(f"one_hot: class {int(ids.max())} of {num_classes} classes")
    xp = backend_of(ids).xp
    hot = (ids[..., None] == xp.arange(num_classes)).astype(np.int64)
    return wrap(hot) if isinstance(tensor, Tensor) else hot


def complex(real: Any, imag: Any) -> Any:  # noqa: A001
    """Not there: complex numbers are out of scope."""
    raise RuntimeError("complex numbers are not supported: keep real and imaginary part apart")
