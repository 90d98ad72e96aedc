"""The nonlinearities of networks; their derivatives at the kinks are PyTorch's."""

from __future__ import annotations

import math
from typing import Any

from ..op import Op, raw
from .choosing import clamp, where
from .elementwise import abs as abs_
from .rounding import sign
from .shape import chunk, reshape
from .special import erfc
from .transcendental import exp, sigmoid, tanh


class Relu(Op):
    """y = max(x, 0),  dy/dx = 1 where y > 0; NaN passes, and so does its gradient"""

    def forward(self, x):
        if x.dtype.kind == "b":
            raise RuntimeError("relu is not defined for bools")
        return self.xp.maximum(x, 0)

    def backward(self, g, y, _x):
        return g * (y != 0)


class LeakyRelu(Op):
    """y = x where x > 0, slope x elsewhere"""

    def forward(self, x):
        return self.xp.where(x > 0, x, x * self.slope)

    def backward(self, g, _y, x):
        return where(x > 0, g, g * self.slope)


class Elu(Op):
    """y = scale · (x where x > 0, alpha (e^(rate x) - 1) elsewhere)"""

    def forward(self, x):
        low = self.xp.expm1(self.xp.minimum(x, 0) * self.rate) * self.alpha
        return self.xp.where(x > 0, x, low) * self.scale

    def backward(self, g, _y, x):
        low = exp(clamp(x, max=0) * self.rate) * (self.alpha * self.rate)
        return g * where(x > 0, 1.0, low) * self.scale


class Gelu(Op):
    """y = x Φ(x), Φ the normal distribution,  dy/dx = Φ(x) + x φ(x)"""

    def forward(self, x):
        return x * (erfc(x * -math.sqrt(0.5)) * 0.5)

    def backward(self, g, _y, x):
        density = exp(x * x * -0.5) * (1.0 / math.sqrt(2.0 * math.pi))
        return g * (erfc(x * -math.sqrt(0.5)) * 0.5 + x * density)


class Silu(Op):
    """y = x σ(x),  dy/dx = σ(x) (1 + x (1 - σ(x)))"""

    def forward(self, x):
        return x * sigmoid(x)

    def backward(self, g, _y, x):
        s = sigmoid(x)
        return g * (s * ((1.0 - s) * x + 1.0))


class Softplus(Op):
    """y = ln(1 + e^βx) / β, x where βx is above the threshold,  dy/dx = σ(βx)"""

    def forward(self, x):
        z = x * self.beta
        return self.xp.where(z > self.threshold, x, self.xp.logaddexp(z, 0.0) / self.beta)

    def backward(self, g, _y, x):
        z = x * self.beta
        return g * where(z > self.threshold, 1.0, sigmoid(z))


class LogSigmoid(Op):
    """y = ln σ(x),  dy/dx = σ(-x)"""

    def forward(self, x):
        return -self.xp.logaddexp(-x, 0.0)

    def backward(self, g, _y, x):
        return g * sigmoid(-x)


def floats(input: Any, name: str) -> Any:
    """The input; NotImplementedError, as in PyTorch, for integers and bools."""
    dtype = raw(input).dtype
    if dtype.kind != "f":
        raise NotImplementedError(f"{name} is not defined for {dtype}: use .float() first")
    return input


def relu(input: Any) -> Any:
    return Relu()(input)


def relu6(input: Any) -> Any:
    """input limited to [0, 6]."""
    return hardtanh(input, 0, 6)


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Any:
    return LeakyRelu(slope=negative_slope)(floats(input, "leaky_relu"))


def prelu(input: Any, weight: Any) -> Any:
    """leaky_relu with a learned slope: one for all, or one for each channel (dimension 1)."""
    shape, slopes = raw(input).shape, raw(weight).shape
    if math.prod(slopes) != 1:
        channels = shape[1] if len(shape) > 1 else 1
        if slopes != (channels,):
            raise RuntimeError(f"prelu: weight has shape {slopes}, input has {channels} channels")
        weight = reshape(weight, (channels,) + (1,) * (len(shape) - 2))
    else:
        weight = reshape(weight, ())
    return where(floats(input, "prelu") > 0, input, weight * input)


