"""Rows of the table of ops: arithmetic, functions, activations, choices, triangles."""

import math
from statistics import NormalDist

import numpy as np
from ops_table import DOMAINS, EMPTY, MASK, UNIT, WIDE, on, row, stable_sigmoid

import minigrad as mg
from minigrad.nn import functional as F

DOMAINS["inside"] = lambda rng, shape: rng.uniform(0.1, 0.9, shape) * rng.choice([-1.0, 1.0], shape)
DOMAINS["above 1"] = lambda rng, shape: rng.uniform(1.2, 3.0, shape)


def vectorized(f):
    def reference(x):
        return np.array([f(float(v)) for v in np.ravel(x)]).reshape(np.shape(x))

    return reference


erf, erfc = vectorized(math.erf), vectorized(math.erfc)


def erfinv(x):
    return vectorized(NormalDist().inv_cdf)((x + 1) / 2) / math.sqrt(2)


def cut(x):
    return np.sign(x) * np.floor(np.abs(x))


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def gelu_tanh(x):
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def hard_sigmoid(x):
    return np.clip(x / 6 + 0.5, 0, 1)


ONE = [
    ("exp2", lambda x: 2**x, "any"),
    ("expm1", lambda x: np.exp(x) - 1, "any"),
    ("log1p", lambda x: np.log(1 + x), "positive"),
    ("log2", lambda x: np.log(x) / math.log(2), "positive"),
    ("log10", lambda x: np.log(x) / math.log(10), "positive"),
    ("rsqrt", lambda x: x**-0.5, "positive"),
    ("reciprocal", lambda x: 1 / x, "any"),
    ("square", lambda x: x * x, "any"),
    ("tan", lambda x: np.sin(x) / np.cos(x), "inside"),
    ("asin", np.arcsin, "inside"),
    ("acos", np.arccos, "inside"),
    ("atan", np.arctan, "any"),
    ("sinh", lambda x: (np.exp(x) - np.exp(-x)) / 2, "any"),
    ("cosh", lambda x: (np.exp(x) + np.exp(-x)) / 2, "any"),
    ("asinh", lambda x: np.log(x + np.sqrt(x * x + 1)), "any"),
    ("acosh", lambda x: np.log(x + np.sqrt(x * x - 1)), "above 1"),
    ("atanh", lambda x: np.log((1 + x) / (1 - x)) / 2, "inside"),
    ("logit", lambda x: np.log(x / (1 - x)), "inside"),
    ("sinc", lambda x: np.sin(np.pi * x) / (np.pi * x), "any"),
    ("erf", erf, "any"),
    ("erfc", erfc, "any"),
    ("erfinv", erfinv, "inside"),
    ("lgamma", vectorized(math.lgamma), "any"),
    ("sign", np.sign, "any"),
    ("floor", lambda x: cut(x) - (cut(x) > x), "any"),
    ("ceil", lambda x: cut(x) + (cut(x) < x), "any"),
    ("trunc", cut, "any"),
    ("round", lambda x: np.floor(x + 0.5), "any"),
    ("frac", lambda x: x - cut(x), "any"),
    ("positive", lambda x: x, "any"),
    ("deg2rad", lambda x: x * np.pi / 180, "any"),
    ("rad2deg", lambda x: x / np.pi * 180, "any"),
    ("nan_to_num", lambda x: x, "any"),
    ("relu6", lambda x: np.clip(x, 0, 6), "any"),
    ("leaky_relu", lambda x: np.where(x > 0, x, 0.01 * x), "any"),
    ("elu", lambda x: np.where(x > 0, x, np.exp(x) - 1), "any"),
    (
        "selu",
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1)),
        "any",
    ),
    ("celu", lambda x: np.where(x > 0, x, np.exp(x) - 1), "any"),
    ("gelu", lambda x: x / 2 * (1 + erf(x / math.sqrt(2))), "any"),
    ("silu", lambda x: x * stable_sigmoid(x), "any"),
    ("mish", lambda x: x * np.tanh(softplus(x)), "any"),
    ("softplus", softplus, "any"),
    ("softsign", lambda x: x / (1 + np.abs(x)), "any"),
    ("softshrink", lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0), "any"),
    ("hardshrink", lambda x: np.where(np.abs(x) > 0.5, x, 0), "any"),
    ("tanhshrink", lambda x: x - np.tanh(x), "any"),
    ("logsigmoid", lambda x: -softplus(-x), "any"),
    ("hardtanh", lambda x: np.clip(x, -1, 1), "any"),
    ("hardsigmoid", hard_sigmoid, "any"),
    ("hardswish", lambda x: x * hard_sigmoid(x), "any"),
]
for name, reference, domain in ONE:
    if name == "logit":
        for shape in (WIDE, UNIT, EMPTY):
            row(
                name,
                lambda x: np.log(np.abs(x) / (1 - np.abs(x))),
                shape,
                domain=domain,
                op=lambda x: mg.logit(abs(x)),
            )
        continue
    for shape in (WIDE, UNIT, EMPTY):
        row(name, reference, shape, domain=domain)

