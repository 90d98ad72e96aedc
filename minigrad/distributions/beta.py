from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .gamma import standard_gamma
from .kl import register_kl
from .utils import broadcast_all


class Beta(Distribution):
    """The density xᵃ⁻¹ (1 - x)ᵇ⁻¹ / B(a, b) of x from 0 to 1, where a is `concentration1` and b is
    `concentration0`.
    """

    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None):
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        super().__init__(self.concentration1.shape, validate_args=validate_args)

    @property
    def total(self) -> Tensor:
        return self.concentration1 + self.concentration0

    @property
    def mean(self) -> Tensor:
        return self.concentration1 / self.total

    @property
    def mode(self) -> Tensor:
        """NaN where there is no inner maximum, 0 or 1 where it is at the border."""
        a, b = self.concentration1, self.concentration0
        inner = (a - 1) / (self.total - 2)
        border = ops.where((a < 1) & (b >= 1), 0.0, ops.where((b < 1) & (a >= 1), 1.0, math.nan))
        return ops.where((a >= 1) & (b >= 1), inner, border)

    @property
    def variance(self) -> Tensor:
        total = self.total
        return self.concentration1 * self.concentration0 / (total**2 * (total + 1))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        a, b = (standard_gamma(c, shape) for c in (self.concentration1, self.concentration0))
        return a / (a + b)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        a, b = self.concentration1, self.concentration0
        return ops.xlogy(a - 1, value) + ops.xlogy(b - 1, 1 - value) - _log_beta(a, b)

    def entropy(self) -> Tensor:
        a, b, total = self.concentration1, self.concentration0, self.total
        return (
            _log_beta(a, b)
            - (a - 1) * ops.digamma(a)
            - (b - 1) * ops.digamma(b)
            + (total - 2) * ops.digamma(total)
        )


def _log_beta(a: Tensor, b: Tensor) -> Tensor:
    return ops.lgamma(a) + ops.lgamma(b) - ops.lgamma(a + b)


@register_kl(Beta, Beta)
def _beta_beta(p, q):
    a, b = p.concentration1 - q.concentration1, p.concentration0 - q.concentration0
    return (
        _log_beta(q.concentration1, q.concentration0)
        - _log_beta(p.concentration1, p.concentration0)
        + a * ops.digamma(p.concentration1)
        + b * ops.digamma(p.concentration0)
        - (a + b) * ops.digamma(p.total)
    )
