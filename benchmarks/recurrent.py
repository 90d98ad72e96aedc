"""Time of one recurrent layer, forward and backward: the fused op, its `compose`, and PyTorch.

    python benchmarks/recurrent.py                                    all layers and shapes
    python benchmarks/recurrent.py --layer GRU --shape 20,64,256,256  one of them
    python benchmarks/recurrent.py --cells                            50 steps of each cell

Each side runs in a process of its own, in turn, for several rounds: in one process the thread pools
of OpenBLAS and PyTorch would starve each other. A round's figure is the median of its repetitions,
the table shows the median of the rounds. PyTorch's column needs the extra `parity`.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

LAYERS = "LSTM", "GRU", "RNN"
SHAPES = [(20, 64, 128, 128), (20, 64, 256, 256), (50, 32, 256, 256), (20, 128, 512, 512)]
CELL_SHAPES = [(50, 32, 64, 64), (50, 32, 256, 256)]
ROOT = Path(__file__).resolve().parent.parent


def step_of(m: Any, name: str, T: int, B: int, I: int, H: int) -> Callable[[], None]:
    """One step of training with the layer or cell `name` of m, minigrad or PyTorch."""
    layer, x = getattr(m.nn, name)(I, H), m.randn(T, B, I, requires_grad=True)

    def over_sequence() -> None:
        y, _ = layer(x)
        y.sum().backward()

    def step_by_step() -> None:
        state, ys = None, []
        for t in range(T):
            state = layer(x[t], state)
            ys.append(state[0] if name == "LSTMCell" else state)
        m.stack(ys).sum().backward()

    return step_by_step if name.endswith("Cell") else over_sequence


def fused_step(*what: Any) -> Callable[[], None]:
    import minigrad

    return step_of(minigrad, *what)


def composed_step(*what: Any) -> Callable[[], None]:
    """The same, the op replaced by its meaning in primitives."""
    from minigrad.testing import composed

    step = fused_step(*what)

    def composed_step() -> None:
        with composed():
            step()

    return composed_step


def torch_step(*what: Any) -> Callable[[], None]:
    import torch

    return step_of(torch, *what)


SIDES = {"fused": fused_step, "compose": composed_step, "torch": torch_step}


def measure(side: str, layer: str, shape: tuple[int, ...], repetitions: int) -> float:
    """Milliseconds of a step: the median, after a quarter of the repetitions as warm-up."""
    step = SIDES[side](layer, *shape)
    times = []
    for n in range(repetitions + repetitions // 4):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times[repetitions // 4 :]) * 1e3


def in_own_process(side: str, layer: str, shape: tuple[int, ...], repetitions: int) -> float:
    what = ["--side", side, "--layer", layer, "--shape", ",".join(map(str, shape))]
    done = subprocess.run(
        [sys.executable, __file__, *what, "--repetitions", str(repetitions)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layer", help="LSTM, GRU, RNN, or a cell, such as GRUCell")
    parser.add_argument("--cells", action="store_true", help="the cells, step by step")
    parser.add_argument("--shape", help="T,B,I,H: steps, batch, input size, hidden size")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument(
        "--side", choices=SIDES, help="measure this side here and print milliseconds"
    )
    args = parser.parse_args()
    if args.shape:
        shapes = [tuple(map(int, args.shape.split(",")))]
    else:
        shapes = CELL_SHAPES if args.cells else SHAPES
    if args.side:
        print(json.dumps(measure(args.side, args.layer, shapes[0], args.repetitions)))
        return
    layers = [args.layer] if args.layer else [name + "Cell" * args.cells for name in LAYERS]
    sides = [side for side in SIDES if side != "torch" or importlib.util.find_spec("torch")]
    print(f"NumPy {np.__version__}, {os.cpu_count()} cores; milliseconds, forward and backward\n")
    print("| layer | T, B, I, H | " + " | ".join(sides) + " | compose / fused | torch / fused |")
    print("|---" * (len(sides) + 4) + "|")
    for layer in layers:
        for shape in shapes:
            rounds: dict[str, list[float]] = {side: [] for side in sides}
            for _ in range(args.rounds):
                for side in sides:
                    rounds[side].append(in_own_process(side, layer, shape, args.repetitions))
            ms = {side: statistics.median(times) for side, times in rounds.items()}
            ratios = [
                f"{ms[side] / ms['fused']:.2f}" if side in ms else "-"
                for side in ("compose", "torch")
            ]
            cells = [layer, ", ".join(map(str, shape)), *(f"{ms[s]:.1f}" for s in sides), *ratios]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
