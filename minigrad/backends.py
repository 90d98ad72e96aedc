"""The switches of PyTorch's libraries that programs set: here there is one way of computing, which
is deterministic, so they are remembered and change nothing.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class _Library(SimpleNamespace):
    """One library's switches; a name that it does not have is an error, so a typo is seen."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in vars(self):
            raise AttributeError(f"no such switch: {name}; there are {', '.join(vars(self))}")
        super().__setattr__(name, value)

    def is_available(self) -> bool:
        return False

    def is_built(self) -> bool:
        return False

    def version(self) -> None:
        return None


cudnn = _Library(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
mps, mkl, mkldnn, openmp = _Library(), _Library(), _Library(enabled=False), _Library()
cuda = _Library(matmul=_Library(allow_tf32=False, allow_fp16_reduced_precision_reduction=False))
