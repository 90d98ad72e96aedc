"""Time of `import minigrad` in a fresh process that has imported NumPy, bytecode cached.

python benchmarks/import_time.py
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import Benchmark, Figures, cell, ratio

CODE = """
import time
start = time.perf_counter()
import numpy
middle = time.perf_counter()
import {}
end = time.perf_counter()
print([1e3 * (middle - start), 1e3 * (end - middle)])
"""


def imported(package: str, times: int) -> Figures:
    """Milliseconds that NumPy takes, and that `package` takes after it: medians of fresh processes.

    Bytecode goes to a folder of its own, for there may be none, or old one, beside the source.
    """
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "PYTHONPYCACHEPREFIX": str(Path(folder))}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [sys.executable, "-c", CODE.format(package)]
        runs = [subprocess.check_output(command, env=env, text=True) for _ in range(times + 1)]
    numpy, ms = (statistics.median(column) for column in zip(*map(json.loads, runs[1:])))
    return {"numpy": numpy, "ms": ms}


BENCHMARK = Benchmark(
    __doc__,
    sides={
        "minigrad": lambda times: imported("minigrad", times),
        "torch": lambda times: imported("torch", times),
    },
    cases={"import": [5]},
    smallest=[1],
    columns={
        "NumPy": cell("minigrad", "numpy"),
        "minigrad": cell("minigrad"),
        "torch": cell("torch"),
        "torch / minigrad": ratio("torch", "minigrad"),
    },
    head="milliseconds",
)

if __name__ == "__main__":
    BENCHMARK.main()
