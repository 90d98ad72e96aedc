"""Initialisers: fill a tensor in place and return it. Numbers are drawn on the host, the same on
every device.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable

import numpy as np

from ..backend import backend_of
from ..ops.random import Generator, host_of
from ..tensor import Tensor


def _fill(x: Tensor, values: np.ndarray) -> Tensor:
    """Written behind the tape's back, so that a parameter may be filled while recording."""
    x.array[...] = backend_of(x.array).upload(np.ascontiguousarray(values, dtype=x.array.dtype))
    x.changed()
    return x


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """fan_in and fan_out of a weight (out, in, ...)."""
    if tensor.ndim < 2:
        raise ValueError(
            "fan in and fan out need at least 2 dimensions, "
            f"this tensor has shape {tuple(tensor.shape)}"
        )
    receptive = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive, tensor.shape[0] * receptive


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through a nonlinearity: tanh 5/3, relu √2, ..."""
    gains = {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4, "sigmoid": 1.0, "linear": 1.0}
    gains |= {f"conv{kind}{n}d": 1.0 for kind in ("", "_transpose") for n in (1, 2, 3)}
    if nonlinearity == "leaky_relu":
        if isinstance(param, (bool, str)):
            raise ValueError(f"leaky_relu: negative slope {param!r} is no number")
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in gains:
        raise ValueError(
            f"unknown nonlinearity {nonlinearity!r}; known: {', '.join(gains)}, leaky_relu"
        )
    return gains[nonlinearity]


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    return _fill(tensor, host_of(generator).uniform(a, b, tensor.shape))


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    return _fill(tensor, host_of(generator).normal(mean, std, tensor.shape))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """N(mean, std²) of which only what lies from a to b is taken: drawn again until it does."""
    if a > b:
        raise ValueError(f"trunc_normal_: a {a} is greater than b {b}")
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            f"trunc_normal_: mean {mean} is more than 2 std outside [{a}, {b}]", stacklevel=2
        )
    host = host_of(generator)
    values = host.normal(mean, std, tensor.shape)
    for _ in range(1000):
        outside = (values < a) | (values > b)
        if not outside.any():
            break
        values[outside] = host.normal(mean, std, outside.sum())
    return _fill(tensor, np.clip(values, a, b))


def constant_(tensor: Tensor, val: float) -> Tensor:
    return _fill(tensor, np.full(tensor.shape, val))


def zeros_(tensor: Tensor) -> Tensor:
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    return constant_(tensor, 1.0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity: with relu, the start of plain recurrent networks in Le et al. 2015."""
    if tensor.ndim != 2:
        raise ValueError(
            f"the identity needs 2 dimensions, this tensor has shape {tuple(tensor.shape)}"
        )
    return _fill(tensor, np.eye(*tensor.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """A convolution that passes as many channels through as it can: 1 at the kernel's middle."""
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(
            f"dirac_ needs 3, 4 or 5 dimensions, this tensor has shape {tuple(tensor.shape)}"
        )
    out, *rest = tensor.shape
    if out % groups:
        raise ValueError(f"dirac_: {out} channels do not divide into {groups} groups")
    values = np.zeros(tensor.shape)
    middle = tuple(n // 2 for n in rest[1:])
    for group in range(groups):
        for channel in range(min(out // groups, rest[0])):
            values[(group * (out // groups) + channel, channel, *middle)] = 1
    return _fill(tensor, values)


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """U(-a, a) with a = gain √(6 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    bound = gain * math.sqrt(6 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """N(0, s²) with s = gain √(2 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    std = gain * math.sqrt(2 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return normal_(tensor, 0.0, std, generator)


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(f"mode {mode!r}: expected 'fan_in' or 'fan_out'")
    return _calculate_fan_in_and_fan_out(tensor)[mode.lower() == "fan_out"]


def _kaiming(fill: Callable, half_width: float) -> Callable:
    """Filled by the standard deviation gain / √fan (He et al. 2015)."""

    def initialise(
        tensor: Tensor,
        a: float = 0.0,
        mode: str = "fan_in",
        nonlinearity: str = "leaky_relu",
        generator: Generator | None = None,
    ) -> Tensor:
        if 0 in tensor.shape:
            warnings.warn("initialising a tensor without elements does nothing", stacklevel=2)
            return tensor
        fan = _calculate_correct_fan(tensor, mode)
        size = half_width * calculate_gain(nonlinearity, a) / math.sqrt(fan)
        low = -size if fill is uniform_ else 0.0
        return fill(tensor, low, size, generator)

    return initialise


kaiming_uniform_ = _kaiming(uniform_, math.sqrt(3))
kaiming_uniform_.__name__ = "kaiming_uniform_"
kaiming_uniform_.__doc__ = "U(-b, b) with b = gain √(3 / fan) (He et al. 2015)."
kaiming_normal_ = _kaiming(normal_, 1.0)
kaiming_normal_.__name__ = "kaiming_normal_"
kaiming_normal_.__doc__ = "N(0, s²) with s = gain / √fan (He et al. 2015)."


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Rows or columns orthonormal, times gain (Saxe et al. 2013): a recurrent product keeps its
    norm.
    """
    if tensor.ndim < 2:
        raise ValueError(
            "an orthogonal matrix needs at least 2 dimensions, "
            f"this tensor has shape {tuple(tensor.shape)}"
        )
    rows, cols = tensor.shape[0], math.prod(tensor.shape[1:])
    if not rows * cols:
        return tensor
    q, r = np.linalg.qr(host_of(generator).standard_normal((max(rows, cols), min(rows, cols))))
    q = q * np.sign(np.diag(r))  # makes the distribution uniform over all orthogonal matrices
    return _fill(tensor, gain * (q if rows >= cols else q.T).reshape(tensor.shape))


def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None
) -> Tensor:
    """N(0, std²) with the share `sparsity` of each column zero (Martens 2010)."""
    if tensor.ndim != 2:
        raise ValueError(f"sparse_ needs 2 dimensions, this tensor has shape {tuple(tensor.shape)}")
    host, (rows, cols) = host_of(generator), tensor.shape
    values = host.normal(0, std, (rows, cols))
    for column in range(cols):
        values[host.permutation(rows)[: math.ceil(sparsity * rows)], column] = 0
    return _fill(tensor, values)


def forget_bias_(rnn: object, value: float = 1.0) -> object:
    """The forget gate's bias of every layer of an LSTM, once although there are two bias vectors.

    A gate that begins open lets gradients through from the first step on (Gers et al. 2000;
    Jozefowicz et al. 2015).
    """
    for name, p in rnn.named_parameters():
        if "bias_ih" in name or "bias_hh" in name:
            H = p.shape[0] // 4
            p.array[H : 2 * H] = value if "bias_ih" in name else 0.0
            p.changed()
    return rnn


def _deprecated(function: Callable) -> Callable:
    """The name without underscore that old programs use."""
    new = function.__name__
    old = new[:-1]

    @functools.wraps(function)
    def initialise(*args, **kwargs):
        warnings.warn(f"init.{old} is deprecated: use init.{new}", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    initialise.__name__ = old
    initialise.__doc__ = f"The old name of `{new}`."
    return initialise


uniform, normal, constant = (_deprecated(f) for f in (uniform_, normal_, constant_))
eye, dirac, sparse = (_deprecated(f) for f in (eye_, dirac_, sparse_))
xavier_uniform, xavier_normal = _deprecated(xavier_uniform_), _deprecated(xavier_normal_)
kaiming_uniform, kaiming_normal = _deprecated(kaiming_uniform_), _deprecated(kaiming_normal_)
orthogonal = _deprecated(orthogonal_)
