"""Penalties on the size of weights, to be added to a loss."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from ... import ops
from ...tensor import Tensor


def l1_penalty(parameters: Iterable[Tensor] | Tensor) -> Tensor:
    """Σ |w|, a Tensor of no dimensions: `loss + 1e-5 * l1_penalty(model.parameters())`.

    It draws weights to exactly 0 (Tibshirani 1996); its gradient is the sign of w, 0 at 0. Biases
    are mostly spared: pass the parameters that are meant.
    """
    return _sum([ops.abs(p) for p in _listed(parameters)])


def l2_penalty(parameters: Iterable[Tensor] | Tensor) -> Tensor:
    """Σ w², a Tensor of no dimensions, whose gradient is 2 w.

    Half of it times λ is what the option `weight_decay=λ` of SGD adds to a loss, and of Adam's;
    AdamW's decay is not a penalty. The option costs less.
    """
    return _sum([p * p for p in _listed(parameters)])


def _listed(parameters: Iterable[Tensor] | Tensor) -> list[Tensor]:
    found = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    for p in found:
        if not isinstance(p, Tensor):
            raise TypeError(f"a penalty is on tensors, got a {type(p).__name__}")
    return found


def _sum(terms: list[Tensor]) -> Tensor:
    sums = [ops.sum(x) for x in terms]
    return reduce(ops.add, sums) if sums else ops.tensor(0.0)
