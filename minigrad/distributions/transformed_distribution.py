from __future__ import annotations

import math
from typing import Any

from ..modes import no_grad
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .independent import Independent
from .kl import kl_divergence, register_kl
from .transforms import Transform
from .utils import sum_last


class TransformedDistribution(Distribution):
    """What a transform, or a list of them, makes of another distribution's samples."""

    def __init__(
        self,
        base_distribution: Distribution,
        transforms: Transform | list[Transform],
        validate_args: bool | None = None,
    ):
        given = [transforms] if isinstance(transforms, Transform) else transforms
        if not isinstance(given, list) or not all(isinstance(t, Transform) for t in given):
            raise ValueError(f"expected a Transform or a list of them, got {transforms!r}")
        self.transforms = given
        base = base_distribution
        more = max([t.event_dim for t in self.transforms], default=0) - len(base.event_shape)
        self.base_dist = Independent(base, more) if more > 0 else base
        shape = self.base_dist.batch_shape, self.base_dist.event_shape
        super().__init__(*shape, validate_args=validate_args)

    def _parameters(self) -> dict[str, Tensor]:
        return {}

    def expand(self, batch_shape: Any, _instance: Any = None) -> Distribution:
        new = super().expand(batch_shape)
        new.base_dist = self.base_dist.expand(batch_shape)
        return new

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.base_dist.has_rsample

    @property
    def support(self) -> Any:  # type: ignore[override]
        if not self.transforms:
            return self.base_dist.support
        events = len(self._event_shape) - self.transforms[-1].event_dim
        return constraints.independent(self.transforms[-1].codomain, events)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            return self._moved(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self._moved(self.base_dist.rsample(sample_shape))

    def _moved(self, x: Tensor) -> Tensor:
        for transform in self.transforms:
            x = transform(x)
        return x

    def _back(self, y: Tensor) -> Tensor:
        for transform in reversed(self.transforms):
            y = transform.inverse(y)
        return y

    def log_prob(self, value: Tensor) -> Tensor:
        """ln p(x) - ln |dy/dx|, x being where `value` comes from"""
        self._validate_sample(value)
        events, y, slopes = len(self._event_shape), value, 0.0
        for transform in reversed(self.transforms):
            x = transform.inverse(y)
            slope = transform.log_abs_det_jacobian(x, y)
            slopes, y = slopes + sum_last(slope, events - transform.event_dim), x
        return self.base_dist.log_prob(y) - slopes

    def _rising(self) -> Any:
        return math.prod([transform.sign for transform in self.transforms])

    def cdf(self, value: Tensor) -> Tensor:
        self._validate_sample(value)
        sign, below = self._rising(), self.base_dist.cdf(self._back(value))
        return sign * (below - 0.5) + 0.5

    def icdf(self, value: Tensor) -> Tensor:
        sign = self._rising()
        return self._moved(self.base_dist.icdf(sign * (value - 0.5) + 0.5))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_dist}, {self.transforms})"


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed_transformed(p, q):
    if [type(t) for t in p.transforms] != [type(t) for t in q.transforms]:
        raise NotImplementedError("a KL divergence through different transforms")
    return kl_divergence(p.base_dist, q.base_dist)