def elu(input: Any, alpha: float = 1.0) -> Any:
    """x above 0, alpha (eˣ - 1) below."""
    return Elu(alpha=alpha, scale=1.0, rate=1.0)(floats(input, "elu"))


def selu(input: Any) -> Any:
    """`elu` with the two constants that keep mean 0 and variance 1 (Klambauer et al., 2017)."""
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return Elu(alpha=alpha, scale=scale, rate=1.0)(floats(input, "selu"))


def celu(input: Any, alpha: float = 1.0) -> Any:
    """x above 0, alpha (e^(x / alpha) - 1) below."""
    if alpha == 0:
        raise RuntimeError("celu: alpha must not be 0")
    return Elu(alpha=alpha, scale=1.0, rate=1.0 / alpha)(floats(input, "celu"))


def gelu(input: Any, approximate: str = "none") -> Any:
    """x times the normal distribution function of x, exact or by its approximation with tanh."""
    floats(input, "gelu")
    if approximate == "tanh":
        inner = (input + input * input * input * 0.044715) * math.sqrt(2.0 / math.pi)
        return input * 0.5 * (tanh(inner) + 1.0)
    if approximate != "none":
        raise RuntimeError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    return Gelu()(input)


def silu(input: Any) -> Any:
    """x σ(x), also called swish."""
    return Silu()(floats(input, "silu"))


def mish(input: Any) -> Any:
    """x tanh(softplus x)"""
    return input * tanh(softplus(floats(input, "mish")))


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """ln(1 + e^βx) / β, and x itself where βx is above the threshold."""
    return Softplus(beta=beta, threshold=threshold)(floats(input, "softplus"))


def logsigmoid(input: Any) -> Any:
    return LogSigmoid()(floats(input, "logsigmoid"))


def softsign(input: Any) -> Any:
    """x / (1 + |x|)"""
    return input / (abs_(input) + 1)


def tanhshrink(input: Any) -> Any:
    """x - tanh x"""
    return input - tanh(input)


def softshrink(input: Any, lambd: float = 0.5) -> Any:
    """x moved toward 0 by lambd, 0 within."""
    if lambd < 0:
        raise RuntimeError(f"softshrink: lambd must be at least 0, got {lambd}")
    inside = abs_(floats(input, "softshrink")) <= lambd
    return where(inside, 0.0, input - sign(input) * lambd)


def hardshrink(input: Any, lambd: float = 0.5) -> Any:
    """x, but 0 within lambd of 0."""
    return where(abs_(floats(input, "hardshrink")) <= lambd, 0.0, input)


def threshold(input: Any, threshold: float, value: float) -> Any:
    """x above the threshold, `value` elsewhere."""
    return where(input <= threshold, value, input)


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """x limited to [min_val, max_val]; no gradient at the limits."""
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val={min_val} is above max_val={max_val}")
    kind = raw(input).dtype.kind
    if kind == "b":
        raise RuntimeError("hardtanh is not defined for bools")
    if kind == "u" and min_val < 0:
        raise RuntimeError(f"hardtanh of unsigned integers: min_val={min_val} is negative")
    if kind != "f":
        min_val, max_val = int(min_val), int(max_val)
    return where(input <= min_val, min_val, where(input >= max_val, max_val, input))


def hardsigmoid(input: Any) -> Any:
    """x / 6 + 1/2 limited to [0, 1]."""
    return hardtanh(floats(input, "hardsigmoid") + 3.0, 0.0, 6.0) / 6.0


def hardswish(input: Any) -> Any:
    """x hardsigmoid(x)"""
    floats(input, "hardswish")
    return where(input <= -3, 0.0, where(input >= 3, input, input * (input + 3.0) / 6.0))


def glu(input: Any, dim: int = -1) -> Any:
    """The first half of the input along `dim` times the sigmoid of the second."""
    shape = raw(input).shape
    if not shape:
        raise RuntimeError("glu of a 0-d tensor: it needs a dimension to halve")
    if not -len(shape) <= dim < len(shape):
        raise IndexError(f"glu: dimension {dim} of a tensor with {len(shape)} dimensions")
    if shape[dim] % 2:
        raise RuntimeError(f"glu halves dimension {dim}, which has odd size {shape[dim]}")
    a, b = chunk(floats(input, "glu"), 2, dim)
    return a * sigmoid(b)
