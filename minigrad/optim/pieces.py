"""A rule for numbers, applied to the arrays of whole parameters at the speed of the cache.

An update is some ten passes over four or five arrays. On the CPU large arrays are cut into pieces:
the first pass over a piece brings it into the core's cache and the others find it there. Small
arrays are laid in a row and done together, for a call costs more than their arithmetic. Elsewhere
arrays stay whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..backend import module_of

PIECE = 1 << 16  # elements; of float32, the five arrays of Adam fit an L2 cache of 1.3 MB
PAGE = 1 << 12  # bytes; scratch that begins there is written in whole cache lines
SMALL = 1 << 12  # elements; up to here laying in a row costs less than calls of its own


class Job(NamedTuple):
    """One parameter in one step: its array and gradient, its state, and the numbers of the step."""

    x: Any
    g: Any
    state: dict[str, Any]
    numbers: tuple


class Scratch:
    """Memory for what a rule computes on its way, kept from step to step."""

    def __init__(self) -> None:
        self.memory: dict[np.dtype, list[np.ndarray]] = {}

    def __call__(self, count: int, dtype: np.dtype) -> list[np.ndarray]:
        """So many vectors of PIECE elements, of any content."""
        found = self.memory.setdefault(dtype, [])
        while len(found) < count:
            raw = np.empty(PIECE * dtype.itemsize + PAGE, np.uint8)
            start = -raw.ctypes.data % PAGE
            found.append(raw[start : start + PIECE * dtype.itemsize].view(dtype))
        return found[:count]


def apply(rule: Callable, jobs: Iterable[Job], rows: int, scratch: Scratch) -> None:
    """rule(x, g, state, numbers, *scratch) for every job, with so many `rows` of scratch.

    The rule computes element by element and in place, on arrays of any shape: what it is given is a
    parameter, a piece of one, or several in a row. Gradients stay as they are.
    """
    row: list[Job] = []
    for job in jobs:
        if not _flat(job):
            rule(*job, *[module_of(job.x).empty_like(job.x) for _ in range(rows)])
        elif job.x.size > SMALL:
            _in_pieces(rule, job, rows, scratch)
        else:
            if row and not _fits(job, row):
                _together(rule, row, rows, scratch)
                row = []
            row.append(job)
    if row:
        _together(rule, row, rows, scratch)


def pieces(*arrays: np.ndarray) -> Iterator[list[np.ndarray]]:
    """The same piece of each array, flat; the arrays are contiguous and equally large."""
    flat = [array.reshape(-1) for array in arrays]
    for start in range(0, flat[0].size, PIECE):
        yield [array[start : start + PIECE] for array in flat]


def _flat(job: Job) -> bool:
    """Whether x and its state can be seen as vectors of host memory."""
    return (
        type(job.x) is np.ndarray
        and job.x.flags.c_contiguous
        and all([array.flags.c_contiguous for array in job.state.values()])
    )


def _in_pieces(rule: Callable, job: Job, rows: int, scratch: Scratch) -> None:
    x, g, state, numbers = job
    own = scratch(rows, x.dtype)
    for x, g, *values in pieces(x, np.ascontiguousarray(g), *state.values()):
        if x.size < PIECE:
            own = [s[: x.size] for s in own]
        rule(x, g, dict(zip(state, values)), numbers, *own)


def _fits(job: Job, row: list[Job]) -> bool:
    """Whether the job can be done together with those of the row."""
    first = row[0]
    return (
        job.numbers == first.numbers
        and job.x.dtype == first.x.dtype
        and sum([other.x.size for other in row]) + job.x.size <= PIECE
        and all([job.x is not other.x for other in row])  # given twice: one after the other
    )


def _together(rule: Callable, row: list[Job], rows: int, scratch: Scratch) -> None:
    first = row[0]
    if len(row) == 1:
        return _in_pieces(rule, first, rows, scratch)
    columns = [
        [job.x.reshape(-1) for job in row],
        *[[job.state[name].reshape(-1) for job in row] for name in first.state],
    ]
    gradients = [job.g.reshape(-1) for job in row]
    ends = list(itertools.accumulate([g.size for g in gradients]))
    memory = [s[: ends[-1]] for s in scratch(rows + 1 + len(columns), first.x.dtype)]
    own, together = memory[:rows], memory[rows:]
    g, x, *state = [
        np.concatenate(column, out=out) for column, out in zip([gradients, *columns], together)
    ]
    rule(x, g, dict(zip(first.state, state)), first.numbers, *own)
    for column, out in zip(columns, together[1:]):
        for array, start, end in zip(column, [0, *ends], ends):
            array[:] = out[start:end]
