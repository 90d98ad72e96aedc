"""Questions about GPUs, under PyTorch's names. Asking never raises; using a GPU that is not there
does, and says what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from .. import ops
from ..backend import backend_for, backends
from ..legacy import DTYPES, typed
from ..tensor import Tensor
from . import amp


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


def _properties(device: Any) -> dict:
    index = backend_for("cuda" if device is None else device).index
    return _cupy(device).cuda.runtime.getDeviceProperties(index)


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


def memory_reserved(device: Any = None) -> int:
    """Bytes that CuPy has taken from the GPU, for arrays and in reserve; 0 without a GPU."""
    return _cupy(device).get_default_memory_pool().total_bytes() if is_available() else 0


# CuPy's pool keeps what it has taken until `empty_cache`, so what it has is the most it had
max_memory_allocated = max_memory_reserved = max_memory_cached = memory_cached = memory_reserved


def reset_peak_memory_stats(device: Any = None) -> None:
    """Peaks are counted anew after `empty_cache`."""
    empty_cache()


reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats


def memory_stats(device: Any = None) -> dict[str, int]:
    """Bytes in use and taken from the GPU; empty without one."""
    if not is_available():
        return {}
    used, taken = memory_allocated(device), memory_reserved(device)
    return {"allocated_bytes.all.current": used, "reserved_bytes.all.current": taken}


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    return "\n".join([f"{name}: {count}" for name, count in memory_stats(device).items()])


class OutOfMemoryError(RuntimeError):
    """For `except` clauses of PyTorch programs; CuPy raises its own error, a MemoryError."""


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Bytes free on the GPU, and all its bytes."""
    return tuple(_cupy(device).cuda.runtime.memGetInfo())


def get_device_properties(device: Any = None) -> SimpleNamespace:
    """Name, memory, capability (major, minor) and number of processors of a GPU."""
    found = _properties(device)
    return SimpleNamespace(
        name=found["name"].decode(),
        major=found["major"],
        minor=found["minor"],
        total_memory=found["totalGlobalMem"],
        multi_processor_count=found["multiProcessorCount"],
    )


def get_device_capability(device: Any = None) -> tuple[int, int]:
    found = _properties(device)
    return found["major"], found["minor"]


def get_device_name(device: Any = None) -> str:
    return _properties(device)["name"].decode()


def set_device(device: Any) -> None:
    """Make a GPU the one that "cuda" means; a process uses one. -1 changes nothing."""
    if not isinstance(device, int) or device >= 0:
        _cupy(device)


class device:
    """Context manager for `set_device`; the number -1 and None change nothing."""

    def __init__(self, device: Any):
        self.idx = device

    def __enter__(self) -> None:
        if self.idx is not None:
            set_device(self.idx)

    def __exit__(self, *exc_info: object) -> None:
        return None


def is_initialized() -> bool:
    """Whether a GPU is in use."""
    return any(str(backend.device).startswith("cuda") for backend in backends())


def init() -> None:
    """Look for the GPU now; RuntimeError where there is none."""
    _cupy()


def ipc_collect() -> None:
    """Processes share no memory, so there is nothing to collect."""


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False: there is no bfloat16 in NumPy and CuPy."""
    return False


def is_tf32_supported() -> bool:
    return False


def get_arch_list() -> list[str]:
    """Empty: kernels are compiled when they are first used."""
    return []


def _no_streams(*args: Any, **kwargs: Any) -> Any:
    raise NotImplementedError(
        "streams, events and graphs are out of scope: ops run in order; "
        "minigrad.cuda.synchronize() waits for them"
    )


Stream = Event = CUDAGraph = stream = current_stream = default_stream = _no_streams


# random numbers are drawn on the host, from one generator for all devices


def manual_seed(seed: int) -> None:
    """Start the default generator anew: random numbers are drawn on the host for every device."""
    ops.manual_seed(seed)


manual_seed_all = manual_seed


def seed() -> None:
    """Start the default generator from a seed that the system chooses."""
    ops.seed()


seed_all, initial_seed = seed, ops.initial_seed


def get_rng_state(device: Any = None) -> Tensor:
    return ops.get_rng_state()


def set_rng_state(new_state: Tensor, device: Any = None) -> None:
    ops.set_rng_state(new_state)


def get_rng_state_all() -> list[Tensor]:
    """The state for every GPU: of as many as there are, always the same one."""
    return [ops.get_rng_state() for _ in range(device_count())]


def set_rng_state_all(new_states: Iterable[Tensor]) -> None:
    for state in new_states:
        ops.set_rng_state(state)


for _name in DTYPES:
    globals()[_name] = typed(_name, "cuda")
