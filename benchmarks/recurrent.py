"""Time of one recurrent layer or cell, forward and backward, against PyTorch and against the bare
matrix products, which are the limit.

    python benchmarks/recurrent.py                               all layers, cells and shapes
    python benchmarks/recurrent.py --case "GRU 20, 64" --threads 2
    python benchmarks/recurrent.py --case Cell --side minigrad --side compose
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from harness import Benchmark, Figures, cell, on_both, ratio, timed

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
SHAPES = [
    (20, 1, 128, 128),
    (20, 64, 128, 128),
    (20, 64, 256, 256),
    (50, 32, 256, 256),
    (20, 128, 512, 512),
    (35, 20, 650, 650),
    (20, 64, 1024, 1024),
]
CELL_SHAPES = [(50, 32, 64, 64), (50, 32, 256, 256)]


def program(m: Any, name: str, T: int, B: int, I: int, H: int) -> tuple[Callable, list]:
    """The forward pass of the layer or cell `name` of m, minigrad or PyTorch, up to a sum; and the
    tensors that get a gradient from it.
    """
    layer, x = getattr(m.nn, name)(I, H), drawn(T, B, I)
    with m.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(m.from_numpy(drawn(*parameter.shape)))
    x = m.from_numpy(x).requires_grad_()

    def over_sequence() -> Any:
        return layer(x)[0]

    def step_by_step() -> Any:
        state, ys = None, []
        for t in range(T):
            state = layer(x[t], state)
            ys.append(state[0] if name == "LSTMCell" else state)
        return m.stack(ys)

    forward = step_by_step if name.endswith("Cell") else over_sequence

    def there() -> Any:
        layer.zero_grad()
        x.grad = None
        return forward().sum()

    return there, [x, *layer.parameters()]


def layer_side(m: Any, *what: Any) -> Figures:
    """A step of training."""
    there, leaves = program(m, *what)
    ms = timed(there, lambda y: y.backward())
    size = sum(float(np.linalg.norm(np.asarray(leaf.grad))) for leaf in leaves)
    return {"forward": ms[0], "backward": ms[1], "ms": sum(ms), "gradient": size}


LAYER_SIDES = on_both(layer_side)


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).uniform(-0.05, 0.06, shape).astype(np.float32)


def composed_side(*what: Any) -> Figures:
    """The same, the op replaced by its meaning in primitives."""
    from minigrad.testing import composed

    with composed():
        return LAYER_SIDES["minigrad"](*what)


def products_side(name: str, T: int, B: int, I: int, H: int) -> Figures:
    """The matrix products of a layer and nothing else, the batch last, into arrays that are there;
    a cell has others.
    """
    if name.endswith("Cell"):
        return {}
    G, N = GATES[name] * H, T * B
    W, U, WT, UT = drawn(G, I), drawn(G, H), drawn(I, G), drawn(H, G)
    xs, hs, ds = drawn(I, N), drawn(H, N), drawn(G, N)  # hs and ds as a whole, for dU and dW
    step, d_step = drawn(H, B), drawn(G, B)
    out, out_step, back_step = np.empty_like(ds), np.empty_like(d_step), np.empty_like(step)
    dx, dW, dU = np.empty_like(xs), np.empty_like(W), np.empty_like(U)

    def forward() -> None:
        np.matmul(W, xs, out=out)
        for _ in range(T):
            np.matmul(U, step, out=out_step)

    def backward(_: None) -> None:
        for _ in range(T):
            np.matmul(UT, d_step, out=back_step)
        np.matmul(WT, ds, out=dx)
        np.matmul(ds, xs.T, out=dW)
        np.matmul(ds, hs.T, out=dU)

    ms = timed(forward, backward)
    return {"forward": ms[0], "backward": ms[1], "ms": sum(ms)}


def cases() -> dict[str, list]:
    found = [[name, *shape] for name in GATES for shape in SHAPES]
    found += [[f"{name}Cell", *shape] for name in GATES for shape in CELL_SHAPES]
    return {f"{name} {', '.join(map(str, shape))}": [name, *shape] for name, *shape in found}


BENCHMARK = Benchmark(
    __doc__,
    sides={**LAYER_SIDES, "products": products_side, "compose": composed_side},
    cases=cases(),
    smallest=["LSTM", 2, 2, 3, 3],
    columns={
        **{side: cell(side) for side in ("minigrad", "torch", "products", "compose")},
        "torch / minigrad": ratio("torch", "minigrad"),
        "minigrad / products": ratio("minigrad", "products"),
        "compose / minigrad": ratio("compose", "minigrad"),
    },
    head="layer T, B, I, H",
    same=("gradient",),
    threads=(1, 2),
)

if __name__ == "__main__":
    BENCHMARK.main()
