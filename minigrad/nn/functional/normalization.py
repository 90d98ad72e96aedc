"""Mean 0 and variance 1 over the batch, the features or groups of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import ops
from ...ops.layers import standardize, windows
from ...tensor import Tensor


def layer_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / √(var + ε) · weight + bias over the last dimensions (Ba et al. 2016)."""
    dims = _last_dims("layer_norm", input, normalized_shape, weight, bias)
    return _affine(standardize(input, dims, eps), weight, bias)


def rms_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x / √(mean x² + ε) · weight over the last dimensions (Zhang & Sennrich 2019)."""
    dims = _last_dims("rms_norm", input, normalized_shape, weight, None)
    if eps is None:
        eps = float(np.finfo(input.array.dtype).eps)
    y = input / ops.sqrt(ops.mean(input * input, dims, True) + eps)
    return y if weight is None else y * weight


def _last_dims(
    name: str, x: Tensor, shape: Any, weight: Tensor | None, bias: Tensor | None
) -> tuple:
    shape = tuple(shape)
    if not shape:
        raise RuntimeError(f"{name}: normalized_shape is empty, expected at least one size")
    for what, p in (("weight", weight), ("bias", bias)):
        if p is not None and tuple(p.shape) != shape:
            raise RuntimeError(f"{name}: {what} has shape {tuple(p.shape)}, expected {shape}")
    if tuple(x.shape[-len(shape) :]) != shape:
        raise RuntimeError(
            f"{name}: normalized_shape is {shape}, but the input has shape {tuple(x.shape)}"
        )
    return tuple(range(-len(shape), 0))


def _affine(y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _per_channel(p: Tensor | None, ndim: int) -> Tensor | None:
    """A vector (C) as (C, 1, ...), to meet x (N, C, ...)."""
    return p if p is None or ndim == 2 else p.reshape(-1, *[1] * (ndim - 2))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of x (N, C, ...) standardised over batch and places (Ioffe & Szegedy 2015).

    In training by the batch, whose mean and unbiased variance flow into the running ones by
    `momentum`; else by the running ones.
    """
    if input.ndim < 2:
        raise RuntimeError(f"batch_norm takes (N, C, ...), got shape {tuple(input.shape)}")
    C = input.shape[1]
    given = dict(running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    for name, p in given.items():
        if p is not None and tuple(p.shape) != (C,):
            raise RuntimeError(
                f"batch_norm: {name} has shape {tuple(p.shape)}, expected {(C,)}, the channels"
            )
    weight, bias = _per_channel(weight, input.ndim), _per_channel(bias, input.ndim)
    if training:
        if eps <= 0:
            raise ValueError(f"batch_norm: eps {eps} must be positive in training")
        if input.array.size == C:
            raise ValueError(
                f"batch_norm of shape {tuple(input.shape)} in training: "
                "a channel needs more than one value"
            )
        dims = (0, *range(2, input.ndim))
        _update(input, running_mean, running_var, dims, momentum)
        return _affine(standardize(input, dims, eps), weight, bias)
    if eps < 0:
        raise ValueError(f"batch_norm: eps {eps} is negative")
    if running_mean is None or running_var is None:
        raise RuntimeError("batch_norm outside training needs running_mean and running_var")
    y = input - _per_channel(running_mean, input.ndim)
    return _affine(y / ops.sqrt(_per_channel(running_var, input.ndim) + eps), weight, bias)


def _update(x: Tensor, mean: Tensor | None, var: Tensor | None, dims: tuple, momentum: float):
    """running = (1 - momentum) running + momentum batch, averaged over what shares a channel."""
    array = x.array
    if mean is None or var is None or not array.size:
        return
    count = math.prod(array.shape[d] for d in dims)
    centred = array - array.mean(axis=dims, keepdims=True)
    of_batch = array.mean(axis=dims), (centred * centred).sum(axis=dims) / max(count - 1, 1)
    for running, batch in zip((mean, var), of_batch):
        batch = batch.reshape(-1, *running.shape).mean(axis=0)
        running.array[...] = (1 - momentum) * running.array + momentum * batch
        running.changed()


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each element of x (N, C, L) standardised over its places."""
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if input.ndim < 3:
        raise RuntimeError(f"instance_norm takes (N, C, L), got shape {tuple(input.shape)}")
    if math.prod(input.shape[2:]) == 1:
        raise ValueError(
            f"instance_norm of shape {tuple(input.shape)}: a channel needs more than one place"
        )
    dims = tuple(range(2, input.ndim))
    _update(input, running_mean, running_var, dims, momentum)
    ndim = input.ndim
    y = standardize(input, dims, eps)
    return _affine(y, _per_channel(weight, ndim), _per_channel(bias, ndim))


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Groups of channels of each element of x (N, C, ...) standardised together (Wu & He 2018)."""
    if input.ndim < 2:
        raise RuntimeError(
            f"group_norm takes at least 2 dimensions, got shape {tuple(input.shape)}"
        )
    N, C, *places = input.shape
    if num_groups < 1 or C % num_groups:
        raise RuntimeError(f"group_norm: {C} channels do not divide into {num_groups} groups")
    for name, p in (("weight", weight), ("bias", bias)):
        if p is not None and tuple(p.shape) != (C,):
            raise RuntimeError(f"group_norm: {name} has shape {tuple(p.shape)}, expected {(C,)}")
    if C * math.prod(places) == num_groups and N == 1:
        raise ValueError(f"group_norm of shape {tuple(input.shape)}: a group needs several values")
    size = C // num_groups * math.prod(places)
    y = standardize(input.reshape(N, num_groups, size), (2,), eps).reshape(*input.shape)
    return _affine(y, _per_channel(weight, input.ndim), _per_channel(bias, input.ndim))


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + α mean of x² over `size` neighbouring channels)^β, x (N, C, ...)."""
    if input.ndim < 3:
        raise ValueError(
            f"local_response_norm takes at least 3 dimensions, got shape {tuple(input.shape)}"
        )
    if not input.array.size:
        return input
    squares = ops.transpose(input * input, 1, -1)
    squares = windows(squares, size, padding=(size // 2, (size - 1) // 2)).mean(-3)
    return input / (ops.transpose(squares, 1, -1) * alpha + k) ** beta


def normalize(
    input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """x / max(‖x‖ₚ, ε) along `dim`."""
    y = input / ops.clamp(ops.norm(input, p, dim, True), eps)
    return y if out is None else out.copy_(y)
