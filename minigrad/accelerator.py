"""Which accelerator there is, under PyTorch's newer names."""

from __future__ import annotations

from typing import Any

from . import cuda
from .cuda import (
    device_count,
    empty_cache,
    is_available,
    max_memory_allocated,
    memory_allocated,
    memory_reserved,
    reset_peak_memory_stats,
    synchronize,
)
from .dtypes import device


def current_accelerator(check_available: bool = False) -> device | None:
    """The kind of accelerator, `device("cuda")`, or None on a machine without one."""
    return device("cuda") if is_available() else None


def current_device_index() -> int:
    return cuda.current_device()


current_device_idx = current_device_index


def set_device_index(device: Any, /) -> None:
    """Make a GPU the one that is used."""
    cuda.set_device(device)


set_device_idx = set_device_index
device_index = cuda.device
