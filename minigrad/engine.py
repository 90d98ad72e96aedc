"""Reverse mode: the tape, the vector-Jacobian product, `grad` and `backward`.

Ops number themselves as they are created, so the tape needs no sorting algorithm beyond "latest
first", and nothing here is recursive. Gradients live in a table keyed by slot, (op, output index)
or (leaf, 0).
"""

from __future__ import annotations

from typing import Any, Iterable, Sequence

import numpy as np

from . import ops
from .backend import is_array
from .op import Op, recording
from .tensor import Tensor


def tape(slots: Iterable[tuple], targets: set[tuple] | None) -> list[Op]:
    """The recorded ops between `slots` and `targets` (None: every leaf), latest first."""
    # nothing created before the first target leads to a target; a leaf may be as old as the tape
    ages = [owner.number if isinstance(owner, Op) else 0 for owner, _ in targets or ()]
    first = min(ages, default=0)
    stack = [op for op, _ in slots if isinstance(op, Op) and op.number > first]
    found = set(stack)
    while stack:
        op = stack.pop()
        for slot in op.slots:
            if slot is not None:
                owner = slot[0]
                if isinstance(owner, Op) and owner not in found and owner.number > first:
                    found.add(owner)
                    stack.append(owner)
    order = sorted(found, key=lambda op: op.number)
    if targets is not None:
        useful: set[Op] = set()
        for op in order:
            if any(
                slot is not None and (slot in targets or slot[0] in useful) for slot in op.slots
            ):
                useful.add(op)
        order = [op for op in order if op in useful]
    for op in order:
        if op.released:
            raise RuntimeError(
                f"backward a second time through {type(op).__name__}, whose saved arrays were "
                "released by the first: pass retain_graph=True to the first backward"
            )
    return order[::-1]


class Gradients:
    """The gradient of every slot seen so far; a slot's contributions are summed as they arrive.

    `owned` slots hold an array that nobody else holds, so that a fan of thousands of consumers adds
    in place.
    """

    def __init__(self, create_graph: bool):
        self.table: dict[tuple, Any] = {}
        self.owned: set[tuple] = set()
        self.create_graph = create_graph

    def deposit(self, slot: tuple, g: Any, fresh: bool) -> None:
        owner, index = slot
        shape, dtype = (
            (owner.shape, owner.dtype) if isinstance(owner, Tensor) else owner.metas[index]
        )
        if g.shape != shape:
            g, fresh = ops.sum_to(g, shape), True  # the input was broadcast
        if g.dtype != dtype:
            g, fresh = ops.cast(g, dtype), True  # the input was promoted
        table = self.table
        if slot not in table:
            table[slot] = g
            if fresh:
                self.owned.add(slot)
        elif slot in self.owned and not self.create_graph:
            table[slot] += g
        else:
            table[slot] = table[slot] + g
            self.owned.add(slot)

    def own(self, slot: tuple) -> Any:
        """A slot's gradient as an array that is shared with nobody."""
        g = self.table[slot]
        if slot in self.owned:
            self.owned.discard(slot)  # given away: who asks again gets a copy
            return g
        return ops.clone(g) if isinstance(g, Tensor) else g.copy()


