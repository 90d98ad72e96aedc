"""Kullback-Leibler divergences, by the families of both distributions."""

from __future__ import annotations

import math
from collections.abc import Callable

from .. import ops
from ..tensor import Tensor
from .bernoulli import Bernoulli
from .categorical import Categorical
from .distribution import Distribution
from .normal import Normal
from .uniform import Uniform
from .utils import softplus

_RULES: dict[tuple[type, type], Callable] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Callable], Callable]:
    """Decorator that makes a function of p and q known to `kl_divergence`; the last one counts."""
    for kind in (type_p, type_q):
        if not (isinstance(kind, type) and issubclass(kind, Distribution)):
            raise TypeError(f"expected a class of distributions, got {kind!r}")

    def registered(rule: Callable) -> Callable:
        _RULES[type_p, type_q] = rule
        return rule

    return registered


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """KL(p ‖ q), the expectation under p of ln p - ln q, of shape batch_shape.

    Raises NotImplementedError where no formula is known.
    """
    for (type_p, type_q), rule in reversed(_RULES.items()):
        if isinstance(p, type_p) and isinstance(q, type_q):
            return rule(p, q)
    raise NotImplementedError(
        f"no KL divergence of {type(p).__name__} from {type(q).__name__}: see register_kl"
    )


@register_kl(Normal, Normal)
def _normal_normal(p, q):
    ratio, shift = (p.scale / q.scale) ** 2, ((p.loc - q.loc) / q.scale) ** 2
    return 0.5 * (ratio + shift - 1.0 - ops.log(ratio))


@register_kl(Categorical, Categorical)
def _categorical_categorical(p, q):
    terms = p.probs * (p.logits - q.logits)
    terms = ops.where(ops.eq(q.probs, 0), math.inf, terms)
    return ops.sum(ops.where(ops.eq(p.probs, 0), 0.0, terms), -1)


@register_kl(Bernoulli, Bernoulli)
def _bernoulli_bernoulli(p, q):
    one = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    one = ops.where(ops.eq(p.probs, 0), 0.0, ops.where(ops.eq(q.probs, 0), math.inf, one))
    zero = (1.0 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    zero = ops.where(ops.eq(p.probs, 1), 0.0, ops.where(ops.eq(q.probs, 1), math.inf, zero))
    return one + zero


@register_kl(Uniform, Uniform)
def _uniform_uniform(p, q):
    inside = (q.low <= p.low) & (q.high >= p.high)
    return ops.where(inside, ops.log(q.width / p.width), math.inf)


@register_kl(Uniform, Normal)
def _uniform_normal(p, q):
    spread = p.variance + (p.mean - q.loc) ** 2
    return 0.5 * spread / q.variance + ops.log(math.sqrt(2 * math.pi) * q.scale / p.width)
