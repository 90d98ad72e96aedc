"""PyTorch's addresses of layers, `nn.modules.rnn.LSTM` and the like: minigrad.nn's own files under
a second name.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, Callable

from . import (
    activations,
    adaptive,
    attention,
    cells,
    containers,
    convolution,
    embedding,
    layers,
    losses,
    module,
    normalization,
    recurrent,
)
from .module import Module  # noqa: F401

ADDRESSES = {
    "activation": activations,
    "adaptive": adaptive,
    "batchnorm": normalization,
    "container": containers,
    "conv": convolution,
    "distance": layers,
    "dropout": layers,
    "flatten": layers,
    "linear": layers,
    "loss": losses,
    "module": module,
    "normalization": normalization,
    "padding": convolution,
    "pooling": convolution,
    "rnn": recurrent,
    "sparse": embedding,
    "transformer": attention,
}


def __getattr__(name: str) -> Any:
    return getattr(sys.modules[__package__], name)


def _address(file: ModuleType) -> Callable[[str], Any]:
    """The names of a file, and what PyTorch keeps there and minigrad elsewhere."""
    return lambda name: getattr(file if hasattr(file, name) else sys.modules[__package__], name)


__path__: list = []  # so that `import minigrad.nn.modules.rnn` finds what follows
for _name, _file in ADDRESSES.items():
    _module = ModuleType(f"{__name__}.{_name}", _file.__doc__)
    _module.__getattr__ = _address(_file)  # type: ignore[method-assign]
    globals()[_name] = sys.modules[_module.__name__] = _module
