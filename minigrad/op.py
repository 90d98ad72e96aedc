"""Op: one application of a primitive, and, when it is recorded, one node of the tape.

A subclass gives `forward` on arrays and `backward`, the rule. `backward(g, y, *inputs)` receives
the gradient of the output, the output and the inputs, either all arrays or all Tensors, and does
not know which: so the same rule gives a fast first derivative and, with `create_graph=True`,
derivatives of any order.
"""

from __future__ import annotations

import inspect
import itertools
from contextlib import ContextDecorator
from contextvars import ContextVar
from typing import Any

import numpy as np

from .backend import backend_of, is_array
from .tensor import Tensor

_recording: ContextVar[bool] = ContextVar("recording", default=True)
_outer: ContextVar[tuple[bool, ...]] = ContextVar("outer", default=())
_numbers = itertools.count(1)  # creation numbers: a topological order of the tape for free


def is_grad_enabled() -> bool:
    """Whether operations on Tensors are being recorded in this thread or task."""
    return _recording.get()


class recording(ContextDecorator):
    """Context manager or decorator under which recording is on or off."""

    def __init__(self, mode: bool):
        self.mode = bool(mode)

    def __enter__(self) -> recording:
        # what to go back to is kept per thread or task, so one object may serve several at once
        _outer.set((*_outer.get(), _recording.get()))
        _recording.set(self.mode)
        return self

    def __exit__(self, *exc_info: object) -> None:
        *outer, before = _outer.get()
        _outer.set(tuple(outer))
        _recording.set(before)


class no_grad(recording):
    """Context manager or decorator under which nothing is recorded."""

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(recording):
    """Context manager or decorator that records again inside `no_grad`."""

    def __init__(self) -> None:
        super().__init__(True)


class set_grad_enabled(recording):
    """Switches recording on or off: at once as a statement, or as context manager or decorator."""

    def __init__(self, mode: bool):
        super().__init__(mode)
        self.before: bool | None = _recording.get()
        _recording.set(self.mode)

    def take_back(self) -> None:
        """Undo the switch of a statement that turned out to be none."""
        if self.before is not None:
            _recording.set(self.before)
            self.before = None

    def __enter__(self) -> recording:
        self.take_back()
        return super().__enter__()

    def __call__(self, function):
        self.take_back()
        return super().__call__(function)


_NUMBERS = frozenset((float, int, bool))


def raw(x: Any) -> Any:
    """What an op computes on: the array of a Tensor; arrays and Python numbers as they are.

    A NumPy scalar beside a Tensor becomes a Python number: `x * np.sqrt(2)` would turn float32 into
    float64.
    """
    if isinstance(x, Tensor):
        return x.array
    if is_array(x) or type(x) in _NUMBERS:
        return x
    if isinstance(x, np.generic):
        return x.item()
    raise TypeError(f"expected a Tensor, an array or a number, got {type(x).__name__}")


