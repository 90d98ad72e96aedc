"""Memory for time: keep the way through a part of the graph, and compute its arrays again when they
are needed (Chen et al. 2016, "Training deep nets with sublinear memory cost").
"""

from __future__ import annotations

import weakref
from typing import Any, Callable, Sequence

from .. import ops
from ..modes import enable_grad, is_recording
from ..op import Node, last_number
from ..tensor import Tensor

_LET_GO = "op", "saved_inputs", "saved_outputs", "guards"


def checkpoint(
    function: Callable,
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """function(*args, **kwargs), of which only the inputs and outputs are kept: the backward pass
    calls it a second time. So a sequence of thousands of steps needs the memory of one segment.

    The nodes of the tape stay, without their arrays, and so everything works through them that
    works elsewhere: parameters that `function` uses without being given them, `grad`, higher
    derivatives. `use_reentrant`, which chooses between two ways in PyTorch, makes no difference.
    The second call draws the same random numbers from the default generator, unless
    `preserve_rng_state` is False.

    Raises RuntimeError in the backward pass if the second call does not do the same ops, or if what
    the function uses was changed in place in between.
    """
    if not is_recording():
        return function(*args, **kwargs)
    generator = ops.default_generator.host.bit_generator
    state = generator.state if preserve_rng_state else None
    before = last_number()
    outputs = function(*args, **kwargs)
    nodes = _nodes_since(outputs, before)
    segment = _Segment(function, args, kwargs, state, nodes)
    for node in nodes:  # those of a checkpoint inside this one too: it is made again with the rest
        node.op = node.op if isinstance(node.op, type) else type(node.op)
        node.saved_inputs, node.saved_outputs, node.guards = None, None, ()
        node.recompute = segment
    return outputs


class _Segment:
    """A call that can be repeated, and the nodes whose arrays it brings back."""

    def __init__(self, function: Callable, args: tuple, kwargs: dict, state: Any, nodes: list):
        self.function, self.state = function, state
        # cut off, so that a checkpoint inside another does not hold the graph of the second call
        self.args = [_cut(x) for x in args]
        self.kwargs = {name: _cut(x) for name, x in kwargs.items()}
        self.nodes = [weakref.ref(node) for node in nodes]  # they hold the segment
        self.work = _work(nodes)
        counters = _counters(nodes) + [
            x.version for x in [*args, *kwargs.values()] if isinstance(x, Tensor)
        ]
        self.guards = [(version, version[0]) for version in counters]

    def __call__(self) -> None:
        if any(version[0] != value for version, value in self.guards):
            raise RuntimeError(
                "checkpoint cannot repeat its function: an argument or a parameter that it uses "
                "was changed in place since; change a copy (.clone()), or call backward() before"
            )
        generator = ops.default_generator.host.bit_generator
        now = generator.state
        if self.state is not None:
            generator.state = self.state
        try:
            with enable_grad():
                before = last_number()
                again = _nodes_since(self.function(*self.args, **self.kwargs), before)
        finally:
            if self.state is not None:
                generator.state = now
        if _work(again) != self.work:
            raise RuntimeError(
                "checkpoint: the second call of the function did not do the same operations as the "
                "first; it must depend on its arguments alone"
            )
        inner = {new.recompute for new in again} - {None}
        old = {new: ref for ref, new in zip(self.nodes, again)}
        for segment in inner:  # a checkpoint inside this one now belongs to the nodes of the tape
            segment.nodes = [old.get(ref(), ref) for ref in segment.nodes]
        for new, ref in old.items():
            node = ref()
            if node is None:  # of an output that nobody kept
                continue
            for name in _LET_GO:
                setattr(node, name, getattr(new, name))
            node.recompute = new.recompute


def _counters(nodes: list) -> list:
    """The version counters of what the nodes read and did not make."""
    mine, found = set(nodes), {}
    for node in nodes:
        cells = [s[0].version for s in node.slots if s is not None and isinstance(s[0], Tensor)]
        for version, _, kind, i in node.guards:
            if kind == "input" and (node.slots[i] is None or node.slots[i][0] not in mine):
                cells.append(version)
        found.update((id(version), version) for version in cells)
    return list(found.values())


def _work(nodes: list) -> list:
    """What the nodes do and make, to tell whether a second call did the same."""
    return [(node.name(), node.metas) for node in nodes]


def _cut(x: Any) -> Any:
    return x.detach().requires_grad_(x.requires_grad) if isinstance(x, Tensor) else x


def _tensors(x: Any) -> list[Tensor]:
    if isinstance(x, Tensor):
        return [x]
    if isinstance(x, dict):
        x = x.values()
    elif not isinstance(x, (list, tuple)):
        return []
    return [t for item in x for t in _tensors(item)]


def _nodes_since(outputs: Any, number: int) -> list[Node]:
    """The nodes created after the one of that number that lead to the outputs, oldest first."""
    stack = [x.grad_fn for x in _tensors(outputs) if x.grad_fn is not None]
    found: set[Node] = set()
    while stack:
        node = stack.pop()
        if node.number > number and node not in found:
            found.add(node)
            stack += [s[0] for s in node.slots if s is not None and isinstance(s[0], Node)]
    return sorted(found, key=lambda node: node.number)


def checkpoint_sequential(
    functions: Sequence[Callable], segments: int, input: Any, **options: Any
) -> Any:
    """The functions one after the other, in `segments` checkpointed parts."""
    functions = list(functions)
    if not 1 <= segments <= len(functions):
        raise ValueError(f"{segments} segments for {len(functions)} functions")
    size = -(-len(functions) // segments)

    def part(these: list) -> Callable:
        def run(x: Any) -> Any:
            for function in these:
                x = function(x)
            return x

        return run

    for start in range(0, len(functions), size):
        input = checkpoint(part(functions[start : start + size]), input, **options)
    return input
