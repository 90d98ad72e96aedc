"""The constructors of PyTorch before 0.4: one class for each dtype."""

from __future__ import annotations

from typing import Any

from . import dtypes, ops
from .tensor import Tensor

DTYPES = {
    "HalfTensor": dtypes.float16,
    "FloatTensor": dtypes.float32,
    "DoubleTensor": dtypes.float64,
    "ByteTensor": dtypes.uint8,
    "CharTensor": dtypes.int8,
    "ShortTensor": dtypes.int16,
    "IntTensor": dtypes.int32,
    "LongTensor": dtypes.int64,
    "BoolTensor": dtypes.bool_,
}
NAMES = {d: name for name, d in DTYPES.items()}


class _Typed(type):
    """A class that makes Tensors of one dtype and recognises them."""

    dtype: dtypes.dtype
    device: str

    def __call__(cls, *content: Any) -> Tensor:
        return ops.legacy(cls.dtype, *content, device=cls.device)

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, Tensor) and x.dtype is cls.dtype and x.is_cuda == (cls.device != "cpu")


def typed(name: str, device: str = "cpu") -> type:
    """`LongTensor` and its like: called with sizes, an uninitialised tensor of that size; with a
    list or an array, a tensor with that content.
    """
    return _Typed(name, (), {"dtype": DTYPES[name], "device": device, "__doc__": typed.__doc__})


HalfTensor, FloatTensor, DoubleTensor = map(typed, ("HalfTensor", "FloatTensor", "DoubleTensor"))
ByteTensor, CharTensor, ShortTensor = map(typed, ("ByteTensor", "CharTensor", "ShortTensor"))
IntTensor, LongTensor, BoolTensor = map(typed, ("IntTensor", "LongTensor", "BoolTensor"))


def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The name of this tensor's class of old, or the values as a dtype, class or name of one."""
    place = "cuda." if self.is_cuda else ""
    if dtype is None:
        return f"minigrad.{place}{NAMES[self.dtype]}"
    if isinstance(dtype, str):
        dtype = DTYPES.get(dtype.split(".")[-1], dtype)
    if isinstance(dtype, _Typed):
        return self.to(dtype.device, dtype.dtype)
    return self.to(dtype=dtypes.float32 if dtype is Tensor else dtype)


Tensor.type = type_


def set_default_tensor_type(t: Any) -> None:
    """Make the dtype of a class of old, such as `DoubleTensor`, the default one."""
    if isinstance(t, str):
        t = DTYPES[t.split(".")[-1]]
    dtypes.set_default_dtype(t.dtype if isinstance(t, _Typed) else t)
