from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..tensor import Tensor
from . import constraints
from .constraints import Constraint
from .distribution import Distribution
from .utils import broadcast_all


class Uniform(Distribution):
    """The uniform distribution on [low, high), which broadcast."""

    has_rsample = True

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None):
        self.low, self.high = broadcast_all(low, high)
        super().__init__(self.low.shape, validate_args=validate_args)

    @property
    def arg_constraints(self) -> dict[str, Constraint]:  # type: ignore[override]
        return {
            "low": constraints.less_than(self.high),
            "high": constraints.greater_than(self.low),
        }

    @property
    def support(self) -> Constraint:  # type: ignore[override]
        return constraints.interval(self.low, self.high)

    @property
    def width(self) -> Tensor:
        return self.high - self.low

    @property
    def mean(self) -> Tensor:
        return (self.high + self.low) / 2.0

    @property
    def mode(self) -> Tensor:
        """NaN: no value is more probable than the others."""
        return self.high * math.nan

    @property
    def stddev(self) -> Tensor:
        return self.width / math.sqrt(12)

    @property
    def variance(self) -> Tensor:
        return self.width**2 / 12.0

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        noise = ops.rand(shape, dtype=self.low.dtype, device=self.low.device)
        return self.low + noise * self.width

    def log_prob(self, value: Tensor) -> Tensor:
        """-ln(high - low), or -∞ outside"""
        self._validate_sample(value)
        inside = (value >= self.low) & (value < self.high)
        return ops.where(inside, -ops.log(self.width), -math.inf)

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return ops.clamp((value - self.low) / self.width, 0.0, 1.0)

    def icdf(self, value: Tensor) -> Tensor:
        return value * self.width + self.low

    def entropy(self) -> Tensor:
        """ln(high - low)"""
        return ops.log(self.width)
