"""Equality of tensors up to rounding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..ops import as_tensor

TOLERANCES = {"float16": (1e-3, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7)}


def assert_close(
    actual: Any,
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    msg: Any = None,
) -> None:
    """AssertionError where tensors, numbers, or sequences and mappings of them, are not alike: in
    shape, dtype, device, and value up to atol + rtol |expected|. The tolerances are those of the
    dtype.
    """
    options = dict(rtol=rtol, atol=atol, equal_nan=equal_nan, msg=msg)
    options |= {"check_device": check_device, "check_dtype": check_dtype}
    if isinstance(expected, Mapping):
        _alike(set(actual), set(expected), "keys", msg)
        for key in expected:
            assert_close(actual[key], expected[key], **options)
        return
    if isinstance(expected, (list, tuple)):
        _alike(len(actual), len(expected), "lengths", msg)
        for a, b in zip(actual, expected):
            assert_close(a, b, **options)
        return
    a, b = as_tensor(actual).detach(), as_tensor(expected).detach()
    _alike(tuple(a.shape), tuple(b.shape), "shapes", msg)
    if check_dtype:
        _alike(a.dtype, b.dtype, "dtypes", msg)
    if check_device:
        _alike(a.device, b.device, "devices", msg)
    if (rtol is None) != (atol is None):
        raise ValueError("give both rtol and atol, or neither")
    if rtol is None:
        both = [TOLERANCES.get(x.dtype.name, (0.0, 0.0)) for x in (a, b)]
        rtol, atol = map(max, zip(*both))
    x, y = (np.asarray(t.to_numpy(), np.float64) for t in (a, b))
    wrong = ~np.isclose(x, y, rtol, atol, equal_nan)
    if wrong.any():
        worst = np.unravel_index(np.argmax(np.where(wrong, np.abs(x - y), -1)), x.shape)
        at = f", most at {tuple(map(int, worst))}" if worst else ""
        raise AssertionError(
            msg
            or f"{wrong.sum()} of {x.size} values differ{at}: {x[worst]} instead of {y[worst]} "
            f"(up to {atol} + {rtol} times the value)"
        )


def _alike(a: Any, b: Any, what: str, msg: Any) -> None:
    if a != b:
        raise AssertionError(msg or f"{what} differ: {a} instead of {b}")
