"""Parameter and Buffer: the tensors that a Module registers when they are assigned to it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops import as_tensor
from ..tensor import Tensor


class Parameter(Tensor):
    """A Tensor that an optimizer trains; it shares the memory of `data`."""

    # no __slots__: programs put marks of their own on parameters

    def __init__(self, data: Any = None, requires_grad: bool = True):
        data = as_tensor(np.empty(0, np.float32) if data is None else data)
        super().__init__(data.array, version=data.version)
        self.requires_grad_(requires_grad)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo: dict) -> Parameter:
        return type(self)(self.detach().clone(), self.requires_grad)

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return type(self), (self.detach(), self.requires_grad), vars(self)


class Buffer(Tensor):
    """A Tensor that belongs to a Module's state, saved with it if `persistent`, but not trained."""

    def __init__(self, data: Any = None, *, persistent: bool = True):
        data = as_tensor(np.empty(0, np.float32) if data is None else data)
        super().__init__(data.array, version=data.version)
        self.persistent = persistent

    def __deepcopy__(self, memo: dict) -> Buffer:
        return type(self)(self.detach().clone(), persistent=self.persistent)

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return type(self), (self.detach(),), vars(self)
