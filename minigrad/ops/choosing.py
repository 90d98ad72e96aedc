"""Ops that choose between elements: where, the larger, the smaller, limits."""

from __future__ import annotations

import math
from typing import Any

from ..backend import is_array, module_of
from ..op import Op, raw
from ..tensor import Tensor, wrap
from .comparisons import ge, gt, isnan, le, logical_or, lt
from .convert import cast
from .promotion import common_dtype, pair, promoted, tensors_only


class Where(Op):
    """y = a where the mask is true, b elsewhere"""

    def forward(self, mask, a, b):
        a, b = pair(a, b)
        y = self.xp.where(mask, a, b)
        # of two numbers NumPy would make float64
        dtype = a.dtype if is_array(a) else b.dtype if is_array(b) else common_dtype(a, b)
        return y if y.dtype == dtype else y.astype(dtype)

    def backward(self, g, _y, mask, _a, _b):
        da = Where()(mask, g, 0.0) if self.needs[1] else None
        db = Where()(mask, 0.0, g) if self.needs[2] else None
        return None, da, db


class Maximum(Op):
    """y = max(a, b); where they are equal each gets half the gradient"""

    def forward(self, a, b):
        return self.xp.maximum(*pair(a, b))

    def backward(self, g, _y, a, b):
        return share(g, a, b), share(g, b, a)


class Minimum(Op):
    """y = min(a, b); where they are equal each gets half the gradient"""

    def forward(self, a, b):
        return self.xp.minimum(*pair(a, b))

    def backward(self, g, _y, a, b):
        return share(g, b, a), share(g, a, b)


def share(g, a, b):
    """g where a > b, g / 2 where they are equal, 0 where a < b; a NaN gets all of g."""
    return where(a == b, g * 0.5, where(a < b, 0.0, g))


class Fmax(Op):
    """y = max(a, b), or the other one where one is NaN; a gets the gradient of equals"""

    def forward(self, a, b):
        return self.xp.fmax(*pair(a, b))

    def backward(self, g, _y, a, b):
        first = ge(a, b) | (b != b)
        return where(first, g, 0.0), where(first, 0.0, g)


class Fmin(Op):
    """y = min(a, b), or the other one where one is NaN; a gets the gradient of equals"""

    def forward(self, a, b):
        return self.xp.fmin(*pair(a, b))

    def backward(self, g, _y, a, b):
        first = le(a, b) | (b != b)
        return where(first, g, 0.0), where(first, 0.0, g)


class ClampMin(Op):
    """y = max(x, low); the gradient goes to low where x was below it"""

    def forward(self, x, low):
        return self.xp.maximum(*pair(x, low))

    def backward(self, g, _y, x, low):
        return g * ge(x, low), (where(lt(x, low), g, 0.0) if self.needs[1] else None)


class ClampMax(Op):
    """y = min(x, high); the gradient goes to high where x was above it"""

    def forward(self, x, high):
        return self.xp.minimum(*pair(x, high))

    def backward(self, g, _y, x, high):
        return g * le(x, high), (where(gt(x, high), g, 0.0) if self.needs[1] else None)


class Clamp(Op):
    """y = min(max(x, low), high); the gradient goes to the bound where x was cut"""

    def forward(self, x, low, high):
        x, low, high = promoted(x, low, high)
        return self.xp.minimum(self.xp.maximum(x, low), high)

    def backward(self, g, _y, x, low, high):
        dlow = dhigh = None
        if self.needs[1]:
            dlow = where(lt(x, low), g * (low < high), 0.0)
        if self.needs[2]:
            dhigh = where(gt(x, high) | (high < low), g, 0.0)
        return g * ge(x, low) * le(x, high), dlow, dhigh


def maximum(input: Any, other: Any) -> Any:
    """The larger of each two elements; NaN where one is NaN."""
    tensors_only("maximum", input, other)
    return Maximum()(input, other)


def minimum(input: Any, other: Any) -> Any:
    """The smaller of each two elements; NaN where one is NaN."""
    tensors_only("minimum", input, other)
    return Minimum()(input, other)


def fmax(input: Any, other: Any) -> Any:
    """The larger of each two elements; a NaN loses."""
    tensors_only("fmax", input, other)
    return Fmax()(input, other)


def fmin(input: Any, other: Any) -> Any:
    """The smaller of each two elements; a NaN loses."""
    tensors_only("fmin", input, other)
    return Fmin()(input, other)


def clamp(input: Any, min: Any = None, max: Any = None) -> Any:  # noqa: A002
    """input limited to [min, max], numbers or Tensors; None leaves a side open."""
    if min is None and max is None:
        raise RuntimeError("clamp needs min, max or both")
    if max is None:
        return ClampMin()(input, min)
    return ClampMax()(input, max) if min is None else Clamp()(input, min, max)


clip = clamp


def clamp_min(input: Any, min: Any) -> Any:  # noqa: A002
    tensors_only("clamp_min", input)
    return ClampMin()(input, min)


def clamp_max(input: Any, max: Any) -> Any:  # noqa: A002
    tensors_only("clamp_max", input)
    return ClampMax()(input, max)


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """input where the condition is true, other elsewhere; all three broadcast.

    The condition alone gives the indices where it is true, one tensor a dimension.
    """
    mask = raw(condition)
    if input is None and other is None:
        places = module_of(mask).nonzero(mask)
        return tuple([wrap(i) for i in places]) if isinstance(condition, Tensor) else places
    if is_array(mask) and mask.dtype.kind != "b":
        raise RuntimeError(f"where needs a condition of bools, got {mask.dtype}: compare first")
    return Where()(condition, input, other)


def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """input with `value`, a number or a 0-d Tensor, where the mask is true; the mask broadcasts."""
    bools = raw(mask)
    dtype = (input.array if isinstance(input, Tensor) else input).dtype
    if is_array(bools) and bools.dtype.kind != "b":
        raise RuntimeError(f"masked_fill needs a mask of bools, got {bools.dtype}: compare first")
    if getattr(value, "ndim", 0):
        raise RuntimeError(
            f"masked_fill takes a number or a 0-d tensor, got shape {tuple(value.shape)}: use where"
        )
    if hasattr(value, "dtype"):
        value = value if value.dtype == dtype else cast(value, dtype)
    elif dtype.kind != "f":
        value = bool(value) if dtype.kind == "b" else int(value)
    return Where()(mask, value, input)


def fill(input: Any, value: Any) -> Any:
    """`value`, a number or a 0-d Tensor, in the shape and dtype of input."""
    return masked_fill(input, module_of(raw(input)).ones((), bool), value)


def nan_to_num(
    input: Any, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Any:
    """Numbers for NaN and the infinities: 0 and the largest and smallest, unless given."""
    x = raw(input)
    if x.dtype.kind != "f":
        return input * 1 if x.dtype.kind != "b" else logical_or(input, input)
    most = float(module_of(x).finfo(x.dtype).max)
    y = masked_fill(input, isnan(input), nan or 0.0)
    y = masked_fill(y, input == math.inf, most if posinf is None else posinf)
    return masked_fill(y, input == -math.inf, -most if neginf is None else neginf)


def heaviside(input: Any, values: Any) -> Any:
    """0 below zero, 1 above, `values` at zero; a constant to the tape."""
    tensors_only("heaviside", input, values)
    a, b = raw(input), raw(values)
    if a.dtype != b.dtype:
        raise RuntimeError(f"heaviside of {a.dtype} and {b.dtype}: expected one dtype")
    y = module_of(a).where(a == 0, b, (a > 0).astype(a.dtype))
    return wrap(y) if isinstance(input, Tensor) else y
