"""Products with weights, and rows of tables."""

from __future__ import annotations

import math
from typing import Any

from ... import ops
from ...backend import CPU, backend_of, is_array
from ...op import raw
from ...ops.rows import AddRows
from ...ops.layers import Affine, scale_gradient
from ...tensor import Tensor, wrap
from ..errors import BadArgument


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + b: x (..., in), weight (out, in), bias (out) -> (..., out); weight (in): (...)."""
    shape, (*out, size) = input.array.shape, weight.array.shape
    if shape[-1:] != (size,) or len(out) > 1:
        raise RuntimeError(
            f"linear: input has shape {shape} and weight {tuple(weight.shape)}; "
            "both must end in the same size, and the weight be (out, in)"
        )
    if not out:
        y = input @ weight
        return y if bias is None else y + bias
    x = input if len(shape) == 2 else ops.reshape(input, (-1, size))  # one product for all rows
    if bias is None and weight.dtype == input.dtype:
        y = Affine()(x, weight)
    elif bias is None:
        y = x @ weight.T
    elif tuple(bias.shape) == tuple(out) and bias.dtype == weight.dtype == input.dtype:
        y = Affine()(x, weight, bias)
    else:
        y = x @ weight.T + bias
    return y if len(shape) == 2 else ops.reshape(y, (*shape[:-1], *out))


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y[o] = x1ᵀ W[o] x2 + b[o]: (..., in1), (..., in2), weight (out, in1, in2) -> (..., out)."""
    shapes = tuple(input1.shape), tuple(input2.shape), tuple(weight.shape)
    if weight.ndim != 3 or shapes[0][:-1] != shapes[1][:-1]:
        raise RuntimeError(
            f"bilinear: inputs {shapes[0]} and {shapes[1]} must agree in all sizes but the last, "
            f"and the weight be (out, in1, in2), got {shapes[2]}"
        )
    if (shapes[0][-1], shapes[1][-1]) != shapes[2][1:]:
        raise RuntimeError(
            f"bilinear: inputs end in {shapes[0][-1]} and {shapes[1][-1]}, "
            f"the weight {shapes[2]} expects {shapes[2][1]} and {shapes[2][2]}"
        )
    O, I1, I2 = shapes[2]
    x1, x2 = input1.reshape(-1, I1), input2.reshape(-1, 1, I2)
    y = (x1 @ weight.permute(1, 0, 2).reshape(I1, O * I2)).reshape(-1, O, I2)
    y = (y * x2).sum(-1).reshape(*shapes[0][:-1], O)
    return y if bias is None else y + bias


def check_ids(ids: Any, what: str, size: int, ignored: int | None = None) -> None:
    """Integers from 0 to size - 1: NumPy would let negative ids wrap around silently.

    Ids on a GPU are not looked at, which would wait for it; check them when they are made.
    """
    if not isinstance(ids, Tensor) and not is_array(ids):
        raise TypeError(f"{what} must be a Tensor of integers, got {type(ids).__name__}")
    array = raw(ids)
    if array.dtype.kind not in "iu":
        raise RuntimeError(f"{what} must be integers, got {array.dtype}: convert with .long()")
    if backend_of(array) is CPU and array.size:
        bad = (array < 0) | (array >= size)
        if ignored is not None:
            bad &= array != ignored
        if bad.any():
            raise IndexError(f"{what}: {array[bad][0]} is outside 0 to {size - 1}")


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of weight (V, D) at ids `input` of any shape S -> (*S, D).

    The row `padding_idx` gets no gradient. With `max_norm`, rows that are longer are first
    shortened in place. `scale_grad_by_freq` divides a row's gradient by how often it was read. With
    `sparse` the gradient of a leaf holds the rows that were read and no others. Raises IndexError
    for ids outside the table.
    """
    if weight.array.ndim != 2:
        raise RuntimeError(f"the weight must be (V, D), got shape {tuple(weight.shape)}")
    V = len(weight.array)
    if padding_idx is not None:
        if not -V <= padding_idx < V:
            raise BadArgument(f"padding_idx {padding_idx} is outside a table of {V} rows")
        padding_idx %= V
    check_ids(input, "embedding ids", V)
    if max_norm is not None:
        renormalize(weight, input, max_norm, norm_type)
    y = ops.embedding(input, weight, padding_idx, sparse)
    return by_frequency(y, input, V) if scale_grad_by_freq else y


def renormalize(weight: Tensor, ids: Tensor, max_norm: float, norm_type: float) -> None:
    """Shorten in place the rows about to be read, where they are longer than `max_norm`."""
    xp = backend_of(weight.array).xp
    used = xp.zeros(len(weight.array), bool)
    used[raw(ids).reshape(-1)] = True
    rows = xp.nonzero(used)[0]
    read = weight.array[rows]
    sizes = xp.abs(read)
    if norm_type == math.inf:
        norms = sizes.max(axis=1, keepdims=True)
    else:
        norms = (sizes**norm_type).sum(axis=1, keepdims=True) ** (1 / norm_type)
    factor = xp.where(norms > max_norm, max_norm / (norms + 1e-7), 1)
    if (factor != 1).any():
        weight.array[rows] = (read * factor).astype(read.dtype)
        weight.changed()


def by_frequency(rows: Tensor, ids: Tensor, V: int) -> Tensor:
    ids = raw(ids)
    counts = backend_of(ids).xp.bincount(ids.reshape(-1), minlength=V)
    return scale_gradient(rows, (1 / counts[ids]).astype(rows.dtype)[..., None])


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or maximum of the rows of each bag, (B, D); zeros for an empty bag.

    `input` is (B, n), bags of one size, or all bags one after the other with the beginning of each
    in `offsets`. Entries that are `padding_idx` do not count.
    """
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"mode {mode!r}: expected 'sum', 'mean' or 'max'")
    if weight.ndim != 2:
        raise ValueError(f"weight must be (V, D), got shape {tuple(weight.shape)}")
    if per_sample_weights is not None:
        if input.shape != per_sample_weights.shape:
            raise ValueError(
                f"per_sample_weights {tuple(per_sample_weights.shape)} must have the shape of the "
                f"input, {tuple(input.shape)}"
            )
        if mode != "sum":
            raise NotImplementedError(f"per_sample_weights go with mode='sum', got {mode!r}")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("scale_grad_by_freq does not go with mode='max'")
    if mode == "max" and sparse:
        raise ValueError("sparse does not go with mode='max'")
    xp = backend_of(raw(input)).xp
    starts = bag_starts(input, offsets, include_last_offset, xp)
    ids = input.reshape(-1)
    N, B = len(ids), len(starts)
    bag = xp.searchsorted(starts, xp.arange(N), side="right") - 1  # (N,) the bag of each entry
    rows = embedding(
        ids, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
    )  # (N, D)
    counted = xp.ones(N, bool)
    if padding_idx is not None:
        counted = raw(ids) != padding_idx % len(weight)
    if mode == "max":
        return bag_maximum(rows, xp.where(counted, bag, B), B, xp)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.reshape(-1, 1)
    if padding_idx is not None:
        rows = ops.masked_fill(rows, ~counted[:, None], 0.0)
    y = AddRows(shape=(B, weight.shape[1]), padding_idx=None)(rows, bag)
    if mode == "sum":
        return y
    sizes = xp.bincount(bag[counted], minlength=B)
    return y * (1 / xp.maximum(sizes, 1)).astype(weight.dtype)[:, None]


