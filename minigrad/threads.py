"""Threads and determinism, under PyTorch's names."""

from __future__ import annotations

import os
import warnings
from contextvars import ContextVar

VARIABLES = "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"
_deterministic: ContextVar[bool] = ContextVar("deterministic", default=False)


def get_num_threads() -> int:
    """How many threads NumPy's matrix products may use, as the environment says."""
    for name in VARIABLES:
        if os.environ.get(name, "").isdecimal():
            return int(os.environ[name])
    return os.cpu_count() or 1


def set_num_threads(count: int) -> None:
    """Limit the threads of NumPy's matrix products, here and in processes started from here.

    Needs the library `threadpoolctl`; without it a warning says how to set them from outside.
    Raises RuntimeError for fewer than 1.
    """
    if count < 1:
        raise RuntimeError(f"{count} threads: expected at least 1")
    for name in VARIABLES:
        os.environ[name] = str(count)
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        warnings.warn(
            "set_num_threads: threadpoolctl is not installed, so this process goes on as before; "
            "start it with the environment variable OPENBLAS_NUM_THREADS",
            stacklevel=2,
        )
    else:
        threadpool_limits(count)


def set_num_interop_threads(count: int) -> None:
    """Ops run one after the other, so there is nothing to set."""
    if count < 1:
        raise RuntimeError(f"{count} threads: expected at least 1")


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Every op is deterministic already; the wish is remembered."""
    _deterministic.set(bool(mode))


def are_deterministic_algorithms_enabled() -> bool:
    return _deterministic.get()
