"""Gradients of every order against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..autograd import GradcheckError
from ..autograd import gradcheck as check
from ..autograd.gradcheck import derivative
from ..tensor import Tensor


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    order: int = 1,
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    raise_exception: bool = True,
    seed: int = 0,
) -> bool:
    """`autograd.gradcheck` to any order, and with less tolerance.

        x = minigrad.randn(3, 4, dtype=minigrad.float64, requires_grad=True)
        assert gradcheck(lambda x: x.softmax(1), x, order=2)

    Order 2 checks the gradient function itself in the same way, with respect to the inputs and to
    the weights of the outputs; any order works. True, or GradcheckError saying where, which is both
    an AssertionError and PyTorch's RuntimeError; with `raise_exception=False` False instead.
    Inputs that require a gradient must be float64. Raises ValueError if none does.
    """
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    for n in range(seed, seed + order):
        if n > seed:
            func, inputs = derivative(func, inputs, None, n - 1)
            if func is None:  # the gradient is constant, and its derivative zero
                return True
        try:
            check(func, inputs, eps=eps, atol=atol, rtol=rtol, seed=n)
        except GradcheckError:
            if raise_exception:
                raise
            return False
    return True
