"""Memory shared with other array libraries, without a copy (the DLPack protocol)."""

from __future__ import annotations

from typing import Any

from ..backend import backends
from ..dtypes import DTYPES
from ..tensor import Tensor, wrap


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A Tensor that shares the memory of another library's array.

    Raises TypeError for what does not speak DLPack and for a dtype that minigrad does not have.
    """
    if not hasattr(ext_tensor, "__dlpack__"):
        raise TypeError(
            f"a {type(ext_tensor).__name__} does not speak DLPack: use tensor() or from_numpy()"
        )
    kind, _ = ext_tensor.__dlpack_device__()
    for backend in backends():
        if backend.dlpack_kind == int(kind):
            array = backend.xp.from_dlpack(ext_tensor)
            if array.dtype not in DTYPES:
                raise TypeError(f"dtype {array.dtype} is not supported")
            return wrap(array)
    raise RuntimeError(f"DLPack device type {int(kind)}: no backend in use holds arrays there")


def to_dlpack(tensor: Tensor) -> Any:
    """A capsule for another library's `from_dlpack`."""
    return tensor.__dlpack__()
