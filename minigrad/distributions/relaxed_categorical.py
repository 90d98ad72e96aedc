from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..tensor import Tensor
from . import constraints
from .categorical import Categorical
from .distribution import Distribution
from .utils import clamp_probs


class RelaxedOneHotCategorical(Distribution):
    """Vectors near one-hot ones, the softmax of noisy logits over a temperature (Jang et al. 2017;
    Maddison et al. 2017), through which gradients flow.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex
    has_rsample = True

    def __init__(
        self,
        temperature: Any,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ):
        self.temperature = temperature
        self._categorical = Categorical(probs, logits, validate_args)
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Distribution:
        new = super().expand(batch_shape)
        new._categorical = self._categorical.expand(batch_shape)
        return new

    def _parameters(self) -> dict[str, Tensor]:
        return {}

    @property
    def probs(self) -> Tensor:
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        return self._categorical.logits

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        logits, shape = self.logits, self._extended_shape(sample_shape)
        uniform = clamp_probs(ops.rand(shape, dtype=logits.dtype, device=logits.device))
        gumbel = -ops.log(-ops.log(uniform))
        return ops.softmax((logits + gumbel) / self.temperature, -1)

    def log_prob(self, value: Tensor) -> Tensor:
        """ln (K - 1)! + (K - 1) ln τ + Σ ln of softmax(logits - τ ln x) - Σ ln x"""
        self._validate_sample(value)
        K, log_x = self._event_shape[0], ops.log(value)
        t = ops.as_tensor(self.temperature, dtype=value.dtype)
        score = self.logits - t * log_x
        score = ops.sum(score - ops.logsumexp(score, -1, True) - log_x, -1)
        return score + math.lgamma(K) + (K - 1) * ops.log(t)
