"""Clipping."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..backend import backend_of
from ..tensor import Tensor


def get_total_norm(tensors: Iterable[Tensor]) -> float:
    """The Euclidean norm of all elements together; finite wherever the true norm fits a float64."""
    total = 0.0
    for x in tensors:
        flat = x.array.reshape(-1)
        with np.errstate(over="ignore"):
            square = float(backend_of(flat).xp.dot(flat, flat))
        if not 1e-30 < square < math.inf:  # squares beyond float32: once more, in float64
            square = float((flat.astype(np.float64) ** 2).sum())
        total += square
    return math.sqrt(total)


def clip_grad_norm_(
    parameters: Iterable[Tensor] | Tensor, max_norm: float, *, error_if_nonfinite: bool = True
) -> float:
    """Scale all gradients so that their common norm is at most `max_norm` (Pascanu et al. 2013).

    Returns the norm before clipping. A norm that is NaN or infinite raises RuntimeError and changes
    nothing: every comparison with NaN is false, so it would walk through. With
    `error_if_nonfinite=False` the gradients stay as they are and the caller must look at the
    returned norm before it steps.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm is {max_norm}, expected a positive number")
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    grads = [p.grad for p in parameters if p.grad is not None]
    norm = get_total_norm(grads)
    if not math.isfinite(norm):
        if error_if_nonfinite:
            raise RuntimeError(
                f"the norm of the gradients is {norm}: nothing was clipped; take no step"
            )
        return norm
    if norm > max_norm:
        for g in grads:
            g.array *= max_norm / (norm + 1e-6)
            g.changed()
    return norm
