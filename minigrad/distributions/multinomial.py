from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..tensor import Tensor
from . import constraints
from .binomial import Binomial
from .categorical import Categorical
from .distribution import Distribution


class Multinomial(Distribution):
    """How often each class comes in `total_count` draws from a `Categorical`."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(
        self,
        total_count: int = 1,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ):
        if not isinstance(total_count, int):
            raise NotImplementedError("total_count differs within the batch: give one number")
        self.total_count = total_count
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
    def support(self) -> Any:  # type: ignore[override]
        return constraints.counts(self.total_count)

    @property
    def probs(self) -> Tensor:
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        return self._categorical.logits

    @property
    def param_shape(self) -> Any:
        return self._categorical.param_shape

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        drawn = self._categorical.sample((self.total_count, *sample_shape))
        hot = ops.one_hot(drawn, self._event_shape[0])
        return ops.sum(hot, 0).to(dtype=self.probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        ways = ops.lgamma(ops.sum(value, -1) + 1) - ops.sum(ops.lgamma(value + 1), -1)
        impossible = ops.eq(value, 0) & ops.eq(self.logits, -math.inf)
        return ways + ops.sum(ops.where(impossible, 0.0, self.logits) * value, -1)

    def entropy(self) -> Tensor:
        """n H(p) - ln n! + Σ E ln xᵢ!, where each xᵢ is binomial"""
        n, one = self.total_count, Binomial(self.total_count, self.probs)
        values = one.enumerate_support(False)[1:]
        expected = ops.exp(one.log_prob(values)) * ops.lgamma(values + 1)
        return n * self._categorical.entropy() - math.lgamma(n + 1) + ops.sum(expected, (0, -1))
