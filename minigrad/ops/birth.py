"""How Tensors are born: on which device, in which dtype, with which of PyTorch's keywords."""

from __future__ import annotations

import enum
import functools
import operator
from typing import Any

import numpy as np

from ..backend import Backend, backend_for
from ..dtypes import of
from ..tensor import Tensor, wrap
from .names import flat


class layout(enum.Enum):
    """How elements lie in memory: `strided` is the only way here."""

    strided = "strided"


class memory_format(enum.Enum):
    """The order of the elements in memory; rows first is the only one here."""

    contiguous_format = "contiguous_format"
    preserve_format = "preserve_format"


strided = layout.strided
contiguous_format, preserve_format = memory_format


def made(host: np.ndarray, device: Any = None, requires_grad: bool = False) -> Tensor:
    x = wrap(backend_for(device).upload(host))
    return x.requires_grad_() if requires_grad else x


def numpy_dtype(dtype: Any) -> np.dtype | None:
    return None if dtype is None else of(dtype).dtype


def check_usual(layout: Any = None, pin_memory: Any = False, memory_format: Any = None) -> None:
    """PyTorch's further keywords are welcome where they ask for what is the case anyway."""
    if layout not in (None, strided):
        raise RuntimeError(f"layout={layout} is not supported: tensors are strided")
    if memory_format not in (None, contiguous_format, preserve_format):
        raise RuntimeError(f"memory_format={memory_format} is not supported: leave it out")
    if pin_memory:
        raise RuntimeError("pin_memory=True is not supported: leave it out")


_USUAL = ("layout", "pin_memory", "memory_format")


def factory(make):
    """A function that makes a Tensor of what `make` gives: an array of the module `xp` if it takes
    one, else a host array, which is uploaded.

    `make` gets its own arguments, and `dtype` as NumPy's or None; the Tensor is born on `device`,
    or takes the place of what `out` held.
    """
    code = make.__code__
    there = "xp" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]

    def array(backend: Backend, args: tuple, named: dict[str, Any]) -> Any:
        if there:
            return make(*args, xp=backend.xp, **named)
        return backend.upload(make(*args, **named))

    @functools.wraps(make)
    def function(
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        out: Tensor | None = None,
        **named: Any,
    ) -> Tensor:
        check_usual(**{name: named.pop(name) for name in _USUAL if name in named})
        if out is not None:
            out.array = array(backend_for(out.device), args, named | {"dtype": out.array.dtype})
            return out
        named["dtype"] = numpy_dtype(dtype)
        x = wrap(array(backend_for(device), args, named))
        return x.requires_grad_() if requires_grad else x

    return function


def shape_of(given: tuple, size: Any = None) -> tuple[int, ...]:
    """The shape meant by `zeros(2, 3)`, `zeros((2, 3))` or `zeros(size=(2, 3))`."""
    shape = flat(given if size is None else (size,))
    try:
        shape = tuple([operator.index(n) for n in shape])
    except TypeError:
        raise TypeError(f"a size of integers was expected, got {shape}") from None
    if min(shape, default=0) < 0:
        raise RuntimeError(f"negative sizes in {shape}")
    return shape
