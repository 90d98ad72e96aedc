"""Op: one application of a primitive, and, when it is recorded, one node of the tape.

A subclass gives `forward` on arrays and `backward`, the rule. `backward(g, y, *inputs)` receives
the gradient of the output, the output and the inputs, either all arrays or all Tensors, and does
not know which: so the same rule gives a fast first derivative and, with `create_graph=True`,
derivatives of any order.
"""

from __future__ import annotations

import inspect
import itertools
from typing import Any

import numpy as np

from .backend import _BY_TYPE, backend_of, is_array
from .modes import is_recording
from .tensor import Tensor, wrap

_numbers = itertools.count(1)  # creation numbers: a topological order of the tape for free
_NUMBERS = frozenset((float, int, bool))


def last_number() -> int:
    """A number above those of all nodes so far and below those of all nodes to come."""
    return next(_numbers)


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
    - `needed_by`: what `bilinear` says, for other rules: by input, whose gradients need it.
    - `reuses`: `backward` may write into `g` where `self.owns` says that nobody else holds it.

    A parameter of `backward` whose name begins with an underscore is not kept for the backward
    pass, and the rule receives None in its place.
    """

    view = fresh = bilinear = reuses = owns = released = False
    needed_by: tuple | None = None
    hooks = retained = None  # by output: functions of its gradient; a weak reference to the Tensor
    recompute = None  # brings back what `checkpoint` let go of
    watch = None  # takes the place of `pull` under diagnostics

    def __init__(self, **params: Any):
        for name in params:  # vars(self).update() would cost every later attribute its fast place
            setattr(self, name, params[name])

    def __init_subclass__(cls) -> None:
        rule = cls.backward.__code__  # read thus, not by inspect: a fifth of the time of an import
        cls.variadic = bool(rule.co_flags & inspect.CO_VARARGS)
        names = rule.co_varnames[2 : rule.co_argcount + cls.variadic]
        kept = [not name.startswith("_") for name in names]
        cls.keeps_output, *cls.keeps_inputs = kept
        cls.keeps_some = cls.bilinear or any(kept[1:])

    def forward(self, *arrays):
        raise NotImplementedError

    def backward(self, g, y, *inputs):
        raise NotImplementedError(f"{type(self).__name__} has no derivative")

    def __call__(self, *inputs):
        # 1. what it computes on, and the way back: the slot of every input that needs a gradient
        arrays, slots, recorded, tensors, kind, uniform = [], [], False, False, None, True
        for x in inputs:
            slot = None
            if isinstance(x, Tensor):
                tensors = True
                if x.base is not None:
                    x.follow()
                if x.tracked:
                    slot, recorded = x.creator or (x, 0), True
                x = x.array
            if kind is not type(x):  # what is no array, or on two devices, is looked at below
                uniform, kind = kind is None and type(x) in _BY_TYPE, type(x)
            arrays.append(x)
            slots.append(slot)
        if not uniform:
            if tensors:
                arrays = [raw(x) for x in arrays]
            else:  # inside a rule NumPy's scalars are what its operators make of 0-d arrays
                arrays = [np.asarray(x) if isinstance(x, np.generic) else raw(x) for x in arrays]
        self.recorded = recorded = recorded and is_recording()
        # 2. compute
        try:
            self.backend = backend = _BY_TYPE[kind] if uniform else backend_of(*arrays)
            self.xp = backend.xp
            result = self.forward(*arrays)
        except (ValueError, TypeError, IndexError, RuntimeError) as error:
            raise self.explained(error, arrays) from error
        if not tensors:
            return result
        # 3. wrap, and become a node of the tape
        if type(result) is not tuple:
            # NumPy's reductions give scalars where CuPy's give 0-d arrays
            backend = self.backend  # `to_device` ends on another one
            y = result if type(result) is backend.array_type else backend.xp.asarray(result)
            if recorded and y.dtype.kind == "f":
                out = wrap(y, (self, 0))
                self.metas = ((y.shape, y.dtype),)
                self.record(inputs, arrays, slots, (y,), (out,))
            else:
                out = wrap(y)
            if self.view:
                self.show(inputs[0], out)
            return out
        outs = tuple([wrap(backend.xp.asarray(y)) for y in result])
        if recorded:
            for i, out in enumerate(outs):
                if out.array.dtype.kind == "f":  # the others are indices, masks: constants
                    out.creator, out.tracked = (self, i), True
            self.metas = tuple([(y.shape, y.dtype) for y in result])
            self.record(inputs, arrays, slots, result, outs)
        if self.view:
            for out in outs:
                self.show(inputs[0], out)
        return outs

    def show(self, x, out) -> None:
        """Tell `out` that it shows the memory of x, unless the op had to copy."""
        if not self.backend.is_view(out.array, x.array):
            return
        out.version = x.version
        if is_recording() or not x.tracked:  # under no_grad a view is cut off, like detach()
            out.base = base = x if x.base is None else x.base
            out.seen = base.creator

    def record(self, inputs, arrays, slots, ys, outs) -> None:
        """Become the node that made `ys`: hold what the rule needs, and the way to the inputs.

        A node holds arrays and slots, never its outputs, so the graph has no reference cycle.
        """
        self.number = next(_numbers)
        self.slots = self.needs = slots
        self.guards = guards = []  # what must not change before backward: its counter's value
        self.saved_inputs = self.saved_outputs = None
        if self.keeps_some:
            keeps = self.keeps_inputs
            if self.bilinear:
                keeps = [s is not None for s in slots[::-1]]
            elif self.needed_by is not None:
                keeps = [any([slots[j] is not None for j in users]) for users in self.needed_by]
            if self.variadic:
                keeps = keeps[:-1] + keeps[-1:] * (len(inputs) - len(keeps) + 1)
            self.saved_inputs = saved = []
            for i, keep in enumerate(keeps):
                saved.append(arrays[i] if keep else None)
                if keep and isinstance(inputs[i], Tensor):
                    version = inputs[i].version
                    guards.append((version, version[0], "input", i))
        if self.keeps_output:
            self.saved_outputs = ys
            for i, out in enumerate(outs):
                guards.append((out.version, 0, "output", i))

    def make_ready(self) -> None:
        """Bring back what a checkpoint let go of; RuntimeError where what was saved has changed."""
        while self.recompute is not None:  # one of a checkpoint inside another comes after its
            self.recompute()
        for version, value, kind, i in self.guards:
            if version[0] != value:
                raise self.changed(version[0] - value, kind, i)

    def pull(self, gs: list, create_graph: bool) -> list:
        """The gradients of the inputs, from those of the outputs (None: not used)."""
        self.make_ready()
        ys, inputs = self.saved_outputs, self.saved_inputs
        if len(gs) > 1:
            gs = [self.xp.zeros(*meta) if g is None else g for g, meta in zip(gs, self.metas)]
        if create_graph:
            gs = [g if isinstance(g, Tensor) else wrap(g) for g in gs]
            ys, inputs = self.as_tensors(ys, inputs)
        one = len(gs) == 1
        result = self.backward(
            gs[0] if one else gs,
            ys[0] if one and ys else ys,
            *([None] * len(self.slots) if inputs is None else inputs),
        )
        return result if type(result) in (tuple, list) else [result]

    def as_tensors(self, ys, inputs):
        """What was saved, as Tensors that stand at the same place of the graph as the originals."""
        counters = {(kind, i): version for version, _, kind, i in self.guards}

        def again(kind, i, array, slot):
            if not is_array(array):
                return array  # a number, or not kept
            if slot is not None and isinstance(slot[0], Tensor):
                return slot[0]
            return wrap(array, slot, counters.get((kind, i)))

        ys = [again("output", i, y, (self, i)) for i, y in enumerate(ys or ())]
        inputs = inputs or [None] * len(self.slots)
        return ys, [again("input", i, x, s) for i, (x, s) in enumerate(zip(inputs, self.slots))]

    def changed(self, times: int, kind: str, i: int) -> Exception:
        return RuntimeError(
            f"{type(self).__name__} needs its {kind} {i} for the backward pass, but it was "
            f"changed in place {times} time(s) since; "
            "change a copy (.clone()) or use the out-of-place form"
        )

    @property
    def next_functions(self) -> tuple:
        """The nodes that made the inputs, as (node or leaf, output index): PyTorch's name."""
        return tuple([(None, 0) if slot is None else slot for slot in self.slots])

    def name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        name = self.name()  # as PyTorch calls its nodes
        name = name if name.endswith("Backward") else f"{name}Backward0"
        return f"<{name} object at {id(self):#x}>"

    def release(self) -> None:
        """Let go of all arrays, also of what `forward` put aside, once the node has been visited.

        Its place on the tape stays known: its output may be a target, and a later walk must see
        that it would have to come through here. An op whose rule needs none can be walked again.
        """
        if not (self.keeps_some or self.keeps_output):
            return
        kept = {"number": self.number, "metas": self.metas, "slots": self.slots, "released": True}
        self.__dict__ = kept

    def explained(self, error: Exception, arrays: list) -> Exception:
        """The array module's error, with the op and what it was given in front."""
        given = ", ".join(f"{a.dtype} {tuple(a.shape)}" if is_array(a) else repr(a) for a in arrays)
        # shapes that do not fit are a RuntimeError, as in PyTorch
        kept = IndexError, TypeError, NotImplementedError
        kind = next((k for k in kept if isinstance(error, k)), RuntimeError)
        return kind(f"{type(self).__name__}({given}): {error}")
