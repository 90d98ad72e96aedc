"""`with device("cpu"):` tensors are born there inside."""

from __future__ import annotations

from contextvars import ContextVar

from .backend import get_default_device, set_default_device
from .dtypes import device
from .tensor import Tensor

_outer: ContextVar[tuple[str, ...]] = ContextVar("outer_devices", default=())


def _enter(self: device) -> device:
    before = get_default_device()
    set_default_device(self)
    _outer.set((*_outer.get(), before))
    return self


def _leave(self: device, *exc_info: object) -> None:
    *outer, before = _outer.get()
    _outer.set(tuple(outer))
    set_default_device(before)


device.__enter__, device.__exit__ = _enter, _leave


def get_device(input: Tensor) -> int:
    """The GPU's number; -1 on the CPU."""
    return input.get_device()
