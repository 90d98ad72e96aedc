"""Parameter and Buffer: the tensors that a Module registers when they are assigned to it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops import as_tensor
from ..tensor import Tensor, _fill


def _share(x: Tensor, data: Any) -> None:
    """Make `x` a leaf over the memory of `data`."""
    data = as_tensor(np.empty(0, np.float32) if data is None else data)
    _fill(x, data.array, None, data.version)


class Parameter(Tensor):
    """A Tensor that an optimizer trains; it shares the memory of `data`."""

    def __init__(self, data: Any = None, requires_grad: bool = True):
        _share(self, data)
        self.requires_grad_(requires_grad)


class Buffer(Tensor):
    """A Tensor that belongs to a Module's state, saved with it if `persistent`, but not trained."""

    def __init__(self, data: Any = None, *, persistent: bool = True):
        _share(self, data)
        self.persistent = persistent
