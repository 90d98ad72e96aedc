"""Checks of gradients under PyTorch's names; `testing.gradcheck` does the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import testing
from .tensor import Tensor


class GradcheckError(RuntimeError):
    """A gradient that finite differences do not confirm."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Tensor],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    order: int = 1,
    **_finer: Any,
) -> bool:
    """Whether the gradients of `func` are those that finite differences give; GradcheckError, or
    False without `raise_exception`, where they are not.

    PyTorch's further keywords choose between ways of checking; there is one here.
    """
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    try:
        return testing.gradcheck(func, inputs, order=order, eps=eps, atol=atol, rtol=rtol)
    except AssertionError as error:
        if raise_exception:
            raise GradcheckError(str(error)) from None
        return False


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    **options: Any,
) -> bool:
    """`gradcheck` of `func` and of its gradients."""
    return gradcheck(func, inputs, order=2, **options)
