"""The switches of PyTorch's libraries that programs set: here there is one way of computing, which
is deterministic, so they are remembered and change nothing.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Iterator


class _Library(SimpleNamespace):
    """One library's switches; setting another name gives a warning, so a typo is seen."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in vars(self):
            warnings.warn(
                f"no such switch: {name}; there are {', '.join(vars(self))}", stacklevel=2
            )
        super().__setattr__(name, value)

    @contextmanager
    def flags(self, **switches: Any) -> Iterator[None]:
        """Context manager under which the switches have other values."""
        before = dict(vars(self))
        try:
            for name, value in switches.items():
                setattr(self, name, value)
            yield
        finally:
            vars(self).clear()
            vars(self).update(before)

    def is_available(self) -> bool:
        return False

    def is_built(self) -> bool:
        return False

    def is_acceptable(self, tensor: Any) -> bool:
        return False

    def version(self) -> None:
        return None


cudnn = _Library(
    enabled=True, benchmark=False, benchmark_limit=10, deterministic=True, allow_tf32=False
)
mps, mkl, mkldnn, openmp = _Library(), _Library(), _Library(enabled=False), _Library()
cuda = _Library(matmul=_Library(allow_tf32=False, allow_fp16_reduced_precision_reduction=False))
