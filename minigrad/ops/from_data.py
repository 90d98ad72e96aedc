"""Tensors from data: numbers, nested lists, arrays, other Tensors."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..backend import backend_of, is_array
from ..dtypes import DTYPES
from ..op import raw
from ..tensor import Tensor, wrap
from .birth import check_usual, factory, made, numpy_dtype
from .promotion import default_dtype


def tensor(
    data: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A new Tensor with a copy of `data`: numbers, nested lists, an array or a Tensor.

    Python floats give the default dtype, ints int64, bools bool; an array keeps its dtype.
    """
    check_usual(pin_memory=pin_memory)
    if isinstance(data, Tensor):
        warnings.warn(
            "tensor() of a Tensor: t.detach().clone() says that better, "
            "or t.detach().clone().requires_grad_()",
            UserWarning,
            stacklevel=2,
        )
    return tensor_of(data, dtype, device, requires_grad)


def tensor_of(data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False):
    if isinstance(data, Tensor):
        data = data.array
    if is_array(data):
        device, data = device or backend_of(data).device, backend_of(data).download(data)
    return made(np.array(host_array(data, numpy_dtype(dtype))), device, requires_grad)


def host_array(data: Any, dtype: np.dtype | None) -> np.ndarray:
    """Data of any kind as a host array, in `dtype` or the one that is its own."""
    if isinstance(data, (np.ndarray, np.generic)):
        host = np.asarray(data)
    else:
        host = _of_lists(data)
        if dtype is None and host.dtype == np.float64 and not _has_float64(data):
            dtype = default_dtype()
    if host.dtype.kind == "c":
        raise TypeError("complex numbers are not supported: keep real and imaginary part apart")
    if host.dtype.newbyteorder("=") not in DTYPES:
        if not hasattr(data, "dtype") and not isinstance(data, str):
            _explain_objects(data)
        known = ", ".join(map(str, DTYPES))
        raise TypeError(f"cannot make a tensor of {host.dtype}: expected numbers, one of {known}")
    if dtype is not None and dtype != host.dtype:
        if dtype.kind in "iu" and host.dtype.kind in "iu" and not hasattr(data, "dtype"):
            _check_range(host, dtype)
        with np.errstate(all="ignore"):
            host = host.astype(dtype)
    return host.astype(host.dtype.newbyteorder("="), copy=False)


def _check_range(host: np.ndarray, dtype: np.dtype) -> None:
    """Python integers must fit, but a negative one may wrap into uint8, as in PyTorch."""
    info = np.iinfo(dtype)
    low = -info.max if dtype.kind == "u" else info.min
    if host.size and not (low <= host.min() and host.max() <= info.max):
        raise RuntimeError(f"values from {host.min()} to {host.max()} do not fit {dtype}")


def _of_lists(data: Any) -> np.ndarray:
    plain = _plain(data)
    try:
        return np.asarray(plain)
    except ValueError as error:
        _check_lengths(plain)
        raise ValueError(f"cannot make a tensor of this: {error}") from error


def _plain(data: Any) -> Any:
    """Nested lists with the Tensors in them as arrays."""
    if isinstance(data, Tensor):
        return data.to_numpy()
    return [_plain(x) for x in data] if isinstance(data, (list, tuple, range)) else data


def _check_lengths(data: Any) -> None:
    """ValueError that says which inner sequence has not the length of the first one beside it."""
    level, dim = [data], 0
    while level:
        first = level[0]
        for part in level:
            if not hasattr(part, "__len__"):
                if hasattr(first, "__len__"):
                    raise TypeError(f"a number where sequences were expected, at dim {dim}")
            elif not hasattr(first, "__len__"):
                raise TypeError(f"a sequence where numbers were expected, at dim {dim}")
            elif len(part) != len(first):
                raise ValueError(
                    f"expected sequence of length {len(first)} at dim {dim} (got {len(part)})"
                )
        if not hasattr(first, "__len__"):
            return
        level, dim = [x for part in level for x in part], dim + 1


def _explain_objects(data: Any) -> None:
    while isinstance(data, (list, tuple)) and data:
        data = next((x for x in data if not isinstance(x, (int, float))), data[0])
    if isinstance(data, int):
        raise ValueError(f"the integer {data} does not fit int64")
    if isinstance(data, str):
        raise ValueError(f"cannot make a tensor of {data!r}: expected numbers in the lists")
    if not hasattr(data, "dtype"):
        raise RuntimeError(
            f"cannot make a tensor of {type(data).__name__}: expected numbers or nested lists"
        )


def _has_float64(data: Any) -> bool:
    """Whether a NumPy number or array in the lists says float64 itself."""
    if isinstance(data, (list, tuple)):
        return any(map(_has_float64, data))
    return getattr(data, "dtype", None) == np.float64


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a Tensor; a Tensor or an array that fits already is not copied."""
    if is_array(data) and not isinstance(data, np.ndarray):
        data = wrap(data)
    elif isinstance(data, np.ndarray):
        data = wrap(host_array(data, None))
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)
    return tensor_of(data, dtype, device)


def asarray(
    obj: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """`obj` as a Tensor that shares its memory where it can; copy=True never shares, copy=False
    raises ValueError where it would have to copy.
    """
    if copy:
        x = tensor_of(obj, dtype, device)
    else:
        x = as_tensor(obj, dtype, device)
        array = raw(obj) if hasattr(obj, "dtype") else None
        if copy is False and x.array is not array:
            raise ValueError("asarray(copy=False): this needs a copy")
        x = x if requires_grad == x.requires_grad else x.detach()
    return x.requires_grad_() if requires_grad else x


def from_numpy(array: np.ndarray) -> Tensor:
    """A Tensor that shares the array's memory; TypeError for a dtype that no Tensor has."""
    if type(array) is not np.ndarray:
        raise TypeError(f"expected a numpy.ndarray, got {type(array).__name__}")
    if array.dtype not in DTYPES:
        known = ", ".join(map(str, DTYPES))
        raise TypeError(f"a tensor cannot hold {array.dtype}: convert it to one of {known}")
    return wrap(array)


@factory
def scalar_tensor(s: Any, *, dtype: Any) -> np.ndarray:
    """A 0-d Tensor of a number, in the default dtype."""
    return host_array(s, dtype or default_dtype())


def frombuffer(
    buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """The memory of an object with a buffer, such as bytes, as a tensor of one dimension."""
    values = np.frombuffer(buffer, numpy_dtype(dtype), count, offset)
    return made(values, None, requires_grad)
