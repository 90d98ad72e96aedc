"""Losses of numbers against numbers, and of pairs and triples of vectors."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ... import ops
from ...ops.layers import binary_cross_entropy as elementwise_cross_entropy
from ...tensor import Tensor


def reduction_of(reduction: str, size_average: Any, reduce: Any) -> str:
    """The reduction meant, where a program still uses the arguments that came before it."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is False:
        reduction = "none"
    else:
        reduction = "sum" if size_average is False else "mean"
    warnings.warn(
        f"size_average and reduce are deprecated: write reduction={reduction!r}", stacklevel=3
    )
    return reduction


def check_reduction(reduction: str) -> None:
    if reduction not in ("none", "sum", "mean"):
        raise ValueError(f"reduction {reduction!r}: expected 'none', 'sum' or 'mean'")


def reduced(losses: Tensor, reduction: str, count: Tensor | None = None) -> Tensor:
    """Losses as they are ("none"), their "sum", or their "mean" over `count` (default: all)."""
    check_reduction(reduction)
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    if count is None:
        return losses.mean()
    mean = losses.sum() / ops.where(count == 0, math.nan, count)  # NaN for no row, as in PyTorch
    return mean.to(losses.dtype)


def _warn_of_broadcasting(input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        warnings.warn(
            f"a target of size {tuple(target.shape)} for an input of size {tuple(input.shape)}: "
            "they are broadcast, which is rarely what is meant; give both the same size",
            stacklevel=3,
        )


def _weighted(losses: Tensor, input: Tensor, reduction: str, weight: Tensor | None) -> Tensor:
    """Reduced; with weights the mean is the weighted one."""
    if weight is None:
        return reduced(losses, reduction)
    if weight.shape != input.shape:
        raise ValueError(
            f"weight has shape {tuple(weight.shape)}, the input {tuple(input.shape)}: "
            "they must be the same"
        )
    losses = losses * weight
    return losses.sum() / weight.sum() if reduction == "mean" else reduced(losses, reduction)


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(x - t)²"""
    reduction = reduction_of(reduction, size_average, reduce)
    _warn_of_broadcasting(input, target)
    difference = input - target
    return _weighted(difference * difference, input, reduction, weight)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|x - t|"""
    reduction = reduction_of(reduction, size_average, reduce)
    _warn_of_broadcasting(input, target)
    return _weighted(ops.abs(input - target), input, reduction, weight)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """d² / 2β where d = |x - t| is below β, d - β / 2 elsewhere"""
    reduction = reduction_of(reduction, size_average, reduce)
    _warn_of_broadcasting(input, target)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss: beta {beta} is negative")
    distance = ops.abs(input - target)
    if beta == 0:
        return reduced(distance, reduction)
    near = distance * distance * (0.5 / beta)
    return reduced(ops.where(distance < beta, near, distance - 0.5 * beta), reduction)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """d² / 2 where d = |x - t| is at most δ, δ (d - δ / 2) elsewhere"""
    _warn_of_broadcasting(input, target)
    if delta <= 0:
        raise RuntimeError(f"huber_loss: delta {delta} must be positive")
    distance = ops.abs(input - target)
    near, far = distance * distance * 0.5, (distance - 0.5 * delta) * delta
    return _weighted(ops.where(distance <= delta, near, far), input, reduction, weight)


def _same_size(name: str, input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        raise ValueError(
            f"{name}: the target has size {tuple(target.shape)}, the input {tuple(input.shape)}: "
            "they must be the same"
        )


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-t ln x - (1 - t) ln(1 - x) for probabilities x; the logarithms end at -100."""
    reduction = reduction_of(reduction, size_average, reduce)
    _same_size("binary_cross_entropy", input, target)
    if input.device == "cpu" and ((input.array < 0) | (input.array > 1)).any():
        raise RuntimeError(
            "binary_cross_entropy takes probabilities from 0 to 1; "
            "for logits use binary_cross_entropy_with_logits"
        )
    losses = elementwise_cross_entropy(input, target)
    return reduced(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """-w t ln σ(x) - (1 - t) ln σ(-x), with w = pos_weight"""
    reduction = reduction_of(reduction, size_average, reduce)
    _same_size("binary_cross_entropy_with_logits", input, target)
    factor = 1 if pos_weight is None else 1 + (pos_weight - 1) * target
    losses = (1 - target) * input - ops.logsigmoid(input) * factor
    return reduced(losses if weight is None else losses * weight, reduction)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """t (ln t - x) for log-probabilities x; "batchmean" divides the sum by the first size."""
    reduction = reduction_of(reduction, size_average, reduce)
    if reduction == "mean":
        warnings.warn(
            "kl_div with reduction='mean' divides by all elements; the Kullback-Leibler divergence "
            "of a batch is reduction='batchmean'",
            stacklevel=2,
        )
    if log_target:
        losses = ops.exp(target) * (target - input)
    else:
        logs = ops.log(ops.masked_fill(target, target == 0, 1.0))
        losses = target * logs - target * input
    if reduction == "batchmean":
        return losses.sum() / (input.shape[0] if input.ndim else 1)
    return reduced(losses, reduction)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """ln(1 + e^(-t x)) for t = ±1"""
    reduction = reduction_of(reduction, size_average, reduce)
    return reduced(-ops.logsigmoid(target * input), reduction)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """x where t = 1, max(0, margin - x) where t = -1"""
    reduction = reduction_of(reduction, size_average, reduce)
    apart = ops.where(target != 1, ops.clamp(margin - input, 0), 0.0)
    return reduced(apart + ops.where(target != -1, input, 0.0), reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """eˣ - t x for the logarithm x of a rate, x - t ln(x + ε) for the rate itself; `full` adds
    Stirling's approximation of ln t!.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if log_input:
        losses = ops.exp(input) - target * input
    else:
        losses = input - target * ops.log(input + eps)
    if full:
        large = ops.masked_fill(target, target <= 1, 1.0)
        stirling = large * ops.log(large) - large + 0.5 * ops.log(large * (2 * math.pi))
        losses = losses + ops.masked_fill(stirling, target <= 1, 0.0)
    return reduced(losses, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """(ln v + (x - t)² / v) / 2 with v = max(var, ε), whose gradient passes the bound; `full` adds
    ln(2π) / 2.
    """
    if not isinstance(var, Tensor):
        var = ops.full_like(input, var)
    if var.shape != input.shape:
        if var.shape == input.shape[:-1]:
            var = var.unsqueeze(-1)
        elif var.ndim != input.ndim or [v for n, v in zip(input.shape, var.shape) if n != v] != [1]:
            raise ValueError(
                f"gaussian_nll_loss: var of size {tuple(var.shape)} does not fit an input of size "
                f"{tuple(input.shape)}"
            )
    check_reduction(reduction)
    if (var.array < 0).any():
        raise ValueError("gaussian_nll_loss: a variance is negative")
    var = var + ops.clamp(eps - var.detach(), 0)
    difference = input - target
    losses = 0.5 * (ops.log(var) + difference * difference / var)
    return reduced(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)
