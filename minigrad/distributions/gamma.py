from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..ops.random import host_of
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .kl import register_kl
from .utils import broadcast_all


class Gamma(Distribution):
    """The density rateᵃ xᵃ⁻¹ e^(-rate x) / Γ(a) of x > 0, where a is the concentration."""

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None):
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        return ops.clamp((self.concentration - 1) / self.rate, min=0)

    @property
    def variance(self) -> Tensor:
        return self.concentration / self.rate**2

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return standard_gamma(self.concentration, self._extended_shape(sample_shape)) / (
            self.rate.detach()
        )

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        a = self.concentration
        return ops.xlogy(a, self.rate) + ops.xlogy(a - 1, value) - self.rate * value - ops.lgamma(a)

    def entropy(self) -> Tensor:
        a = self.concentration
        return a - ops.log(self.rate) + ops.lgamma(a) + (1.0 - a) * ops.digamma(a)


def standard_gamma(concentration: Tensor, shape: Any) -> Tensor:
    """Samples with rate 1, above 0, drawn on the host; constants to the tape."""
    drawn = host_of(None).standard_gamma(concentration.to_numpy(), tuple(shape))
    made = ops.tensor(drawn, dtype=concentration.dtype, device=concentration.device)
    return ops.clamp(made, float(np.finfo(np.dtype(made.dtype)).tiny))


@register_kl(Gamma, Gamma)
def _gamma_gamma(p, q):
    a, b = p.concentration, q.concentration
    return (
        b * ops.log(p.rate / q.rate)
        + ops.lgamma(b)
        - ops.lgamma(a)
        + (a - b) * ops.digamma(a)
        + (q.rate - p.rate) * (a / p.rate)
    )
