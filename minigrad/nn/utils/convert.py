"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from ... import ops
from ...tensor import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters, flattened, in one vector; gradients flow back through it."""
    return ops.cat([ops.reshape(p, (-1,)) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy the pieces of a vector into the parameters, in order."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected a Tensor, got {type(vec).__name__}")
    start, values = 0, vec.detach()
    for p in parameters:
        piece = values[start : start + p.numel()]
        if piece.numel() < p.numel():
            raise RuntimeError(
                f"the vector has {vec.numel()} elements, too few for parameters up to this one "
                f"of shape {tuple(p.shape)}"
            )
        p.detach().copy_(ops.reshape(piece, p.shape))
        start += p.numel()
