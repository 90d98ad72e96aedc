"""Which accelerator there is, under PyTorch's newer names."""

from __future__ import annotations

from . import cuda
from .cuda import device_count, empty_cache, is_available, synchronize
from .dtypes import device


def current_accelerator(check_available: bool = False) -> device | None:
    """The kind of accelerator, `device("cuda")`, or None on a machine without one."""
    return device("cuda") if is_available() else None


def current_device_index() -> int:
    return cuda.current_device()