def vjp(
    outputs: Sequence[Tensor],
    seeds: Sequence[Any],
    targets: Sequence[Tensor] | None,
    create_graph: bool = False,
    retain_graph: bool = False,
) -> Gradients:
    """The seeds' products with the Jacobian of the outputs, deposited for every target (None: every
    leaf).
    """
    wanted = None if targets is None else {t.slot for t in targets}
    slots = [y.slot for y in outputs]
    order = tape(slots, wanted)
    visited = set(order)
    grads = Gradients(create_graph)
    with recording(create_graph):
        for slot, seed in zip(slots, seeds):
            grads.deposit(slot, seed, fresh=False)
        table = grads.table
        for op in order:
            gs, used = [], False
            for index in range(len(op.metas)):
                slot = (op, index)
                g = table.get(slot)
                if g is not None:
                    used = True
                    if wanted is None or slot not in wanted:
                        del table[slot]
                gs.append(g)
            if used:
                fresh = op.fresh and not create_graph
                for slot, g in zip(op.slots, op.pull(gs, create_graph)):
                    if g is None or slot is None:
                        continue
                    if wanted is None or slot in wanted or slot[0] in visited:
                        grads.deposit(slot, g, fresh)
            if not retain_graph:
                op.release()
    return grads


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of the outputs, weighted by `grad_outputs` and summed, with respect to the
    inputs.

    Nothing is accumulated into `.grad`. With `create_graph` the result can be differentiated again.
    Raises RuntimeError for an output or input outside every graph, for an output that is no scalar
    and has no `grad_outputs`, and for an input that the outputs do not depend on (None in its place
    with `allow_unused`).
    """
    outputs, given = _pairs(outputs, grad_outputs)
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    for i, x in enumerate(inputs):
        if not x.requires_grad:
            raise RuntimeError(
                f"input {i} does not require grad: call requires_grad_() on it before computing"
            )
    seeds = [_seed(y, g, create_graph) for y, g in zip(outputs, given)]
    grads = vjp(
        outputs, seeds, inputs, create_graph, create_graph if retain_graph is None else retain_graph
    )
    results = []
    for i, x in enumerate(inputs):
        if x.slot in grads.table:
            results.append(_as_tensor(grads.own(x.slot)))
        elif allow_unused:
            results.append(None)
        else:
            raise RuntimeError(
                f"input {i}, of shape {tuple(x.shape)}, was not used to compute the outputs: "
                "pass allow_unused=True to get None for it"
            )
    return tuple(results)


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Accumulate the gradient of `tensors`, weighted by `grad_tensors`, into `.grad` of the leaves,
    or of `inputs`.

    Raises RuntimeError as `grad` does; then no `.grad` has changed.
    """
    tensors, given = _pairs(tensors, grad_tensors)
    targets = [inputs] if isinstance(inputs, Tensor) else inputs
    seeds = [_seed(y, g, create_graph) for y, g in zip(tensors, given)]
    grads = vjp(
        tensors,
        seeds,
        targets,
        create_graph,
        create_graph if retain_graph is None else retain_graph,
    )
    if targets is None:
        leaves = [owner for owner, _ in grads.table if isinstance(owner, Tensor)]
    else:
        leaves = [t for t in targets if t.slot in grads.table]
    with recording(create_graph):
        for leaf in leaves:
            new = _as_tensor(grads.own(leaf.slot))
            if leaf.grad is None:
                leaf.grad = new
            elif create_graph or leaf.grad.requires_grad:
                leaf.grad = leaf.grad + new
            else:
                leaf.grad.add_(new)


def _pairs(outputs: Any, grads: Any) -> tuple[list, list]:
    """Outputs and the gradient given for each (None: the obvious one of a scalar), as lists of one
    length.
    """
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    if grads is None:
        grads = [None] * len(outputs)
    grads = list(grads) if isinstance(grads, (list, tuple)) else [grads]
    if len(grads) != len(outputs):
        raise RuntimeError(f"{len(outputs)} tensors but {len(grads)} gradients: give one for each")
    return outputs, grads


def _as_tensor(g: Any) -> Tensor:
    if isinstance(g, Tensor):
        return g
    # NumPy's reductions give scalars for 0-d arrays
    return Tensor(g if is_array(g) else np.asarray(g))


def _seed(y: Tensor, g: Any, create_graph: bool) -> Any:
    """The gradient to start from, checked: 1 for a scalar, else what the caller gave."""
    if not isinstance(y, Tensor):
        raise TypeError(f"expected a Tensor to differentiate, got {type(y).__name__}")
    if not y.requires_grad:
        raise RuntimeError(
            "the tensor does not require grad: nothing it was computed from requires grad, "
            "or it was made under no_grad()"
        )
    if g is None:
        if y.numel() != 1:
            raise RuntimeError(
                f"backward from a tensor of shape {tuple(y.shape)} needs a gradient of that shape; "
                "only a scalar has an obvious one: reduce with .sum() or .mean(), or pass gradient="
            )
        g = ops.full_like(y, 1.0)
    g = _as_tensor(g)
    if tuple(g.shape) != tuple(y.shape):
        raise RuntimeError(
            f"a gradient of shape {tuple(g.shape)} was given for a tensor of shape {tuple(y.shape)}"
        )
    if g.device != y.device:
        raise RuntimeError(f"a gradient on {g.device} was given for a tensor on {y.device}")
    return g if create_graph else g.array
