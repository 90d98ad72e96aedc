from __future__ import annotations

from typing import Any

from .. import ops
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .gamma import standard_gamma
from .utils import (
    broadcast_all,
    lazy_property,
    logits_to_probs,
    one_of,
    probs_to_logits,
    softplus,
)


class NegativeBinomial(Distribution):
    """How many trials succeed, with the probability `probs`, before `total_count` have failed."""

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(
        self,
        total_count: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ):
        one_of(probs, logits)
        if probs is not None:
            self.total_count, self.probs = broadcast_all(total_count, probs)
        else:
            self.total_count, self.logits = broadcast_all(total_count, logits)
        super().__init__(self.total_count.shape, validate_args=validate_args)

    @lazy_property
    def probs(self) -> Tensor:
        return logits_to_probs(self.logits, is_binary=True)

    @lazy_property
    def logits(self) -> Tensor:
        return probs_to_logits(self.probs, is_binary=True)

    @property
    def param_shape(self) -> Any:
        return self._batch_shape

    @property
    def mean(self) -> Tensor:
        return self.total_count * ops.exp(self.logits)

    @property
    def mode(self) -> Tensor:
        mode = ops.floor((self.total_count - 1) * ops.exp(self.logits))
        return ops.clamp(mode, min=0.0)

    @property
    def variance(self) -> Tensor:
        return self.mean / ops.sigmoid(-self.logits)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Poisson numbers whose rates are drawn from a gamma distribution."""
        rates = standard_gamma(self.total_count, self._extended_shape(sample_shape))
        return ops.poisson(rates * ops.exp(self.logits.detach()))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        r, logits = self.total_count, self.logits
        ways = ops.lgamma(r + value) - ops.lgamma(1.0 + value) - ops.lgamma(r)
        ways = ops.where(ops.eq(r + value, 0.0), 0.0, ways)
        return ways - r * softplus(logits) - value * softplus(-logits)
