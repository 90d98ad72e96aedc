"""Op: one application of a primitive. Node: its place on the tape, when it is recorded.

A subclass of Op gives `forward` on arrays and `backward`, the rule. `backward(g, y, *inputs)`
receives the gradient of the output, the output and the inputs, either all arrays or all Tensors,
and does not know which: so the same rule gives a fast first derivative and, with
`create_graph=True`, derivatives of any order.
"""

from __future__ import annotations

import inspect
import itertools
from functools import partial
from typing import Any

import numpy as np
from numpy import ndarray

from .backend import _BY_TYPE, CPU, backend_of, is_array
from .modes import is_recording
from .tensor import Tensor, _new, wrap

_numbers = itertools.count(1)  # creation numbers: a topological order of the tape for free
_NUMBERS = frozenset((float, int, bool))


def last_number() -> int:
    """A number above those of all nodes so far and below those of all nodes to come."""
    return next(_numbers)


def raw(x: Any, beside_tensor: bool = True) -> Any:
    """What an op computes on: the array of a Tensor; arrays and Python numbers as they are.

    A NumPy scalar beside a Tensor becomes a Python number: `x * np.sqrt(2)` would turn float32 into
    float64. Inside a rule it is what NumPy's operators make of a 0-d array, and becomes one again.
    """
    if isinstance(x, Tensor):
        return x.array
    if is_array(x) or type(x) in _NUMBERS:
        return x
    if isinstance(x, np.generic):
        return x.item() if beside_tensor else np.asarray(x)
    raise TypeError(f"expected a Tensor, an array or a number, got {type(x).__name__}")


class Node:
    """A recorded op: what its rule needs, and the way to the inputs.

    A node holds arrays and slots, never the op's outputs, so the graph has no reference cycle. It
    is one class for all ops, as Python finds an attribute fast where objects of one class come
    along.
    """

    __slots__ = (
        "op",  # its class alone, once it is let go of
        "number",  # in order of creation: a topological order
        "slots",  # of the inputs, None for one that needs no gradient
        "metas",  # shape and dtype of each output
        "saved_inputs",
        "saved_outputs",
        "guards",  # what must not change before backward: its counter and the value that had
        "fresh",
        "reuses",
        "hooks",  # by output: functions of its gradient
        "retained",  # by output: a weak reference to the Tensor
        "recompute",  # brings back what `checkpoint` let go of
        "watch",  # takes the place of `pull` under diagnostics
        "released",
        "__weakref__",
    )

    def make_ready(self) -> None:
        """Bring back what a checkpoint let go of; RuntimeError where what was saved has changed."""
        while self.recompute is not None:  # one of a checkpoint inside another comes after its
            self.recompute()
        for version, value, kind, i in self.guards:
            if version[0] != value:
                raise self.changed(version[0] - value, kind, i)

    def pull(self, gs: list, create_graph: bool) -> Any:
        """The gradients of the inputs, from those of the outputs (None: not used)."""
        if self.guards or self.recompute is not None:
            self.make_ready()
        return self.op.pull(self, gs, create_graph)

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
            f"{self.name()} needs its {kind} {i} for the backward pass, but it was "
            f"changed in place {times} time(s) since; "
            "change a copy (.clone()) or use the out-of-place form"
        )

    @property
    def next_functions(self) -> tuple:
        """The nodes that made the inputs, as (node or leaf, output index): PyTorch's name."""
        return tuple([(None, 0) if slot is None else slot for slot in self.slots])

    def name(self) -> str:
        return (self.op if isinstance(self.op, type) else type(self.op)).__name__

    def __repr__(self) -> str:
        name = self.name()  # as PyTorch calls its nodes
        name = name if name.endswith("Backward") else f"{name}Backward0"
        return f"<{name} object at {id(self):#x}>"

    def release(self) -> None:
        """Let go of the op and of all arrays, once the node has been visited.

        Its place on the tape stays known: its output may be a target, and a later walk must see
        that it would have to come through here. An op whose rule needs none can be walked again.
        """
        if self.saved_inputs is not None or self.saved_outputs is not None:
            self.op, self.guards, self.released = type(self.op), (), True
            self.saved_inputs = self.saved_outputs = self.hooks = self.retained = self.watch = None


