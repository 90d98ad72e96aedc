"""What PyTorch before 0.4 wrapped tensors in."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor


class _Tensors(type):
    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, Tensor)


class Variable(metaclass=_Tensors):
    """A Tensor outside the graph that shares the memory of `data`; every Tensor is an instance.

    `volatile` said what `no_grad` says now, and is not looked at.
    """

    def __new__(cls, data: Tensor, requires_grad: bool = False, volatile: bool = False) -> Tensor:
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable takes a Tensor, got {type(data).__name__}")
        return data.detach().requires_grad_(requires_grad)
