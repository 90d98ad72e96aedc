"""What the distributions share: broadcasting parameters, probabilities and logits."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from .. import ops
from ..dtypes import get_default_dtype
from ..modes import enable_grad
from ..tensor import Tensor


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Tensors of one shape; numbers take the dtype and the device of the first Tensor.

    Raises ValueError for what is neither a Tensor nor a number, RuntimeError for shapes that do not
    broadcast.
    """
    for value in values:
        if not isinstance(value, (Tensor, bool, int, float)):
            raise ValueError(f"expected Tensors and numbers, got {type(value).__name__}")
    tensors = [value for value in values if isinstance(value, Tensor)]
    like = dict(dtype=get_default_dtype())
    if tensors:
        like = dict(dtype=tensors[0].dtype, device=tensors[0].device)
    made = [x if isinstance(x, Tensor) else ops.tensor(x, **like) for x in values]
    try:
        shape = np.broadcast_shapes(*[x.shape for x in made])
    except ValueError as error:
        raise RuntimeError(f"parameters do not broadcast: {error}") from None
    return tuple([x if x.shape == shape else ops.expand(x, shape) for x in made])


def lazy_property(compute: Callable[[Any], Tensor]) -> cached_property:
    """An attribute that is computed once, when first read, and recorded even under no_grad: a
    sample may be the first to read what a loss is later computed from.
    """
    recorded = enable_grad()(compute)
    recorded.__doc__ = compute.__doc__
    return cached_property(recorded)


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities kept so far from 0 and 1 that their logarithms are finite."""
    eps = float(np.finfo(np.dtype(probs.dtype)).eps)
    return ops.clamp(probs, eps, 1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """ln p, or ln p / (1 - p) for the probability of one of two outcomes."""
    probs = clamp_probs(probs)
    return ops.log(probs) - ops.log(1.0 - probs) if is_binary else ops.log(probs)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    return ops.sigmoid(logits) if is_binary else ops.softmax(logits, -1)


def softplus(x: Tensor) -> Tensor:
    """ln(1 + eˣ)"""
    return ops.logsumexp(ops.stack([x, ops.zeros_like(x)], 0), 0)


def one_of(probs: Any, logits: Any) -> None:
    if (probs is None) == (logits is None):
        raise ValueError("give either probs or logits, and not both")


def sum_last(x: Tensor, dims: int) -> Tensor:
    """The sum over the last `dims` dimensions."""
    return ops.sum(ops.flatten(x, -dims), -1) if dims else x
