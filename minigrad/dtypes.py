"""What PyTorch calls a dtype, a device and a Size: NumPy's dtype, a string and a tuple, each with
PyTorch's attributes.
"""

from __future__ import annotations

import math
from contextvars import ContextVar
from typing import Any

import numpy as np


class dtype:
    """The type of a tensor's elements; NumPy takes it wherever it expects a dtype."""

    __slots__ = ("dtype", "name", "kind", "itemsize")

    def __init__(self, name: str):
        self.dtype = np.dtype(name)  # the attribute that NumPy looks for
        self.name, self.kind, self.itemsize = name, self.dtype.kind, self.dtype.itemsize

    @property
    def is_floating_point(self) -> bool:
        return self.kind == "f"

    @property
    def is_signed(self) -> bool:
        return self.kind in "fi"

    @property
    def is_complex(self) -> bool:
        return False

    def __eq__(self, other: Any) -> bool:
        if isinstance(other, dtype):
            return self is other
        try:
            return other is not None and self.dtype == np.dtype(other)
        except TypeError:
            return False

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __repr__(self) -> str:
        return f"minigrad.{self.name}"

    def __reduce__(self) -> tuple:
        return of, (self.name,)


_NAMES = "float32 float64 float16 int64 int32 int16 int8 uint8 bool".split()
DTYPES = {np.dtype(name): dtype(name) for name in _NAMES}
float32, float64, float16, int64, int32, int16, int8, uint8, bool_ = DTYPES.values()
_default: ContextVar[dtype] = ContextVar("default_dtype", default=float32)


def of(spec: Any) -> dtype:
    """The dtype that an object of ours, of NumPy's, a name or a Python type means.

    Raises TypeError for one that minigrad does not have.
    """
    if isinstance(spec, dtype):
        return spec
    try:
        return DTYPES[np.dtype(spec)]
    except (KeyError, TypeError):
        raise TypeError(
            f"dtype {spec!r} is not supported: use one of {', '.join(_NAMES)}"
        ) from None


def get_default_dtype() -> dtype:
    """The dtype of new floating-point tensors: float32 unless set otherwise."""
    return _default.get()


def set_default_dtype(d: Any) -> None:
    """Make `d`, a floating dtype, that of new floating-point tensors in this thread or task."""
    if not of(d).is_floating_point:
        raise TypeError(f"only a floating-point dtype can be the default, {d} is none")
    _default.set(of(d))


class Size(tuple):
    """A shape: a tuple of ints that can count its elements."""

    __slots__ = ()

    def numel(self) -> int:
        return math.prod(self)

    def __getitem__(self, index: Any) -> Any:
        part = tuple.__getitem__(self, index)
        return Size(part) if isinstance(index, slice) else part

    def __add__(self, other: tuple) -> Size:
        return Size(tuple.__add__(self, other))

    def __radd__(self, other: tuple) -> Size:
        return Size(tuple(other) + tuple(self))

    def __mul__(self, times: int) -> Size:
        return Size(tuple.__mul__(self, times))

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"minigrad.Size([{', '.join(map(str, self))}])"


class device(str):
    """Where a tensor lives, "cpu" or "cuda:0": a string with `type` and `index`."""

    type: str
    index: int | None

    def __new__(cls, type: Any = "cpu", index: int | None = None) -> device:
        if isinstance(type, int):
            type, index = "cuda", type
        kind, _, number = str(type).partition(":")
        if number and index is not None:
            raise RuntimeError(f"device {type!r} names an index already, and {index} was given too")
        if kind not in ("cpu", "cuda") or (number and not number.isdecimal()):
            raise RuntimeError(f"unknown device {type!r}: expected 'cpu', 'cuda' or 'cuda:N'")
        index = int(number) if number else index
        self = super().__new__(cls, kind if index is None else f"{kind}:{index}")
        self.type, self.index = kind, index
        return self

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{index})"

    def __getnewargs__(self) -> tuple:
        return (str(self),)
