"""What the engine costs in an LSTM written op by op: T = 50 steps, B = 32, I = H = 64.

    python benchmarks/op_by_op.py
    python benchmarks/op_by_op.py --side minigrad --side torch

The same program runs on minigrad, PyTorch, HIPS autograd and MyGrad. Beside them stands the time of
the array calls alone, forward and backward written by hand, on NumPy arrays and, for PyTorch, on
its tensors without recording: the difference is what an engine costs.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from harness import Benchmark, Figures, cell, ratio, timed, torch_module

NAMES = "xs", "h", "c", "W", "U", "b"  # the last three are differentiated


def lstm(m: Any, xs: Any, h: Any, c: Any, W: Any, U: Any, b: Any) -> Any:
    """The program: xs is a list of T inputs (B, I), W (I, 4H), U (H, 4H), b (4H,)."""
    H, hs = h.shape[1], []
    for x in xs:
        gates = x @ W + h @ U + b  # (B, 4H)
        i, f = m.sigmoid(gates[:, :H]), m.sigmoid(gates[:, H : 2 * H])
        g, o = m.tanh(gates[:, 2 * H : 3 * H]), m.sigmoid(gates[:, 3 * H :])
        c = f * c + i * g
        h = o * m.tanh(c)
        hs.append(h)
    return m.sum(m.stack(hs))


def forward(m: Any, xs: Any, h: Any, c: Any, W: Any, U: Any, b: Any) -> tuple:
    """`lstm` on arrays, and what its derivative needs."""
    H, hs, kept = h.shape[1], [], []
    for x in xs:
        gates = x @ W + h @ U + b
        i, f = m.sigmoid(gates[:, :H]), m.sigmoid(gates[:, H : 2 * H])
        g, o = m.tanh(gates[:, 2 * H : 3 * H]), m.sigmoid(gates[:, 3 * H :])
        before = h, c
        c = f * c + i * g
        tanh_c = m.tanh(c)
        h = o * tanh_c
        hs.append(h)
        kept.append((x, *before, i, f, g, o, tanh_c))
    return m.sum(m.stack(hs)), kept


def backward(m: Any, U: Any, kept: list) -> tuple:
    """Gradients of W, U and b, step by step."""
    H = U.shape[0]
    UT, dW, dU, db, dh, dc = U.T, 0, 0, 0, 0, 0
    ones = m.ones_like(kept[0][1])
    for x, h, c, i, f, g, o, tanh_c in reversed(kept):
        dh = dh + ones
        dc = dc + dh * o * (1 - tanh_c * tanh_c)
        d = m.empty((len(x), 4 * H))  # of the gates
        d[:, :H] = dc * g * (i * (1 - i))
        d[:, H : 2 * H] = dc * c * (f * (1 - f))
        d[:, 2 * H : 3 * H] = dc * i * (1 - g * g)
        d[:, 3 * H :] = dh * tanh_c * (o * (1 - o))
        dc = dc * f
        dh = d @ UT
        dW, dU, db = dW + x.T @ d, dU + h.T @ d, db + d.sum(0)
    return dW, dU, db


def arrays(T: int, B: int, I: int, H: int) -> list:
    rng = np.random.default_rng(0)
    shapes = [(T, B, I), (B, H), (B, H), (I, 4 * H), (H, 4 * H), (4 * H,)]
    xs, *rest = [rng.uniform(-0.3, 0.4, shape).astype(np.float32) for shape in shapes]
    return [list(xs), *rest]


def figures(there: Callable, back: Callable, gradient: Callable[[], Any]) -> Figures:
    """The two times, and the size of the gradient of U, by which all sides are compared."""
    ms = timed(there, back)
    return {"forward": ms[0], "backward": ms[1], "ms": sum(ms), "gradient": gradient()}


def norm(array: Any) -> float:
    return float(np.linalg.norm(np.asarray(array)))


def tensors(shape: tuple, made: Callable, leaf: Callable) -> list:
    xs, h, c, *weights = arrays(*shape)
    return [[made(x) for x in xs], made(h), made(c), *[leaf(w) for w in weights]]


def minigrad_side(*shape: int) -> Figures:
    import minigrad as mg

    values = tensors(shape, mg.from_numpy, lambda w: mg.from_numpy(w).requires_grad_())
    return like_torch(mg, values)


def torch_side(*shape: int) -> Figures:
    m = torch_module()
    return like_torch(m, tensors(shape, m.tensor, lambda w: m.tensor(w, requires_grad=True)))


def like_torch(m: Any, values: list) -> Figures:
    weights = values[3:]

    def there() -> Any:
        for weight in weights:
            weight.grad = None
        return lstm(m, *values)

    return figures(there, lambda y: y.backward(), lambda: norm(values[4].grad))


def autograd_side(*shape: int) -> Figures:
    import autograd.numpy as anp
    from autograd import make_vjp
    from autograd.extend import defvjp, primitive

    sigmoid = primitive(plain_sigmoid)
    defvjp(sigmoid, lambda y, x: lambda g: g * (y * (1 - y)))
    m = SimpleNamespace(sigmoid=sigmoid, tanh=anp.tanh, stack=anp.stack, sum=anp.sum)
    xs, h, c, *weights = arrays(*shape)
    found = {}

    def there() -> Any:
        return make_vjp(lambda weights: lstm(m, xs, h, c, *weights))(tuple(weights))

    def back(made: tuple) -> None:
        found["gradients"] = made[0](np.float32(1))

    return figures(there, back, lambda: norm(found["gradients"][1]))


def mygrad_side(*shape: int) -> Figures:
    import mygrad
    from mygrad.nnet.activations import sigmoid

    m = SimpleNamespace(sigmoid=sigmoid, tanh=mygrad.tanh, stack=mygrad.stack, sum=mygrad.sum)
    values = tensors(shape, lambda x: x, mygrad.tensor)
    return figures(lambda: lstm(m, *values), lambda y: y.backward(), lambda: norm(values[4].grad))


def plain_sigmoid(x: np.ndarray) -> np.ndarray:
    y = np.tanh(0.5 * x)
    y *= 0.5
    y += 0.5
    return y


def numpy_side(*shape: int) -> Figures:
    m = SimpleNamespace(
        sigmoid=plain_sigmoid,
        tanh=np.tanh,
        stack=np.stack,
        sum=np.sum,
        ones_like=np.ones_like,
        empty=lambda shape: np.empty(shape, np.float32),
    )
    return by_hand(m, arrays(*shape))


def torch_calls_side(*shape: int) -> Figures:
    m = torch_module()
    m.set_grad_enabled(False)
    return by_hand(m, tensors(shape, m.tensor, m.tensor))


def by_hand(m: Any, values: list) -> Figures:
    found = {}

    def back(made: tuple) -> None:
        found["gradients"] = backward(m, values[4], made[1])

    return figures(lambda: forward(m, *values), back, lambda: norm(found["gradients"][1]))


def overhead(side: str) -> Callable:
    calls = "torch calls" if side == "torch" else "NumPy calls"
    return lambda m: m[side]["ms"] - m[calls]["ms"]


ENGINES = "minigrad", "torch", "autograd", "mygrad"
BENCHMARK = Benchmark(
    __doc__,
    sides={
        "minigrad": minigrad_side,
        "torch": torch_side,
        "autograd": autograd_side,
        "mygrad": mygrad_side,
        "NumPy calls": numpy_side,
        "torch calls": torch_calls_side,
    },
    cases={"50, 32, 64, 64": [50, 32, 64, 64], "50, 1, 16, 16": [50, 1, 16, 16]},
    smallest=[2, 2, 3, 3],
    columns={
        **{side: cell(side) for side in [*ENGINES, "NumPy calls", "torch calls"]},
        "torch / minigrad": ratio("torch", "minigrad"),
        **{f"overhead of {side}": overhead(side) for side in ENGINES},
    },
    needs={"torch calls": "torch"},
    same=("gradient",),
)

if __name__ == "__main__":
    BENCHMARK.main()
