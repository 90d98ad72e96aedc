"""Type promotion, by PyTorch's rule: ops call it in forward, the engine casts gradients back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import is_array
from ..dtypes import dtype as Dtype
from ..dtypes import get_default_dtype, of
from ..op import raw

_KINDS = {"b": 0, "u": 1, "i": 1, "f": 2}
_BOOL, _INT = np.dtype(bool), np.dtype(np.int64)
NUMBERS = frozenset((bool, int, float))


def default_dtype() -> np.dtype:
    """NumPy's dtype of Python floats, and of integers in a function that makes floats."""
    return get_default_dtype().dtype


def of_number(x: Any) -> np.dtype:
    """The dtype that a Python number has by its kind."""
    return default_dtype() if type(x) is float else _INT if type(x) is int else _BOOL


def common_dtype(*operands: Any) -> np.dtype:
    """PyTorch's rule: arrays outrank 0-d arrays, those outrank numbers, unless the lower has the
    higher kind.

    The kinds are bool < integer < float. NumPy alone would make float64 of int64 with float32.
    """
    ranks: tuple[list, list, list] = ([], [], [])
    for x in operands:
        if not is_array(x):
            ranks[2].append(of_number(x))
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


def pair(a, b):
    """Two operands in one dtype; Python numbers stay numbers, which costs no upload."""
    if type(a) in NUMBERS:
        if type(b) not in NUMBERS and b.dtype.kind == "f":
            return a, b
    elif type(b) in NUMBERS:
        if a.dtype.kind == "f":
            return a, b
    elif a.dtype == b.dtype:
        return a, b
    return promoted(a, b)


def promoted(*operands):
    """Any number of operands in one dtype; Python numbers stay numbers."""
    dtype = common_dtype(*operands)
    return [x.astype(dtype, copy=False) if is_array(x) else fitted(x, dtype) for x in operands]


def fitted(x, dtype):
    """A number that an array of `dtype` can take: integers wrap around, as in PyTorch."""
    if type(x) is not int or dtype.kind not in "iu":
        return x
    if not -(2**63) <= x < 2**64:
        raise RuntimeError(f"overflow: the integer {x} does not fit int64")
    span = 256**dtype.itemsize
    low = span // 2 if dtype.kind == "i" else 0
    return (x + low) % span - low


def tensors_only(what: str, *inputs: Any) -> None:
    """TypeError, as in PyTorch, where a number was given in the place of a tensor."""
    for x in inputs:
        if type(x) in NUMBERS:
            raise TypeError(f"{what} takes a tensor, not a number: use minigrad.tensor({x!r})")


def some_tensor(what: str, a: Any, b: Any) -> None:
    """TypeError, as in PyTorch, where both operands are numbers."""
    if type(a) in NUMBERS and type(b) in NUMBERS:
        raise TypeError(f"{what} of the numbers {a!r} and {b!r}: one of the two must be a tensor")


def floating(x):
    """x itself, or an integer or bool array in the default dtype."""
    try:
        return x if x.dtype.kind == "f" else x.astype(default_dtype())
    except AttributeError:
        raise TypeError(
            f"expected a Tensor or an array, got {type(x).__name__}: use minigrad.tensor({x!r})"
        ) from None


def undefined(what: str, *kinds: str, of: Any) -> None:
    """NotImplementedError, as in PyTorch, where one of the operands is of these kinds."""
    for x in of:
        if is_array(x) and x.dtype.kind in kinds:
            raise NotImplementedError(f"{what} is not defined for {x.dtype}: convert it first")


def result_type(tensor1: Any, tensor2: Any) -> Dtype:
    """The dtype that an operator gives to these two, Tensors or numbers."""
    return of(common_dtype(raw(tensor1), raw(tensor2)))


def promote_types(type1: Any, type2: Any) -> Dtype:
    """The smallest dtype of the higher kind that both fit: float16 for int64 and float16."""
    a, b = of(type1), of(type2)
    if _KINDS[a.kind] == _KINDS[b.kind]:
        return of(np.result_type(a.dtype, b.dtype))
    return a if _KINDS[a.kind] > _KINDS[b.kind] else b


def can_cast(from_: Any, to: Any) -> bool:
    """Whether a result of dtype `from_` may be written into a tensor of dtype `to`: not into a
    lower kind.
    """
    return _KINDS[of(from_).kind] <= _KINDS[of(to).kind]
