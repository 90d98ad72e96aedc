"""Random Tensors, drawn on the host from an explicit generator, so that every device sees the same
numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Tensor, wrap
from .shape import flat
from .creation import _made


class Generator:
    """A source of random numbers with a state that can be saved (a plain dict) and restored."""

    def __init__(self, seed: int = 0):
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        self.host = np.random.Generator(np.random.PCG64(seed))
        return self

    def get_state(self) -> dict:
        return self.host.bit_generator.state

    def set_state(self, state: dict) -> None:
        self.host.bit_generator.state = state


default_generator = Generator(0)


def manual_seed(seed: int) -> Generator:
    """Start the default generator anew."""
    return default_generator.manual_seed(seed)


def host_of(generator: Generator | None) -> np.random.Generator:
    """NumPy's generator behind one of ours; None means the default one."""
    return (generator or default_generator).host


def rand(*shape: Any, generator=None, dtype=np.float32, device=None, requires_grad=False) -> Tensor:
    """Uniform on [0, 1)."""
    return _made(host_of(generator).random(flat(shape), dtype), device, requires_grad)


def randn(
    *shape: Any, generator=None, dtype=np.float32, device=None, requires_grad=False
) -> Tensor:
    """Standard normal."""
    return _made(host_of(generator).standard_normal(flat(shape), dtype), device, requires_grad)


def randint(
    low: int, high: Any, size: Any = None, generator=None, dtype=np.int64, device=None
) -> Tensor:
    """Integers from low (0 if left out) to high - 1."""
    if size is None:
        low, high, size = 0, low, high
    return _made(host_of(generator).integers(low, high, size, dtype), device, False)


def randperm(n: int, generator=None, device=None) -> Tensor:
    """The numbers 0 to n - 1 in random order."""
    return _made(host_of(generator).permutation(n).astype(np.int64), device, False)
