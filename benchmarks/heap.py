"""What it brings that freed memory stays with the process (minigrad/heap.py): time of an LSTM
layer, forward and backward, with that setting and without it, and page faults in a step.

python benchmarks/heap.py
"""

from __future__ import annotations

import resource
import sys
from types import ModuleType

import numpy as np
from harness import Benchmark, Figures, cell, on_both, ratio, timed
from recurrent import program

STEPS = 5  # in which faults are counted


def faults() -> int:
    """Pages given to this process so far, without reading a file."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def layer(m: ModuleType, *shape: int) -> Figures:
    forward, leaves = program(m, "LSTM", *shape)
    ms = sum(timed(forward, lambda y: y.backward()))
    before = faults()
    for _ in range(STEPS):
        forward().backward()
    found = {"ms": ms, "faults": (faults() - before) / STEPS}
    return {**found, "gradient": sum(float(np.linalg.norm(leaf.grad.numpy())) for leaf in leaves)}


with_it = on_both(layer)["minigrad"]


def without_it(*shape: int) -> Figures:
    sys.modules["minigrad.heap"] = ModuleType("minigrad.heap")  # before the import of minigrad
    return with_it(*shape)


SHAPES = [(20, 64, 128, 128), (20, 64, 256, 256), (20, 128, 512, 512)]
BENCHMARK = Benchmark(
    __doc__,
    sides={"minigrad": with_it, "without": without_it},
    cases={", ".join(map(str, shape)): list(shape) for shape in SHAPES},
    smallest=[2, 2, 3, 3],
    columns={
        "with it, ms": cell("minigrad"),
        "without, ms": cell("without"),
        "without / with": ratio("without", "minigrad"),
        "page faults a step with it": cell("minigrad", "faults"),
        "page faults without": cell("without", "faults"),
    },
    same=("gradient",),
    fresh=True,
)

if __name__ == "__main__":
    BENCHMARK.main()
