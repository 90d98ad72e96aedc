"""Questions about GPUs, under PyTorch's names. Asking never raises; using a GPU that is not there
does, and says what is missing.
"""

from __future__ import annotations

from typing import Any

from . import ops
from .backend import backend_for
from .legacy import typed


def _cupy(index: Any = None) -> Any:
    """The array module of a GPU in use; RuntimeError where there is none."""
    return backend_for("cuda" if index is None else index).xp


def is_available() -> bool:
    """Whether "cuda" can be used on this machine."""
    return backend_for("auto").device != "cpu"


def device_count() -> int:
    return _cupy().cuda.runtime.getDeviceCount() if is_available() else 0


def current_device() -> int:
    """The number of the GPU in use; RuntimeError where there is none."""
    return backend_for("cuda").index


def get_device_name(device: Any = None) -> str:
    index = backend_for("cuda" if device is None else device).index
    return _cupy(device).cuda.runtime.getDeviceProperties(index)["name"].decode()


def synchronize(device: Any = None) -> None:
    """Wait until the GPU has done all it was given."""
    _cupy(device).cuda.Device().synchronize()


def empty_cache() -> None:
    """Give the memory that CuPy holds in reserve back to the GPU."""
    if is_available():
        _cupy().get_default_memory_pool().free_all_blocks()


def memory_allocated(device: Any = None) -> int:
    """Bytes that arrays occupy; 0 without a GPU."""
    return _cupy(device).get_default_memory_pool().used_bytes() if is_available() else 0


def manual_seed(seed: int) -> None:
    """Start the default generator anew: random numbers are drawn on the host for every device."""
    ops.manual_seed(seed)


manual_seed_all = manual_seed

FloatTensor, LongTensor = typed("FloatTensor", "cuda"), typed("LongTensor", "cuda")
DoubleTensor, ByteTensor = typed("DoubleTensor", "cuda"), typed("ByteTensor", "cuda")
IntTensor, BoolTensor = typed("IntTensor", "cuda"), typed("BoolTensor", "cuda")
