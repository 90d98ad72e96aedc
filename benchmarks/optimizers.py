"""Time of one step of an optimizer, and of clipping, for the parameters of a translator.

    python benchmarks/optimizers.py                                both models, all steps
    python benchmarks/optimizers.py --model large --step Adam      one of them
    python benchmarks/optimizers.py --threads 1

`small` is the model that train_seq2seq.py trains by default, on its own corpus; `large` has two
layers of 512 and vocabularies of 8,000. Parameters and gradients are random: a step costs the same.
PyTorch's optimizers are those one gets by default. Each side runs in a process of its own, in turn,
for several rounds. A round's figure is the median of its repetitions, the table shows the median of
the rounds. PyTorch's column needs the extra `parity`.
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

ROOT = Path(__file__).resolve().parent.parent
SIDES = {"ours": "minigrad", "torch": "torch"}
# arguments of models.Seq2Seq
MODELS = {"small": (354, 526), "large": (8000, 8000, 256, 512, 2)}
STEPS: dict[str, Callable[[Any, list], Callable[[], Any]]] = {
    "Adam": lambda m, params: m.optim.Adam(params).step,
    "AdamW": lambda m, params: m.optim.AdamW(params).step,
    "SGD, momentum": lambda m, params: m.optim.SGD(params, lr=1e-3, momentum=0.9).step,
    "RMSprop": lambda m, params: m.optim.RMSprop(params).step,
    "Adagrad": lambda m, params: m.optim.Adagrad(params).step,
    "clip_grad_norm_": lambda m, params: clipping(m, params),
    "clip_grad_value_": lambda m, params: lambda: m.nn.utils.clip_grad_value_(params, 1.0),
}


def clipping(m: Any, params: list) -> Callable[[], Any]:
    """Always with something to clip: each time to a limit that is one per cent lower."""
    limit = float(m.nn.utils.clip_grad_norm_(params, float("inf")))

    def clip() -> None:
        nonlocal limit
        limit *= 0.99
        m.nn.utils.clip_grad_norm_(params, limit)

    return clip


def shapes_of(model: str) -> list[tuple[int, ...]]:
    sys.path.insert(0, str(ROOT))
    from models.seq2seq import Seq2Seq

    return [tuple(p.shape) for p in Seq2Seq(*MODELS[model]).parameters()]


def measure(side: str, step: str, shapes: list[list[int]], repetitions: int, threads: int) -> float:
    """Milliseconds of a step: the median, after a quarter of the repetitions as warm-up."""
    m, rng = importlib.import_module(SIDES[side]), np.random.default_rng(0)
    if side == "torch":
        m.set_num_threads(threads)
    params = []
    for shape in shapes:
        values, gradient = rng.standard_normal((2, *shape), np.float32)
        params.append(m.nn.Parameter(m.tensor(values)))
        params[-1].grad = m.tensor(gradient)
    act, times = STEPS[step](m, params), []
    for _ in range(repetitions + repetitions // 4):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return statistics.median(times[repetitions // 4 :]) * 1e3


def in_own_process(
    side: str, step: str, shapes: list[tuple[int, ...]], repetitions: int, threads: int
) -> float:
    what = ["--side", side, "--step", step, "--shapes", json.dumps(shapes)]
    how = ["--repetitions", str(repetitions), "--threads", str(threads)]
    number = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [sys.executable, __file__, *what, *how],
        env={**os.environ, **number, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=MODELS, help="one model (default: both)")
    parser.add_argument("--step", choices=STEPS, help="one optimizer or way of clipping")
    parser.add_argument("--threads", type=int, default=2, help="for each side (default: 2)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repetitions", type=int, default=20, help="ten times as many for small")
    parser.add_argument(
        "--side", choices=SIDES, help="measure this side here and print milliseconds"
    )
    parser.add_argument("--shapes", help="of the parameters, as JSON; with --side")
    args = parser.parse_args()
    if args.side:
        shapes = json.loads(args.shapes)
        print(json.dumps(measure(args.side, args.step, shapes, args.repetitions, args.threads)))
        return
    sides = [side for side in SIDES if side == "ours" or importlib.util.find_spec("torch")]
    print(f"NumPy {np.__version__}, {os.cpu_count()} cores, threads: {args.threads}\n")
    print("| optimizer | model | ours, ms | torch, ms | torch / ours |")
    print("|---" * 5 + "|")
    for model in [args.model] if args.model else MODELS:
        shapes = shapes_of(model)
        numbers = sum(int(np.prod(shape)) for shape in shapes) / 1e6
        for step in [args.step] if args.step else STEPS:
            times: dict[str, list[float]] = {side: [] for side in sides}
            for _ in range(args.rounds):
                for side in sides:
                    repetitions = args.repetitions * (10 if model == "small" else 1)
                    times[side].append(
                        in_own_process(side, step, shapes, repetitions, args.threads)
                    )
            ms = {side: statistics.median(values) for side, values in times.items()}
            theirs = f"{ms['torch']:.2f}" if "torch" in ms else "-"
            ratio = f"{ms['torch'] / ms['ours']:.2f}" if "torch" in ms else "-"
            named = f"{model}, {numbers:.1f} M numbers in {len(shapes)} arrays"
            print(f"| {step} | {named} | {ms['ours']:.2f} | {theirs} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
