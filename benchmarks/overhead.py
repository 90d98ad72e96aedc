"""What the engine costs beyond the arithmetic: microseconds for each op on 8 x 8 arrays, forward
and backward.

    python benchmarks/overhead.py                    all programs, all engines
    python benchmarks/overhead.py --case chain

Against PyTorch (extra `parity`), HIPS autograd and MyGrad (extra `bench`); an engine that is not
installed is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from harness import Benchmark, Figures, timed, torch_module

LENGTH = 200  # repetitions of the body in one program


def chain(x: Any, a: Any, tanh: Callable, matmul: Callable) -> Any:
    """Three elementwise ops a step: a product, a sum, a nonlinearity."""
    for _ in range(LENGTH):
        x = tanh(x * a + a)
    return x


def products(x: Any, a: Any, tanh: Callable, matmul: Callable) -> Any:
    """A plain recurrent step: matrix product, bias, nonlinearity."""
    bias = a[0]
    for _ in range(LENGTH):
        x = tanh(matmul(x, a) + bias)
    return x


def views(x: Any, a: Any, tanh: Callable, matmul: Callable) -> Any:
    """What a cell written by hand does to its gates: slices, and products of them."""
    for _ in range(LENGTH):
        left, right = x[:, :4], x[:, 4:]
        x = a * (left * right).sum()
    return x


PROGRAMS = {"chain": (chain, 3), "products": (products, 3), "views": (views, 5)}


def measured(name: str, run: Callable, backward: Callable) -> Figures:
    """`run(program)` is the forward pass, and what it returns goes to `backward`."""
    program, ops = PROGRAMS[name]
    forth, back = timed(lambda: run(program), backward)
    return {"forward": forth * 1e3 / LENGTH / ops, "backward": back * 1e3 / LENGTH / ops}


def operands() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.uniform(0.1, 0.5, (8, 8)).astype(np.float32) for _ in range(2)]


def minigrad_side(name: str) -> Figures:
    import minigrad as mg

    x, a = (mg.from_numpy(v).requires_grad_() for v in operands())
    return measured(name, lambda f: f(x, a, mg.tanh, mg.matmul).sum(), lambda y: y.backward())


def torch_side(name: str) -> Figures:
    torch = torch_module()
    x, a = (torch.tensor(v, requires_grad=True) for v in operands())
    return measured(name, lambda f: f(x, a, torch.tanh, torch.matmul).sum(), lambda y: y.backward())


def autograd_side(name: str) -> Figures:
    import autograd.numpy as anp
    from autograd import make_vjp

    def run(program: Callable) -> tuple:
        return make_vjp(lambda xa: anp.sum(program(*xa, anp.tanh, anp.matmul)))(tuple(operands()))

    return measured(name, run, lambda made: made[0](made[1]))


def mygrad_side(name: str) -> Figures:
    import mygrad

    x, a = (mygrad.tensor(v) for v in operands())

    def run(program: Callable) -> Any:
        return mygrad.sum(program(x, a, mygrad.tanh, mygrad.matmul))

    return measured(name, run, lambda y: y.backward())


SIDES = {
    "minigrad": minigrad_side,
    "torch": torch_side,
    "autograd": autograd_side,
    "mygrad": mygrad_side,
}


def both(side: str) -> Callable[[dict[str, Figures]], str]:
    return lambda m: f"{m[side]['forward']:.1f} / {m[side]['backward']:.1f}"


BENCHMARK = Benchmark(
    __doc__,
    sides=SIDES,
    cases={name: [name] for name in PROGRAMS},
    smallest=["chain"],
    columns={f"{side}, µs": both(side) for side in SIDES},
    head="program",
)

if __name__ == "__main__":
    BENCHMARK.main()
