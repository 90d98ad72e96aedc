"""Conditions that parameters and samples must meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import ops
from ..linalg import eigvalsh
from ..tensor import Tensor


class Constraint:
    """A named condition; `check` tells of every value, or vector of values, whether it holds."""

    def __init__(self, name: str, check: Callable[[Tensor], Tensor]):
        self.name, self.check = name, check

    def __repr__(self) -> str:
        return self.name


def less_than(upper_bound: Any) -> Constraint:
    return Constraint(f"less_than({_shown(upper_bound)})", lambda x: x < upper_bound)


def greater_than(lower_bound: Any) -> Constraint:
    return Constraint(f"greater_than({_shown(lower_bound)})", lambda x: x > lower_bound)


def interval(lower_bound: Any, upper_bound: Any) -> Constraint:
    name = f"interval({_shown(lower_bound)}, {_shown(upper_bound)})"
    return Constraint(name, lambda x: (x >= lower_bound) & (x <= upper_bound))


def integer_interval(lower_bound: int, upper_bound: int) -> Constraint:
    """Whole numbers from lower_bound to upper_bound, in any dtype."""
    inside = interval(lower_bound, upper_bound)
    return Constraint(f"integer_{inside}", lambda x: inside.check(x) & ops.eq(x, x.long()))


def _shown(bound: Any) -> str:
    many = isinstance(bound, Tensor) and bound.numel() > 1
    return f"tensor of shape {tuple(bound.shape)}" if many else f"{float(bound):g}"


real = Constraint("real", lambda x: ops.eq(x, x))  # NaN alone differs from itself
positive = Constraint("positive", lambda x: x > 0)
unit_interval = Constraint("unit_interval", interval(0, 1).check)
boolean = Constraint("boolean", lambda x: ops.eq(x, 0) | ops.eq(x, 1))
real_vector = Constraint("real_vector", lambda x: ops.all(ops.eq(x, x), -1))
simplex = Constraint(
    "simplex", lambda x: ops.all(x >= 0, -1) & (ops.abs(ops.sum(x, -1) - 1.0) < 1e-6)
)
nonnegative = Constraint("nonnegative", lambda x: x >= 0)
nonnegative_integer = Constraint("nonnegative_integer", lambda x: (x >= 0) & ops.eq(x % 1, 0))
one_hot = Constraint("one_hot", lambda x: ops.all(boolean.check(x), -1) & ops.eq(ops.sum(x, -1), 1))
lower_cholesky = Constraint(
    "lower_cholesky",
    lambda x: (
        ops.all(ops.all(ops.eq(ops.tril(x), x), -1), -1)
        & ops.all(ops.diagonal(x, 0, -2, -1) > 0, -1)
    ),
)
positive_definite = Constraint(
    "positive_definite",
    lambda x: (
        ops.all(eigvalsh(x) > 0, -1) & ops.all(ops.all(ops.isclose(x, x.mT, atol=1e-6), -1), -1)
    ),
)


def greater_than_eq(lower_bound: Any) -> Constraint:
    return Constraint(f"greater_than_eq({_shown(lower_bound)})", lambda x: x >= lower_bound)


def counts(total: Any) -> Constraint:
    """Vectors of whole numbers with a sum of at most `total`."""
    return Constraint(
        f"multinomial(upper_bound={total})",
        lambda x: ops.all(nonnegative_integer.check(x), -1) & (ops.sum(x, -1) <= total),
    )


def independent(base: Constraint, dims: int) -> Constraint:
    """A constraint of single values that all of the last `dims` dimensions must meet."""

    def check(x: Tensor) -> Tensor:
        holds = base.check(x)
        return ops.all(ops.flatten(holds, -dims), -1) if dims else holds

    return Constraint(f"independent({base}, {dims})", check)