def bag_starts(input: Tensor, offsets: Tensor | None, include_last: bool, xp: Any) -> Any:
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError("offsets go with an input of one dimension, this one has two")
        return xp.arange(input.shape[0]) * input.shape[1]
    if input.ndim != 1:
        raise ValueError(f"input must have 1 or 2 dimensions, got shape {tuple(input.shape)}")
    if offsets is None or offsets.ndim != 1:
        raise ValueError("an input of one dimension needs offsets of one dimension")
    starts = raw(offsets)
    if len(starts) and starts[0] != 0:
        raise RuntimeError(f"offsets must begin with 0, got {int(starts[0])}")
    if len(starts) and starts[-1] > len(input):
        raise RuntimeError(f"offset {int(starts[-1])} is after the end of {len(input)} entries")
    return starts[:-1] if include_last else starts


def bag_maximum(rows: Tensor, bag: Any, B: int, xp: Any) -> Tensor:
    """The maximum of the rows of each bag; `bag` is B where an entry does not count."""
    order = xp.argsort(bag, kind="stable")
    sizes = xp.bincount(bag, minlength=B)[:B]
    width = max(int(sizes.max()) if B else 0, 1)
    place = (xp.cumsum(sizes) - sizes)[:, None] + xp.arange(width)  # (B, width)
    outside = xp.arange(width) >= sizes[:, None]
    if not len(bag):
        return ops.zeros_like(rows).sum(0) + ops.zeros(B, rows.shape[1], dtype=rows.dtype)
    padded = rows[order[xp.where(outside, 0, place)]]  # (B, width, D)
    best = ops.max(ops.masked_fill(padded, outside[:, :, None], -float("inf")), 1).values
    return ops.masked_fill(best, (sizes == 0)[:, None], 0.0)


def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """1 at the class of each entry and 0 elsewhere, int64: S -> (*S, num_classes); -1 classes means
    the largest class plus one.
    """
    if input.dtype.kind != "i" or input.dtype.itemsize != 8:
        raise RuntimeError(f"one_hot takes classes in int64, got {input.dtype}: use .long()")
    classes = raw(input)
    xp = backend_of(classes).xp
    if not classes.size:
        if num_classes <= 0:
            raise RuntimeError("one_hot of an empty tensor needs num_classes")
        return wrap(xp.zeros((*classes.shape, num_classes), classes.dtype))
    if classes.min() < 0:
        raise RuntimeError(f"one_hot: class {int(classes.min())} is negative")
    if num_classes == -1:
        num_classes = int(classes.max()) + 1
    elif num_classes < 1 or classes.max() >= num_classes:
        raise RuntimeError(
            f"one_hot: class {int(classes.max())} does not fit num_classes={num_classes}"
        )
    return wrap((classes[..., None] == xp.arange(num_classes)).astype(classes.dtype))
