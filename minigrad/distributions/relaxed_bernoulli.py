from __future__ import annotations

from typing import Any

from .. import ops
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .utils import (
    broadcast_all,
    clamp_probs,
    lazy_property,
    logits_to_probs,
    one_of,
    probs_to_logits,
    softplus,
)


class RelaxedBernoulli(Distribution):
    """Numbers near 0 and 1, the sigmoid of noisy logits over a temperature (Maddison et al. 2017),
    through which gradients flow.
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ):
        one_of(probs, logits)
        self.temperature = temperature
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

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        logits, shape = self.logits, self._extended_shape(sample_shape)
        u = clamp_probs(ops.rand(shape, dtype=logits.dtype, device=logits.device))
        noise = ops.log(u) - ops.log1p(-u)
        return clamp_probs(ops.sigmoid((noise + logits) / self.temperature))

    def log_prob(self, value: Tensor) -> Tensor:
        """ln τ + d - 2 softplus(d) - ln x (1 - x) with d = logits - τ logit(x)"""
        self._validate_sample(value)
        t = ops.as_tensor(self.temperature, dtype=value.dtype)
        d = self.logits - t * (ops.log(value) - ops.log1p(-value))
        return ops.log(t) + d - 2 * softplus(d) - ops.log(value * (1 - value))
