"""Threads and determinism, under PyTorch's names."""

from __future__ import annotations

import os
import warnings
from typing import Any

VARIABLES = "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"
_wishes: dict[str, Any] = {
    "deterministic": False,
    "warn_only": False,
    "precision": "highest",
    "warn_always": False,
}


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


def get_num_interop_threads() -> int:
    return 1


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Every op is deterministic already; the wish is remembered."""
    _wishes["deterministic"], _wishes["warn_only"] = bool(mode), bool(mode and warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    return _wishes["deterministic"]


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    return _wishes["warn_only"]


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """0, 1, 2 or "default", "warn", "error": another form of `use_deterministic_algorithms`."""
    modes = ("default", "warn", "error")
    mode = modes.index(debug_mode) if debug_mode in modes else debug_mode
    if mode not in (0, 1, 2):
        raise RuntimeError(f"debug mode {debug_mode!r}: expected 0 to 2, or one of {modes}")
    use_deterministic_algorithms(mode > 0, warn_only=mode == 1)


def get_deterministic_debug_mode() -> int:
    return _wishes["deterministic"] * (2 - _wishes["warn_only"])


def set_float32_matmul_precision(precision: str) -> None:
    """Products are computed in the full precision of their dtype; the wish is remembered."""
    if precision not in ("highest", "high", "medium"):
        warnings.warn(
            f"precision {precision!r} is not known: expected 'highest', 'high' or 'medium'",
            stacklevel=2,
        )
        return
    _wishes["precision"] = precision


def get_float32_matmul_precision() -> str:
    return _wishes["precision"]


def set_flush_denormal(mode: bool) -> bool:
    """False: NumPy has no such switch."""
    return False


def set_warn_always(b: bool, /) -> None:
    """Python's filters decide how often a warning is shown; the wish is remembered."""
    _wishes["warn_always"] = bool(b)


def is_warn_always_enabled() -> bool:
    return _wishes["warn_always"]


__all__ = [name for name in vars() if name.startswith(("get_", "set_", "is_", "are_", "use_"))]
