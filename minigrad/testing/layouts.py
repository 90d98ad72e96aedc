"""Where an array computed from a batch has its sentences and its steps: told from the sizes that it
has for other batches, and not guessed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .batches import View

BATCH = "sentences"


class Time(NamedTuple):
    """An axis of steps of a group: as long as its padded arrays, `offset` longer, or as long as the
    longest sentence.
    """

    group: int
    offset: int = 0
    trimmed: bool = False

    def size(self, view: View) -> int:
        steps = view.lengths[self.group].max() if self.trimmed else view.steps[self.group]
        return int(steps) + self.offset


class Layout(NamedTuple):
    """The factors of an array's axes in order: BATCH, a Time, or the size of what is neither.

    Steps may run backwards, as in the reverse direction of a network: `flipped`.
    """

    factors: tuple
    flipped: bool = False

    def sizes(self, view: View) -> list[int]:
        size = {BATCH: len(view.rows)}
        return [f.size(view) if isinstance(f, Time) else size.get(f, f) for f in self.factors]

    def times(self) -> list[tuple[int, Time]]:
        return [(i, f) for i, f in enumerate(self.factors) if isinstance(f, Time)]

    def opened(self, x: np.ndarray, view: View) -> np.ndarray | None:
        """x with an axis for each factor, time running forwards; None if it is of another size."""
        sizes = self.sizes(view)
        if math.prod(sizes) != x.size:
            return None
        x = x.reshape(sizes)
        return np.flip(x, [i for i, _ in self.times()]) if self.flipped else x

    def closed(self, x: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        return (np.flip(x, [i for i, _ in self.times()]) if self.flipped else x).reshape(shape)

    def real(self, view: View) -> np.ndarray:
        """Which entries belong to real steps, in the shape of `opened`."""
        sizes = self.sizes(view)
        real = np.ones(sizes, bool)
        for axis, time in self.times():
            lengths = view.lengths[time.group] + time.offset
            steps = _along(np.arange(sizes[axis]), axis, len(sizes))
            if BATCH in self.factors:
                real &= steps < _along(lengths, self.factors.index(BATCH), len(sizes))
            else:
                real &= steps < lengths.max()
        return real

    def aligned(self, x: np.ndarray, first: View, view: View) -> np.ndarray | None:
        """x, computed from the batch of `first`, at the places that it has for that of `view`."""
        x = self.opened(x, first)
        if x is None:
            return None
        sizes = self.sizes(view)
        for axis, factor in enumerate(self.factors):
            if factor == BATCH:
                x = x.take(view.rows, axis)
            elif isinstance(factor, Time):
                x = x.take(range(min(x.shape[axis], sizes[axis])), axis)
                missing = [(0, sizes[axis] - n if i == axis else 0) for i, n in enumerate(x.shape)]
                x = np.pad(x, missing)
        return x

    def place(self, at: tuple, view: View) -> str:
        words, rest = [], []
        for i, factor in zip(at, self.factors):
            if factor == BATCH:
                words.insert(0, f"sentence {view.rows[i]}")
            elif isinstance(factor, Time):
                words.append(f"step {i}")
            else:
                rest.append(int(i))
        return ", ".join(words + ([str(rest)] if rest else []))


def layouts(shapes: Sequence[Sequence[int] | None], views: Sequence[View]) -> list[Layout]:
    """The layouts that an array may have which has these shapes for these batches: the first one,
    one with more padding, one with one sentence twice, and sentences alone (None: unknown).

    An axis that joins sentences and steps may do so in either order. No layout: it cannot be told.
    """
    if None in shapes[:3]:  # not computed from every batch
        return []
    if len({len(shape) for shape in shapes if shape is not None}) != 1:
        return []
    axes = []
    for i in range(len(shapes[0])):
        axis = _axis([None if shape is None else shape[i] for shape in shapes], views)
        if axis is None:
            return []
        axes.append(axis)
    orders = [list(itertools.permutations(axis)) if len(axis) > 1 else [axis] for axis in axes]
    found = [tuple(itertools.chain(*order)) for order in itertools.product(*orders)]
    return [Layout(factors, flipped) for flipped in (False, True) for factors in found
            if not flipped or any(isinstance(f, Time) for f in factors)]  # fmt: skip


def _axis(sizes: Sequence[int | None], views: Sequence[View]) -> tuple | None:
    n, wider, twice, *alone = sizes
    first, longer, _, *single = views
    B = len(first.rows)
    batch: tuple = ()
    if twice != n:
        if n % B or twice * B != n * (B + 1):
            return None
        batch = (BATCH,)
    rest = n // B if batch else n
    if wider != n:
        for group, (T, more) in enumerate(zip(first.steps, longer.steps)):
            if T and n * more == wider * T and rest % T == 0:
                time, rest = (Time(group),), rest // T
                return time + batch + ((rest,) if rest > 1 else ())
            if not batch and wider - n == more - T:
                return (Time(group, n - T),)
        return None
    known = [(size, view) for size, view in zip(alone, single) if size is not None]
    if any(size != rest for size, _ in known):
        for group, lengths in enumerate(first.lengths):
            own = [(size, view.lengths[group].max()) for size, view in known]
            if rest == lengths.max() and all(size == length for size, length in own):
                return (Time(group, trimmed=True),) + batch
        return None
    return batch + ((rest,) if rest != 1 or not batch else ())


def _along(x: np.ndarray, axis: int, ndim: int) -> np.ndarray:
    return x.reshape([-1 if i == axis else 1 for i in range(ndim)])


def unlike(
    x: np.ndarray,
    y: np.ndarray,
    relevant: Any,
    atol: float | None,
    rtol: float | None,
    scale: float = 1.0,
) -> tuple | None:
    """Where y differs most from x among the relevant entries, or None if it is close everywhere.

    What is close is measured by the largest entry of x: sums of many terms differ in their last
    digits, whatever they sum to. The defaults are those of the dtype, that of atol times `scale`.
    """
    own = _TOLERANCES.get(x.dtype.name, _TOLERANCES["float64"])
    atol = own[0] * scale if atol is None else atol
    rtol = own[1] if rtol is None else rtol
    finite = np.abs(x[np.isfinite(x)])
    limit = atol + rtol * (finite.max() if finite.size else 0)
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs(np.subtract(y, x, dtype=np.float64))
        same = (x == y) | (distance <= limit) | (np.isnan(x) & np.isnan(y))
    wrong = ~same & relevant
    if not wrong.any():
        return None
    distance = np.where(wrong, np.nan_to_num(distance, nan=np.inf), -1)
    return tuple(map(int, np.unravel_index(distance.argmax(), distance.shape)))


_TOLERANCES = {"float16": (1e-3, 1e-2), "float32": (1e-6, 1e-4), "float64": (1e-12, 1e-9)}
