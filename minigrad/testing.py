"""Checks for ops and layers, the project's own and its users'."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .autograd import gradcheck as check
from .autograd.gradcheck import derivative
from .fused.base import composed  # noqa: F401  runs every fused op as its definition
from .tensor import Tensor


def gradcheck(
    function: Callable[..., Any],
    inputs: Sequence[Tensor],
    *,
    order: int = 1,
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    seed: int = 0,
) -> bool:
    """`autograd.gradcheck` to any order, and with less tolerance.

    Order 2 checks the gradient function itself in the same way, with respect to the inputs and to the
    weights of the outputs; any order works.
    """
    while True:
        check(function, inputs, eps=eps, atol=atol, rtol=rtol, seed=seed)
        order -= 1
        if not order:
            return True
        function, inputs = derivative(function, tuple(inputs), None, seed)
        if function is None:
            return True
        seed += 1
