"""Derivatives for users, under PyTorch's names."""

from __future__ import annotations

from typing import Any

from ..modes import enable_grad, inference_mode, no_grad, set_grad_enabled
from ..tensor import Tensor
from . import functional
from .function import Function
from .gradients import backward, grad


class _VariableMeta(type):
    """PyTorch before 0.4 wrapped tensors in Variables; today every Tensor is one."""

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, Tensor)

    def __call__(cls, data: Any, requires_grad: bool = False, volatile: bool = False) -> Tensor:
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable takes a Tensor, got {type(data).__name__}")
        if not requires_grad:
            return data if not data.is_leaf else data.detach()
        return data.detach().requires_grad_()


class Variable(metaclass=_VariableMeta):
    """A Tensor outside the graph that shares `data`'s memory. `volatile` said what `no_grad` says now,
    and is not looked at.
    """
