from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .gamma import standard_gamma
from .utils import broadcast_all


class StudentT(Distribution):
    """Student's t with `df` degrees of freedom, moved by `loc` and stretched by `scale`."""

    arg_constraints = {
        "df": constraints.positive,
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.real

    def __init__(
        self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None
    ):
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        super().__init__(self.df.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return ops.where(self.df > 1, self.loc, math.nan)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        finite = self.df > 2
        df = ops.where(finite, self.df, 3.0)
        wide = ops.where(self.df > 1, math.inf, math.nan)
        return ops.where(finite, self.scale**2 * df / (df - 2), wide)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape, df = self._extended_shape(sample_shape), self.df.detach()
        squares = 2 * standard_gamma(0.5 * df, shape)
        noise = ops.randn(shape, dtype=df.dtype, device=df.device)
        return self.loc.detach() + self.scale.detach() * noise * ops.rsqrt(squares / df)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        z, half = (value - self.loc) / self.scale, 0.5 * self.df
        norm = ops.log(self.scale) + 0.5 * ops.log(self.df) + 0.5 * math.log(math.pi)
        norm = norm + ops.lgamma(half) - ops.lgamma(half + 0.5)
        return -(half + 0.5) * ops.log1p(z**2 / self.df) - norm

    def entropy(self) -> Tensor:
        half = 0.5 * self.df
        log_beta = ops.lgamma(half) + math.lgamma(0.5) - ops.lgamma(half + 0.5)
        slope = (half + 0.5) * (ops.digamma(half + 0.5) - ops.digamma(half))
        return ops.log(self.scale) + slope + 0.5 * ops.log(self.df) + log_beta
