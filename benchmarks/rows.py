"""Time of what works row by row, forward and backward, next to PyTorch: gradients of embedding
tables, cross-entropy with its peak memory, softmax of attention scores.

    python benchmarks/rows.py
    python benchmarks/rows.py --case cross_entropy --threads 2

Peak memory is what is in use at the most in a first step, beyond the logits and what a tiny step
has loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from harness import Benchmark, Figures, cell, growth, on_both, ratio, timed

PADDING = 0.3  # the share of the rows that cross-entropy is to ignore


def words(V: int, n: int, rng: Any) -> np.ndarray:
    """Ids as frequent as words are: the k-th most frequent one 1/k as often as the first."""
    share = 1 / np.arange(1, V + 1)
    return rng.choice(V, n, p=share / share.sum())


def embedding(m: Any, rng: Any, kind: str, V: int, D: int, n: int) -> tuple[Any, Callable]:
    """Rows read and their gradient added up, for ids in the shape of a batch."""
    table = m.nn.Embedding(V, D, sparse="sparse" in kind)
    ids = rng.integers(0, V, n) if "even" in kind else words(V, n, rng)
    ids, g = m.tensor(ids.reshape(-1, 10)), m.ones(n // 10, 10, D)
    return table.weight, lambda: table(ids).backward(g)


def cross_entropy(m: Any, rng: Any, kind: str, N: int, V: int) -> tuple[Any, Callable]:
    """The mean loss of rows of logits, of which a part is padding, and its gradient."""
    # not a copy: what it leaves behind when it is freed would hide a part of the growth
    logits = m.from_numpy(rng.standard_normal((N, V), np.float32)).requires_grad_()
    target = rng.integers(0, V, N)
    target[rng.random(N) < PADDING] = -100
    target, smoothing = m.tensor(target), 0.1 if "smoothed" in kind else 0.0
    loss = m.nn.functional.cross_entropy
    return logits, lambda: loss(logits, target, label_smoothing=smoothing).backward()


def softmax(m: Any, rng: Any, kind: str, *shape: int) -> tuple[Any, Callable]:
    x, g = (m.from_numpy(rng.standard_normal(shape, np.float32)) for _ in range(2))
    x.requires_grad_()
    return x, lambda: getattr(m, kind)(x, -1).backward(g)


TABLES = [(8000, 512, 1280), (200, 64, 640), (30000, 300, 4000)]  # rows, columns, ids
LOGITS = [(1280, 8000), (640, 150)]  # rows, classes
SCORES = [(20, 64, 20), (64, 8, 50, 50), (256, 1000)]
PROGRAMS = {
    "embedding, dense, even ids": (embedding, TABLES),
    "embedding, dense, words": (embedding, TABLES),
    "embedding, sparse, even ids": (embedding, TABLES),
    "embedding, sparse, words": (embedding, TABLES),
    "cross_entropy": (cross_entropy, LOGITS),
    "cross_entropy, smoothed": (cross_entropy, LOGITS),
    "softmax": (softmax, SCORES),
    "log_softmax": (softmax, SCORES),
}


def measure(m: Any, kind: str, *size: int) -> Figures:
    def made(*size: int) -> tuple[Any, Callable[[], None]]:
        leaf, both = PROGRAMS[kind][0](m, np.random.default_rng(0), kind, *size)

        def step() -> None:
            leaf.grad = None
            both()

        return leaf, step

    made(*[min(n, 20) for n in size])[1]()  # what is loaded at its first use
    leaf, step = made(*size)
    memory = growth()
    step()
    found = {"MB": memory(), "logits": leaf.numel() * 4 / 2**20}
    found = found if "cross_entropy" in kind else {}
    return {**found, "ms": timed(step)[0], "gradient": float(leaf.grad.norm())}


BENCHMARK = Benchmark(
    __doc__,
    sides=on_both(measure),
    cases={
        f"{kind}: {', '.join(map(str, size))}": [kind, *size]
        for kind, (_, sizes) in PROGRAMS.items()
        for size in sizes
    },
    smallest={
        kind: [kind, *[min(n, 20) for n in sizes[0]]] for kind, (_, sizes) in PROGRAMS.items()
    },
    columns={
        "minigrad": cell("minigrad"),
        "torch": cell("torch"),
        "torch / minigrad": ratio("torch", "minigrad"),
        "minigrad, MB": cell("minigrad", "MB"),
        "torch, MB": cell("torch", "MB"),
        "logits, MB": cell("minigrad", "logits"),
    },
    head="what: size",
    same=("gradient",),
    fresh=True,
)

if __name__ == "__main__":
    BENCHMARK.main()
