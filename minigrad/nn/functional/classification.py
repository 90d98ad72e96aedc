"""Losses of scores against classes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import fused, ops
from ...backend import backend_of
from ...fused.ctc import ctc_loss as fused_ctc
from ...op import raw
from ...tensor import Tensor, wrap
from .linear import check_ids
from .losses import check_reduction, reduced, reduction_of


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Softmax cross-entropy from logits (N, V), (V,) or (N, V, d1, ...).

    `target` holds class numbers (N,), () or (N, d1, ...), or probabilities in the shape of the
    logits. Places whose class is `ignore_index` count neither in the sum nor in the mean; a mean
    over no place is NaN, as in PyTorch. `weight` (V,) multiplies the loss of each class, and a mean
    over class numbers is then the weighted one. A class outside 0 to V - 1 raises IndexError on the
    CPU; on a GPU, where nobody waits to be told, its loss is NaN in float32 and float64.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing {label_smoothing}: expected a number from 0 to 1")
    _check_tensors("cross_entropy", input, target)
    _check_weight("cross_entropy", weight, input)
    shape, places = input.array.shape, target.array.shape
    dim = 0 if len(shape) == 1 else 1
    if shape == places and shape:
        if not target.is_floating_point():
            raise RuntimeError(
                f"cross_entropy: a target in the shape of the logits, {places}, holds "
                f"probabilities and must be floating-point, got {target.dtype}"
            )
        if ignore_index >= 0:
            raise RuntimeError("cross_entropy: ignore_index does not go with probabilities")
        return _against_probabilities(input, target, weight, reduction, label_smoothing, dim)
    _check_classes("cross_entropy", input, target, ignore_index)
    rows, classes = input, target
    if len(shape) != 2:  # (N, V, d1, ...) -> (N d1 ..., V)
        rows = ops.permute(input, (*range(dim), *range(dim + 1, len(shape)), dim))
        rows, classes = ops.reshape(rows, (-1, shape[dim])), ops.reshape(target, (-1,))
    losses = fused.cross_entropy(rows, classes, ignore_index, float(label_smoothing), weight)
    if weight is not None and reduction == "mean":
        ignored = classes == ignore_index
        shares = ops.masked_fill(weight[ops.where(ignored, 0, classes)], ignored, 0.0)
        return reduced(losses, reduction, shares.sum())
    if reduction == "none":
        return losses if len(places) == 1 else ops.reshape(losses, places)
    if reduction == "mean":  # by a number, where looking at it does not wait for a GPU
        ids = classes.array
        count = (ids != ignore_index).sum()
        if type(ids) is np.ndarray:
            return losses.sum() / (float(count) or math.nan)
        return reduced(losses, reduction, wrap(count))
    return reduced(losses, reduction)


def _check_tensors(name: str, input: Any, target: Any) -> None:
    for argument, x in (("input", input), ("target", target)):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{name}: the {argument} must be a Tensor, got {type(x).__name__}: use tensor()"
            )


def _check_classes(name: str, input: Tensor, target: Tensor, ignore_index: int) -> None:
    """Class numbers (N, d1, ...) for scores (N, V, d1, ...), or () for (V,)."""
    shape, places = input.array.shape, target.array.shape
    given = f"scores {shape} and classes {places}"
    if not shape:
        raise ValueError(f"{name}: expected at least one dimension, got {given}")
    if len(shape) == 1:
        if places not in ((), (1,)):
            raise ValueError(f"{name}: scores (V,) take one class, got {given}")
    elif places != (shape[0], *shape[2:]):
        error = ValueError if places[:1] != shape[:1] else RuntimeError
        raise error(
            f"{name} takes scores (N, V, d1, ...) and classes (N, d1, ...), got {given}: "
            "flatten or permute the other dimensions"
        )
    check_ids(target, f"{name} classes", shape[min(1, len(shape) - 1)], ignore_index)


def _check_weight(name: str, weight: Tensor | None, input: Tensor) -> None:
    if weight is None:
        return
    if tuple(weight.shape) != tuple(input.shape[min(1, input.ndim - 1) :][:1]):
        raise RuntimeError(
            f"{name}: weight has shape {tuple(weight.shape)}, expected one number for each class "
            f"of scores {tuple(input.shape)}"
        )
    if weight.dtype != input.dtype:
        raise RuntimeError(f"{name}: weight is {weight.dtype}, scores are {input.dtype}")


def _against_probabilities(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: str,
    label_smoothing: float,
    dim: int,
) -> Tensor:
    """-Σ w q ln p over the classes; the mean divides by the number of places."""
    V = input.shape[dim]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / V
    terms = ops.log_softmax(input, dim) * target
    if weight is not None:
        terms = terms * weight.reshape(-1, *[1] * (input.ndim - dim - 1))
    losses = -terms.sum(dim)
    return reduced(losses, reduction)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-w[t] x[t] for log-probabilities x (N, V), (V,) or (N, V, d1, ...) and classes (N,), () or
    (N, d1, ...); see `cross_entropy` for the rest.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    _check_tensors("nll_loss", input, target)
    _check_classes("nll_loss", input, target, ignore_index)
    _check_weight("nll_loss", weight, input)
    dim = 0 if input.ndim == 1 else 1
    classes = target.reshape(()) if input.ndim == 1 else target
    ignored = classes == ignore_index
    classes = ops.where(ignored, 0, classes)
    losses = -ops.gather(input, dim, classes.unsqueeze(dim)).squeeze(dim)
    kept = (~ignored).to(dtype=input.dtype)
    shares = kept if weight is None else weight[classes] * kept
    losses = ops.masked_fill(losses, ignored, 0.0)
    losses = losses if weight is None else losses * shares
    if reduction == "none":
        return losses.reshape(*target.shape)
    return reduced(losses, reduction, shares.sum() if reduction == "mean" else None)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Σ_{i ≠ t} w[t] max(0, margin - x[t] + x[i])ᵖ / V for scores (N, V) or (V,)."""
    reduction = reduction_of(reduction, size_average, reduce)
    check_reduction(reduction)
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: p {p}, expected 1 or 2")
    if weight is not None and weight.ndim != 1:
        raise ValueError(f"multi_margin_loss: weight must be (V,), got {tuple(weight.shape)}")
    x = input if input.ndim == 2 else input.reshape(1, -1)
    t = target.reshape(-1)
    if input.ndim > 2 or not x.shape[1] or len(t) != len(x):
        raise RuntimeError(
            "multi_margin_loss takes scores (N, V) and classes (N,), got "
            f"{tuple(input.shape)} and {tuple(target.shape)}"
        )
    N, V = x.shape
    check_ids(t, "multi_margin_loss classes", V)
    own = ops.gather(x, 1, t.reshape(-1, 1))
    terms = ops.clamp(margin - own + x, 0)
    terms = terms * terms if p == 2 else terms
    if weight is not None:
        terms = terms * weight[t].reshape(-1, 1)
    xp = backend_of(raw(t)).xp
    terms = ops.masked_fill(terms, raw(t)[:, None] == xp.arange(V), 0.0)
    losses = terms.sum(1) * (1 / V)
    return reduced(losses if input.ndim == 2 and target.ndim else losses.reshape(()), reduction)


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Σ max(0, 1 - x[t] + x[i]) / V over the classes t in the target, which ends at its first -1,
    and all i that are not; scores and targets (N, V) or (V,).
    """
    reduction = reduction_of(reduction, size_average, reduce)
    check_reduction(reduction)
    if input.shape != target.shape or input.ndim > 2:
        raise RuntimeError(
            "multilabel_margin_loss takes scores and classes (N, V) or (V,), got "
            f"{tuple(input.shape)} and {tuple(target.shape)}"
        )
    V = input.shape[-1] if input.ndim else 1
    check_ids(target, "multilabel_margin_loss classes", V, ignored=-1)
    x, t = input.reshape(-1, V), raw(target).reshape(-1, V)
    xp = backend_of(t).xp
    listed = xp.cumsum(t < 0, axis=1) == 0  # (N, V)
    t = xp.where(listed, t, 0)
    positive = ((t[:, :, None] == xp.arange(V)) & listed[:, :, None]).any(axis=1)
    own = ops.gather(x, 1, wrap(t))
    terms = ops.clamp(1 - own.unsqueeze(2) + x.unsqueeze(1), 0)  # (N, t, i)
    counted = listed[:, :, None] & ~positive[:, None, :]
    losses = ops.where(counted, terms, 0.0).sum((1, 2)) * (1 / V)
    return reduced(losses if input.ndim == 2 else losses.reshape(()), reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over the classes of -t ln σ(x) - (1 - t) ln σ(-x)."""
    reduction = reduction_of(reduction, size_average, reduce)
    losses = -(target * ops.logsigmoid(input) + (1 - target) * ops.logsigmoid(-input))
    losses = losses if weight is None else losses * weight
    return reduced(losses.mean(-1), reduction)


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-ln of the probability of all alignments of a target (Graves et al. 2006).

    log_probs (T, N, C) or (T, C), targets (N, S) or all one after the other; the mean divides each
    loss by its target's length. `zero_infinity` makes 0 of the loss of a target that does not fit
    its input. The gradient is the one of the formula: behind `log_softmax` it equals PyTorch's.
    """
    unbatched = log_probs.ndim == 2
    if log_probs.ndim not in (2, 3):
        raise RuntimeError(f"ctc_loss: log_probs must be (T, N, C), got {tuple(log_probs.shape)}")
    if not log_probs.is_floating_point():
        raise RuntimeError(f"ctc_loss: log_probs are {log_probs.dtype}, expected a float dtype")
    x = log_probs.unsqueeze(1) if unbatched else log_probs
    T, N, C = x.shape
    if not 0 <= blank < C:
        raise RuntimeError(f"ctc_loss: blank {blank} is outside 0 to {C - 1}")
    backend = backend_of(x.array)
    lengths = [
        ops.as_tensor(given).detach().to_numpy().reshape(-1).astype("int64")
        for given in (input_lengths, target_lengths)
    ]
    for what, given, longest in zip(("input", "target"), lengths, (T, None)):
        if len(given) != N:
            raise RuntimeError(f"ctc_loss: {len(given)} {what}_lengths for a batch of {N}")
        if (given < 0).any() or (longest is not None and (given > longest).any()):
            raise RuntimeError(f"ctc_loss: {what}_lengths {given.tolist()} do not fit T = {T}")
    labels = _padded_labels(targets.detach().to_numpy(), lengths[1], N)
    losses = fused_ctc(x, *[backend.upload(a) for a in (labels, *lengths)], blank=blank)
    if zero_infinity:
        losses = ops.masked_fill(losses, losses == float("inf"), 0.0)
    if reduction == "mean":
        target_lengths = backend.upload(lengths[1]).astype(losses.array.dtype)
        return (losses / backend.xp.maximum(target_lengths, 1)).mean()
    return reduced(losses.squeeze(0) if unbatched else losses, reduction)


def _padded_labels(targets: np.ndarray, lengths: np.ndarray, N: int) -> np.ndarray:
    """Targets (N, S), where they come one after the other too; what is beyond a length is 0."""
    if targets.ndim == 2 and len(targets) == N:
        if N and lengths.max() > targets.shape[1]:
            raise RuntimeError(
                f"ctc_loss: target_lengths {lengths.tolist()} for targets {targets.shape}"
            )
        rows = list(targets)
    elif targets.ndim == 1 and lengths.sum() <= len(targets):
        rows = np.split(targets, np.cumsum(lengths)[:-1])
    else:
        raise RuntimeError(
            f"ctc_loss: targets {targets.shape} with target_lengths {lengths.tolist()}: "
            "expected (N, S), or all targets one after the other"
        )
    labels = np.zeros((N, int(lengths.max(initial=0))), np.int64)
    for row, length, out in zip(rows, lengths, labels):
        out[:length] = row[:length]
    return labels
