"""How PyTorch's functions may be called: NumPy's names for arguments, and sizes spread out."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from functools import wraps
from typing import Any

from ..op import raw
from ..tensor import Tensor

_PYTORCHS = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input"}


def numpy_names(function: Callable) -> Callable:
    """The function under NumPy's names for its arguments too, as PyTorch accepts them."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            kwargs = {_PYTORCHS.get(name, name): value for name, value in kwargs.items()}
        return function(*args, **kwargs)

    return call


def flat(arguments: tuple) -> tuple:
    """`reshape(x, 2, 3)` and `reshape(x, (2, 3))` are the same call."""
    if len(arguments) == 1 and isinstance(arguments[0], (tuple, list)):
        return tuple(arguments[0])
    return arguments


def data_of(x: Any) -> Any:
    """What carries the shape and dtype of x: the array of a Tensor, an array, a NumPy scalar.

    Raises TypeError for what is no operand.
    """
    if isinstance(x, Tensor):
        return x.array
    return x if hasattr(x, "shape") else raw(x)


def several(given: Any) -> tuple:
    """One dimension, or a tuple or list of them, as a tuple."""
    return tuple(given) if isinstance(given, (tuple, list)) else (given,)


def _return_type(name: str, fields: str = "values indices") -> type:
    def text(self: Any) -> str:
        lines = [f"{field}={value!r}" for field, value in zip(self._fields, self)]
        return f"minigrad.return_types.{name}(\n" + ",\n".join(lines) + ")"

    made = namedtuple(name, fields)
    made.__repr__ = text
    return made


class return_types:
    """The named tuples that several functions return."""


for _name in "max min median nanmedian mode sort topk kthvalue cummax cummin".split():
    setattr(return_types, _name, _return_type(_name))
return_types.aminmax = _return_type("aminmax", "min max")
return_types.slogdet = _return_type("slogdet", "sign logabsdet")
return_types.qr = _return_type("qr", "Q R")
return_types.svd = _return_type("svd", "U S Vh")
return_types.thin_svd = _return_type("svd", "U S V")
return_types.eigh = _return_type("eigh", "eigenvalues eigenvectors")
return_types.cholesky_ex = _return_type("linalg_cholesky_ex", "L info")
return_types.inv_ex = _return_type("linalg_inv_ex", "inverse info")
return_types.lstsq = _return_type("linalg_lstsq", "solution residuals rank singular_values")
return_types.triangular_solve = _return_type("triangular_solve", "solution cloned_coefficient")
