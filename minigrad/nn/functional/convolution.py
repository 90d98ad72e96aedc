"""Convolution and pooling over one dimension: x (N, C, L), or (C, L) without a batch."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ... import ops
from ...backend import backend_of
from ...ops.layers import from_windows, window_count, windows
from ...tensor import Tensor, wrap


def single(value: Any, name: str) -> int:
    """One size, given as a number or in a sequence of one."""
    if isinstance(value, (tuple, list)):
        if len(value) != 1:
            raise RuntimeError(f"{name} {value!r}: expected one number for one dimension")
        value = value[0]
    return int(value)


def _positive(**sizes: Any) -> list[int]:
    values = [single(value, name) for name, value in sizes.items()]
    for name, value in zip(sizes, values):
        if value < 1:
            raise RuntimeError(f"{name} {value}: expected at least 1")
    return values


def _batched(name: str, x: Tensor) -> Tensor:
    if x.ndim not in (2, 3):
        raise RuntimeError(f"{name} takes (N, C, L) or (C, L), got shape {tuple(x.shape)}")
    return x if x.ndim == 3 else x.unsqueeze(0)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """y[o, i] = Σ w[o, c, j] x[c, i stride + j dilation - padding] + b[o]

    x (N, C, L), w (O, C / groups, k) -> (N, O, n). `padding` is a number, "valid" (0) or "same"
    (the output is as long as the input; only for stride 1).
    """
    x = _batched("conv1d", input)
    stride, dilation, groups = _positive(stride=stride, dilation=dilation, groups=groups)
    _check_weight("conv1d", x, weight, bias, groups, weight.shape[0])
    O, C, k = weight.shape
    if C * groups != x.shape[1]:
        raise RuntimeError(
            f"conv1d: weight {tuple(weight.shape)} in {groups} group(s) expects {C * groups} "
            f"channels, the input {tuple(input.shape)} has {x.shape[1]}"
        )
    left, right = _padding(padding, stride, dilation * (k - 1))
    reach = dilation * (k - 1) + 1
    if x.shape[2] + left + right < reach:
        raise RuntimeError(
            f"conv1d: the padded input is {x.shape[2] + left + right} long, the kernel {reach}"
        )
    # (C, k, N, n): the rows of each group's product stand together
    columns = windows(x.permute(1, 0, 2), k, stride, dilation, (left, right))
    N, n = columns.shape[2:]
    y = weight.reshape(groups, O // groups, C * k) @ columns.reshape(groups, C * k, N * n)
    y = y.reshape(O, N, n).permute(1, 0, 2)
    y = y if bias is None else y + bias.reshape(-1, 1)
    return y if input.ndim == 3 else y[0]


def _check_weight(
    name: str, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int, out: int
) -> None:
    if weight.ndim != 3:
        raise RuntimeError(f"{name}: the weight must have 3 dimensions, got {tuple(weight.shape)}")
    if x.dtype != weight.dtype:
        raise RuntimeError(f"{name} of {x.dtype} with a weight of {weight.dtype}: convert one")
    if weight.shape[0] % groups:
        raise RuntimeError(
            f"{name}: a weight {tuple(weight.shape)} does not divide into {groups} groups"
        )
    if bias is not None and bias.dtype != x.dtype:
        raise RuntimeError(f"{name} of {x.dtype} with a bias of {bias.dtype}: convert one")
    if bias is not None and tuple(bias.shape) != (out,):
        raise RuntimeError(f"{name}: bias has shape {tuple(bias.shape)}, expected {(out,)}")


def _padding(padding: Any, stride: int, overlap: int) -> tuple[int, int]:
    if padding == "valid":
        return 0, 0
    if padding == "same":
        if stride != 1:
            raise RuntimeError(f"padding='same' goes with stride 1, got {stride}")
        return overlap // 2, overlap - overlap // 2
    if isinstance(padding, str):
        raise RuntimeError(f"padding {padding!r}: expected a number, 'valid' or 'same'")
    size = single(padding, "padding")
    if size < 0:
        raise RuntimeError(f"padding {size}: expected at least 0")
    return size, size


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The adjoint of `conv1d` with the same weight: x (N, C, n), w (C, O / groups, k) -> (N, O, L)
    with L = (n - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1.
    """
    x = _batched("conv_transpose1d", input)
    stride, dilation, groups = _positive(stride=stride, dilation=dilation, groups=groups)
    padding, extra = single(padding, "padding"), single(output_padding, "output_padding")
    _check_weight("conv_transpose1d", x, weight, bias, groups, weight.shape[1] * groups)
    C, O, k = weight.shape
    if C != x.shape[1]:
        raise RuntimeError(
            f"conv_transpose1d: weight {tuple(weight.shape)} expects {C} channels, "
            f"the input {tuple(input.shape)} has {x.shape[1]}"
        )
    if not 0 <= extra < max(stride, dilation):
        raise RuntimeError(f"output_padding {extra}: must be smaller than stride or dilation")
    N, _, n = x.shape
    length = (n - 1) * stride - 2 * padding + dilation * (k - 1) + extra + 1
    if length < 1:
        raise RuntimeError(f"conv_transpose1d: the output would be {length} long")
    rows = x.permute(1, 0, 2).reshape(groups, C // groups, N * n)
    w = weight.reshape(groups, C // groups, O * k).transpose(1, 2)
    columns = (w @ rows).reshape(groups * O, k, N, n)
    y = from_windows(columns, length, stride, dilation, (padding, padding)).permute(1, 0, 2)
    y = y if bias is None else y + bias.reshape(-1, 1)
    return y if input.ndim == 3 else y[0]


def _pooling(
    name: str, length: int, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[int, int, int, int, int]:
    """kernel, stride, dilation, padding on the left, and on the right to the last window's end."""
    stride = kernel if stride is None or stride in ((), []) else stride
    kernel, stride, dilation = _positive(kernel_size=kernel, stride=stride, dilation=dilation)
    padding = single(padding, "padding")
    if not 0 <= padding <= kernel // 2:
        raise RuntimeError(
            f"{name}: padding {padding} must be from 0 to half of the kernel {kernel}"
        )
    reach = dilation * (kernel - 1) + 1
    free = length + 2 * padding - reach
    n = (math.ceil(free / stride) if ceil_mode else free // stride) + 1
    if ceil_mode and (n - 1) * stride >= length + padding:
        n -= 1  # a window must begin in the input or in its left padding
    if n < 1 or free < 0 and not ceil_mode:
        raise RuntimeError(f"{name}: the output of an input of length {length} would be empty")
    right = max((n - 1) * stride + reach - length - padding, 0)
    return kernel, stride, dilation, padding, right


def max_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window, and with `return_indices` where it was."""
    x = _batched("max_pool1d", input)
    L = x.shape[2]
    if not L or not x.shape[1]:
        raise RuntimeError(f"max_pool1d of an empty tensor, of shape {tuple(input.shape)}")
    k, stride, dilation, left, right = _pooling(
        "max_pool1d", L, kernel_size, stride, padding, dilation, ceil_mode
    )
    xp = backend_of(x.array).xp
    n = window_count(L + left + right, k, stride, dilation)
    where = xp.arange(n) * stride + xp.arange(k)[:, None] * dilation - left  # (k, n)
    inside = (where >= 0) & (where < L)
    values = x.array[..., xp.where(inside, where, 0)]  # (N, C, k, n)
    best = xp.where(inside, values, -math.inf).argmax(axis=2)
    return _picked(input, where[best, xp.arange(n)], return_indices)


def _picked(input: Tensor, index: Any, return_indices: bool) -> Any:
    indices = wrap(index.reshape(*input.shape[:-1], index.shape[-1]))
    values = ops.gather(input, -1, indices)
    return (values, indices) if return_indices else values


def avg_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window, whose zeros in the padding count unless count_include_pad=False."""
    _batched("avg_pool1d", input)
    L = input.shape[-1]
    k, stride, _, left, right = _pooling(
        "avg_pool1d", L, kernel_size, stride, padding, 1, ceil_mode
    )
    sums = windows(input, k, stride, 1, (left, right)).sum(-3)
    xp = backend_of(input.array).xp
    begin = xp.arange(sums.shape[-1]) * stride - left
    end = xp.minimum(begin + k, L + left)
    if not count_include_pad:
        begin, end = xp.maximum(begin, 0), xp.minimum(end, L)
    if not input.is_floating_point():
        return ops.div(sums, end - begin, rounding_mode="trunc")
    return sums * (1 / (end - begin)).astype(input.array.dtype)


def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """(Σ xᵖ)^(1 / p) of each window."""
    size = single(kernel_size, "kernel_size")
    sums = avg_pool1d(input**norm_type, kernel_size, stride, 0, ceil_mode)
    return (ops.sign(sums) * ops.relu(ops.abs(sums)) * size) ** (1.0 / norm_type)


def _adaptive(name: str, input: Tensor, output_size: Any) -> tuple[Any, Any]:
    """The places of each of the `output_size` windows, (n, width), and which of them count."""
    _batched(name, input)
    n, L = single(output_size, "output_size"), input.shape[-1]
    if n < 0 or not L:
        raise RuntimeError(f"{name} of shape {tuple(input.shape)} to output_size {n}")
    xp = backend_of(input.array).xp
    begin = xp.arange(n) * L // max(n, 1)
    end = -(-(xp.arange(n) + 1) * L // max(n, 1))
    width = -(-L // max(n, 1)) + 1
    where = begin[:, None] + xp.arange(width)
    return xp.minimum(where, L - 1), where < end[:, None]


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """The mean of `output_size` windows that cover the input evenly."""
    where, inside = _adaptive("adaptive_avg_pool1d", input, output_size)
    values = ops.masked_fill(input[..., where], ~inside, 0.0)
    return values.sum(-1) * (1 / inside.sum(axis=-1)).astype(input.array.dtype)


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The maximum of `output_size` windows that cover the input evenly."""
    where, inside = _adaptive("adaptive_max_pool1d", input, output_size)
    xp = backend_of(input.array).xp
    best = xp.where(inside, input.array[..., where], -math.inf).argmax(axis=-1)
    return _picked(input, where[xp.arange(len(where)), best], return_indices)


def pad(input: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    """Numbers in front of and behind the last dimensions: (left, right, top, bottom, ...)."""
    return ops.pad(input, pad, mode, value)


def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """x (N, C, L) at `size` places, or at L scale_factor: "nearest", "nearest-exact", "linear"
    or "area".
    """
    if input.ndim != 3:
        raise NotImplementedError(
            f"interpolate takes (N, C, L), got shape {tuple(input.shape)}; images are out of scope"
        )
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: give either size or scale_factor")
    if mode not in ("nearest", "nearest-exact", "linear", "area") or antialias:
        raise NotImplementedError(
            f"interpolate mode {mode!r}: expected 'nearest', 'nearest-exact', 'linear' or 'area'"
        )
    if align_corners is not None and mode != "linear":
        raise ValueError("interpolate: align_corners goes with mode='linear'")
    L = input.shape[2]
    if size is None:
        factor = scale_factor[0] if isinstance(scale_factor, (tuple, list)) else scale_factor
        n = int(math.floor(L * factor))
        step = L / n if recompute_scale_factor else 1 / factor
    else:
        n = single(size, "size")
        step = L / n
    if mode == "area":
        return adaptive_avg_pool1d(input, n)
    xp = backend_of(input.array).xp
    places = xp.arange(n)
    if mode != "linear":
        offset = 0.5 if mode == "nearest-exact" else 0.0
        index = xp.floor((places + offset) * step).astype("int64")
        return input[..., xp.minimum(index, L - 1)]
    if align_corners:
        at = places * ((L - 1) / (n - 1) if n > 1 else 0.0)
    else:
        at = xp.maximum((places + 0.5) * step - 0.5, 0)
    low = xp.minimum(xp.floor(at).astype("int64"), L - 1)
    high = xp.minimum(low + 1, L - 1)
    part = (at - low).astype(input.array.dtype)
    return input[..., low] * (1 - part) + input[..., high] * part


def upsample(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """The old name of `interpolate`."""
    warnings.warn("upsample is deprecated: use interpolate", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)
