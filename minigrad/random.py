"""The default generator under PyTorch's names, and `fork_rng`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator

from .ops.random import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)


@contextmanager
def fork_rng(devices: Any = None, enabled: bool = True, **_names: Any) -> Iterator[None]:
    """Inside, random numbers are drawn as always; afterwards the default generator goes on as if
    none had been. Numbers for every device come from it, so `devices` changes nothing.
    """
    state = get_rng_state()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)


__all__ = [
    "Generator",
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]