for alias, name in [
    ("negative", "neg"), ("absolute", "abs"), ("sgn", "sign"), ("fix", "trunc"),

    ("arcsin", "asin"), ("arccos", "acos"), ("arctan", "atan"), ("arcsinh", "asinh"),
    ("arccosh", "acosh"), ("arctanh", "atanh"),
]:  # fmt: skip
    f = {row[0]: row for row in ONE}.get(name)
    own = {"neg": np.negative, "abs": np.abs, "sigmoid": stable_sigmoid}
    row(alias, f[1] if f else own[name], WIDE, domain=f[2] if f else "any")

row("round", lambda x: np.floor(x * 10 + 0.5) / 10, WIDE, decimals=1)
row("round", lambda x: np.floor(x / 10 + 0.5) * 10, WIDE, domain="large", decimals=-1)
row("logit", lambda x: np.log(np.clip(x, 0.2, 0.8) / (1 - np.clip(x, 0.2, 0.8))), WIDE, eps=0.2)
row("erf", erf, WIDE, domain="large", tag="large")
row("leaky_relu", lambda x: np.where(x > 0, x, 0.2 * x), WIDE, negative_slope=0.2)
row("elu", lambda x: np.where(x > 0, x, 0.7 * (np.exp(x) - 1)), WIDE, alpha=0.7)
row("celu", lambda x: np.where(x > 0, x, 0.7 * (np.exp(x / 0.7) - 1)), WIDE, alpha=0.7)
row("gelu", gelu_tanh, WIDE, approximate="tanh")
row("softplus", lambda x: softplus(3 * x) / 3, WIDE, beta=3)
row("softplus", lambda x: np.where(x > 1, x, softplus(x)), WIDE, threshold=1)
row("softplus", softplus, WIDE, domain="large", tag="large")
row("logsigmoid", lambda x: -softplus(-x), WIDE, domain="large", tag="large")
row("silu", lambda x: x * stable_sigmoid(x), WIDE, domain="large", tag="large")
row("softshrink", lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.9, 0), WIDE, lambd=0.9)
row("hardshrink", lambda x: np.where(np.abs(x) > 0.9, x, 0), WIDE, lambd=0.9)
row("hardtanh", lambda x: np.clip(x, -0.5, 0.8), WIDE, args=(-0.5, 0.8))
row("threshold", lambda x: np.where(x > 0.4, x, -7), WIDE, op=lambda x: F.threshold(x, 0.4, -7.0))
for shape, channels in [((2, 3, 2), (3,)), (WIDE, (1,)), (UNIT, (1,))]:
    row(
        "prelu",
        lambda x, w: np.where(x > 0, x, x * (w.reshape(-1, 1) if x.ndim == 3 else w.sum())),
        shape,
        channels,
    )
row("glu", lambda x: x[:, :2] * stable_sigmoid(x[:, 2:]), (3, 4), op=F.glu)
row("glu", lambda x: x[:1] * stable_sigmoid(x[1:]), (2, 3), op=lambda x: F.glu(x, 0), tag="dim 0")

# two operands

for name, reference, domain in [
    ("rsub", lambda a, b: b - a, "any"),
    ("true_divide", lambda a, b: a / b, "any"),
    ("float_power", lambda a, b: a**b, "positive"),
    ("hypot", lambda a, b: np.sqrt(a * a + b * b), "any"),
    ("atan2", np.arctan2, "any"),
    ("logaddexp", lambda a, b: np.log(np.exp(a) + np.exp(b)), "any"),
    ("logaddexp2", lambda a, b: np.log2(2**a + 2**b), "any"),
    ("copysign", lambda a, b: np.abs(a) * np.sign(b), "any"),
    ("xlogy", lambda a, b: a * np.log(b), "positive"),
    ("fmax", np.maximum, "any"),
    ("fmin", np.minimum, "any"),
    ("clamp_min", np.maximum, "any"),
    ("clamp_max", np.minimum, "any"),
    ("remainder", lambda a, b: a - b * np.floor(a / b), "any"),
    ("fmod", lambda a, b: a - b * cut(a / b), "any"),
    ("floor_divide", lambda a, b: np.floor(a / b), "any"),
    ("ldexp", lambda a, b: a * 2**b, "any"),
]:
    for pair in [(WIDE, WIDE), (WIDE, (3,)), ((2, 1), (1, 3)), (UNIT, WIDE), (UNIT, UNIT)]:
        if name != "float_power" or pair == (WIDE, WIDE):
            row(name, reference, *pair, domain=domain)
    if name != "float_power":
        row(name, reference, EMPTY, (3,), domain=domain)