class Op:
    """One application of a primitive to its inputs, with keyword parameters for everything that is
    no array.

    - `view`: the output may share the memory of the first input; `always`: it does.
    - `fresh`: every gradient that `backward` returns is a new array, which the engine may then add
      to in place.
    - `bilinear`: the gradient of each of two inputs needs only the other one, so an input whose
      partner is a constant is not kept.
    - `needed_by`: what `bilinear` says, for other rules: by input, whose gradients need it.
    - `reuses`: `backward` may write into `g` where `self.owns` says that nobody else holds it.

    `self.needs` says, while and after it is recorded, which inputs need a gradient. A parameter of
    `backward` whose name begins with an underscore is not kept for the backward pass, and the rule
    receives None in its place.
    """

    view = always = fresh = bilinear = reuses = owns = False
    needed_by: tuple | None = None
    needs: list | None = None
    backend, xp = CPU, CPU.xp

    def __init__(self, **params: Any):
        for name in params:  # vars(self).update() would cost every later attribute its fast place
            setattr(self, name, params[name])

    def __init_subclass__(cls) -> None:
        rule = cls.backward.__code__  # read thus, not by inspect: a fifth of the time of an import
        many = bool(rule.co_flags & inspect.CO_VARARGS)
        names = rule.co_varnames[2 : rule.co_argcount + many]
        keeps_output, *keeps = [not name.startswith("_") for name in names]
        first = len(keeps) - 1  # of the many, which are kept or not together
        fixed = tuple([i for i, keep in enumerate(keeps[:first] if many else keeps) if keep])

        # the inputs to keep, where they are not the same for all nodes
        chosen = None
        if cls.bilinear:
            chosen = _partners
        elif cls.needed_by is not None:
            chosen = partial(_users, cls.needed_by)
        elif many and keeps[first]:
            chosen = lambda slots: (*fixed, *range(first, len(slots)))  # noqa: E731
        cls.plan = cls.view, fixed, chosen, keeps_output, cls.fresh, cls.reuses  # read at once

    def forward(self, *arrays):
        raise NotImplementedError

    def backward(self, g, y, *inputs):
        raise NotImplementedError(f"{type(self).__name__} has no derivative")

    @property
    def recorded(self) -> bool:
        """Whether this application becomes a node of the tape."""
        return self.needs is not None

    def __call__(self, *inputs):
        # 1. what it computes on, and the way back: the slot of every input that needs a gradient
        arrays, slots, recorded, tensors, plain = [], [], False, False, True
        for x in inputs:
            if isinstance(x, Tensor):
                tensors = True
                if x.base is not None and x.base.creator is not x.seen:
                    x.follow()
                if x.tracked:
                    slots.append(x.creator or (x, 0))
                    recorded = True
                else:
                    slots.append(None)
                x = x.array
            else:
                slots.append(None)
            arrays.append(x)
            if type(x) is not ndarray and type(x) not in _NUMBERS:
                plain = False  # another device's, a scalar of NumPy's, what is no array
        if recorded:
            recorded = is_recording()
            self.needs = slots if recorded else None
        # 2. compute
        try:
            if not plain:
                arrays = [raw(x, tensors) for x in arrays]
                self.backend = backend_of(*arrays)
                self.xp = self.backend.xp
            result = self.forward(*arrays)
        except (ValueError, TypeError, IndexError, RuntimeError) as error:
            raise self.explained(error, arrays) from error
        if not tensors:
            return result
        # 3. wrap
        view, keeps, chosen, keeps_output, fresh, reuses = self.plan
        several = type(result) is tuple
        if several:
            outs = tuple([wrap(self.backend.xp.asarray(y)) for y in result])
        else:
            if type(result) is not ndarray and type(result) not in _BY_TYPE:
                # NumPy's reductions give scalars where CuPy's give 0-d arrays
                result = self.backend.xp.asarray(result)
            recorded = recorded and result.dtype.kind == "f"
            out = _new(Tensor)  # as `wrap` does: its call would be a twentieth of the whole
            out.array, out.creator, out.tracked = result, None, False
            out.version = [0]
            out._grad = out.base = None
            outs = (out,)
        if view:
            self.show(inputs[0], outs)
        if not recorded:
            return outs if several else out
        # 4. become a node of the tape
        node = Node()
        node.op, node.number, node.slots = self, next(_numbers), slots
        if several:
            node.metas = [(out.array.shape, out.array.dtype) for out in outs]
            for i, out in enumerate(outs):
                if out.array.dtype.kind == "f":  # the others are indices, masks: constants
                    out.creator, out.tracked = (node, i), True
        else:
            node.metas = ((result.shape, result.dtype),)
            out.creator, out.tracked = (node, 0), True
        node.fresh, node.reuses, node.released = fresh, reuses, False
        node.hooks = node.retained = node.recompute = node.watch = None
        node.saved_inputs = node.saved_outputs = None
        guards = []
        if chosen is not None:
            keeps = chosen(slots)
        if keeps:
            node.saved_inputs = saved = [None] * len(arrays)
            for i in keeps:
                saved[i], x = arrays[i], inputs[i]
                if isinstance(x, Tensor):
                    guards.append((x.version, x.version[0], "input", i))
        if keeps_output:
            node.saved_outputs = [out.array for out in outs] if several else (result,)
            for i, out in enumerate(outs):
                guards.append((out.version, 0, "output", i))
        node.guards = guards or ()  # lists that live are what the garbage collector walks through
        return outs if several else out

    def show(self, x, outs) -> None:
        """Tell the outputs that they show the memory of x, unless the op had to copy."""
        base = x if x.base is None else x.base
        tied = is_recording() or not x.tracked  # under no_grad a view is cut off, like detach()
        always, version, seen = self.always, x.version, base.creator
        for out in outs:
            if always or self.backend.is_view(out.array, x.array):
                out.version = version
                if tied:
                    out.base, out.seen = base, seen

    def pull(self, node: Node, gs: list, create_graph: bool) -> Any:
        """What `node.pull` does once the node is ready."""
        ys, inputs, several = node.saved_outputs, node.saved_inputs, len(gs) > 1
        if several:
            gs = [self.xp.zeros(*meta) if g is None else g for g, meta in zip(gs, node.metas)]
        if create_graph:
            gs = [g if isinstance(g, Tensor) else wrap(g) for g in gs]
            ys, inputs = node.as_tensors(ys, inputs)
        if inputs is None:
            inputs = [None] * len(node.slots)
        if several:
            result = self.backward(gs, ys, *inputs)
        else:
            result = self.backward(gs[0], ys[0] if ys else None, *inputs)
        return result if type(result) is tuple or type(result) is list else (result,)

    def name(self) -> str:
        return type(self).__name__

    def explained(self, error: Exception, arrays: list) -> Exception:
        """The array module's error, with the op and what it was given in front."""
        given = ", ".join(f"{a.dtype} {tuple(a.shape)}" if is_array(a) else repr(a) for a in arrays)
        # shapes that do not fit are a RuntimeError, as in PyTorch
        kept = IndexError, TypeError, NotImplementedError
        kind = next((k for k in kept if isinstance(error, k)), RuntimeError)
        return kind(f"{type(self).__name__}({given}): {error}")


def _partners(slots: list) -> tuple:
    """The inputs that a bilinear rule needs: the partner of each that needs a gradient."""
    a, b = slots
    return (1,) if b is None else (0,) if a is None else (0, 1)


def _users(needed_by: tuple, slots: list) -> list:
    """The inputs that a rule needs, by input the gradients that need it."""
    return [i for i, users in enumerate(needed_by) if any([slots[j] is not None for j in users])]
