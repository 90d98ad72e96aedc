"""The recurrent product of an LSTM step with the batch last, against the usual way round.

python benchmarks/products.py
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from harness import Benchmark, Figures, cell, ratio, timed


def side(made: Callable) -> Callable[[int, int], Figures]:
    """`made(U, h)` gives two factors, of the weights (4H, H) and a state (H, B)."""

    def measure(H: int, B: int) -> Figures:
        rng = np.random.default_rng(0)
        U, h = rng.standard_normal((4 * H, H), np.float32), rng.standard_normal((H, B), np.float32)
        a, b = made(U, h)
        out = np.empty((len(a), b.shape[1]), np.float32)
        return {"µs": timed(lambda: np.matmul(a, b, out=out))[0] * 1e3}

    return measure


BENCHMARK = Benchmark(
    __doc__,
    sides={
        "U @ h": side(lambda U, h: (U, h)),
        "h @ Uᵀ": side(lambda U, h: (np.ascontiguousarray(h.T), U.T)),
    },
    cases={f"{H}, {B}": [H, B] for H, B in [(128, 64), (256, 64), (512, 128), (650, 20)]},
    smallest=[2, 3],
    columns={
        "U @ h, µs": cell("U @ h", "µs"),
        "h @ Uᵀ, µs": cell("h @ Uᵀ", "µs"),
        "ratio": ratio("h @ Uᵀ", "U @ h", "µs"),
    },
    head="H, B",
    threads=(1, 2),
)

if __name__ == "__main__":
    BENCHMARK.main()
