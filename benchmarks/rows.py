"""Time of what works row by row, forward and backward, next to PyTorch: gradients of embedding
tables, cross-entropy with its peak memory, softmax.

    python benchmarks/rows.py                          all tables
    python benchmarks/rows.py --what cross_entropy     one of them

Each side runs in a process of its own, in turn, for several rounds: in one process the thread pools
of OpenBLAS and PyTorch would starve each other. A round's figure is the median of its repetitions,
the table shows the median of the rounds. Peak memory is what the resident set grows by, beyond the
logits, in a first step. PyTorch's column needs the extra `parity`.
"""

from __future__ import annotations

import argparse
import importlib
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
SIDES = "minigrad", "torch"
PADDING = 0.3  # the share of the rows that cross-entropy is to ignore


def words(V: int, n: int, rng: Any) -> np.ndarray:
    """Ids as frequent as words are: the k-th most frequent one 1/k as often as the first."""
    share = 1 / np.arange(1, V + 1)
    return rng.choice(V, n, p=share / share.sum())


def embedding(m: Any, rng: Any, kind: str, V: int, D: int, n: int) -> Callable[[], None]:
    """Rows read and their gradient added up, for ids in the shape of a batch."""
    table = m.nn.Embedding(V, D, sparse="sparse" in kind)
    ids = rng.integers(0, V, n) if "even" in kind else words(V, n, rng)
    ids, g = m.tensor(ids.reshape(-1, 10)), m.ones(n // 10, 10, D)

    def step() -> None:
        table.weight.grad = None
        table(ids).backward(g)

    return step


def cross_entropy(m: Any, rng: Any, kind: str, N: int, V: int) -> Callable[[], None]:
    """The mean loss of rows of logits, of which a part is padding, and its gradient."""
    logits = m.tensor(rng.standard_normal((N, V), dtype=np.float32)).requires_grad_()
    target = rng.integers(0, V, N)
    target[rng.random(N) < PADDING] = -100
    target, smoothing = m.tensor(target), 0.1 if kind == "smoothed" else 0.0
    loss = m.nn.functional.cross_entropy

    def step() -> None:
        logits.grad = None
        loss(logits, target, label_smoothing=smoothing).backward()

    return step


def softmax(m: Any, rng: Any, kind: str, *shape: int) -> Callable[[], None]:
    x = m.tensor(rng.standard_normal(shape, dtype=np.float32)).requires_grad_()
    g, f = m.tensor(rng.standard_normal(shape, dtype=np.float32)), getattr(m, kind)

    def step() -> None:
        x.grad = None
        f(x, -1).backward(g)

    return step


TABLES = [(8000, 512, 1280), (200, 64, 640), (30000, 300, 4000)]
LOGITS = [(1280, 8000), (640, 150)]
SCORES = [(20, 64, 20), (64, 8, 50, 50), (256, 1000)]
WORK = {  # kinds, sizes, repetitions, and what the sizes are
    embedding: (
        ("dense, even", "dense, words", "sparse, even", "sparse, words"),
        TABLES,
        40,
        "rows, columns, ids",
    ),
    cross_entropy: (("plain", "smoothed"), LOGITS, 20, "rows, classes"),
    softmax: (("softmax", "log_softmax"), SCORES, 40, "shape"),
}
BY_NAME = {work.__name__: work for work in WORK}


def resident(entry: str) -> float:
    """MB of this process in memory: VmRSS, now, or VmHWM, at the most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(entry)) / 1024


def grown(step: Callable[[], None]) -> float:
    """MB by which the memory of this process grows, at the most, in a step; 0 outside Linux."""
    if not Path("/proc/self/clear_refs").exists():
        return 0.0
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak
    before = resident("VmRSS")
    step()
    return resident("VmHWM") - before


def measure(side: str, name: str, kind: str, size: list[int], repetitions: int) -> list[float]:
    """Milliseconds of a step, the median after a quarter of the repetitions as warm-up; and the
    MB of the first one.
    """
    m, rng = importlib.import_module(side), np.random.default_rng(0)
    BY_NAME[name](m, rng, kind, *[min(n, 20) for n in size])()  # what is loaded at its first use
    step = BY_NAME[name](m, rng, kind, *size)
    memory, times = grown(step), []
    for _ in range(repetitions + repetitions // 4):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return [statistics.median(times[repetitions // 4 :]) * 1e3, memory]


def in_own_process(side: str, *what: Any) -> list[float]:
    done = subprocess.run(
        [sys.executable, __file__, "--side", side, "--case", json.dumps(what)],
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
    parser.add_argument("--what", choices=BY_NAME, action="append", help="one table of the three")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", choices=SIDES, help="measure --case here and print the figures")
    parser.add_argument("--case", type=json.loads, help="name, kind, sizes and repetitions as JSON")
    args = parser.parse_args()
    if args.side:
        print(json.dumps(measure(args.side, *args.case)))
        return
    sides = [side for side in SIDES if side != "torch" or importlib.util.find_spec("torch")]
    print(f"NumPy {np.__version__}, {os.cpu_count()} cores; milliseconds, forward and backward")
    for name in args.what or BY_NAME:
        kinds, sizes, repetitions, meaning = WORK[BY_NAME[name]]
        columns = [*sides, "torch / minigrad"]
        if name == "cross_entropy":
            columns += [f"{side}: MB" for side in sides] + ["logits: MB"]
        print(f"\n| {name} | {meaning} | " + " | ".join(columns) + " |")
        print("|---" * (len(columns) + 2) + "|")
        for size in sizes:
            for kind in kinds:
                rounds: dict[str, list] = {side: [] for side in sides}
                for _ in range(args.rounds):
                    for side in sides:
                        rounds[side].append(in_own_process(side, name, kind, size, repetitions))
                middle = {s: [statistics.median(f) for f in zip(*rounds[s])] for s in sides}
                ms = [middle[side][0] for side in sides]
                cells = [f"{t:.3f}" for t in ms] + [f"{ms[-1] / ms[0]:.2f}" if ms[1:] else "-"]
                if name == "cross_entropy":
                    cells += [f"{middle[side][1]:.1f}" for side in sides]
                    cells.append(f"{np.prod(size) * 4 / 2**20:.1f}")
                line = [kind, ", ".join(map(str, size)), *cells]
                print("| " + " | ".join(line) + " |", flush=True)


if __name__ == "__main__":
    main()
