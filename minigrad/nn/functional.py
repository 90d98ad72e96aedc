"""Layers and losses as functions."""

from __future__ import annotations

import math
from typing import Any

from .. import fused, ops
from ..backend import CPU, backend_of, is_array
from ..op import raw
from ..ops import log_softmax, relu, sigmoid, softmax, tanh  # noqa: F401  PyTorch's names
from ..ops.random import Generator, rand
from ..tensor import Tensor


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + b: x (..., in), weight (out, in), bias (out) -> (..., out)."""
    if x.shape[-1:] != weight.shape[1:]:
        raise RuntimeError(
            f"linear: x has shape {tuple(x.shape)}, its last size must be {weight.shape[1]}"
        )
    if x.ndim > 2:  # one product for all rows
        y = ops.reshape(ops.reshape(x, (-1, x.shape[-1])) @ weight.T, (*x.shape[:-1], len(weight)))
    else:
        y = x @ weight.T
    return y if bias is None else y + bias


def check_ids(ids: Any, what: str, size: int, ignored: int | None = None) -> None:
    """Integers from 0 to size - 1: NumPy would let negative ids wrap around silently.

    Ids on a GPU are not looked at, which would wait for it; check them when they are made.
    """
    if not isinstance(ids, Tensor) and not is_array(ids):
        raise TypeError(f"{what} must be a Tensor of integers, got {type(ids).__name__}")
    array = raw(ids)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{what} must be integers, got {array.dtype}")
    if backend_of(array) is CPU and array.size:
        bad = (array < 0) | (array >= size)
        if ignored is not None:
            bad &= array != ignored
        if bad.any():
            raise IndexError(f"{what}: {array[bad][0]} is outside 0 to {size - 1}")


def embedding(ids: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Rows of weight (V, D) at ids of any shape S -> (*S, D); the padding row gets no gradient.

    Raises TypeError for ids that are no integers and IndexError for ids outside the table.
    """
    V = weight.shape[0]
    if padding_idx is not None:
        if not -V <= padding_idx < V:
            raise ValueError(f"padding_idx {padding_idx} is outside a table of {V} rows")
        padding_idx %= V
    check_ids(ids, "embedding ids", V)
    return ops.embedding(ids, weight, padding_idx)


def dropout(
    x: Tensor, p: float = 0.5, training: bool = True, generator: Generator | None = None
) -> Tensor:
    """Each element 0 with probability p, the others divided by 1 - p (Srivastava et al. 2014)."""
    check_probability(p)
    if not training or p == 0:
        return x
    if p == 1:
        return x * 0.0
    kept = rand(*x.shape, generator=generator, device=x.device) >= p
    return x * (kept.to(dtype=x.dtype) * (1 / (1 - p)))


def check_probability(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability {p}: expected a number from 0 to 1")


def reduced(losses: Tensor, reduction: str, count: Tensor | None = None) -> Tensor:
    """Losses as they are ("none"), their "sum", or their "mean" over `count` (default: all)."""
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    if reduction != "mean":
        raise ValueError(f"reduction {reduction!r}: expected 'none', 'sum' or 'mean'")
    if count is None:
        return losses.mean()
    return losses.sum() / ops.where(count == 0, math.nan, count)  # NaN for no row, as in PyTorch


def cross_entropy(
    input: Tensor,
    target: Tensor,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Softmax cross-entropy from logits (N, V), or (V,), against class indices (N,), or a scalar.

    Rows whose target is `ignore_index` count neither in the sum nor in the mean; a mean over no row
    is NaN, as in PyTorch. Raises IndexError for a class outside 0 to V - 1.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing {label_smoothing}: expected a number from 0 to 1")
    if input.ndim == 1 and target.ndim == 0:
        loss = cross_entropy(
            input.unsqueeze(0), target.reshape(1), ignore_index, reduction, label_smoothing
        )
        return loss.reshape(()) if reduction == "none" else loss
    shapes = f"logits {tuple(input.shape)} and targets {tuple(target.shape)}"
    if input.ndim != 2 or target.ndim != 1:
        raise RuntimeError(
            f"cross_entropy takes logits (N, V) and targets (N,), got {shapes}: "
            "flatten the other dimensions first"
        )
    if len(input) != len(target):
        raise ValueError(f"cross_entropy of {shapes}: they differ in the number of rows")
    check_ids(target, "cross_entropy targets", input.shape[1], ignore_index)
    losses = fused.cross_entropy(input, target, ignore_index, label_smoothing)
    count = (target != ignore_index).sum() if reduction == "mean" else None
    return reduced(losses, reduction, count)


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """(input - target)², reduced."""
    difference = input - target
    return reduced(difference * difference, reduction)
