from __future__ import annotations

from typing import Any

from .. import ops
from ..tensor import Tensor
from .categorical import Categorical
from .distribution import Distribution


class MixtureSameFamily(Distribution):
    """Components, the last dimension of a distribution's batch, each chosen by a Categorical."""

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ):
        mixture, components = mixture_distribution, component_distribution
        if not isinstance(mixture, Categorical) or not isinstance(components, Distribution):
            raise ValueError("a mixture needs a Categorical and a distribution of components")
        batch, count = components.batch_shape[:-1], components.batch_shape[-1]
        pairs = zip(mixture.batch_shape[::-1], batch[::-1])
        if any(a != b and 1 not in (a, b) for a, b in pairs):
            raise ValueError(f"batches of shape {mixture.batch_shape} and {batch}")
        if mixture.param_shape[-1] != count:
            raise ValueError(f"{mixture.param_shape[-1]} weights for {count} components")
        self.mixture_distribution, self.component_distribution = mixture, components
        super().__init__(batch, components.event_shape, validate_args=validate_args)

    def _parameters(self) -> dict[str, Tensor]:
        return {}

    def expand(self, batch_shape: Any, _instance: Any = None) -> MixtureSameFamily:
        count = self.component_distribution.batch_shape[-1]
        return MixtureSameFamily(
            self.mixture_distribution.expand(batch_shape),
            self.component_distribution.expand((*batch_shape, count)),
            validate_args=False,
        )

    @property
    def support(self) -> Any:  # type: ignore[override]
        return self.component_distribution.support

    def _weights(self) -> Tensor:
        p = self.mixture_distribution.probs
        return ops.reshape(p, (*p.shape, *[1] * len(self._event_shape)))

    def _over_components(self, x: Tensor) -> Tensor:
        return ops.sum(self._weights() * x, -1 - len(self._event_shape))

    @property
    def mean(self) -> Tensor:
        return self._over_components(self.component_distribution.mean)

    @property
    def variance(self) -> Tensor:
        """The mean of the variances and the variance of the means."""
        means = self.component_distribution.mean
        shift = means - ops.unsqueeze(self.mean, -1 - len(self._event_shape))
        return self._over_components(self.component_distribution.variance + shift**2)

    def _spread(self, value: Tensor) -> Tensor:
        return ops.unsqueeze(value, -1 - len(self._event_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        log_prob = self.component_distribution.log_prob(self._spread(value))
        weights = ops.log_softmax(self.mixture_distribution.logits, -1)
        return ops.logsumexp(log_prob + weights, -1)

    def cdf(self, value: Tensor) -> Tensor:
        cdf = self.component_distribution.cdf(self._spread(value))
        return ops.sum(cdf * self.mixture_distribution.probs, -1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        values = self.component_distribution.sample(sample_shape)
        chosen = self.mixture_distribution.expand(self._batch_shape).sample(sample_shape)
        events = len(self._event_shape)
        chosen = ops.reshape(chosen, (*chosen.shape, *[1] * (events + 1)))
        chosen = ops.expand(chosen, (*chosen.shape[: -events or None], *self._event_shape))
        return ops.squeeze(ops.gather(values, -1 - events, chosen), -1 - events)

    def __repr__(self) -> str:
        return f"MixtureSameFamily({self.mixture_distribution}, {self.component_distribution})"
