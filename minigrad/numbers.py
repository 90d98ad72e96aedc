"""Questions about dtypes and tensors that PyTorch answers at its top level and as methods."""

from __future__ import annotations

import warnings
from math import e, inf, nan, pi  # noqa: F401  minigrad.pi, ...
from typing import Any

import numpy as np

from . import ops
from .dtypes import get_default_dtype, of
from .ops.writing import in_place
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


def is_signed(input: Tensor) -> bool:
    return input.dtype.is_signed


def is_storage(obj: Any) -> bool:
    return hasattr(obj, "data_ptr") and not isinstance(obj, Tensor)


def detach(input: Tensor) -> Tensor:
    return input.detach()


def detach_(input: Tensor) -> Tensor:
    return input.detach_()


def real(input: Tensor) -> Tensor:
    """The tensor itself: all numbers are real."""
    return input


def angle(input: Tensor) -> Tensor:
    """The angle of a number in the plane: 0, π where it is negative, NaN where it is none."""
    if not input.is_floating_point():
        input = input.to(get_default_dtype())
    sign = ops.sign(input)
    return ops.where(sign < 0, pi, sign * 0.0)


def polygamma(self: Tensor, n: int) -> Tensor:
    """The n-th derivative of the digamma function."""
    return ops.polygamma(n, self)


def resize(self: Tensor, *size: Any) -> Tensor:
    """`reshape` under its name of old."""
    warnings.warn("resize is deprecated: use reshape", stacklevel=2)
    return ops.reshape(self, *size)


def volatile(self: Tensor) -> bool:
    """What `no_grad` is for now: never true of a tensor."""
    warnings.warn("volatile was removed: use no_grad", stacklevel=2)
    return False


def _never(name: str) -> Any:
    def answer(input: Tensor) -> bool:
        """False: there are no such tensors here."""
        return False

    answer.__name__ = name
    return answer


# what no tensor is here
is_complex, is_conj, is_neg = map(_never, ("is_complex", "is_conj", "is_neg"))
is_inference, is_distributed = map(_never, ("is_inference", "is_distributed"))
is_pinned, is_coalesced = map(_never, ("is_pinned", "is_coalesced"))
conj = conj_physical = resolve_conj = resolve_neg = real
newaxis = None

for _function in (is_complex, is_conj, is_neg, is_inference, is_distributed, is_pinned):
    setattr(Tensor, _function.__name__, _function)
for _function in (is_coalesced, is_nonzero, is_signed, angle, polygamma, resize):
    setattr(Tensor, _function.__name__, _function)
for _name in "conj conj_physical conj_physical_ resolve_conj resolve_neg to_dense".split():
    setattr(Tensor, _name, real)
for _name in "sparse sparse_csr quantized mkldnn meta mps xpu xla ipu mtia vulkan nested".split():
    setattr(Tensor, f"is_{_name}", False)
Tensor.polygamma_ = in_place(polygamma)
Tensor.is_cpu = property(lambda self: not self.is_cuda)
Tensor.real, Tensor.volatile, Tensor.name = property(real), property(volatile), None

__all__ = """angle conj conj_physical detach detach_ e finfo iinfo inf is_complex is_conj
is_distributed is_floating_point is_inference is_neg is_nonzero is_signed is_storage is_tensor nan
newaxis pi real resolve_conj resolve_neg typename""".split()
