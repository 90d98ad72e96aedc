"""Time of one LSTM layer, forward and backward: the fused op, its `compose`, and PyTorch.

    python benchmarks/lstm.py                        all shapes
    python benchmarks/lstm.py --shape 20,64,256,256  one of them

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
from pathlib import Path

import numpy as np

SHAPES = [(20, 64, 128, 128), (20, 64, 256, 256), (50, 32, 256, 256), (20, 128, 512, 512)]
ROOT = Path(__file__).resolve().parent.parent


def fused_step(T: int, B: int, I: int, H: int):
    import minigrad as mg

    layer, x = mg.nn.LSTM(I, H), mg.randn(T, B, I, requires_grad=True)

    def step() -> None:
        y, _ = layer(x)
        y.sum().backward()

    return step


def composed_step(T: int, B: int, I: int, H: int):
    """The same, the op replaced by its meaning in primitives."""
    from minigrad.testing import composed

    step = fused_step(T, B, I, H)

    def composed_step() -> None:
        with composed():
            step()

    return composed_step


def torch_step(T: int, B: int, I: int, H: int):
    import torch

    layer, x = torch.nn.LSTM(I, H), torch.randn(T, B, I, requires_grad=True)

    def step() -> None:
        y, _ = layer(x)
        y.sum().backward()

    return step


SIDES = {"fused": fused_step, "compose": composed_step, "torch": torch_step}


def measure(side: str, shape: tuple[int, ...], repetitions: int) -> float:
    """Milliseconds of a step: the median, after a quarter of the repetitions as warm-up."""
    step = SIDES[side](*shape)
    times = []
    for n in range(repetitions + repetitions // 4):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times[repetitions // 4 :]) * 1e3


def in_own_process(side: str, shape: tuple[int, ...], repetitions: int) -> float:
    command = [sys.executable, __file__, "--side", side, "--shape", ",".join(map(str, shape))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "--repetitions", str(repetitions)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", help="T,B,I,H: steps, batch, input size, hidden size")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument(
        "--side", choices=SIDES, help="measure this side here and print milliseconds"
    )
    args = parser.parse_args()
    shapes = [tuple(map(int, args.shape.split(",")))] if args.shape else SHAPES
    if args.side:
        print(json.dumps(measure(args.side, shapes[0], args.repetitions)))
        return
    sides = [side for side in SIDES if side != "torch" or importlib.util.find_spec("torch")]
    print(f"NumPy {np.__version__}, {os.cpu_count()} cores; milliseconds, forward and backward\n")
    print("| T, B, I, H | " + " | ".join(sides) + " | compose / fused | torch / fused |")
    print("|---" * (len(sides) + 3) + "|")
    for shape in shapes:
        rounds: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(args.rounds):
            for side in sides:
                rounds[side].append(in_own_process(side, shape, args.repetitions))
        ms = {side: statistics.median(times) for side, times in rounds.items()}
        ratios = [
            f"{ms[side] / ms['fused']:.2f}" if side in ms else "-" for side in ("compose", "torch")
        ]
        cells = [", ".join(map(str, shape)), *(f"{ms[side]:.1f}" for side in sides), *ratios]
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
