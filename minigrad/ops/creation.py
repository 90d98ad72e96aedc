"""Tensors that are filled or counted, in the default dtype (float32) unless asked otherwise."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..backend import backend_for, backend_of
from ..dtypes import Size, of
from ..tensor import Tensor, wrap
from .birth import check_usual, factory, numpy_dtype, shape_of
from .from_data import host_array, tensor, tensor_of
from .promotion import default_dtype


@factory
def zeros(*shape: Any, size: Any = None, dtype: Any, xp: Any) -> Any:
    """Zeros of a size given as integers, as a tuple or as `size=`."""
    return xp.zeros(shape_of(shape, size), dtype or default_dtype())


@factory
def ones(*shape: Any, size: Any = None, dtype: Any, xp: Any) -> Any:
    """Ones of a size given as integers, as a tuple or as `size=`."""
    return xp.ones(shape_of(shape, size), dtype or default_dtype())


@factory
def empty(*shape: Any, size: Any = None, dtype: Any, xp: Any) -> Any:
    """A tensor to be filled: nobody may lean on what is in it (zeros)."""
    return xp.zeros(shape_of(shape, size), dtype or default_dtype())


@factory
def full(size: Any, fill_value: Any, *, dtype: Any, xp: Any) -> Any:
    """Filled with a number; its kind (bool, int, float) gives the dtype where none is named."""
    value = host_array(fill_value.item() if hasattr(fill_value, "item") else fill_value, dtype)
    return xp.full(shape_of((size,)), value[()], value.dtype)


def full_like(
    input: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **usual: Any,
) -> Any:
    """Filled with a number, with the shape, dtype and device of `input` unless others are named."""
    if usual:
        check_usual(**usual)
    array = input.array if isinstance(input, Tensor) else input
    if not hasattr(array, "shape"):
        raise TypeError(f"expected a Tensor, got {type(input).__name__}")
    backend = backend_of(array) if device is None else backend_for(device)
    dtype = array.dtype if dtype is None else numpy_dtype(dtype)
    fill_value = fill_value if dtype.kind == "f" else host_array(fill_value, dtype)[()]
    y = backend.xp.full(array.shape, fill_value, dtype)
    if not isinstance(input, Tensor):
        return y
    return wrap(y).requires_grad_() if requires_grad else wrap(y)


def zeros_like(input: Any, **options: Any) -> Any:
    """Zeros with the shape, dtype and device of `input` unless others are named."""
    return full_like(input, 0, **options)


def ones_like(input: Any, **options: Any) -> Any:
    """Ones with the shape, dtype and device of `input` unless others are named."""
    return full_like(input, 1, **options)


def empty_like(input: Any, **options: Any) -> Any:
    """A tensor to be filled, with the shape, dtype and device of `input`."""
    return full_like(input, 0, **options)


def _new(make):
    """The method `new_...` of a factory: dtype and device are those of the tensor."""

    def method(input: Tensor, *args: Any, dtype: Any = None, device: Any = None, **named: Any):
        dtype = input.dtype if dtype is None else dtype
        device = input.device if device is None else device
        return make(*args, dtype=dtype, device=device, **named)

    method.__name__ = method.__qualname__ = f"new_{make.__name__}"
    method.__doc__ = f"`{make.__name__}` with the dtype and device of `input`."
    return method


new_zeros, new_ones, new_empty = _new(zeros), _new(ones), _new(empty)
new_full, new_tensor = _new(full), _new(tensor)


def legacy(dtype: Any, *args: Any, device: Any = None) -> Tensor:
    """What `Tensor(...)`, `FloatTensor(...)`, ... make, in `dtype` or the default one: of integers
    or a Size an empty tensor of that size, of a sequence one with its values, of a Tensor another
    one that shares its memory.
    """
    dtype = None if dtype is None else of(dtype)
    if len(args) == 1 and not isinstance(args[0], Size):
        (given,) = args
        if isinstance(given, Tensor):
            if dtype is not None and given.dtype != dtype:
                raise TypeError(
                    f"expected a tensor of {dtype}, got {given.dtype}: use .to({dtype})"
                )
            return wrap(given.array, version=given.version)
        if hasattr(given, "__len__"):
            return tensor_of(given, dtype or default_dtype(), device)
        if isinstance(given, bool) or not hasattr(given, "__index__"):
            raise TypeError(f"expected sizes or a sequence, got {type(given).__name__}")
    return empty(*(args or (0,)), dtype=dtype, device=device)


# counted


def _number(x: Any) -> Any:
    return x.item() if hasattr(x, "item") else x


@factory
def arange(*bounds: Any, start: Any = 0, end: Any = None, step: Any = 1, dtype: Any) -> np.ndarray:
    """start (0), start + step, ... before `end`: int64, or of floats the default dtype."""
    if len(bounds) == 1 and end is None:
        (end,) = bounds
    elif bounds:
        start, end, step = (*bounds, *(end, step)[len(bounds) - 1 :])
    start, end, step = map(_number, (start, end, step))
    if end is None:
        raise TypeError("arange needs an end")
    if dtype is None:
        floats = any(isinstance(v, float) for v in (start, end, step))
        dtype = default_dtype() if floats else np.dtype(np.int64)
    if dtype == np.int64:
        start, end, step = int(start), int(end), int(step)
    if step == 0:
        raise RuntimeError("arange: the step must not be 0")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"arange from {start} to {end}: expected finite numbers")
    if (end - start) * step < 0:
        raise RuntimeError(f"arange from {start} to {end} never arrives with a step of {step}")
    steps = np.arange(math.ceil((end - start) / step))
    if dtype.kind != "f":
        start, step = int(start), int(step)
    # a product for every element, in double precision: a running sum would gather its errors
    return (start + steps * step).astype(dtype)


@factory
def range(start: Any = 0, end: Any = None, step: Any = 1, *, dtype: Any) -> np.ndarray:
    """start, start + step, ... up to `end` and with it: `arange` is what PyTorch recommends."""
    warnings.warn("range is deprecated: use arange, whose end is excluded", stacklevel=3)
    if end is None:
        start, end = 0, start
    start, end, step = map(_number, (start, end, step))
    if not step or (end - start) * step < 0:
        raise RuntimeError(
            f"range from {start} to {end} in steps of {step}: wrong sign, or no step"
        )
    values = start + step * np.arange(int((end - start) / step) + 1)
    return values.astype(default_dtype() if dtype is None else dtype)


def _line(start: Any, end: Any, steps: int, dtype: np.dtype) -> np.ndarray:
    """`steps` numbers from start to end, each counted from the nearer end, so that both are met."""
    if isinstance(steps, float):
        raise TypeError(f"the number of steps must be an integer, got {steps}")
    if steps < 0:
        raise RuntimeError(f"the number of steps must be at least 0, got {steps}")
    start, end = _number(start), _number(end)
    if dtype.kind != "f":
        start, end = int(start), int(end)
    i = np.arange(steps)
    step = (end - start) / (steps - 1) if steps > 1 else 0.0
    return np.where(i < (steps + 1) // 2, start + i * step, end - (steps - 1 - i) * step)


@factory
def linspace(start: Any, end: Any, steps: int, *, dtype: Any) -> np.ndarray:
    """`steps` numbers at equal distances, from start to end inclusive."""
    dtype = dtype or default_dtype()
    return _line(start, end, steps, dtype).astype(dtype)


@factory
def logspace(start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any) -> np.ndarray:
    """The powers of `base` with the exponents of `linspace`."""
    dtype = dtype or default_dtype()
    with np.errstate(all="ignore"):
        return (float(base) ** _line(start, end, steps, dtype)).astype(dtype)


@factory
def eye(n: int, m: int | None = None, *, dtype: Any) -> np.ndarray:
    """Ones on the diagonal, zeros elsewhere."""
    return np.eye(*shape_of((n, n if m is None else m)), dtype=dtype or default_dtype())


@factory
def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any) -> np.ndarray:
    """Where `tril` keeps the elements of a matrix: row numbers and column numbers, (2, n)."""
    return np.stack(np.tril_indices(row, offset, col)).astype(dtype or np.int64)


@factory
def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any) -> np.ndarray:
    """Where `triu` keeps the elements of a matrix: row numbers and column numbers, (2, n)."""
    return np.stack(np.triu_indices(row, offset, col)).astype(dtype or np.int64)