class Op:
    """One application of a primitive to its inputs, with keyword parameters for everything that is
    no array.

    - `view`: the output may share the memory of the first input.
    - `fresh`: every gradient that `backward` returns is a new array, which the engine may then add
      to in place.
    - `bilinear`: the gradient of each of two inputs needs only the other one, so an input whose
      partner is a constant is not kept.

    A parameter of `backward` whose name begins with an underscore is not kept for the backward
    pass, and the rule receives None in its place.
    """

    view = False
    fresh = False
    bilinear = False

    def __init__(self, **params: Any):
        vars(self).update(params)

    def __init_subclass__(cls) -> None:
        names = [p for p in inspect.signature(cls.backward).parameters.values()][2:]
        kept = [not p.name.startswith("_") for p in names]
        cls.keeps_output, *cls.keeps_inputs = kept
        cls.variadic = names[-1].kind is inspect.Parameter.VAR_POSITIONAL

    def forward(self, *arrays):
        raise NotImplementedError

    def backward(self, g, y, *inputs):
        raise NotImplementedError(f"{type(self).__name__} has no derivative")

    def __call__(self, *inputs):
        arrays, tensors, others, self.recorded = [], False, False, False
        for x in inputs:
            if isinstance(x, Tensor):
                arrays.append(x.array)
                tensors = True
                if x.requires_grad:
                    self.recorded = True
            else:
                arrays.append(x)
                others = True
        if others and tensors:
            arrays = [raw(x) for x in arrays]
        elif others:  # inside a rule NumPy's scalars are what its operators make of 0-d arrays
            arrays = [np.asarray(x) if isinstance(x, np.generic) else raw(x) for x in arrays]
        self.recorded = self.recorded and _recording.get()
        try:
            self.backend = backend_of(*arrays)
            self.xp = self.backend.xp
            result = self.forward(*arrays)
        except (ValueError, TypeError, IndexError, RuntimeError) as error:
            raise self.explained(error, arrays) from error
        if not tensors:
            return result  # arrays in, arrays out: this is how the rules run on arrays
        several = type(result) is tuple
        ys = [self._array(y) for y in (result if several else (result,))]
        if self.view:
            x, version = arrays[0], inputs[0].version
            shared = [self.backend.is_view(y, x) for y in ys]  # a reshape may have had to copy
            outputs = tuple([Tensor(y, version=version if s else None) for y, s in zip(ys, shared)])
        else:
            outputs = tuple([Tensor(y) for y in ys])
        if self.recorded:
            self.record(inputs, arrays, outputs)
        return outputs if several else outputs[0]

    def _array(self, y):
        # NumPy's reductions give scalars where CuPy's give 0-d arrays
        return y if type(y) is self.backend.array_type else self.xp.asarray(y)

    def record(self, inputs, arrays, outputs) -> None:
        """Become the node that made `outputs`: hold what the rule needs, and the way to the inputs.

        A node holds arrays and slots, never its outputs, so the graph has no reference cycle.
        """
        self.number = next(_numbers)
        self.slots = tuple(
            [x.slot if isinstance(x, Tensor) and x.requires_grad else None for x in inputs]
        )
        self.needs = tuple([slot is not None for slot in self.slots])
        self.metas = tuple([(y.shape, y.dtype) for y in outputs])
        self.versions = {}  # of what must not change before backward: the counter and its value
        keeps = self.needs[::-1] if self.bilinear else self.keeps_inputs
        if self.variadic:
            keeps = keeps[:-1] + keeps[-1:] * (len(inputs) - len(keeps) + 1)
        self.saved_inputs = []
        for i, (x, array, keep) in enumerate(zip(inputs, arrays, keeps)):
            self.saved_inputs.append(array if keep else None)
            if keep and isinstance(x, Tensor):
                self.versions["input", i] = x.version, x.version[0]
        self.saved_outputs = None
        for i, y in enumerate(outputs):
            if y.dtype.kind != "f":
                continue  # indices, masks: constants
            y.requires_grad, y.creator = True, (self, i)
            if self.keeps_output:
                self.versions["output", i] = y.version, y.version[0]
        if self.keeps_output:
            self.saved_outputs = tuple([y.array for y in outputs])

    def pull(self, gs: list, create_graph: bool) -> list:
        """The gradients of the inputs, from those of the outputs (None: not used)."""
        self.check_versions()
        gs = [self.zeros(meta) if g is None else g for g, meta in zip(gs, self.metas)]
        ys, inputs = self.saved_outputs or [None] * len(gs), self.saved_inputs
        if create_graph:
            gs = [g if isinstance(g, Tensor) else Tensor(g) for g in gs]
            ys, inputs = self.as_tensors(ys, inputs)
        one = len(gs) == 1
        result = self.backward(gs[0] if one else gs, ys[0] if one else ys, *inputs)
        return result if type(result) in (tuple, list) else [result]

    def zeros(self, meta):
        shape, dtype = meta
        return self.xp.zeros(shape, dtype)

    def as_tensors(self, ys, inputs):
        """What was saved, as Tensors that stand at the same place of the graph as the originals."""

        def again(kind, i, array, slot):
            if not is_array(array):
                return array  # a number, or not kept
            version = self.versions.get((kind, i), (None,))[0]
            if slot is None:
                return Tensor(array, version=version)
            owner = slot[0]
            return (
                owner if isinstance(owner, Tensor) else Tensor(array, creator=slot, version=version)
            )

        ys = [again("output", i, y, (self, i)) for i, y in enumerate(ys)]
        xs = [again("input", i, x, slot) for i, (x, slot) in enumerate(zip(inputs, self.slots))]
        return ys, xs

    def check_versions(self) -> None:
        for (kind, i), (counter, value) in self.versions.items():
            if counter[0] != value:
                raise RuntimeError(
                    f"{type(self).__name__} needs its {kind} {i} for the backward pass, but it was "
                    f"changed in place {counter[0] - value} time(s) since; "
                    "change a copy (.clone()) or use the out-of-place form"
                )

    @property
    def released(self) -> bool:
        return self.saved_inputs is None

    def release(self) -> None:
        """Let go of all arrays, also of what `forward` put aside, once the node has been visited.

        Its place on the tape stays known: its output may be a target, and a later walk must see
        that it would have to come through here.
        """
        number, metas, slots = self.number, self.metas, self.slots
        vars(self).clear()
        self.number, self.metas, self.slots, self.saved_inputs = number, metas, slots, None

    def explained(self, error: Exception, arrays: list) -> Exception:
        """The array module's error, with the op and what it was given in front."""
        given = ", ".join(f"{a.dtype} {tuple(a.shape)}" if is_array(a) else repr(a) for a in arrays)
        # shapes that do not fit are a RuntimeError, as in PyTorch
        kind = next((k for k in (IndexError, TypeError) if isinstance(error, k)), RuntimeError)
        return kind(f"{type(self).__name__}({given}): {error}")
