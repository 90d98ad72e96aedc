"""Comparisons, logic and bits: constants to the tape, for they have no derivative."""

from __future__ import annotations

import math
from typing import Any

from ..backend import backend_of, is_array, module_of
from ..op import raw
from ..tensor import Tensor, wrap
from .promotion import common_dtype, fitted, pair, some_tensor, tensors_only


def _constant(function, *inputs):
    """`function(xp, *arrays)`, wrapped if a Tensor is among the inputs."""
    arrays = [raw(x) for x in inputs]
    xp = module_of(*arrays)
    try:
        y = function(xp, *arrays)
    except ValueError as error:  # shapes that do not fit are a RuntimeError, as in PyTorch
        raise RuntimeError(str(error)) from error
    for x in inputs:
        if isinstance(x, Tensor):
            return wrap(xp.asarray(y))
    return y


def _function(name: str, forward, unary: bool = False, tensors: int = 0):
    """The public function of one input, or of two, with `forward` on arrays; the first `tensors`
    of them must not be numbers.
    """

    def one(input: Any) -> Any:
        return _constant(forward, input)

    def two(input: Any, other: Any) -> Any:
        tensors_only(name, *(input, other)[:tensors])
        return _constant(forward, input, other)

    function = one if unary else two
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{name} elementwise; a constant to the tape."
    return function


def _comparison(name: str):
    return _function(name, lambda xp, a, b: getattr(xp, name)(*pair(a, b)), tensors=1)


eq, ne = _comparison("equal"), _comparison("not_equal")
lt, le = _comparison("less"), _comparison("less_equal")
gt, ge = _comparison("greater"), _comparison("greater_equal")
not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge


def _logical(name: str, unary: bool = False):
    return _function(name, lambda xp, *arrays: getattr(xp, name)(*arrays), unary, tensors=2)


logical_and, logical_or = _logical("logical_and"), _logical("logical_or")
logical_xor, logical_not = _logical("logical_xor"), _logical("logical_not", unary=True)


def whole(a, b, what: str):
    """Two integer or bool operands in one dtype; NotImplementedError for floats."""
    some_tensor(what, a, b)
    a, b = pair(a, b)
    dtype = common_dtype(a, b)
    if dtype.kind == "f":
        raise NotImplementedError(f"{what} of {dtype}: it is defined for integers and bools only")
    return a, b


def _bitwise(name: str):
    return _function(name, lambda xp, a, b: getattr(xp, name)(*whole(a, b, name)))


bitwise_and, bitwise_or = _bitwise("bitwise_and"), _bitwise("bitwise_or")
bitwise_xor = _bitwise("bitwise_xor")


def _invert(xp, x):
    if x.dtype.kind == "f":
        raise TypeError(f"~ of {x.dtype}: it is defined for integers and bools only")
    return xp.invert(x)


bitwise_not = _function("bitwise_not", _invert, unary=True)


def _shift(name: str):
    def forward(xp, a, b):
        a, b = whole(a, b, name)
        dtype = common_dtype(a, b)
        if dtype.kind == "b":
            raise NotImplementedError(f"{name} of bools: convert them to integers first")
        # a shift beyond the width leaves nothing, or the sign
        bits = 8 * dtype.itemsize
        a, b = [x if is_array(x) else xp.asarray(fitted(x, dtype), dtype) for x in (a, b)]
        inside = (b >= 0) & (b < bits)
        y = getattr(xp, name)(a, xp.where(inside, b, dtype.type(bits - 1)))
        return y if name[0] == "r" and dtype.kind == "i" else xp.where(inside, y, dtype.type(0))

    return _function(f"bitwise_{name}", forward)


bitwise_left_shift, bitwise_right_shift = _shift("left_shift"), _shift("right_shift")


def _test(name: str, of_floats, of_integers=lambda xp, x: xp.zeros(x.shape, bool)):
    """A test that integers pass or fail without being looked at."""

    def forward(xp, x):
        return of_floats(xp, x) if x.dtype.kind == "f" else of_integers(xp, x)

    return _function(name, forward, unary=True)


isnan = _test("isnan", lambda xp, x: xp.isnan(x))
isinf = _test("isinf", lambda xp, x: xp.isinf(x))
isposinf = _test("isposinf", lambda xp, x: x == math.inf)
isneginf = _test("isneginf", lambda xp, x: x == -math.inf)
isfinite = _test("isfinite", lambda xp, x: xp.isfinite(x), lambda xp, x: xp.ones(x.shape, bool))
isreal = _test("isreal", lambda xp, x: xp.ones(x.shape, bool), lambda xp, x: xp.ones(x.shape, bool))
signbit = _test("signbit", lambda xp, x: xp.signbit(x), lambda xp, x: x < 0)


def isclose(
    input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Any:
    """|input - other| <= atol + rtol |other| elementwise; infinities are close to themselves."""
    tensors_only("isclose", input, other)
    for name, bound in (("rtol", rtol), ("atol", atol)):
        if bound < 0:
            raise RuntimeError(f"isclose: {name} must be at least 0, got {bound}")

    def forward(xp, a, b):
        if a.dtype != b.dtype:
            raise RuntimeError(f"isclose of {a.dtype} and {b.dtype}: expected one dtype")
        same = a == b
        c = xp.where(same, xp.zeros_like(b), b)  # the distance of two infinities is NaN
        c = c if c.dtype.kind == "f" else c.astype(float)
        near = xp.isfinite(b) & (xp.abs(a - c) <= atol + rtol * xp.abs(c))
        close = same | near
        return close | ((a != a) & (b != b)) if equal_nan else close

    return _constant(forward, input, other)


def allclose(
    input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether all elements are close, see `isclose`."""
    close = isclose(input, other, rtol, atol, equal_nan)
    return bool(close.all())


def equal(input: Any, other: Any) -> bool:
    """Whether both have the same shape and the same elements."""
    a, b = raw(input), raw(other)
    backend_of(a, b)  # raises for two devices
    return a.shape == b.shape and bool(module_of(a, b).all(eq(a, b)))
