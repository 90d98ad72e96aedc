"""Invertible functions that carry a distribution over to another one."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..tensor import Tensor
from . import constraints
from .constraints import Constraint
from .utils import clamp_probs, softplus, sum_last


class Transform:
    """y = f(x), with its inverse and ln |dy/dx|; an event has `event_dim` dimensions.

    `domain` and `codomain` are the conditions of x and y; `sign` is that of the slope.
    """

    domain: Constraint = constraints.real
    codomain: Constraint = constraints.real
    bijective, event_dim = True, 0
    sign: Any = 1

    def __init__(self, cache_size: int = 0):
        self.cache_size = cache_size

    def __call__(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} defines no __call__")

    def inverse(self, y: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no inverse")

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no log_abs_det_jacobian")

    @property
    def inv(self) -> Transform:
        return _Inverse(self)

    def forward_shape(self, shape: Any) -> Any:
        return shape

    def inverse_shape(self, shape: Any) -> Any:
        return shape

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Inverse(Transform):
    def __init__(self, of: Transform):
        super().__init__()
        self.of, self.event_dim, self.sign = of, of.event_dim, of.sign
        self.domain, self.codomain = of.codomain, of.domain

    def __call__(self, x: Tensor) -> Tensor:
        return self.of.inverse(x)

    def inverse(self, y: Tensor) -> Tensor:
        return self.of(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -self.of.log_abs_det_jacobian(y, x)

    @property
    def inv(self) -> Transform:
        return self.of


class ComposeTransform(Transform):
    """Several transforms, the first one applied first."""

    def __init__(self, parts: list[Transform], cache_size: int = 0):
        super().__init__(cache_size)
        self.parts = list(parts)
        self.event_dim = max([part.event_dim for part in parts], default=0)
        if parts:
            self.domain, self.codomain = self.parts[0].domain, self.parts[-1].codomain

    @property
    def sign(self) -> Any:  # type: ignore[override]
        return math.prod([part.sign for part in self.parts])

    def __call__(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return x

    def inverse(self, y: Tensor) -> Tensor:
        for part in reversed(self.parts):
            y = part.inverse(y)
        return y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        total: Any = None
        for part in self.parts:
            y = part(x)
            term = sum_last(part.log_abs_det_jacobian(x, y), self.event_dim - part.event_dim)
            total, x = term if total is None else total + term, y
        return ops.zeros_like(x) if total is None else total


class AffineTransform(Transform):
    """y = loc + scale x"""

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0, cache_size: int = 0):
        super().__init__(cache_size)
        self.loc, self.scale, self.event_dim = loc, scale, event_dim

    @property
    def sign(self) -> Any:  # type: ignore[override]
        if isinstance(self.scale, (int, float)):
            return (self.scale > 0) - (self.scale < 0)
        return ops.sign(self.scale)

    def __call__(self, x: Tensor) -> Tensor:
        return self.loc + self.scale * x

    def inverse(self, y: Tensor) -> Tensor:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        if isinstance(self.scale, (int, float)):
            return sum_last(ops.full_like(x, math.log(abs(self.scale))), self.event_dim)
        return sum_last(ops.expand(ops.log(ops.abs(self.scale)), x.shape), self.event_dim)


class ExpTransform(Transform):
    """y = eˣ"""

    codomain = constraints.positive

    def __call__(self, x: Tensor) -> Tensor:
        return ops.exp(x)

    def inverse(self, y: Tensor) -> Tensor:
        return ops.log(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x


class SigmoidTransform(Transform):
    """y = 1 / (1 + e⁻ˣ)"""

    codomain = constraints.unit_interval

    def __call__(self, x: Tensor) -> Tensor:
        return clamp_probs(ops.sigmoid(x))

    def inverse(self, y: Tensor) -> Tensor:
        y = clamp_probs(y)
        return ops.log(y) - ops.log1p(-y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -softplus(-x) - softplus(x)


class TanhTransform(Transform):
    """y = tanh x"""

    codomain = constraints.interval(-1.0, 1.0)

    def __call__(self, x: Tensor) -> Tensor:
        return ops.tanh(x)

    def inverse(self, y: Tensor) -> Tensor:
        return ops.atanh(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """ln (1 - tanh² x), right where that is 0 too"""
        return 2.0 * (math.log(2.0) - x - softplus(-2.0 * x))


class SoftplusTransform(Transform):
    """y = ln(1 + eˣ)"""

    codomain = constraints.positive

    def __call__(self, x: Tensor) -> Tensor:
        return softplus(x)

    def inverse(self, y: Tensor) -> Tensor:
        return ops.log(-ops.expm1(-y)) + y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -softplus(-x)


class PowerTransform(Transform):
    """y = xᵉ of positive x"""

    domain = codomain = constraints.positive

    def __init__(self, exponent: Any, cache_size: int = 0):
        super().__init__(cache_size)
        self.exponent = exponent

    def __call__(self, x: Tensor) -> Tensor:
        return x**self.exponent

    def inverse(self, y: Tensor) -> Tensor:
        return y ** (1 / self.exponent)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.log(ops.abs(self.exponent * y / x))


class AbsTransform(Transform):
    """y = |x|, which has no inverse; that of x >= 0 stands for it"""

    codomain, bijective = constraints.nonnegative, False

    def __call__(self, x: Tensor) -> Tensor:
        return ops.abs(x)

    def inverse(self, y: Tensor) -> Tensor:
        return y


identity_transform = ComposeTransform([])
