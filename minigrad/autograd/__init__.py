"""Derivatives for users, under PyTorch's names."""

from __future__ import annotations

from typing import Any

from ..modes import enable_grad, inference_mode, no_grad, set_grad_enabled
from ..tensor import Tensor
from . import functional
from .function import Function
from .gradients import backward, grad


def Variable(data: Tensor, requires_grad: bool = False, volatile: bool = False) -> Tensor:
    """A Tensor outside the graph that shares `data`'s memory: what PyTorch before 0.4 wrapped tensors
    in. `volatile` said what `no_grad` says now, and is not looked at.
    """
    if not isinstance(data, Tensor):
        raise TypeError(f"Variable takes a Tensor, got {type(data).__name__}")
    if not requires_grad:
        return data if not data.is_leaf else data.detach()
    return data.detach().requires_grad_()
