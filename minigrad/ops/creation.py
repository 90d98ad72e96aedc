"""Where Tensors are born: from data, filled, or counted; float32 unless asked otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import backend_for, backend_of, is_array
from ..op import raw
from ..tensor import Tensor, wrap
from .shape import flat


def _made(host: np.ndarray, device: Any, requires_grad: bool) -> Tensor:
    x = wrap(backend_for(device).upload(host))
    return x.requires_grad_() if requires_grad else x


def tensor(data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A new Tensor with a copy of `data`: numbers, nested lists, an array or a Tensor.

    Python floats give float32, ints int64, bools bool; an array keeps its dtype.
    """
    if isinstance(data, Tensor):
        host, device = data.to_numpy(), device or data.device
    elif is_array(data):
        host, device = backend_of(data).download(data), device or backend_of(data).device
    else:
        host = np.asarray(_plain(data))
        if dtype is None and host.dtype == np.float64 and not _holds_float64(data):
            dtype = np.float32
    if host.dtype.kind not in "fiub":
        raise TypeError(
            f"cannot make a tensor of {host.dtype}: "
            "expected numbers or nested lists of equal lengths"
        )
    return _made(np.array(host, dtype=dtype), device, requires_grad)


def _plain(data: Any) -> Any:
    """Nested lists with the Tensors in them as arrays."""
    if isinstance(data, Tensor):
        return data.to_numpy()
    return [_plain(x) for x in data] if isinstance(data, (list, tuple)) else data


def _holds_float64(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return getattr(data, "dtype", None) == np.float64


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a Tensor; a Tensor or an array that fits already is not copied."""
    if is_array(data):
        data = wrap(data)
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)
    return tensor(data, dtype, device)


def from_numpy(array: np.ndarray) -> Tensor:
    """A Tensor that shares the array's memory."""
    if type(array) is not np.ndarray:
        raise TypeError(f"expected a numpy.ndarray, got {type(array).__name__}")
    return wrap(array)


def zeros(
    *shape: Any, dtype: Any = np.float32, device: Any = None, requires_grad: bool = False
) -> Tensor:
    return _made(np.zeros(flat(shape), dtype), device, requires_grad)


def ones(
    *shape: Any, dtype: Any = np.float32, device: Any = None, requires_grad: bool = False
) -> Tensor:
    return _made(np.ones(flat(shape), dtype), device, requires_grad)


def full(
    shape: Any, value: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Filled with `value`; its kind (bool, int, float) gives the dtype where none is named."""
    if dtype is None:
        dtype = np.float32 if isinstance(value, float) else np.asarray(value).dtype
    return _made(np.full(shape, value, dtype), device, requires_grad)


def eye(n: int, m: int | None = None, dtype: Any = np.float32, device: Any = None) -> Tensor:
    return _made(np.eye(n, m, dtype=dtype), device, False)


def arange(
    start: Any, end: Any = None, step: Any = 1, dtype: Any = None, device: Any = None
) -> Tensor:
    """start, start + step, ... before `end`: int64, or float32 when an argument is a float."""
    if end is None:
        start, end = 0, start
    if dtype is None:
        dtype = np.float32 if any(isinstance(v, float) for v in (start, end, step)) else np.int64
    return _made(np.arange(start, end, step, dtype=dtype), device, False)


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    return full_like(x, 0, dtype)


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    return full_like(x, 1, dtype)


def full_like(x: Any, value: Any, dtype: Any = None) -> Tensor:
    """A Tensor of the shape, dtype and device of x, filled with `value`."""
    array = raw(x)
    return wrap(backend_of(array).xp.full(array.shape, value, dtype or array.dtype))
