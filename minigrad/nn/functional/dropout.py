"""Dropout and its relatives."""

from __future__ import annotations

import math
import warnings

from ...ops.random import Generator, drop_factors
from ...tensor import Tensor


def check_probability(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability {p}: expected a number from 0 to 1")


def dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Each element 0 with probability p, the others divided by 1 - p (Srivastava et al. 2014)."""
    check_probability(p)
    if not training or p == 0:
        return input
    return _dropped(input, input.shape, p, inplace, generator)


def _dropped(
    x: Tensor, shape: tuple, p: float, inplace: bool, generator: Generator | None = None
) -> Tensor:
    factor = drop_factors(tuple(shape), p, x, generator)
    return x.mul_(factor) if inplace else x * factor


def _of_features(
    name: str, x: Tensor, p: float, training: bool, inplace: bool, ndims: tuple, batched: int
) -> Tensor:
    """Whole channels dropped: x (N, C, ...) or, with one dimension less, (C, ...)."""
    check_probability(p)
    if x.ndim not in ndims:
        message = f"{name} takes {' or '.join(map(str, ndims))} dimensions, got {x.ndim}"
        if name == "dropout1d":
            raise RuntimeError(message)
        warnings.warn(message, stacklevel=3)
    if not training or p == 0:
        return x
    lead = 1 if x.ndim == batched - 1 else 2
    return _dropped(x, (*x.shape[:lead], *[1] * (x.ndim - lead)), p, inplace)


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Whole channels of (N, C, L) or (C, L) dropped."""
    return _of_features("dropout1d", input, p, training, inplace, (2, 3), 3)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Whole channels of (N, C, ...) dropped; three dimensions are taken for (N, C, L)."""
    return _of_features("dropout2d", input, p, training, inplace, (3, 4), 0)


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Dropout that keeps mean and variance behind `selu` (Klambauer et al. 2017)."""
    return _alpha(input, tuple(input.shape), p, training, inplace)


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """`alpha_dropout` of whole channels of (N, C, ...)."""
    if input.ndim < 2 and training and p:
        raise RuntimeError(f"feature dropout takes at least 2 dimensions, got {input.ndim}")
    shape = (*input.shape[:2], *[1] * (input.ndim - 2))
    return _alpha(input, shape, p, training, inplace)


def _alpha(x: Tensor, shape: tuple, p: float, training: bool, inplace: bool) -> Tensor:
    check_probability(p)
    if not training or p == 0:
        return x
    if p == 1:
        return x.mul_(0.0) if inplace else x * 0.0
    low = -1.7580993408473766  # what selu tends to for x -> -∞
    scale = 1 / math.sqrt((1 - p) * (1 + p * low * low))
    kept = (drop_factors(shape, p, x) != 0).to(dtype=x.dtype)
    factor, shift = kept * scale, ((1 - kept) - p) * (low * scale)
    return x.mul_(factor).add_(shift) if inplace else x * factor + shift
