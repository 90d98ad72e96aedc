from __future__ import annotations

from typing import Any

from .. import ops
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .gamma import standard_gamma
from .kl import register_kl


class Dirichlet(Distribution):
    """Probabilities (..., K) with the density Π pᵢ^(aᵢ - 1) / B(a)."""

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex

    def __init__(self, concentration: Tensor, validate_args: bool | None = None):
        if concentration.ndim < 1:
            raise ValueError("concentration needs a dimension, of the classes")
        self.concentration = concentration
        *batch, K = concentration.shape
        super().__init__(batch, (K,), validate_args=validate_args)

    @property
    def total(self) -> Tensor:
        return ops.sum(self.concentration, -1, True)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.total

    @property
    def mode(self) -> Tensor:
        """The most probable vector; where no concentration is at least 1, a corner."""
        above = ops.clamp(self.concentration - 1, min=0.0)
        mode = above / ops.sum(above, -1, True)
        corner = ops.one_hot(ops.argmax(mode, -1), mode.shape[-1]).to(dtype=mode.dtype)
        flat = ops.all(self.concentration < 1, -1)
        return ops.where(ops.unsqueeze(flat, -1), corner, mode)

    @property
    def variance(self) -> Tensor:
        a, total = self.concentration, self.total
        return a * (total - a) / (total**2 * (total + 1))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        x = standard_gamma(self.concentration, self._extended_shape(sample_shape))
        return x / ops.sum(x, -1, True)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        return ops.sum(ops.xlogy(self.concentration - 1.0, value), -1) - _log_beta(
            self.concentration
        )

    def entropy(self) -> Tensor:
        a, total, K = self.concentration, self.total.squeeze(-1), self.concentration.shape[-1]
        rest = ops.sum((a - 1.0) * ops.digamma(a), -1)
        return _log_beta(a) - (K - total) * ops.digamma(total) - rest


def _log_beta(a: Tensor) -> Tensor:
    return ops.sum(ops.lgamma(a), -1) - ops.lgamma(ops.sum(a, -1))


@register_kl(Dirichlet, Dirichlet)
def _dirichlet_dirichlet(p, q):
    a, b = p.concentration, q.concentration
    gap = ops.digamma(a) - ops.digamma(p.total)
    return _log_beta(b) - _log_beta(a) + ops.sum((a - b) * gap, -1)
