"""Distribution: a batch of distributions of one family."""

from __future__ import annotations

import copy
from typing import Any

from .. import ops
from ..dtypes import Size
from ..modes import no_grad
from ..tensor import Tensor
from .constraints import Constraint


class Distribution:
    """Base of distributions. A sample has the shape sample_shape + batch_shape + event_shape: the
    batch's distributions are independent, and one event of each has event_shape.

    A family sets its parameters as attributes before it calls `super().__init__`, names the
    condition of each in `arg_constraints` and that of samples in `support`. Parameters that do not
    meet theirs, and values that cannot be samples, raise ValueError, unless `validate_args` is
    False.
    """

    arg_constraints: dict[str, Constraint] = {}
    support: Constraint | None = None
    has_rsample = False
    has_enumerate_support = False
    _validate_args = True

    def __init__(
        self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None
    ):
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            for name, value in self._parameters().items():
                self._check(f"parameter {name}", value, self.arg_constraints[name])

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions made from now on check their arguments."""
        if value not in (True, False):
            raise ValueError(f"expected True or False, got {value!r}")
        Distribution._validate_args = value

    def _parameters(self) -> dict[str, Tensor]:
        """Those that were given or have been computed from the given ones."""
        return {name: vars(self)[name] for name in self.arg_constraints if name in vars(self)}

    def _check(self, what: str, value: Tensor, constraint: Constraint) -> None:
        if not ops.all(constraint.check(value)):
            raise ValueError(
                f"{type(self).__name__}: {what}, of shape {tuple(value.shape)}, must be "
                f"{constraint} everywhere:\n{value.detach()}"
            )

    def _validate_sample(self, value: Any) -> None:
        if not self._validate_args:
            return
        if not isinstance(value, Tensor):
            raise ValueError(f"a value must be a Tensor, got {type(value).__name__}")
        own = self._batch_shape + self._event_shape
        tail = value.shape[value.ndim - len(self._event_shape) :]
        sizes = zip(reversed(value.shape), reversed(own))
        if tail != self._event_shape or any(a != b and 1 not in (a, b) for a, b in sizes):
            raise ValueError(
                f"a value of shape {tuple(value.shape)} does not broadcast with batch_shape + "
                f"event_shape {tuple(own)}"
            )
        if self.support is not None:
            self._check("the value", value, self.support)

    @property
    def batch_shape(self) -> Size:
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        return self._event_shape

    def _extended_shape(self, sample_shape: Any = ()) -> Size:
        return Size(sample_shape) + self._batch_shape + self._event_shape

    def expand(self, batch_shape: Any, _instance: Any = None) -> Distribution:
        """The same distributions broadcast to a larger batch_shape, without copying parameters."""
        new, before = copy.copy(self), len(self._batch_shape)
        new._batch_shape = Size(batch_shape)
        for name, x in self._parameters().items():
            vars(new)[name] = ops.expand(x, (*new._batch_shape, *x.shape[before:]))
        return new

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Values drawn at random, constants to the tape."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Values drawn at random as a function of the parameters, through which gradients flow."""
        raise self._lacks("rsample: use log_prob of a sample for its gradient")

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, at `value`."""
        raise self._lacks("log_prob")

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a sample not above `value`."""
        raise self._lacks("cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """The value that a sample is not above with probability `value`."""
        raise self._lacks("icdf")

    def entropy(self) -> Tensor:
        """The expected -log_prob, in nats, of shape batch_shape."""
        raise self._lacks("entropy")

    def perplexity(self) -> Tensor:
        return ops.exp(self.entropy())

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values of a discrete distribution, along a new first dimension."""
        raise self._lacks("enumerate_support")

    def _enumerated(self, values: Tensor, expand: bool) -> Tensor:
        values = ops.reshape(values, (-1, *[1] * len(self._batch_shape)))
        return ops.expand(values, (-1, *self._batch_shape)) if expand else values

    @property
    def mean(self) -> Tensor:
        raise self._lacks("mean")

    @property
    def mode(self) -> Tensor:
        raise self._lacks("mode")

    @property
    def variance(self) -> Tensor:
        raise self._lacks("variance")

    @property
    def stddev(self) -> Tensor:
        return ops.sqrt(self.variance)

    def _lacks(self, what: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__} has no {what}")

    def __repr__(self) -> str:
        shown = [
            f"{name}: {x if x.numel() == 1 else x.shape}" for name, x in self._parameters().items()
        ]
        return f"{type(self).__name__}({', '.join(shown)})"
