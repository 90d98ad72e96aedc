"""What the benchmarks have in common: sides measured in turn, each in a process of its own.

In one process the thread pools of OpenBLAS and PyTorch starve each other, and a noisy minute would
hit one side only. So every round starts one worker for each side, with the same number of threads
in its environment, and asks the workers in turn, case by case. The table shows medians of the
rounds.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = "numpy torch autograd mygrad".split()
Figures = dict[str, float]


@dataclass
class Benchmark:
    """`sides`, by name: functions that measure themselves on a case; each returns figures by name.

    A side named after a package that is not installed is left out, or one named in `needs`. The
    figures in `same` must agree between the sides, to one part in a thousand: all compute the same.
    `cases` can be a function that makes them, which no worker calls.
    `smallest` is a case, or a few by name, to try a script with. `columns`, by heading: a function
    of the figures by side, `m["torch"]["ms"]`, to a cell. `fresh`: a process for each case too, for
    what a process can be asked but once.
    """

    description: str
    sides: dict[str, Callable[..., Figures]]
    cases: dict[str, list] | Callable[[], dict[str, list]]
    smallest: list | dict[str, list]
    columns: dict[str, Callable[[dict[str, Figures]], Any]]
    head: str = "T, B, I, H"
    needs: dict[str, str] = field(default_factory=dict)
    same: tuple[str, ...] = ()
    fresh: bool = False
    threads: tuple[int, ...] = (1,)

    def main(self, argv: list[str] | None = None) -> None:
        args = self.arguments().parse_args(argv)
        if args.worker:
            return self.work(args.worker)
        if args.smallest:
            one = self.smallest
            self.cases = one if isinstance(one, dict) else {"smallest": one}
        wanted = args.case or [""]
        cases = self.cases() if callable(self.cases) else self.cases
        cases = {name: case for name, case in cases.items() if any(part in name for part in wanted)}
        sides = [side for side in args.side or self.sides if self.installed(side)]
        rows = []
        for threads in args.threads:
            rounds = [
                self.one_round(sides, cases, threads, args.seconds) for _ in range(args.rounds)
            ]
            for name in cases:
                found = {side: [r[name][side] for r in rounds] for side in sides}
                rows.append({"case": name, "threads": threads, "sides": found})
        for row in rows:
            row["medians"] = {side: medians(found) for side, found in row["sides"].items()}
            self.check(row)
        print(f"{machine()}; {args.rounds} rounds\n")
        print(self.report(rows, args))
        failed = [
            f"{row['case']} ({side})" for row in rows for side in sides
            if not all(row["sides"][side])
        ]  # fmt: skip
        self.write(args, rows)
        if failed:
            sys.exit(f"failed, see above: {', '.join(failed)}")

    def write(self, args: argparse.Namespace, rows: list[dict], **more: Any) -> None:
        if args.json:
            whole = {"benchmark": Path(sys.argv[0]).stem, "machine": machine(), "rows": rows}
            text = json.dumps(whole | more, indent=1) + "\n"
            Path(args.json).write_text(text, encoding="utf-8")

    def arguments(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(
            description=self.description, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        add = parser.add_argument
        add("--case", action="append", help="only those with this in their name; can be repeated")
        add("--side", action="append", choices=self.sides, help="only this one; can be repeated")
        add("--smallest", action="store_true", help="one tiny case, to see that everything runs")
        add("--threads", type=numbers, default=self.threads, help="such as 1,2")
        add("--rounds", type=int, default=5)
        add("--seconds", type=float, default=0.4, help="how long each is repeated in a round")
        add("--json", metavar="FILE", help="write every figure of every round")
        add("--worker", choices=self.sides, help=argparse.SUPPRESS)
        return parser

    def installed(self, side: str) -> bool:
        package = self.needs.get(side, side)
        return package not in PACKAGES or importlib.util.find_spec(package) is not None

    def one_round(self, sides: list[str], cases: dict, threads: int, seconds: float) -> dict:
        """Figures by case and side."""
        workers = {} if self.fresh else {side: Worker(side, threads, seconds) for side in sides}
        found: dict[str, dict[str, Figures]] = {name: {} for name in cases}
        for name, case in cases.items():
            for side in sides:
                worker = workers.get(side) or Worker(side, threads, seconds)
                found[name][side] = worker.ask(case)
                if self.fresh:
                    worker.end()
        for worker in workers.values():
            worker.end()
        return found

    def work(self, side: str) -> None:
        for line in sys.stdin:
            try:
                figures = self.sides[side](*json.loads(line))
            except Exception:  # the other cases are worth having
                traceback.print_exc()
                figures = {}
            print(json.dumps(figures), flush=True)

    def check(self, row: dict) -> None:
        for figure in self.same:
            values = [m[figure] for m in row["medians"].values() if figure in m]
            if not all(math.isclose(value, values[0], rel_tol=1e-3) for value in values):
                sys.exit(f"{row['case']}: the sides differ in their {figure}: {row['medians']}")

    def report(self, rows: list[dict], args: argparse.Namespace) -> str:
        """The rows as a table in Markdown."""
        lines = [" | ".join(["", self.head, "threads", *self.columns, ""]).strip()]
        lines.append("|---" * (2 + len(self.columns)) + "|")
        for row in rows:
            cells = [row["case"], str(row["threads"])]
            for column in self.columns.values():
                try:
                    cells.append(shown(column(row["medians"])))
                except KeyError:  # a side that was not measured
                    cells.append("–")
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines)


class Worker:
    """A process that measures one side."""

    def __init__(self, side: str, threads: int, seconds: float):
        variables = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), str(threads))
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        variables |= {"PYTHONPATH": os.pathsep.join(paths), "BENCHMARK_SECONDS": str(seconds)}
        self.process = subprocess.Popen(
            [sys.executable, sys.argv[0], "--worker", side],
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, case: list) -> Figures:
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"a worker ended on {case}: {' '.join(self.process.args)}")
        return json.loads(answer)

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def timed(*stages: Callable) -> list[float]:
    """Milliseconds of each stage, a stage being called with what the one before it returned.

    Medians of as many repetitions as fit the time given, three at least, after a quarter as many
    (one at least) to warm up.
    """
    seconds = float(os.environ.get("BENCHMARK_SECONDS", 0))
    times: list[list[float]] = []
    warm_up, began = None, time.perf_counter()
    while warm_up is None or len(times) < warm_up + 3 or time.perf_counter() < began + seconds:
        result, marks = (), [time.perf_counter()]
        for stage in stages:
            result = (stage(*result),)
            marks.append(time.perf_counter())
        times.append([b - a for a, b in zip(marks, marks[1:])])
        del result
        if warm_up is None and time.perf_counter() >= began + seconds / 5:
            warm_up = len(times)
    return [statistics.median(stage) * 1e3 for stage in zip(*times[warm_up:])]


def medians(rounds: list[Figures]) -> Figures:
    """Nothing where a round failed."""
    names = set.intersection(*[set(r) for r in rounds])
    return {n: statistics.median(r[n] for r in rounds) for n in rounds[0] if n in names}


def cell(side: str, figure: str = "ms") -> Callable[[dict[str, Figures]], float]:
    """A column: a figure of a side."""
    return lambda m: m[side][figure]


def ratio(a: str, b: str, figure: str = "ms") -> Callable[[dict[str, Figures]], float]:
    """A column: how many times the figure of side b that of side a is."""
    return lambda m: m[a][figure] / m[b][figure]


def on_both(program: Callable[..., Figures]) -> dict[str, Callable[..., Figures]]:
    """The sides of `program(m, *case)`, m being minigrad or PyTorch."""

    def minigrad_side(*case: Any) -> Figures:
        import minigrad

        return program(minigrad, *case)

    return {"minigrad": minigrad_side, "torch": lambda *case: program(torch_module(), *case)}


def growth() -> Callable[[], float]:
    """A function that says by how many MB the process has grown at the most since now. What it
    holds already, freed or not, is not counted.
    """
    forget = Path("/proc/self/clear_refs")
    if forget.exists():
        forget.write_text("5")  # the peak so far
    before = resident("VmRSS")
    return lambda: resident("VmHWM") - before


def resident(entry: str) -> float:
    """MB of this process in memory: VmRSS, now, or VmHWM, at the most. Where the system has no
    such entries, the most so far for both.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(entry)) / 1024
    import resource  # Windows has none

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def torch_module() -> Any:
    """PyTorch with as many threads as the environment says."""
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    return torch


def numbers(text: str) -> tuple[int, ...]:
    """An argparse type: whole numbers with commas between them."""
    return tuple(int(part) for part in text.split(","))


def shown(value: Any) -> str:
    """A cell: three digits, no exponent."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}" if value else "0"


def machine() -> str:
    """Processor, versions and date, in a line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(encoding="utf-8").splitlines()
        model = next(
            (s.split(":", 1)[1].strip() for s in lines if s.startswith("model name")), model
        )
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    parts = [f"{model}, {os.cpu_count()} cores", f"Python {platform.python_version()}"]
    for package in PACKAGES:
        if importlib.util.find_spec(package):
            parts.append(f"{package} {importlib.metadata.version(package)}")
    parts.insert(3, f"{blas['name']} {blas['version']}")
    return ", ".join([*parts, f"{date.today()}"])
