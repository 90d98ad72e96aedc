"""Where tests of a device run: on the stand-in always, on a GPU where there is one."""

import functools

import pytest
from strict_backend import STRICT  # noqa: F401  registers the device "strict"

from minigrad.backend import CuPyBackend

GPU = "cuda:0"
DEVICES = ["strict", pytest.param(GPU, marks=pytest.mark.gpu)]
TOLERANCES = {
    "strict": {"float64": 1e-12, "float32": 1e-5},
    GPU: {"float64": 1e-9, "float32": 1e-4},
}


@functools.cache
def why_no_gpu():
    """None where there is one."""
    return CuPyBackend(0).why_unavailable()
