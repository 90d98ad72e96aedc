"""Activation functions, PyTorch's `inplace` where it has one, and the softmax family."""

from __future__ import annotations

import warnings
from functools import wraps
from typing import Any, Callable

from ... import ops
from ...op import raw
from ...ops import (  # noqa: F401  the same under both addresses
    gelu,
    glu,
    hardshrink,
    logsigmoid,
    prelu,
    sigmoid,
    softplus,
    softshrink,
    softsign,
    tanh,
    tanhshrink,
)
from ...ops.random import rand
from ...ops.writing import in_place
from ...tensor import Tensor


def with_inplace(function: Callable) -> Callable:
    """The function with one argument more, `inplace`, which writes the result into the input."""
    twin, places = in_place(function), function.__code__.co_argcount

    @wraps(function)
    def both(input: Tensor, *args: Any, inplace: bool = False, **named: Any) -> Tensor:
        if len(args) == places:  # given by its position, behind all others
            *args, inplace = args
        return (twin if inplace else function)(input, *args, **named)

    return both


relu, relu6, silu, mish, selu = map(
    with_inplace, (ops.relu, ops.relu6, ops.silu, ops.mish, ops.selu)
)
leaky_relu, elu, celu = map(with_inplace, (ops.leaky_relu, ops.elu, ops.celu))
hardsigmoid, hardswish = with_inplace(ops.hardsigmoid), with_inplace(ops.hardswish)
hardtanh, threshold = with_inplace(ops.hardtanh), with_inplace(ops.threshold)


def _rrelu(
    input: Tensor,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
) -> Tensor:
    """Leaky relu whose slope is drawn anew for each element in training, else the mean slope."""
    if lower > upper:
        raise RuntimeError(f"rrelu: the lower bound {lower} is greater than the upper one {upper}")
    if training:
        slopes = rand(tuple(input.shape), device=input.device).to(dtype=input.dtype)
        return ops.where(input >= 0, input, input * (slopes * (upper - lower) + lower))
    return ops.leaky_relu(input, (lower + upper) / 2)


relu_, leaky_relu_, elu_ = in_place(ops.relu), in_place(ops.leaky_relu), in_place(ops.elu)
celu_, selu_, hardtanh_ = in_place(ops.celu), in_place(ops.selu), in_place(ops.hardtanh)
threshold_, rrelu, rrelu_ = in_place(ops.threshold), with_inplace(_rrelu), in_place(_rrelu)


def _implicit_dim(name: str, ndim: int, stacklevel: int) -> int:
    """The dimension that old programs mean: 0 for 0, 1 and 3 dimensions, else 1."""
    warnings.warn(
        f"{name} without dim: the implicit choice is deprecated, write dim=... in the call",
        stacklevel=stacklevel + 1,
    )
    return 0 if ndim in (0, 1, 3) else 1


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """eˣ / Σ eˣ along `dim`; `dtype` converts before."""
    if dim is None:
        dim = _implicit_dim("softmax", raw(input).ndim, _stacklevel)
    return ops.softmax(input if dtype is None else input.to(dtype=dtype), dim)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """x - ln Σ eˣ along `dim`; `dtype` converts before."""
    if dim is None:
        dim = _implicit_dim("log_softmax", raw(input).ndim, _stacklevel)
    return ops.log_softmax(input if dtype is None else input.to(dtype=dtype), dim)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """softmax(-x) along `dim`."""
    if dim is None:
        dim = _implicit_dim("softmin", raw(input).ndim, _stacklevel)
    return ops.softmax(-(input if dtype is None else input.to(dtype=dtype)), dim)


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """A sample of the Gumbel-softmax distribution (Jang et al. 2017).

    With `hard` it is one-hot, and its gradient the one of the soft sample. `eps` does nothing any
    more and is accepted for old programs.
    """
    if eps != 1e-10:
        warnings.warn("gumbel_softmax: eps is deprecated and has no effect", stacklevel=2)
    uniform = rand(tuple(logits.shape), device=logits.device).to(dtype=logits.dtype)
    tiny = 1e-30 if logits.dtype != "float16" else 1e-6
    noise = -ops.log(ops.clamp(-ops.log(ops.clamp(uniform, tiny)), tiny))
    soft = ops.softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    largest = ops.argmax(soft, dim, True)
    places = ops.arange(logits.shape[dim], device=logits.device)
    places = places.reshape([-1 if i == dim % logits.ndim else 1 for i in range(logits.ndim)])
    one_hot = (places == largest).to(dtype=soft.dtype)
    return one_hot - soft.detach() + soft
