"""minigrad: PyTorch's recurrent part, small enough to read, on NumPy or CuPy."""

import numpy as _np

from . import tensor as _tensor  # noqa: F401  ties the knot of Tensor, op and engine first
from .backend import Backend, backend_for, register_backend
from .engine import grad
from .op import Op, enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from .ops import *  # noqa: F403
from .tensor import Tensor
from . import autograd, fused, nn, optim, serialization, testing  # built on all of the above

float16, float32, float64 = _np.dtype("float16"), _np.dtype("float32"), _np.dtype("float64")
int8, int16, int32, int64 = (_np.dtype(f"int{bits}") for bits in (8, 16, 32, 64))
uint8, bool = _np.dtype("uint8"), _np.dtype("bool")

__version__ = "0.1.0"
