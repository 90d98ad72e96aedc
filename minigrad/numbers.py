"""Questions about dtypes and tensors that PyTorch answers at its top level."""

from __future__ import annotations

from typing import Any

import numpy as np

from .dtypes import get_default_dtype, of
from .tensor import Tensor


class finfo:
    """Limits of a floating dtype (the default one if left out)."""

    def __init__(self, type: Any = None):
        kind = of(get_default_dtype() if type is None else type)
        if not kind.is_floating_point:
            raise TypeError(f"finfo is of a floating dtype: use iinfo for {kind}")
        self.dtype = kind.name
        limits = np.finfo(self.dtype)
        self.bits, self.eps, self.max = limits.bits, float(limits.eps), float(limits.max)
        self.min, self.tiny = float(limits.min), float(limits.tiny)
        self.smallest_normal, self.resolution = self.tiny, 10.0**-limits.precision

    def __repr__(self) -> str:
        return f"finfo(dtype={self.dtype}, min={self.min:g}, max={self.max:g}, eps={self.eps:g})"


class iinfo:
    """Limits of an integer dtype."""

    def __init__(self, type: Any):
        kind = of(type)
        if kind.kind not in "iu":
            raise TypeError(f"iinfo is of an integer dtype: use finfo for {kind}")
        self.dtype = kind.name
        limits = np.iinfo(self.dtype)
        self.bits, self.min, self.max = limits.bits, int(limits.min), int(limits.max)

    def __repr__(self) -> str:
        return f"iinfo(dtype={self.dtype}, min={self.min}, max={self.max})"


def is_tensor(obj: Any) -> bool:
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    return input.is_floating_point()


def is_nonzero(input: Tensor) -> bool:
    """Whether a tensor of one element is not 0."""
    return bool(input)


def typename(obj: Any) -> str:
    if isinstance(obj, Tensor):
        return obj.type()
    if isinstance(obj, type):
        return f"{obj.__module__}.{obj.__qualname__}"
    return f"{type(obj).__module__}.{type(obj).__qualname__}"


def is_complex(input: Tensor) -> bool:
    """False: there are no complex numbers here."""
    return False


def detach(input: Tensor) -> Tensor:
    return input.detach()
