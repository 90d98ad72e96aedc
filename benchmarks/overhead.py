"""What the engine costs beyond the arithmetic: microseconds for each op on 8 x 8 arrays.

    python benchmarks/overhead.py                    all programs, all engines
    python benchmarks/overhead.py --program chain

Against PyTorch (extra `parity`), HIPS autograd and MyGrad (`pip install autograd mygrad`); an
engine that is not installed is left out. Each engine runs in a process of its own on one thread, in
turn, for several rounds; a round's figure is the median of its repetitions, the table shows the
median of the rounds. Forward and backward are timed apart.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
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


def minigrad_run(program: Callable, x: np.ndarray, a: np.ndarray):
    import minigrad as mg

    x, a = (mg.from_numpy(v).requires_grad_() for v in (x, a))

    def forward() -> Any:
        return program(x, a, mg.tanh, mg.matmul).sum()

    return forward, lambda y: y.backward()


def torch_run(program: Callable, x: np.ndarray, a: np.ndarray):
    import torch

    torch.set_num_threads(1)
    x, a = torch.tensor(x, requires_grad=True), torch.tensor(a, requires_grad=True)

    def forward() -> Any:
        return program(x, a, torch.tanh, torch.matmul).sum()

    return forward, lambda y: y.backward()


def autograd_run(program: Callable, x: np.ndarray, a: np.ndarray):
    import autograd.numpy as anp
    from autograd import make_vjp

    def function(xa: Any) -> Any:
        return anp.sum(program(xa[0], xa[1], anp.tanh, anp.matmul))

    return lambda: make_vjp(function)((x, a)), lambda made: made[0](made[1])


def mygrad_run(program: Callable, x: np.ndarray, a: np.ndarray):
    import mygrad

    x, a = mygrad.tensor(x), mygrad.tensor(a)

    def forward() -> Any:
        return mygrad.sum(program(x, a, mygrad.tanh, mygrad.matmul))

    return forward, lambda y: y.backward()


SIDES = {
    "minigrad": minigrad_run,
    "torch": torch_run,
    "autograd": autograd_run,
    "mygrad": mygrad_run,
}


def measure(side: str, name: str, repetitions: int) -> tuple[float, float]:
    """Microseconds for each op, forward and backward: medians after a quarter as warm-up."""
    program, ops = PROGRAMS[name]
    rng = np.random.default_rng(0)
    x, a = (rng.uniform(0.1, 0.5, (8, 8)).astype(np.float32) for _ in range(2))
    forward, backward = SIDES[side](program, x, a)
    times: tuple[list, list] = ([], [])
    for _ in range(repetitions + repetitions // 4):
        start = time.perf_counter()
        y = forward()
        middle = time.perf_counter()
        backward(y)
        times[0].append(middle - start)
        times[1].append(time.perf_counter() - middle)
    there, back = (statistics.median(t[repetitions // 4 :]) * 1e6 / LENGTH / ops for t in times)
    return there, back


def in_own_process(side: str, name: str, repetitions: int) -> list[float]:
    command = [sys.executable, __file__, "--side", side, "--program", name]
    command += ["--repetitions", str(repetitions)]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        command, env={**os.environ, **one_thread}, check=True, capture_output=True, text=True
    )
    return json.loads(result.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description="engine overhead of one op")
    parser.add_argument("--program", choices=PROGRAMS, default=None)
    parser.add_argument("--repetitions", type=int, default=40, help="in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", choices=SIDES, default=None, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(measure(args.side, args.program, args.repetitions)))
        return
    sides = [s for s in SIDES if s == "minigrad" or importlib.util.find_spec(s)]
    print("| program | " + " | ".join(f"{s} forward / backward, µs" for s in sides) + " |")
    print("|---|" + "---|" * len(sides))
    for name in [args.program] if args.program else PROGRAMS:
        rounds: dict[str, list] = {side: [] for side in sides}
        for _ in range(args.rounds):
            for side in sides:
                rounds[side].append(in_own_process(side, name, args.repetitions))
        cells = [
            " / ".join(f"{statistics.median(values):.2f}" for values in zip(*rounds[side]))
            for side in sides
        ]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
