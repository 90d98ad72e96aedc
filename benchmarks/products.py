"""The recurrent product of an LSTM step with the batch last, against the usual way round.

    python benchmarks/products.py

Both sides are NumPy, run in turn in one process; medians of 100.
"""

import statistics
import time

import numpy as np

SHAPES = [(128, 64), (256, 64), (512, 128), (650, 20)]


def in_turn(*functions, repetitions=100, warm_up=10):
    """Median microseconds of each function, called in turn."""
    times = [[] for _ in functions]
    for n in range(warm_up + repetitions):
        for function, record in zip(functions, times):
            start = time.perf_counter()
            function()
            if n >= warm_up:
                record.append(time.perf_counter() - start)
    return [statistics.median(record) * 1e6 for record in times]


def measure(H, B):
    """Microseconds of U @ h, (4H, H) (H, B), and of h @ Uᵀ, (B, H) (H, 4H)."""
    rng = np.random.default_rng(0)
    U = rng.standard_normal((4 * H, H), np.float32)
    last, first = rng.standard_normal((H, B), np.float32), rng.standard_normal((B, H), np.float32)
    out_last, out_first = np.empty((4 * H, B), np.float32), np.empty((B, 4 * H), np.float32)
    return in_turn(
        lambda: np.matmul(U, last, out=out_last), lambda: np.matmul(first, U.T, out=out_first)
    )


def main():
    print("| H, B | U @ h, µs | h @ Uᵀ, µs | ratio |\n|---|---|---|---|")
    for H, B in SHAPES:
        a, b = measure(H, B)
        print(f"| {H}, {B} | {a:.0f} | {b:.0f} | {b / a:.2f} |")


if __name__ == "__main__":
    main()
