"""Whether the cost of a layer grows linearly with the steps T and with the batch B: a figure.

    python benchmarks/linear.py
    python benchmarks/linear.py --figure linear.png

A slope of 1 in the logarithms is linear growth. Below B of about 64 what a step costs whatever its
size dominates, so the slope in B is taken above. The figure needs matplotlib (extra `bench`).
"""

from __future__ import annotations

import argparse
import importlib.util

import numpy as np
from harness import ROOT, Benchmark
from recurrent import GATES, LAYER_SIDES

H, T, B = 128, 20, 32
STEPS = [10, 20, 50, 100, 200, 500, 1000, 2000]
BATCHES = [1, 4, 16, 64, 128, 256, 512, 1024]
FROM = {"T": 10, "B": 64}  # where the slope begins
FIGURE = ROOT / "benchmarks" / "figures" / "linear.svg"


class Linear(Benchmark):
    def arguments(self) -> argparse.ArgumentParser:
        parser = super().arguments()
        parser.add_argument(
            "--figure", default=FIGURE, help="where to draw it (default: %(default)s)"
        )
        return parser

    def report(self, rows: list[dict], args: argparse.Namespace) -> str:
        """Slopes, a row for each layer; draws the figure."""
        found: dict[tuple, list] = {}
        for row in rows:
            layer, letter, size = row["case"].split()
            for side, m in row["medians"].items():
                curve = found.setdefault((layer, row["threads"], side, letter), [])
                curve.append((int(size), m["ms"]))
        lines = ["| layer | threads | side | slope in T | slope in B |", "|---|---|---|---|---|"]
        for layer, threads, side in dict.fromkeys(key[:3] for key in found):
            slopes = [slope(found.get((layer, threads, side, x), []), FROM[x]) for x in "TB"]
            lines.append(f"| {layer} | {threads} | {side} | {' | '.join(slopes)} |")
        if importlib.util.find_spec("matplotlib"):
            draw(found, args.figure)
        return "\n".join(lines)


def slope(curve: list[tuple], start: int) -> str:
    """Of the logarithm of time over the logarithm of size, by least squares."""
    points = np.log([point for point in curve if point[0] >= start])
    return f"{np.polyfit(*points.T, 1)[0]:.2f}" if len(points) > 1 else "–"


def draw(found: dict[tuple, list], path: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    FIGURE.parent.mkdir(exist_ok=True)
    # text as text, and the same file for the same figures
    pyplot.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "linear"})
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
    texts = {"T": f"steps T (B = {B}, H = {H})", "B": f"batch B (T = {T}, H = {H})"}
    for axis, letter in zip(axes, "TB"):
        for (layer, threads, side, x), curve in found.items():
            if x == letter:
                style = "-o" if side == "minigrad" else "--"
                color = f"C{list(GATES).index(layer)}"
                label = f"{layer}, {side}, {threads} thread{'s' * (threads > 1)}"
                axis.loglog(*zip(*curve), style, color=color, label=label, markersize=4)
        axis.set(xlabel=texts[letter])
        axis.grid(which="both", alpha=0.3)
    axes[0].set(ylabel="ms, forward and backward")
    axes[0].legend(fontsize="small")
    figure.savefig(path, metadata={"Date": None} if str(path).endswith("svg") else None)


CASES = {f"{layer} T {n}": [layer, n, B, H, H] for layer in GATES for n in STEPS}
CASES |= {f"{layer} B {n}": [layer, T, n, H, H] for layer in GATES for n in BATCHES}
BENCHMARK = Linear(
    __doc__,
    sides=LAYER_SIDES,
    cases=CASES,
    smallest={f"LSTM {x} {n}": ["LSTM", n, n, 3, 3] for x in "TB" for n in (64, 65)},
    columns={},
    same=("gradient",),
)

if __name__ == "__main__":
    BENCHMARK.main()
