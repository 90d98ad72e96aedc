"""What a user can have shown of his own configuration: what truncation costs, and that a run which
was killed goes on as if it had not been.
"""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import minigrad as mg
from datasets import Batch

from .objective import Objective
from .seq2seq import Seq2Seq

FULL = Objective()
WINDOWS = 1, 2, 3, 5, 10, 20, 50


def truncation(
    model: Seq2Seq, batches: Sequence[Batch], objectives: Sequence[Objective]
) -> list[dict[str, tuple[float, float]]]:
    """For each objective and parameter, how its gradient, summed over the batches without dropout,
    compares with that of the first objective without windows: the cosine between the two, and its
    norm over the full one's. NaN where a gradient is zero.
    """
    model.eval()
    full = summed(model, batches, replace(objectives[0], window=None, encoder_window=None))
    found = []
    for objective in objectives:
        part = summed(model, batches, objective)
        found.append({name: compared(part[name], full[name]) for name in full})
    return found


def summed(model: Seq2Seq, batches: Iterable[Batch], objective: Objective) -> dict[str, np.ndarray]:
    model.zero_grad()
    for batch in batches:
        objective.backward(model, batch)
    gradients = {
        name: np.zeros(1) if p.grad is None else p.grad.to_numpy().astype(np.float64).ravel()
        for name, p in model.named_parameters()
    }
    model.zero_grad()
    return gradients


def compared(part: np.ndarray, full: np.ndarray) -> tuple[float, float]:
    a, b = float(np.linalg.norm(part)), float(np.linalg.norm(full))
    if not a or not b:
        return math.nan, a / b if b else math.nan
    return float(part @ full) / (a * b), a / b


def bptt_report(model: Seq2Seq, batches: Sequence[Batch], objective: Objective = FULL) -> str:
    """A table of `truncation`: windows of the decoder, then of the encoder, of an objective."""
    lines = []
    for side, longest in (
        ("decoder", max(len(batch.target_in) for batch in batches)),
        ("encoder", max(len(batch.source) for batch in batches)),
    ):
        field = "window" if side == "decoder" else "encoder_window"
        chosen = getattr(objective, field) or longest
        windows = sorted({window for window in (*WINDOWS, chosen) if window < longest})
        if not windows:
            continue
        whole = replace(objective, window=None, encoder_window=None)
        found = truncation(
            model, batches, [replace(whole, **{field: window}) for window in windows]
        )
        flag = "--bptt" if side == "decoder" else "--encoder-bptt"
        lines.append(f"{side} windows ({flag}), the longest sentence has {longest} steps")
        width = max(map(len, found[0])) + 2
        lines.append(" " * width + "".join(f"{window:>13}" for window in windows))
        for name in found[0]:
            lines.append(name.ljust(width) + "".join(f"{cell(*one[name]):>13}" for one in found))
        lines.append("")
    lines.append(
        "Each cell: cosine with the gradient of full backpropagation, and its norm over the full "
        "one's. Choose the smallest window whose cosines satisfy you."
    )
    return "\n".join(lines)


def cell(cosine: float, ratio: float) -> str:
    return "-" if math.isnan(cosine) else f"{cosine:6.3f} {ratio:5.2f}x"


def check_resume(script: Path, arguments: Sequence[str], steps: int = 6) -> str:
    """Train with these arguments twice: killed (SIGKILL) after a step or a few and resumed until
    `steps` more are done, and as many in one go. Returns a sentence that says the two runs ended
    alike; raises RuntimeError where they did not, or where one failed.
    """
    command = [sys.executable, str(script)]
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder, "whole"), Path(folder, "killed")
        given = [*arguments, "--save-every", "1"]
        at = killed_at(command, [*given, "--out", str(killed)], killed, Path(folder, "log"))
        total = ["--max-steps", str(at + steps)]
        run_or_raise([*command, "--resume", str(killed), *total])
        run_or_raise([*command, *given, *total, "--out", str(whole)])
        one, other = (mg.load(run / "last.safetensors") for run in (whole, killed))
    if other["step"] == at:
        raise RuntimeError(
            f"the run had come to its end at step {at} when it was killed: give it more steps, by "
            "--epochs or by smaller batches, to see whether it goes on"
        )
    different = differences(one, other)
    if different:
        raise RuntimeError(f"the resumed run differs in {', '.join(different[:5])}")
    return (
        f"{other['step']} steps in one go, and {at}, SIGKILL, --resume and the rest: weights, "
        "optimizer, schedule, averages, generators and position are the same bit for bit"
    )


def killed_at(command: Sequence[str], given: Sequence[str], run: Path, log: Path) -> int:
    """Begin a run and kill it when it has saved a step; returns which it had saved last."""
    state, at = run / "last.safetensors", 0
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen([*command, *given], stdout=out, stderr=subprocess.STDOUT)
        try:
            while not at and process.poll() is None:
                time.sleep(0.01)
                at = mg.load(state)["step"] if state.exists() else 0
        finally:
            process.kill()
            process.wait()
    if not state.exists():
        said = log.read_text(encoding="utf-8", errors="replace").strip()
        raise RuntimeError(said[-2000:].removeprefix("error: "))
    if process.returncode != -signal.SIGKILL:
        raise RuntimeError(
            "the run ended before it could be killed: give it more steps, by --epochs or by "
            f"smaller batches, to see whether it goes on; {run_says(log)}"
        )
    return mg.load(state)["step"]


def run_says(log: Path) -> str:
    """The end of what a run has printed."""
    return "it said: " + " ".join(log.read_text(encoding="utf-8", errors="replace")[-300:].split())


def run_or_raise(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")


def differences(a: object, b: object, name: str = "") -> list[str]:
    """The names of what differs between two states, but for the time they took."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return [
            found
            for key in a
            if key != "seconds"
            for found in differences(a[key], b[key], f"{name}.{key}".strip("."))
        ]
    if isinstance(a, mg.Tensor) and isinstance(b, mg.Tensor):
        same = a.dtype == b.dtype and a.to_numpy().tobytes() == b.to_numpy().tobytes()
        return [] if same else [name]
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        return [
            found
            for n, (one, other) in enumerate(zip(a, b))
            for found in differences(one, other, f"{name}[{n}]")
        ]
    return [] if a == b else [name]
