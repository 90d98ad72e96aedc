from __future__ import annotations

from typing import Any

from .. import ops
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .kl import register_kl
from .utils import broadcast_all, lazy_property, logits_to_probs, one_of, probs_to_logits


class Geometric(Distribution):
    """How many trials fail before the first success, each of which has the probability `probs`."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer

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
    def mean(self) -> Tensor:
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Tensor:
        return ops.zeros_like(self.probs)

    @property
    def variance(self) -> Tensor:
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape, p = self._extended_shape(sample_shape), self.probs.detach()
        u = ops.rand(shape, dtype=p.dtype, device=p.device)
        return ops.floor(ops.log1p(-u) / ops.log1p(-p))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        p = self.probs
        certain = ops.eq(p, 1) & ops.eq(value, 0)  # 0 failures where none is possible
        failed = value * ops.log1p(-ops.where(certain, 0.0, p))
        return failed + ops.log(p)

    def entropy(self) -> Tensor:
        p = self.probs
        return -(ops.xlogy(1 - p, 1 - p) + ops.xlogy(p, p)) / p


@register_kl(Geometric, Geometric)
def _geometric_geometric(p, q):
    return -p.entropy() - ops.log1p(-q.probs) / p.probs - q.logits
