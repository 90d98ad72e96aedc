from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..ops.random import host_of
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .kl import register_kl
from .utils import (
    broadcast_all,
    lazy_property,
    logits_to_probs,
    one_of,
    probs_to_logits,
    softplus,
)


class Binomial(Distribution):
    """How many of `total_count` trials succeed, each of which does with the probability `probs`."""

    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True

    def __init__(
        self,
        total_count: Any = 1,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ):
        one_of(probs, logits)
        if probs is not None:
            self.probs, self.total_count = broadcast_all(probs, total_count)
        else:
            self.logits, self.total_count = broadcast_all(logits, total_count)
        self.total_count = self.total_count.to(
            dtype=(self.logits if probs is None else self.probs).dtype
        )
        super().__init__(self.total_count.shape, validate_args=validate_args)

    @lazy_property
    def probs(self) -> Tensor:
        return logits_to_probs(self.logits, is_binary=True)

    @lazy_property
    def logits(self) -> Tensor:
        return probs_to_logits(self.probs, is_binary=True)

    @property
    def support(self) -> Any:  # type: ignore[override]
        return constraints.integer_interval(0, self.total_count)

    @property
    def param_shape(self) -> Any:
        return self._batch_shape

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        return ops.clamp(ops.floor((self.total_count + 1) * self.probs), max=self.total_count)

    @property
    def variance(self) -> Tensor:
        return self.mean * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        p, shape = self.probs, self._extended_shape(sample_shape)
        count = self.total_count.to_numpy().astype("int64")
        drawn = host_of(None).binomial(count, p.to_numpy().clip(0, 1), tuple(shape))
        return ops.tensor(drawn, dtype=p.dtype, device=p.device)

    def log_prob(self, value: Tensor) -> Tensor:
        """ln n! / (k! (n - k)!) + k logit - n softplus(logit)"""
        self._validate_sample(value)
        n, ways = self.total_count, ops.lgamma(self.total_count + 1)
        ways = ways - ops.lgamma(value + 1) - ops.lgamma(n - value + 1)
        return ways + value * self.logits - n * softplus(self.logits)

    def entropy(self) -> Tensor:
        total = int(self.total_count.max())
        if int(self.total_count.min()) != total:
            raise self._lacks("entropy where the total counts differ")
        log_prob = self.log_prob(self.enumerate_support(False))
        return -ops.sum(ops.exp(log_prob) * log_prob, 0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        total = int(self.total_count.max())
        if int(self.total_count.min()) != total:
            raise self._lacks("enumerate_support where the total counts differ")
        p = self.probs
        return self._enumerated(ops.arange(total + 1, dtype=p.dtype, device=p.device), expand)


@register_kl(Binomial, Binomial)
def _binomial_binomial(p, q):
    gap = p.total_count * (
        p.probs * (p.logits - q.logits) + ops.log1p(-p.probs) - ops.log1p(-q.probs)
    )
    return ops.where(p.total_count > q.total_count, math.inf, gap)
