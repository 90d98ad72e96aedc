"""The padded arrays of a batch, and the same sentences in other batches."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from ..backend import backend_of, is_array, to_numpy
from ..nn.utils.rnn import PackedSequence, pad_packed_sequence
from ..tensor import Tensor, wrap


def is_data(x: Any) -> bool:
    return isinstance(x, Tensor) or is_array(x)


def opened(tree: Any) -> dict | None:
    """The parts of a container by name; None for what is none."""
    if is_data(tree):
        return None
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return {f.name: getattr(tree, f.name) for f in dataclasses.fields(tree) if f.init}
    if isinstance(tree, Mapping):
        return dict(tree)
    if hasattr(tree, "_asdict"):
        return tree._asdict()
    if isinstance(tree, SimpleNamespace):
        return vars(tree)
    if isinstance(tree, (tuple, list)) and not _is_column(tree):
        return dict(enumerate(tree))
    return None


def closed(tree: Any, parts: dict) -> Any:
    """A container like `tree` with other parts."""
    if dataclasses.is_dataclass(tree):
        return dataclasses.replace(tree, **parts)
    if hasattr(tree, "_replace"):
        return tree._replace(**parts)
    if isinstance(tree, (tuple, list)):
        return type(tree)(parts.values())
    other = copy.copy(tree)
    (other if isinstance(tree, Mapping) else vars(other)).update(parts)
    return other


def mapped(tree: Any, function: Callable[[str, Any], Any], path: str = "") -> Any:
    """`tree` with function(path, leaf) in the place of every leaf."""
    parts = opened(tree)
    if parts is None:
        return function(path, tree)
    start = f"{path}." if path else ""
    return closed(tree, {k: mapped(x, function, f"{start}{k}") for k, x in parts.items()})


def tensors(tree: Any, path: str = "") -> Iterator[tuple[str, Tensor]]:
    """The floating tensors in a container, with their paths; packed sequences padded."""
    if isinstance(tree, PackedSequence):
        tree = pad_packed_sequence(tree)[0]
    if isinstance(tree, Tensor):
        if tree.dtype.kind == "f":
            yield path, tree
        return
    start = f"{path}." if path else ""
    for key, part in (opened(tree) or {}).items():
        yield from tensors(part, f"{start}{key}")


def _is_column(x: Any) -> bool:
    """A list of plain values: lengths, labels, texts."""
    return isinstance(x, (tuple, list)) and all(isinstance(v, (int, float, str)) for v in x)


class View(NamedTuple):
    """Which sentences a batch holds, and how many steps its arrays have in each group."""

    rows: np.ndarray  # (B,), numbers of sentences of the first batch
    steps: tuple[int, ...]
    lengths: tuple[np.ndarray, ...]  # the real steps of its sentences, (B,)


class Steps(NamedTuple):
    """What an array with one entry for each step of each sentence is padded with."""

    group: int
    pad: Any
    mask: bool = False  # it says which steps are real


class Sentences(NamedTuple):
    """One entry for each sentence, along this axis."""

    axis: int


class Padded:
    """What the arrays of a batch are. Arrays whose sentences have the same numbers of real and of
    padded steps form a group: they grow and shrink together.
    """

    def __init__(self, batch: Any, pad: Any, lengths: Mapping | None, batch_first: bool):
        self.batch, self.axis = batch, 0 if batch_first else 1
        self.arrays: dict[str, np.ndarray] = {}
        mapped(batch, self._collect)
        self.pads = {str(k): v for k, v in pad.items()} if isinstance(pad, Mapping) else {}
        self.pad = 0 if isinstance(pad, Mapping) else pad
        self.given = {str(k): v for k, v in (lengths or {}).items()}
        unknown = sorted({*self.pads, *self.given} - set(self.arrays))
        if unknown:
            raise ValueError(
                f"the batch has no array {', '.join(unknown)}: it has {', '.join(self.arrays)}"
            )
        wide = {
            path: x
            for path, x in self.arrays.items()
            if x.ndim > 1 and self.given.get(path, 0) is not None
        }
        if not wide:
            raise ValueError("the batch has no array of steps and sentences: nothing is padded")
        self.B = next(iter(wide.values())).shape[self.axis]
        self.steps: list[int] = []
        self.lengths: list[np.ndarray] = []
        self.roles: dict[str, Steps | Sentences] = {}
        # token numbers say themselves how long they are, masks and features are asked last
        for path in sorted(wide, key=lambda path: self._rank(wide[path])):
            if wide[path].shape[self.axis] == self.B and self._has_steps(wide[path], path):
                self.roles[path] = self._role(path, wide[path])
        for path, x in self.arrays.items():
            if path not in self.roles and self.B in x.shape:
                axis = self.axis if x.shape[self.axis : self.axis + 1] == (self.B,) else None
                self.roles[path] = Sentences(x.shape.index(self.B) if axis is None else axis)
            elif path not in self.roles and x.ndim == 1 and len(x) in self.steps:
                raise ValueError(
                    f"{path or 'an array'} has {len(x)} entries for {self.B} sentences of "
                    f"{len(x)} steps: is the batch {'time' if batch_first else 'batch'} first?"
                )

    def _collect(self, path: str, x: Any) -> None:
        if is_data(x):
            self.arrays[path] = x.to_numpy() if isinstance(x, Tensor) else to_numpy(x)
        elif _is_column(x):
            self.arrays[path] = np.asarray(x)

    def _rank(self, x: np.ndarray) -> int:
        if x.dtype.kind in "iu":
            return int(np.isin(x, (0, 1)).all())
        return 1 if x.dtype.kind == "f" and x.ndim > 2 else 2

    def _has_steps(self, x: np.ndarray, path: str) -> bool:
        """Two dimensions of floats or bools may be values of sentences: they have steps if they
        have as many as something else, or there is nothing else.
        """
        if self._rank(x) < 2 or path in self.given or path in self.pads:
            return True
        return not self.steps or x.shape[1 - self.axis] in self.steps

    def _role(self, path: str, x: np.ndarray) -> Steps:
        time_first = np.moveaxis(x, self.axis, 1)  # (T, B, ...)
        T, pad = len(time_first), self.pads.get(path, self.pad)
        if x.dtype.kind == "b" or (x.ndim == 2 and np.isin(x, (0, 1)).all() and self.steps):
            for group, lengths in enumerate(self.lengths):
                real = np.arange(T)[:, None] < lengths
                for value in (False, True):
                    if T == self.steps[group] and (time_first == (real ^ value)).all():
                        return Steps(group, self.pads.get(path, value), mask=True)
        if x.dtype.kind != "i" and x.dtype.kind != "u":
            pad = self.pads.get(path, 0)
        lengths = self._lengths(path, time_first, pad)
        for group, (steps, others) in enumerate(zip(self.steps, self.lengths)):
            if steps == T and (others == lengths).all():
                return Steps(group, pad, mask=x.dtype.kind == "b")
        self.steps.append(T)
        self.lengths.append(lengths)
        return Steps(len(self.steps) - 1, pad, mask=x.dtype.kind == "b")

    def _lengths(self, path: str, x: np.ndarray, pad: Any) -> np.ndarray:
        """The real steps of x (T, B, ...): as given, else all before those that hold only `pad`."""
        T = len(x)
        if path in self.given:
            given = self.given[path]
            if isinstance(given, (str, int)):
                given = self.arrays[str(given)]
            lengths = np.asarray(given.to_numpy() if isinstance(given, Tensor) else given)
            if lengths.shape != (self.B,) or lengths.min() < 0 or lengths.max() > T:
                raise ValueError(f"the lengths of {path} must be {self.B} integers from 0 to {T}")
            return lengths
        filled = (x != pad).reshape(T, self.B, -1).any(2)
        counted = np.where(filled.any(0), T - filled[::-1].argmax(0), 0)
        columns = {
            name: a
            for name, a in self.arrays.items()
            if a.shape == (self.B,) and a.dtype.kind in "iu"
        }
        named = {n: a for n, a in columns.items() if "len" in n.lower() and _belongs(n, path)}
        if x.dtype.kind in "iu":
            only = sum(a.ndim > 1 and self._rank(a) == 0 for a in self.arrays.values()) == 1
            for name, a in named.items():
                if (a < counted).any() and (only or _stem(name)):
                    raise ValueError(
                        f"{name} says {a.tolist()}, but without the padding {pad} at the end "
                        f"{path} has {counted.tolist()} steps: pass pad= or lengths="
                    )
            return counted
        fits = [a for a in named.values() if (counted <= a).all() and (a <= T).all()]
        same = [self.lengths[g] for g, steps in enumerate(self.steps) if steps == T]
        others = [a for a in columns.values() if (counted <= a).all() and (a <= T).all()]
        fits = fits or [a for a in same if (counted <= a).all()] or others
        if len({tuple(a) for a in fits}) > 1 and not any((a == counted).all() for a in fits):
            raise ValueError(
                f"several arrays could be the lengths of {path or 'the batch'}: "
                f"name one by lengths={{{path!r}: ...}}"
            )
        return fits[0] if len({tuple(a) for a in fits}) == 1 else counted

    @property
    def view(self) -> View:
        return View(np.arange(self.B), tuple(self.steps), tuple(self.lengths))

    def padding_ids(self) -> list[int]:
        """The numbers that stand at padded steps and nowhere else."""
        ids = set()
        for path, role in self.roles.items():
            x = self.arrays[path]
            if isinstance(role, Steps) and x.dtype.kind in "iu":
                real = x[self._real(path, x)]
                ids |= {role.pad} - set(real[real == role.pad].tolist())
        return sorted(ids)

    def _real(self, path: str, x: np.ndarray) -> np.ndarray:
        """(T, B) or (B, T): which steps of an array are real."""
        T = x.shape[1 - self.axis]
        real = np.arange(T)[:, None] < self.lengths[self.roles[path].group]
        return real if self.axis == 1 else real.T

    def variant(
        self,
        rows: Sequence[int],
        more: int = 0,
        alone: bool = False,
        fill: Callable[[tuple], np.ndarray] | None = None,
    ) -> tuple[Any, View]:
        """These sentences, `more` steps longer (each group by another number, so that what grows
        with it can be told), or cut to the real steps of one sentence; `fill(shape)` takes the
        place of padded features.
        """
        rows = np.asarray(rows)
        lengths = tuple([own[rows] for own in self.lengths])
        steps = list(self.steps)
        if alone:
            steps = [max(int(own[0]), 1) for own in lengths]
        elif more:
            steps = [T + more + group for group, T in enumerate(steps)]

        def made(path: str, leaf: Any) -> Any:
            role = self.roles.get(path)
            if role is None:
                return leaf
            x = self.arrays[path]
            if isinstance(role, Sentences):
                return _like(leaf, np.take(x, rows, role.axis))
            if fill is not None and x.dtype.kind == "f" and not role.mask:
                x, padded = x.copy(), ~self._real(path, x)
                x[padded] = fill(x[padded].shape)
            x = np.moveaxis(x.take(rows, self.axis), 1 - self.axis, 0)
            T = steps[role.group]
            tail = np.full((max(T - len(x), 0), *x.shape[1:]), role.pad, x.dtype)
            return _like(leaf, np.moveaxis(np.concatenate([x[:T], tail]), 0, 1 - self.axis))

        return mapped(self.batch, made), View(rows, tuple(steps), lengths)


def _stem(name: str) -> str:
    """source_lengths -> source"""
    name = name.lower().rpartition(".")[2]
    return name.replace("lengths", "").replace("length", "").replace("lens", "").replace(
        "len", ""
    ).strip("_")  # fmt: skip


def _belongs(name: str, path: str) -> bool:
    return path.lower().rpartition(".")[2].startswith(_stem(name))


def _like(leaf: Any, x: np.ndarray) -> Any:
    """x as what the batch held at this place: a list, an array, a Tensor."""
    if isinstance(leaf, Tensor):
        return wrap(np.ascontiguousarray(x)).to(leaf.device)
    if is_array(leaf):
        return backend_of(leaf).upload(np.ascontiguousarray(x))
    return type(leaf)(x.tolist())
