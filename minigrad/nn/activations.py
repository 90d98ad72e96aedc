"""Activation functions as modules: each is a function of `functional` and the options it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .. import ops
from ..tensor import Tensor
from . import functional as F
from .errors import BadArgument
from .layers import parameter
from .module import Module


class Activation(Module):
    """A module that applies `function` with `options`, given by position or by name."""

    function: Callable = staticmethod(ops.relu)
    options: dict[str, Any] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        cls.__signature__ = inspect.Signature(
            [inspect.Parameter(n, kind, default=value) for n, value in cls.options.items()]
        )

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()
        if len(args) > len(self.options):
            raise TypeError(
                f"{type(self).__name__} takes at most {len(self.options)} arguments, "
                f"got {len(args)}"
            )
        given = dict(zip(self.options, args))
        for name in kwargs:
            if name not in self.options or name in given:
                raise TypeError(
                    f"{type(self).__name__}: unexpected argument {name!r}; "
                    f"it takes {', '.join(self.options) or 'none'}"
                )
        for name, value in {**self.options, **given, **kwargs}.items():
            setattr(self, name, value)

    def forward(self, input: Tensor) -> Tensor:
        function, options = type(self).function, self.options
        return function(input, **{name: getattr(self, name) for name in options})

    def extra_repr(self) -> str:
        shown = {name: getattr(self, name) for name in self.options}
        if not shown.get("inplace", True):
            del shown["inplace"]
        return ", ".join(f"{name}={value!r}" for name, value in shown.items())


class ReLU(Activation):
    """max(x, 0)"""

    function, options = staticmethod(F.relu), {"inplace": False}


class ReLU6(Activation):
    """min(max(x, 0), 6)"""

    function, options = staticmethod(F.relu6), {"inplace": False}


class LeakyReLU(Activation):
    """x where positive, negative_slope x elsewhere"""

    function = staticmethod(F.leaky_relu)
    options = {"negative_slope": 0.01, "inplace": False}


class RReLU(Activation):
    """LeakyReLU whose slope is drawn anew for each element in training"""

    options = {"lower": 1 / 8, "upper": 1 / 3, "inplace": False}

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class ELU(Activation):
    """x where positive, α (eˣ - 1) elsewhere"""

    function, options = staticmethod(F.elu), {"alpha": 1.0, "inplace": False}


class CELU(Activation):
    """max(x, 0) + min(0, α (e^(x / α) - 1))"""

    function, options = staticmethod(F.celu), {"alpha": 1.0, "inplace": False}


class SELU(Activation):
    """The self-normalizing unit"""

    function, options = staticmethod(F.selu), {"inplace": False}


class GELU(Activation):
    """x Φ(x)"""

    function, options = staticmethod(F.gelu), {"approximate": "none"}


class SiLU(Activation):
    """x σ(x)"""

    function, options = staticmethod(F.silu), {"inplace": False}


class Mish(Activation):
    """x tanh(softplus x)"""

    function, options = staticmethod(F.mish), {"inplace": False}


class Sigmoid(Activation):
    """1 / (1 + e⁻ˣ)"""

    function = staticmethod(F.sigmoid)


class Tanh(Activation):
    """tanh x"""

    function = staticmethod(F.tanh)


class LogSigmoid(Activation):
    """ln σ(x)"""

    function = staticmethod(F.logsigmoid)


class Softplus(Activation):
    """ln(1 + e^(β x)) / β"""

    function, options = staticmethod(F.softplus), {"beta": 1.0, "threshold": 20.0}


class Softsign(Activation):
    """x / (1 + |x|)"""

    function = staticmethod(F.softsign)


class Tanhshrink(Activation):
    """x - tanh x"""

    function = staticmethod(F.tanhshrink)


class Hardtanh(Activation):
    """x limited to min_val to max_val"""

    function = staticmethod(F.hardtanh)
    options = {"min_val": -1.0, "max_val": 1.0, "inplace": False}

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.min_val >= self.max_val:
            raise BadArgument(f"Hardtanh: min_val {self.min_val}, max_val {self.max_val}")


class Hardsigmoid(Activation):
    """min(max(x + 3, 0), 6) / 6"""

    function, options = staticmethod(F.hardsigmoid), {"inplace": False}

    def extra_repr(self) -> str:
        return ""


class Hardswish(Hardsigmoid):
    """x hardsigmoid(x)"""

    function, options = staticmethod(F.hardswish), {"inplace": False}


class _Shrink(Activation):
    options = {"lambd": 0.5}

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(_Shrink):
    """x where |x| > λ, 0 elsewhere"""

    function = staticmethod(F.hardshrink)


class Softshrink(_Shrink):
    """x - λ where x > λ, x + λ where x < -λ, 0 elsewhere"""

    function = staticmethod(F.softshrink)


class Threshold(Module):
    """x where it is above the threshold, `value` elsewhere"""

    def __init__(self, threshold: float, value: float, inplace: bool = False):
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        inplace = ", inplace=True" if self.inplace else ""
        return f"threshold={self.threshold}, value={self.value}{inplace}"


class GLU(Activation):
    """One half times σ of the other half, along `dim`"""

    function, options = staticmethod(F.glu), {"dim": -1}


class PReLU(Module):
    """x where positive, a x elsewhere, with one slope a to learn or one for each channel."""

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ):
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = parameter(num_parameters, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        from .init import constant_

        constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class _AlongDim(Activation):
    options = {"dim": None}

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_AlongDim):
    """eˣ / Σ eˣ along `dim`"""

    function = staticmethod(F.softmax)


class LogSoftmax(_AlongDim):
    """x - ln Σ eˣ along `dim`"""

    function = staticmethod(F.log_softmax)


class Softmin(_AlongDim):
    """softmax(-x) along `dim`"""

    function = staticmethod(F.softmin)
