"""JSON lines that grow with a run, and what goes to standard error beside its progress bar."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from minigrad.serialization import write_text


def fixed(x: float, digits: int) -> str:
    """With so many digits after the point, or in short where a model has diverged."""
    return f"{x:.{digits}f}" if x < 1e6 else f"{x:.3g}"


def finite(x: float) -> float | None:
    """JSON knows no NaN."""
    return x if math.isfinite(x) else None


def warn(text: str) -> None:
    tqdm.write(f"warning: {text}", file=sys.stderr)


def append(path: Path, record: dict[str, Any]) -> None:
    with open(path, "a", encoding="utf-8") as log:
        log.write(json.dumps(record) + "\n")


def trim(path: Path, key: str, last: int) -> None:
    """Take away what a run that goes on from before will write again, and half a line."""
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    kept = []
    for line in text.splitlines(keepends=True):
        with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
            if line.endswith("\n") and json.loads(line)[key] <= last:
                kept.append(line)
    if "".join(kept) != text:
        write_text(path, "".join(kept))
