"""minigrad: PyTorch's recurrent part, small enough to read, on NumPy or CuPy."""

import warnings as _warnings
from typing import TYPE_CHECKING as _TYPE_CHECKING

from . import tensor as _tensor  # noqa: F401  ties the knot of Tensor, op and engine first
from . import devices as _devices, memory as _memory, methods as _methods  # noqa: F401
from . import heap as _heap  # noqa: F401
from .autograd import grad
from .backend import (
    Backend,
    backend_for,
    get_default_device,
    register_backend,
    set_default_device,
)
from .diagnostics import (
    detect_anomaly,
    dtype_guard,
    explain,
    is_anomaly_enabled,
    mutation_guard,
    set_detect_anomaly,
    watch_graphs,
)
from .dtypes import (
    Size,
    device,
    dtype,
    float16,
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    set_default_dtype,
    uint8,
)
from .dtypes import bool_ as bool
from .dtypes import float16 as half
from .dtypes import float32 as float
from .dtypes import float64 as double
from .dtypes import int16 as short
from .dtypes import int32 as int
from .dtypes import int64 as long
from .devices import get_device
from .legacy import (
    BoolTensor,
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
    set_default_tensor_type,
)
from .memory import resize_as_
from .modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .numbers import *  # noqa: F403
from .op import Op
from .ops import *  # noqa: F403
from .functions import *  # noqa: F403  isort: skip  # its embedding, not that of ops
from .printing import get_printoptions, printoptions, set_printoptions
from .tensor import Tensor
from .threads import *  # noqa: F403
from .version import __version__

# the namespaces, built on all of the above
from . import accelerator, amp, autograd, backends, cuda, func, fused, linalg, nn
from . import random, scope, special, utils, version
from . import addresses as _addresses  # noqa: F401
from .amp import autocast, is_autocast_available, is_autocast_enabled
from .later import later as _later
from .utils import checkpoint as _checkpoint, dlpack as _dlpack, hooks as _hooks  # noqa: F401

# as in PyTorch, an infinity or a NaN comes silently; NumPy would warn at a line of an op, or, for
# sums and cumulative sums, which are Python functions in NumPy, at a line of its own
_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"minigrad\.")
_warnings.filterwarnings("ignore", "[a-z ]+ encountered in (reduce|accumulate)", RuntimeWarning)

# exp_(x) beside x.exp_(), and the modules that are there to be imported only
globals().update({f"{name}_": getattr(Tensor, f"{name}_") for name in _methods.IN_PLACE})
globals().update(scope.modules)
as_strided_ = Tensor.as_strided_
OutOfMemoryError = cuda.OutOfMemoryError

if _TYPE_CHECKING:  # for editors, which read and do not run
    from . import distributions, optim, serialization, testing
    from .serialization import load, save
_LATER = {"distributions": "", "optim": "", "serialization": "load save", "testing": ""}
__getattr__, __dir__ = _later(__name__, _LATER, scope.out_of_scope)
__all__ = [name for name in __dir__() if not name.startswith("_")]
