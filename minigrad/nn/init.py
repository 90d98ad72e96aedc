"""Initialisers: fill a tensor in place and return it. Numbers are drawn on the host, the same on
every device.
"""

from __future__ import annotations

import math

import numpy as np

from ..backend import backend_of
from ..ops.random import Generator, host_of
from ..tensor import Tensor


def _fill(x: Tensor, values: np.ndarray) -> Tensor:
    x.array[...] = backend_of(x.array).upload(np.ascontiguousarray(values, dtype=x.dtype))
    x.changed()
    return x


def fans(x: Tensor) -> tuple[int, int]:
    """fan_in and fan_out of a weight (out, in, ...)."""
    if x.ndim < 2:
        raise ValueError(
            f"fan in and fan out need at least 2 dimensions, this tensor has shape {tuple(x.shape)}"
        )
    receptive = math.prod(x.shape[2:])
    return x.shape[1] * receptive, x.shape[0] * receptive


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through a nonlinearity: tanh 5/3, relu √2, ..."""
    gains = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2)}
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in gains:
        raise ValueError(
            f"unknown nonlinearity {nonlinearity!r}; known: {', '.join(gains)}, leaky_relu"
        )
    return gains[nonlinearity]


def uniform_(
    x: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    return _fill(x, host_of(generator).uniform(a, b, x.shape))


def normal_(
    x: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    return _fill(x, host_of(generator).normal(mean, std, x.shape))


def constant_(x: Tensor, value: float) -> Tensor:
    return _fill(x, np.full(x.shape, value))


def zeros_(x: Tensor) -> Tensor:
    return constant_(x, 0.0)


def ones_(x: Tensor) -> Tensor:
    return constant_(x, 1.0)


def eye_(x: Tensor) -> Tensor:
    """The identity: with relu, the start of plain recurrent networks in Le et al. 2015."""
    if x.ndim != 2:
        raise ValueError(f"the identity needs 2 dimensions, this tensor has shape {tuple(x.shape)}")
    return _fill(x, np.eye(*x.shape))


def xavier_uniform_(x: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """U(-a, a) with a = gain √(6 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    bound = gain * math.sqrt(6 / sum(fans(x)))
    return uniform_(x, -bound, bound, generator)


def xavier_normal_(x: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """N(0, s²) with s = gain √(2 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    return normal_(x, 0.0, gain * math.sqrt(2 / sum(fans(x))), generator)


def _he_std(x: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode {mode!r}: expected 'fan_in' or 'fan_out'")
    return calculate_gain(nonlinearity, a) / math.sqrt(fans(x)[mode == "fan_out"])


def kaiming_uniform_(x, a=0.0, mode="fan_in", nonlinearity="leaky_relu", generator=None) -> Tensor:
    """U(-b, b) with b = gain √(3 / fan) (He et al. 2015)."""
    bound = math.sqrt(3) * _he_std(x, a, mode, nonlinearity)
    return uniform_(x, -bound, bound, generator)


def kaiming_normal_(x, a=0.0, mode="fan_in", nonlinearity="leaky_relu", generator=None) -> Tensor:
    """N(0, s²) with s = gain / √fan (He et al. 2015)."""
    return normal_(x, 0.0, _he_std(x, a, mode, nonlinearity), generator)


def orthogonal_(x: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Rows or columns orthonormal, times gain (Saxe et al. 2013): a recurrent product keeps its
    norm.
    """
    if x.ndim < 2:
        raise ValueError(
            "an orthogonal matrix needs at least 2 dimensions, "
            f"this tensor has shape {tuple(x.shape)}"
        )
    rows, cols = x.shape[0], math.prod(x.shape[1:])
    q, r = np.linalg.qr(host_of(generator).standard_normal((max(rows, cols), min(rows, cols))))
    q = q * np.sign(np.diag(r))  # makes the distribution uniform over all orthogonal matrices
    return _fill(x, gain * (q if rows >= cols else q.T).reshape(x.shape))


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
