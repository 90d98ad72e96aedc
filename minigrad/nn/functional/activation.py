"""Activation functions with PyTorch's `inplace`, and the softmax family."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ... import ops
from ...op import raw
from ...tensor import Tensor
from ...ops.random import rand
from ...ops.writing import become, keep_content


def written(input: Tensor, result: Tensor, inplace: bool) -> Tensor:
    """The result itself, or the input with the result written into it."""
    if not inplace:
        return result
    if result.creator:  # all that lies between the two is new
        since = input.creator[0].number if input.creator else 0
        keep_content(input, result.creator[0], since)
    return become(input, result)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0)"""
    return written(input, ops.relu(input), inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6)"""
    return written(input, ops.relu6(input), inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where positive, negative_slope x elsewhere"""
    return written(input, ops.leaky_relu(input, negative_slope), inplace)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where positive, α (eˣ - 1) elsewhere"""
    return written(input, ops.elu(input, alpha), inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """max(x, 0) + min(0, α (e^(x / α) - 1))"""
    return written(input, ops.celu(input, alpha), inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """The self-normalizing unit of Klambauer et al. 2017"""
    return written(input, ops.selu(input), inplace)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x σ(x)"""
    return written(input, ops.silu(input), inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(softplus x)"""
    return written(input, ops.mish(input), inplace)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """x limited to min_val to max_val"""
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val {min_val} is greater than max_val {max_val}")
    return written(input, ops.hardtanh(input, min_val, max_val), inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x + 3, 0), 6) / 6"""
    return written(input, ops.hardsigmoid(input), inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x hardsigmoid(x)"""
    return written(input, ops.hardswish(input), inplace)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where it is above the threshold, `value` elsewhere"""
    return written(input, ops.where(input > threshold, input, value), inplace)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + e⁻ˣ)"""
    return ops.sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    """tanh x"""
    return ops.tanh(input)


def logsigmoid(input: Tensor) -> Tensor:
    """ln σ(x)"""
    return ops.logsigmoid(input)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """ln(1 + e^(β x)) / β; x itself where β x is above the threshold"""
    return ops.softplus(input, beta, threshold)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)"""
    return input / (ops.abs(input) + 1)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x Φ(x), or its approximation by "tanh" """
    return ops.gelu(input, approximate=approximate)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh x"""
    return input - ops.tanh(input)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x where |x| > λ, 0 elsewhere"""
    return ops.where(ops.abs(input) > lambd, input, 0.0)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x - λ where x > λ, x + λ where x < -λ, 0 elsewhere"""
    if lambd < 0:
        raise RuntimeError(f"softshrink: lambd {lambd} is negative")
    return ops.where(input > lambd, input - lambd, ops.where(input < -lambd, input + lambd, 0.0))


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along `dim` times σ of the second"""
    if not input.ndim or input.shape[dim] % 2:
        raise RuntimeError(
            f"glu: dimension {dim} of shape {tuple(input.shape)} must have an even size"
        )
    a, b = ops.split(input, input.shape[dim] // 2, dim)
    return a * ops.sigmoid(b)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where positive, a x elsewhere; a for each channel, or one for all"""
    slopes = math.prod(weight.shape)
    if weight.ndim > 1 or (slopes != 1 and (input.ndim < 2 or slopes != input.shape[1])):
        raise RuntimeError(
            f"prelu: weight of shape {tuple(weight.shape)} for an input of shape "
            f"{tuple(input.shape)}; expected one number, or one for each channel"
        )
    slope = weight.reshape(()) if slopes == 1 else weight
    if slope.ndim and input.ndim > 2:
        slope = slope.reshape(-1, *[1] * (input.ndim - 2))
    return ops.where(input > 0, input, input * slope)


def rrelu(
    input: Tensor,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """Leaky relu whose slope is drawn anew for each element in training, else the mean slope."""
    if lower > upper:
        raise RuntimeError(f"rrelu: the lower bound {lower} is greater than the upper one {upper}")
    if training:
        slopes = rand(tuple(input.shape), device=input.device).to(dtype=input.dtype)
        result = ops.where(input >= 0, input, input * (slopes * (upper - lower) + lower))
    else:
        result = ops.leaky_relu(input, (lower + upper) / 2)
    return written(input, result, inplace)


def relu_(input: Tensor) -> Tensor:
    return relu(input, inplace=True)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    return leaky_relu(input, negative_slope, inplace=True)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    return elu(input, alpha, inplace=True)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    return celu(input, alpha, inplace=True)


def selu_(input: Tensor) -> Tensor:
    return selu(input, inplace=True)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    return hardtanh(input, min_val, max_val, inplace=True)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    return written(input, ops.where(input > threshold, input, value), True)


def rrelu_(
    input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False
) -> Tensor:
    return rrelu(input, lower, upper, training, inplace=True)


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
