"""Answers to "where did this come from?": off by default, and then they cost nothing.

    with minigrad.detect_anomaly():       the first op that makes a NaN or an infinity, and its line
    with minigrad.dtype_guard():          the line where float64 meets float32
    with minigrad.mutation_guard():       a saved array that was changed behind the tape's back
    with minigrad.watch_graphs() as graphs:
        ...; print(graphs)                graphs still alive, their size, line and holder
    print(minigrad.explain(w))            what each use of w adds to its gradient

While one of them is on, `Op.__call__` is replaced by a version that lets it look at every op; the
nodes made meanwhile carry their line and are looked at again in the backward pass.
"""

from __future__ import annotations

import gc
import inspect
import linecache
import math
import os
import sys
import threading
import weakref
from contextlib import ContextDecorator
from contextvars import ContextVar
from typing import Any, Iterator

import numpy as np

from . import autograd, engine, ops
from .backend import backend_of, is_array, to_numpy
from .op import Node, Op, raw
from .tensor import Tensor, wrap

_PACKAGE = os.path.dirname(__file__)
_active: ContextVar[tuple] = ContextVar("watchers", default=())
_lock = threading.Lock()
_installed = 0
_plain_call = Op.__call__


def user_frame() -> Any:
    """The innermost frame outside the package, or None."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return frame


def line_of(frame: Any) -> str:
    """file:line, and what stands there."""
    if frame is None:
        return "an unknown line"
    name, number = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(name, number).strip()
    return f"{name}:{number}" + (f": {text}" if text else "")


def name_in(frame: Any, x: Any) -> str:
    """The variable of that frame which holds x, in quotes with a space after it, or nothing."""
    for name, value in variables(frame) if frame is not None else ():
        if value is x or (issubclass(type(value), Tensor) and value.array is x):
            return f"{name!r} "
    return ""


def variables(frame: Any) -> list[tuple[str, Any]]:
    """The names that a line of that frame can use, and what they hold: the local ones first."""
    found = [*frame.f_locals.items(), *frame.f_globals.items()]
    if sys.version_info < (3, 13) and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        frame.f_locals.clear()  # a copy that the frame would keep, and so all that it names
    return found


def _watched_call(op: Op, *inputs: Any) -> Any:
    outputs = _plain_call(op, *inputs)
    watchers = _active.get()
    if watchers and any(isinstance(x, Tensor) for x in inputs):
        frame = user_frame()
        outs = outputs if type(outputs) is tuple else (outputs,)
        node = next((out.creator[0] for out in outs if out.creator), None)
        notes = [watcher.forward(node or op, inputs, outs, frame) for watcher in watchers]
        if node is not None:
            node.watch = _Backward(line_of(frame), list(zip(watchers, notes)))
    return outputs


class _Backward:
    """What the watchers of a node do when it is visited; it does not hold the node."""

    def __init__(self, line: str, watchers: list):
        self.line, self.watchers = line, watchers

    def __call__(self, op: Node, gs: list, create_graph: bool) -> list:
        for watcher, note in self.watchers:
            watcher.before_backward(op, gs, self.line, note)
        results = op.pull(gs, create_graph)
        for watcher, note in self.watchers:
            watcher.after_backward(op, gs, results, self.line)
        return results


class Watcher(ContextDecorator):
    """Context manager or decorator that looks at every op of this thread or task."""

    def __enter__(self) -> Watcher:
        global _installed
        with _lock:
            _installed += 1
            Op.__call__ = _watched_call
        _active.set((*_active.get(), self))
        return self

    def __exit__(self, *exc_info: object) -> None:
        global _installed
        active = list(_active.get())
        active.remove(self)
        _active.set(tuple(active))
        with _lock:
            _installed -= 1
            if not _installed:
                Op.__call__ = _plain_call

    def forward(self, op: Node | Op, inputs: tuple, outputs: tuple, frame: Any) -> Any:
        """Look at an op, given by its node if it is recorded; what is returned is given to
        `before_backward`.
        """

    def before_backward(self, op: Node, gs: list, line: str, note: Any) -> None:
        pass

    def after_backward(self, op: Node, gs: list, results: list, line: str) -> None:
        pass


def _finite(x: Any) -> bool:
    x = raw(x) if x is not None else 0.0
    if isinstance(x, (int, float)):
        return math.isfinite(x)
    return x.dtype.kind != "f" or bool(backend_of(x).xp.isfinite(x).all())


def _broken(x: Any) -> str:
    x = raw(x)
    nan = bool((x != x).any()) if is_array(x) else math.isnan(x)
    return "NaN" if nan else "an infinity"


class detect_anomaly(Watcher):
    """Raise RuntimeError at the first op that makes a NaN or an infinity of finite numbers, forward
    or backward, with the line of the user's code that called it.

    An op that is given an infinity, such as `masked_fill(mask, -inf)`, has not made it. With
    `check_nan=False` nothing is checked.
    """

    def __init__(self, check_nan: bool = True):
        self.check = check_nan

    def forward(self, op, inputs, outputs, frame):
        if self.check and all(_finite(x) for x in inputs):
            for i, y in enumerate(outputs):
                if not _finite(y):
                    given = ", ".join(_range(x) for x in inputs)
                    raise RuntimeError(
                        f"{op.name()} made {_broken(y)} in its output {i}, of {given}, "
                        f"at {line_of(frame)}"
                    )

    def after_backward(self, op, gs, results, line):
        if self.check and all(_finite(g) for g in gs):
            for i, (g, slot) in enumerate(zip(results, op.slots)):
                g = g.values if isinstance(g, ops.Part) else g
                g = g.whole() if isinstance(g, ops.Product) else g
                if slot is not None and not _finite(g):
                    raise RuntimeError(
                        f"the backward pass of {op.name()} made {_broken(g)} in the gradient of "
                        f"its input {i}; it was called at {line}"
                    )


def _range(x: Any) -> str:
    x = raw(x)
    if not is_array(x):
        return repr(x)
    values = to_numpy(x)
    if not values.size:
        return f"an empty {values.dtype}"
    return f"{values.dtype} {tuple(values.shape)} from {values.min():.4g} to {values.max():.4g}"


class set_detect_anomaly(detect_anomaly):
    """`detect_anomaly` switched by a flag, at once as a statement, or as a context manager."""

    def __init__(self, mode: bool, check_nan: bool = True):
        super().__init__(check_nan)
        self.mode = mode
        on = [w for w in _active.get() if isinstance(w, set_detect_anomaly)]
        if mode:
            super().__enter__()
        for watcher in on:
            Watcher.__exit__(watcher)
        self.before = on

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        if self in _active.get():
            super().__exit__()
        for watcher in self.before:
            Watcher.__enter__(watcher)


def is_anomaly_enabled() -> bool:
    """Whether this thread or task runs under `detect_anomaly`."""
    return any(isinstance(watcher, detect_anomaly) for watcher in _active.get())


# where PyTorch has them
autograd.detect_anomaly, autograd.set_detect_anomaly = detect_anomaly, set_detect_anomaly


class dtype_guard(Watcher):
    """Raise TypeError at the line where a float64 operand makes float64 of float32 ones, and name
    it.
    """

    def forward(self, op, inputs, outputs, frame):
        arrays = [raw(x) for x in inputs]
        # by name, as NumPy takes a dtype of None for float64
        kinds = [x.dtype.name if is_array(x) else "" for x in arrays]
        made = any(y.dtype == np.float64 for y in outputs)
        if made and "float64" in kinds and "float32" in kinds:
            i = kinds.index("float64")
            raise TypeError(
                f"float64 enters a float32 computation: operand {i} of {op.name()}, "
                f"{name_in(frame, inputs[i])}of shape {tuple(arrays[i].shape)}, at "
                f"{line_of(frame)}; convert it with .float() where it is made"
            )


def checksum(array: Any) -> int:
    """A number that changes with any byte of the array and with any exchange of two of them."""
    data = to_numpy(array).reshape(-1).view(np.uint8)
    weights = np.arange(1, data.size + 1, dtype=np.uint64) * np.uint64(2654435761)
    return int((data * weights).sum(dtype=np.uint64))


class mutation_guard(Watcher):
    """Raise RuntimeError in the backward pass where an array that a rule needs was changed since,
    whichever way: through `numpy()`, `from_numpy`'s array, `.data`, `.array`.

    Every saved array is summed up when it is saved and again when it is used.
    """

    def forward(self, op, inputs, outputs, frame):
        if not isinstance(op, Node):
            return []
        held = [("input", i, x) for i, x in enumerate(op.saved_inputs or ())]
        held += [("output", i, y) for i, y in enumerate(op.saved_outputs or ())]
        variables = [*inputs, *outputs]
        names = [name_in(frame, x) for x in inputs] + [""] * len(outputs)
        return [
            (kind, i, checksum(x), names[i] if kind == "input" and i < len(variables) else "")
            for kind, i, x in held
            if is_array(x)
        ]

    def before_backward(self, op, gs, line, note):
        for kind, i, was, name in note:
            x = (op.saved_inputs if kind == "input" else op.saved_outputs)[i]
            if checksum(x) != was:
                raise RuntimeError(
                    f"the array {name}that {op.name()} saved as its {kind} {i}, of shape "
                    f"{tuple(x.shape)}, was changed after the call at {line}, before the backward "
                    "pass: change a copy instead"
                )


class Graph:
    """A graph that is alive: the number of its ops, the bytes they hold, the line of its newest op,
    and the name under which a tensor of it can be reached, or None.
    """

    def __init__(self, nodes: list, lines: dict, holder: str | None):
        newest = max(nodes, key=lambda op: op.number)
        self.ops, self.line, self.holder = len(nodes), lines[newest], holder
        self.released = any(op.released for op in nodes)
        held = [x for op in nodes for x in (op.saved_inputs, op.saved_outputs)]
        held += [x for op in nodes if isinstance(op.op, Op) for x in vars(op.op).values()]
        arrays = {id(x): x for x in _arrays(held) if is_array(x)}
        self.nbytes = sum(x.nbytes for x in arrays.values())

    def __repr__(self) -> str:
        state = "walked already" if self.released else "not walked"
        held = f"held by {self.holder}" if self.holder else "held by no name that was found"
        return f"{self.ops} ops, {self.nbytes:,} bytes, {state}, {held}, made at {self.line}"


def _arrays(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _arrays(value)
        elif not isinstance(value, (Tensor, Op, Node)):
            yield value


class watch_graphs(Watcher):
    """Which graphs made inside the block are still alive: `alive()` lists them, largest first, and
    printing the object says so in words. Ask after a step: then none should be.
    """

    def __init__(self) -> None:
        self.lines: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()

    def forward(self, op, inputs, outputs, frame):
        if isinstance(op, Node):
            self.lines[op] = line_of(frame)

    def alive(self) -> list[Graph]:
        lines = dict(self.lines)
        parent = {op: op for op in lines}

        def root(op):
            while parent[op] is not op:
                parent[op] = op = parent[parent[op]]
            return op

        for op in lines:
            for slot in op.slots:
                if slot is not None and slot[0] in parent:
                    parent[root(op)] = root(slot[0])
        groups: dict[Node, list] = {}
        for op in lines:
            groups.setdefault(root(op), []).append(op)
        names = _holders(set(lines))
        graphs = []
        for nodes in groups.values():
            holder = next((names[op] for op in nodes if op in names), None)
            graphs.append(Graph(nodes, lines, holder))
        return sorted(graphs, key=lambda graph: -graph.nbytes)

    def __repr__(self) -> str:
        graphs = self.alive()
        if not graphs:
            return "no graph is alive"
        return "\n".join([f"{len(graphs)} graph(s) alive:", *(f"  {graph}" for graph in graphs)])


def _holders(nodes: set) -> dict:
    """For nodes whose output a variable leads to: the variable and the way, as written."""
    found: dict[Node, str] = {}
    seen: set[int] = set()
    stack: list[tuple[str, Any, int]] = []
    frame = user_frame()
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            found_here = reversed(variables(frame))  # the last on the stack is looked at first
            stack += [(name, value, 0) for name, value in found_here if name[:2] != "__"]
        frame = frame.f_back
    while stack:
        name, value, depth = stack.pop()
        kind = type(value)  # no isinstance(): see _scalars_above
        if issubclass(kind, Tensor):
            if value.creator and value.creator[0] in nodes:
                found.setdefault(value.creator[0], name)
            continue
        if depth == 5 or id(value) in seen or issubclass(kind, (str, bytes, int, float, type)):
            continue
        seen.add(id(value))
        if issubclass(kind, dict):
            inside = [(f"{name}[{key!r}]", item) for key, item in list(value.items())]
        elif issubclass(kind, (list, tuple, set)):
            inside = [(f"{name}[{i}]", item) for i, item in enumerate(value)]
        elif kind.__module__ not in ("builtins", "sys") and hasattr(value, "__dict__"):
            if kind.__name__ == "module":
                continue
            inside = [(f"{name}.{key}", item) for key, item in list(vars(value).items())]
        else:
            continue
        stack += [(way, item, depth + 1) for way, item in inside]
    return found


class Contribution:
    """What one use of a tensor adds to its gradient."""

    def __init__(self, op: Node, index: int, g: Any, shape: tuple, line: str | None):
        self.op, self.index, self.line = op.name(), index, line
        self.shape = tuple(g.shape)
        extra = len(self.shape) - len(shape)
        self.summed = tuple(
            i for i, n in enumerate(self.shape) if i < extra or (shape[i - extra] == 1 and n != 1)
        )
        self.grad = to_numpy(ops.sum_to(g, shape) if self.shape != shape else g)
        self.norm = float(np.linalg.norm(self.grad))

    def __repr__(self) -> str:
        text = f"{self.op}, as its input {self.index}: norm {self.norm:.6g}, shape {self.shape}"
        if self.summed:
            text += f", summed over dimension(s) {', '.join(map(str, self.summed))} (broadcast)"
        return text + (f", at {self.line}" if self.line else "")


class Explanation:
    """The gradient of one tensor, by its uses: `contributions`, and their sum `grad`; `chain` has
    the chain rule in numbers where everything is a scalar.
    """

    def __init__(self, shape: tuple, contributions: list, chain: list[str]):
        self.contributions, self.chain, self.shape = contributions, chain, shape
        self.grad = sum((c.grad for c in contributions), np.zeros(shape))
        self.norm = float(np.linalg.norm(self.grad))

    def __repr__(self) -> str:
        head = f"gradient of shape {self.shape}, norm {self.norm:.6g}, from "
        head += f"{len(self.contributions)} use(s):"
        return "\n".join([head, *(f"  {c}" for c in self.contributions), *self.chain])


def explain(tensor: Tensor, output: Tensor | None = None) -> Explanation:
    """Why the gradient of `tensor` is what it is: one line for each op that uses it, with the norm
    and shape of what it adds and the dimensions that broadcasting summed; for scalars also the
    chain rule in numbers.

    Call it before `backward()`, whose graph it needs and leaves as it is. `output` is what is
    differentiated; without it, the one scalar that depends on `tensor`. Lines are known for ops
    made under `watch_graphs` or another of the watchers.

    Raises RuntimeError where no graph, or more than one, leads from the tensor to a scalar.
    """
    if not tensor.requires_grad:
        raise RuntimeError("explain: the tensor does not require grad, so it has no gradient")
    slot = tensor.slot
    outputs = _scalars_above(slot) if output is None else [output.slot]
    if len(outputs) != 1:
        raise RuntimeError(
            f"explain: {len(outputs)} scalars depend on this tensor in graphs that are alive; "
            "call it between the forward pass and backward(), or name one with output="
        )
    (top,) = outputs
    order = engine.tape([top], {slot})
    if not order:
        raise RuntimeError("explain: the output does not depend on this tensor")
    if top[0].recompute is not None:
        top[0].recompute()
    pulled: dict[Node, tuple[list, list]] = {}

    watches = {op: op.watch for op in order}
    nodes = {*order, slot[0]} if isinstance(slot[0], Node) else order
    retaining = [ref() for op in nodes for ref in (op.retained or {}).values()]
    before = [(x, x.grad) for x in retaining if x is not None]
    try:
        for op in order:
            op.watch = _Log(pulled)
        target = wrap(top[0].op.xp.zeros(*top[0].metas[top[1]]), top)
        seed = top[0].op.xp.ones(*top[0].metas[top[1]])
        engine.vjp([target], [seed], [tensor], retain_graph=True)
    finally:
        for op, watch in watches.items():
            op.watch = watch
        for x, g in before:
            x.grad = g
    shape = tuple(tensor.shape)
    contributions = [
        Contribution(op, i, results[i], shape, getattr(watches[op], "line", None))
        for op, (_, results) in pulled.items()
        for i, s in enumerate(op.slots)
        if s is not None and s[0] is slot[0] and s[1] == slot[1] and results[i] is not None
    ]
    return Explanation(shape, contributions, _chain(pulled, slot, top))


class _Log:
    """Notes what the rules of a walk return."""

    def __init__(self, pulled: dict):
        self.pulled = pulled

    def __call__(self, op: Node, gs: list, create_graph: bool) -> list:
        results = op.pull(gs, create_graph)
        whole = [
            g.whole(op_shape(slot)) if isinstance(g, (ops.Part, ops.Product)) else g
            for g, slot in zip(results, op.slots)
        ]
        self.pulled[op] = gs, whole
        return results


def op_shape(slot: tuple | None) -> tuple:
    owner, index = slot or (None, 0)
    return owner.metas[index][0] if isinstance(owner, Node) else owner.array.shape


def _scalars_above(slot: tuple) -> list[tuple]:
    """The outputs of one element, used by no op, of the live graphs that lead to the slot."""
    uses: dict[Any, list] = {}
    for op in gc.get_objects():
        # isinstance() would ask strangers for their __class__, which runs their code
        if type(op) is Node and not getattr(op, "released", True):
            for s in op.slots:
                if s is not None:
                    uses.setdefault(s, []).append(op)
    found, stack, seen = [], [slot], {slot}
    while stack:
        below = stack.pop()
        for op in uses.get(below, ()):
            for i, (shape, _) in enumerate(op.metas):
                s = op, i
                if s in seen:
                    continue
                seen.add(s)
                if s in uses:
                    stack.append(s)
                elif math.prod(shape) == 1:
                    found.append(s)
    return found


def _chain(pulled: dict, slot: tuple, top: tuple) -> list[str]:
    """The chain rule in numbers, from the output down to the slot; empty unless all are scalars."""
    shapes = [shape for op in pulled for shape, _ in op.metas]
    if any(math.prod(shape) != 1 for shape in [*shapes, op_shape(slot)]):
        return []
    names = {slot: "x"}
    for n, op in enumerate(reversed(list(pulled)), 1):
        for i in range(len(op.metas)):
            names[op, i] = f"v{n}" if len(op.metas) == 1 else f"v{n}.{i}"
    names[top] = "L"
    lines = ["the chain rule, from the output L down to x:", "  dL/dL = 1"]
    terms: dict[tuple, list] = {}
    for op, (gs, results) in pulled.items():
        out = next(i for i, g in enumerate(gs) if g is not None)
        g = float(np.asarray(to_numpy(as_array(gs[out]))).reshape(()))
        for s, r in zip(op.slots, results):
            if s in names and r is not None:
                r = float(np.asarray(to_numpy(as_array(r))).reshape(()))
                local = r / g if g else 0.0
                terms.setdefault(s, []).append((names[op, out], op.name(), g, local, r))
    order = [(op, i) for op in pulled for i in range(len(op.metas)) if (op, i) != top]
    for s in [*order, slot]:
        if s in terms:
            formula = " + ".join(f"dL/d{v}·d{v}/d{names[s]}" for v, *_ in terms[s])
            numbers = " + ".join(f"{g:.6g}·{local:.6g}" for _, _, g, local, _ in terms[s])
            total = sum(r for *_, r in terms[s])
            through = ", ".join(dict.fromkeys(kind for _, kind, *_ in terms[s]))
            lines.append(f"  dL/d{names[s]} = {formula} = {numbers} = {total:.6g}   ({through})")
    return lines


def as_array(g: Any) -> Any:
    return g if is_array(g) else np.asarray(g)
