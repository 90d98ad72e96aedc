from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..dtypes import Size
from ..ops.random import host_of
from ..tensor import Tensor
from . import constraints
from .constraints import Constraint
from .distribution import Distribution
from .utils import lazy_property, logits_to_probs, one_of, probs_to_logits


class Categorical(Distribution):
    """A class number from 0 to K - 1, by `probs` (..., K) or their logarithms `logits` (..., K).

    Neither needs to be normalised: the attributes are.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True

    def __init__(
        self,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ):
        one_of(probs, logits)
        given = logits if probs is None else probs
        if not given.ndim:
            raise ValueError("probs and logits need a dimension of classes, the last one")
        if probs is not None:
            self.probs = probs / ops.sum(probs, -1, True)
        else:
            self.logits = logits - ops.logsumexp(logits, -1, True)
        self._num_events = given.shape[-1]
        super().__init__(given.shape[:-1], validate_args=validate_args)

    @lazy_property
    def probs(self) -> Tensor:
        return logits_to_probs(self.logits)

    @lazy_property
    def logits(self) -> Tensor:
        return probs_to_logits(self.probs)

    @property
    def support(self) -> Constraint:  # type: ignore[override]
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def param_shape(self) -> Size:
        return self._batch_shape + (self._num_events,)

    @property
    def mean(self) -> Tensor:
        """NaN: classes are no numbers."""
        p = self.probs
        return ops.full(self._batch_shape, math.nan, dtype=p.dtype, device=p.device)

    variance = mean

    @property
    def mode(self) -> Tensor:
        return ops.argmax(self.probs, -1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        edges = np.cumsum(self.probs.to_numpy().reshape(-1, self._num_events), 1, np.float64)
        edges /= edges[:, -1:]
        count = Size(sample_shape).numel()
        drawn = [np.searchsorted(row, host_of(None).random(count), "right") for row in edges]
        classes = np.array(drawn, np.int64).reshape(len(edges), count).T.reshape(shape)
        return ops.tensor(classes, device=self.probs.device)

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        logits, value = self.logits, value.long()
        shape = np.broadcast_shapes(value.shape, self._batch_shape)
        logits = ops.expand(logits, (*shape, self._num_events))
        return ops.squeeze(ops.gather(logits, -1, ops.expand(value, shape).unsqueeze(-1)), -1)

    def entropy(self) -> Tensor:
        """-Σ p ln p, where a class of probability 0 counts nothing"""
        lowest = float(np.finfo(np.dtype(self.logits.dtype)).min)
        return -ops.sum(ops.clamp(self.logits, lowest) * self.probs, -1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        return self._enumerated(ops.arange(self._num_events, device=self.probs.device), expand)