for alias, reference in [
    ("subtract", np.subtract), ("multiply", np.multiply), ("divide", np.divide),
    ("arctan2", np.arctan2),
]:  # fmt: skip
    row(alias, reference, WIDE, (3,))
row("add", lambda a, b: a + 3 * b, WIDE, (3,), alpha=3)
row("sub", lambda a, b: a - 0.5 * b, WIDE, (3,), alpha=0.5)
row("rsub", lambda a, b: b - 2 * a, WIDE, (3,), alpha=2)
row("rsub", lambda a: 2 - a, WIDE, args=(2,))
row("fill", lambda x: np.full(x.shape, 0.7), WIDE, args=(0.7,))
row("div", lambda a, b: np.floor(a / b), WIDE, (3,), rounding_mode="floor")
row("div", lambda a, b: cut(a / b), WIDE, (3,), rounding_mode="trunc")
for number in (0.7, -2):
    row("remainder", lambda a, n=number: a - n * np.floor(a / n), WIDE, args=(number,))
    row("fmod", lambda a, n=number: a - n * cut(a / n), WIDE, args=(number,))
row("floor_divide", lambda x: np.floor(3 / x), WIDE, op=lambda x: 3 // x, tag="number left")
row("remainder", lambda x: 3 - x * np.floor(3 / x), WIDE, op=lambda x: 3 % x, tag="number left")
row("atan2", lambda x: np.arctan2(x, 2), WIDE, op=lambda x: mg.atan2(x, mg.ones_like(x) * 2))
row("xlogy", lambda x: 2 * np.log(x), WIDE, domain="positive", op=lambda x: mg.xlogy(2, x))
for a, b, c in [(WIDE, WIDE, WIDE), (WIDE, (3,), UNIT), ((3,), (2, 1), WIDE)]:
    row("lerp", lambda a, b, w: a + w * (b - a), a, b, c)
    row("addcmul", lambda a, b, c: a + 0.3 * b * c, a, b, c, value=0.3)
    row("addcdiv", lambda a, b, c: a + b / c * 2, a, b, c, value=2)
    row("clamp", lambda x, a, b: np.minimum(np.maximum(x, a), b), a, b, c)
row("lerp", lambda a, b: a + 0.3 * (b - a), WIDE, WIDE, args=(0.3,))
row("clip", lambda x: np.clip(x, -0.5, 0.5), WIDE, args=(-0.5, 0.5))
row("clamp", np.maximum, WIDE, (3,), op=lambda x, low: mg.clamp(x, min=low), tag="tensor min")
row("clamp", np.minimum, WIDE, (3,), op=lambda x, high: x.clamp(max=high), tag="tensor max")
row(
    "masked_fill",
    lambda x, v: np.where(MASK, v, x),
    WIDE,
    UNIT,
    op=lambda x, v: mg.masked_fill(x, on(x, MASK), v.reshape(())),
    tag="tensor value",
)

for name, keep in [("tril", np.tril), ("triu", np.triu)]:
    for k in (0, 1, -1):
        row(name, lambda x, f=keep, k=k: f(x, k), (3, 4), args=(k,))
    row(name, keep, (2, 3, 3))
    row(name, keep, EMPTY, diagonal=0)
row(
    "meshgrid",
    lambda a, b: tuple(np.meshgrid(a, b, indexing="ij")),
    (2,),
    (3,),
    op=lambda *xs: mg.meshgrid(*xs, indexing="ij"),
)
row(
    "meshgrid",
    lambda a, b: tuple(np.meshgrid(a, b)),
    (2,),
    (3,),
    op=lambda *xs: mg.meshgrid(list(xs), indexing="xy"),
    tag="xy",
)
row(
    "cartesian_prod",
    lambda a, b: np.array([[x, y] for x in a for y in b]),
    (2,),
    (3,),
)
row("combinations", lambda x: x[[[0, 1], [0, 2], [1, 2]]], (3,))

# no derivative: tested in test_ops.py, test_creation.py, test_random.py and tests/parity
CONSTANTS = """
eq ne lt le gt ge not_equal less less_equal greater greater_equal equal isclose allclose logical_and
logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not
bitwise_left_shift bitwise_right_shift isnan isinf isposinf isneginf isfinite isreal signbit
heaviside result_type promote_types can_cast
tensor as_tensor asarray from_numpy scalar_tensor legacy zeros ones full empty eye arange linspace
logspace zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_empty new_tensor
tril_indices triu_indices one_hot complex rand randn randint randperm rand_like randn_like
randint_like normal bernoulli poisson multinomial manual_seed seed initial_seed get_rng_state
set_rng_state uniform_ normal_ bernoulli_ random_ exponential_ geometric_ cauchy_ log_normal_
""".split()
