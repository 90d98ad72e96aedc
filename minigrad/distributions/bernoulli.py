from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..modes import no_grad
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .utils import broadcast_all, lazy_property, logits_to_probs, one_of, probs_to_logits, softplus


class Bernoulli(Distribution):
    """1 with probability `probs` = σ(`logits`), else 0; samples are floating, as `probs` is."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.boolean
    has_enumerate_support = True

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        one_of(probs, logits)
        if probs is not None:
            (given,) = (self.probs,) = broadcast_all(probs)
        else:
            (given,) = (self.logits,) = broadcast_all(logits)
        super().__init__(given.shape, validate_args=validate_args)

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
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The more probable value, NaN where both are as probable."""
        p = self.probs.detach()
        return ops.where(p > 0.5, 1.0, ops.where(p < 0.5, 0.0, math.nan)).to(dtype=p.dtype)

    @property
    def variance(self) -> Tensor:
        return self.probs * (1.0 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        p = self.probs
        with no_grad():
            noise = ops.rand(self._extended_shape(sample_shape), device=p.device)
            return (noise < p).to(dtype=p.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """x ln p + (1 - x) ln(1 - p), from the logits"""
        self._validate_sample(value)
        return self._cross_entropy(value)

    def entropy(self) -> Tensor:
        return -self._cross_entropy(self.probs)

    def _cross_entropy(self, x: Tensor) -> Tensor:
        return -(x * softplus(-self.logits) + (1.0 - x) * softplus(self.logits))

    def enumerate_support(self, expand: bool = True) -> Tensor:
        p = self.probs
        return self._enumerated(ops.tensor([0.0, 1.0], dtype=p.dtype, device=p.device), expand)
