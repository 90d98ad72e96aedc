"""Primitives that only layers and losses need: affine maps, windows, standardising, a gradient
scaled on its way back.
"""

from __future__ import annotations

from ..op import Op
from . import elementwise as ew
from .products import matmul, product, weight_gradient
from .reduce import mean, sum_


class Affine(Op):
    """y = x Wᵀ + b in one array, x (N, I), W (O, I), b (O) or none:  dx = g W,  dW = gᵀ x,
    db = Σ g
    """

    fresh = True
    needed_by = (1,), (0,), ()

    def forward(self, x, w, *b):
        y = product(x, w.T)
        for bias in b:
            y += bias
        return y

    def backward(self, g, _y, x, w, *_b):
        needs_x, needs_w, *needs_b = self.needs
        dx = matmul(g, w) if needs_x else None
        dw = weight_gradient(g.swapaxes(0, 1), x) if needs_w else None
        return dx, dw, *[sum_(g, 0) if needed else None for needed in needs_b]


class Windows(Op):
    """Windows along the last dimension, x (..., N, L) -> (..., size, N, n), zeros outside:
    y[j, :, i] = x[:, i stride + j dilation - left]
    """

    fresh = True

    def forward(self, x):
        self.length = x.shape[-1]
        if any(self.padding):
            padded = self.xp.zeros((*x.shape[:-1], self.length + sum(self.padding)), x.dtype)
            padded[..., self.padding[0] : self.padding[0] + self.length] = x
            x = padded
        n = window_count(x.shape[-1], self.size, self.stride, self.dilation)
        y = self.xp.empty((*x.shape[:-2], self.size, x.shape[-2], n), x.dtype)
        for j in range(self.size):
            y[..., j, :, :] = x[..., taps(j, n, self)]
        return y

    def backward(self, g, _y, _x):
        return FromWindows(
            length=self.length, stride=self.stride, dilation=self.dilation, padding=self.padding
        )(g)


class FromWindows(Op):
    """The adjoint of `Windows`: overlapping windows (..., size, N, n) added up to (..., N,
    length)
    """

    fresh = True

    def forward(self, x):
        self.size, N, n = x.shape[-3:]
        y = self.xp.zeros((*x.shape[:-3], N, self.length + sum(self.padding)), x.dtype)
        for j in range(self.size):
            y[..., taps(j, n, self)] += x[..., j, :, :]
        left = self.padding[0]
        return y[..., left : left + self.length].copy() if any(self.padding) else y

    def backward(self, g, _y, _x):
        return Windows(
            size=self.size, stride=self.stride, dilation=self.dilation, padding=self.padding
        )(g)


def window_count(length: int, size: int, stride: int, dilation: int) -> int:
    return (length - dilation * (size - 1) - 1) // stride + 1


def taps(j, n, op):
    """Where element j of each of n windows lies."""
    start = j * op.dilation
    return slice(start, start + (n - 1) * op.stride + 1, op.stride)


class Standardize(Op):
    """y = (x - mean x) / s over `dims`, s = √(var x + ε),  dx = (g - mean g - y mean(g y)) / s"""

    def forward(self, x):
        centred = x - x.mean(axis=self.dims, keepdims=True)
        var = (centred * centred).mean(axis=self.dims, keepdims=True)
        return centred / self.xp.sqrt(var + self.eps)

    def backward(self, g, y, x):
        centred = x - mean(x, self.dims, True)
        deviation = ew.sqrt(mean(centred * centred, self.dims, True) + self.eps)
        g = g - mean(g, self.dims, True) - y * mean(g * y, self.dims, True)
        return g / deviation


class ScaleGradient(Op):
    """y = x, and the gradient times a constant"""

    def forward(self, x, factor):
        return x.copy()

    def backward(self, g, _y, _x, factor):
        return g * factor, None


class BinaryCrossEntropy(Op):
    """y = -t ln x - (1 - t) ln(1 - x), logarithms no lower than -100;  dx = (x - t) / x (1 - x)"""

    def forward(self, x, t):
        return -(t * log_or_floor(self.xp, x) + (1 - t) * log_or_floor(self.xp, 1 - x))

    def backward(self, g, _y, x, t):
        dx = g * (x - t) / ew.clamp(x * (1 - x), 1e-12) if self.needs[0] else None
        dt = g * (floored(1 - x) - floored(x)) if self.needs[1] else None
        return dx, dt


def log_or_floor(xp, x):
    return xp.where(x <= 0, -100.0, xp.maximum(xp.log(xp.where(x <= 0, 1.0, x)), -100.0))


def floored(x):
    """ln x, at least -100, in a rule."""
    positive = ew.masked_fill(x, x <= 0, 1.0)
    return ew.masked_fill(ew.clamp(ew.log(positive), -100), x <= 0, -100.0)


def windows(x, size, stride=1, dilation=1, padding=(0, 0)):
    """Windows of the last dimension, (..., N, L) -> (..., size, N, n), zeros outside."""
    return Windows(size=size, stride=stride, dilation=dilation, padding=tuple(padding))(x)


def from_windows(x, length, stride=1, dilation=1, padding=(0, 0)):
    """Overlapping windows (..., size, N, n) added up to (..., N, length); what falls into the
    padding is dropped.
    """
    return FromWindows(length=length, stride=stride, dilation=dilation, padding=tuple(padding))(x)


def standardize(x, dims, eps):
    """Mean 0 and variance 1 (biased) over `dims`."""
    return Standardize(dims=tuple(dims), eps=eps)(x)


def scale_gradient(x, factor):
    """x itself; on the way back the gradient is multiplied by `factor`, a constant."""
    return ScaleGradient()(x, factor)


def binary_cross_entropy(x, target):
    """Elementwise, for probabilities x from 0 to 1."""
    return BinaryCrossEntropy()(x, target)
