"""Type promotion, by PyTorch's rule: ops call it in forward, the engine casts gradients back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import is_array

_KINDS = {"b": 0, "u": 1, "i": 1, "f": 2}
_NUMBERS = {bool: np.dtype(bool), int: np.dtype(np.int64), float: np.dtype(np.float32)}


def result_type(*operands: Any) -> np.dtype:
    """PyTorch's rule: arrays outrank 0-d arrays, those outrank numbers, unless the lower has the
    higher kind.

    The kinds are bool < integer < float. NumPy alone would make float64 of int64 with float32.
    """
    ranks: tuple[list, list, list] = ([], [], [])
    for x in operands:
        if not is_array(x):
            ranks[2].append(_NUMBERS[type(x)])
        elif x.dtype.kind in _KINDS:
            ranks[x.ndim == 0].append(x.dtype)
        else:
            raise TypeError(
                f"dtype {x.dtype} is not supported: use a float, an integer or a bool dtype"
            )
    best, best_kind = None, -1
    for dtypes in ranks:
        kind = max((_KINDS[dtype.kind] for dtype in dtypes), default=-1)
        if kind > best_kind:
            best, best_kind = np.result_type(*[d for d in dtypes if _KINDS[d.kind] == kind]), kind
    return best


def promoted(*operands):
    """The operands in one dtype; Python numbers stay numbers, which costs no upload."""
    if len(operands) == 2:  # what nearly every operator meets
        a, b = operands
        if is_array(a):
            if (is_array(b) and a.dtype == b.dtype) or (
                a.dtype.kind == "f" and type(b) in _NUMBERS
            ):
                return operands
        elif b.dtype.kind == "f":
            return operands
    dtype = result_type(*operands)
    return [x.astype(dtype, copy=False) if is_array(x) else x for x in operands]


def floating(x):
    """x itself, or float32 of an integer or bool array."""
    return x if x.dtype.kind == "f" else x.astype(np.float32)
