"""Reverse mode: the tape and the vector-Jacobian product. `grad` and `backward`, the public face, are
in `autograd.py`.

Ops number themselves as they are created, so the tape needs no sorting algorithm beyond "latest
first", and nothing here is recursive. Gradients live in a table keyed by slot, (op, output index)
or (leaf, 0).
"""

from __future__ import annotations

import weakref
from operator import attrgetter
from typing import Any, Iterable, Sequence

import numpy as np

from . import ops
from .backend import is_array
from .modes import recording
from .op import Op
from .ops.indexing import Part
from .tensor import Tensor, wrap


def tape(slots: Iterable[tuple], targets: set[tuple] | None) -> list[Op]:
    """The recorded ops between `slots` and `targets` (None: every leaf), latest first."""
    # nothing created before the first target leads to a target; a leaf may be as old as the tape
    ages = [owner.number if isinstance(owner, Op) else 0 for owner, _ in targets or ()]
    first = min(ages, default=0)
    stack = [op for op, _ in slots if isinstance(op, Op) and op.number > first]
    found = set(stack)
    while stack:
        for slot in stack.pop().slots:
            if slot is not None:
                owner = slot[0]
                if owner not in found and isinstance(owner, Op) and owner.number > first:
                    found.add(owner)
                    stack.append(owner)
    order = sorted(found, key=attrgetter("number"))
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
                f"backward a second time through {op.name()}, whose saved arrays were "
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
        if isinstance(owner, Op):
            shape, dtype = owner.metas[index]
        else:
            shape, dtype = owner.array.shape, owner.array.dtype
        table = self.table
        if type(g) is Part:
            if slot in self.owned and g.dtype == dtype:
                g.add_to(table[slot])
                return
            g, fresh = g.whole(shape), True
        if g.shape != shape:
            g, fresh = ops.sum_to(g, shape), True  # the input was broadcast
        if g.dtype != dtype:
            g, fresh = ops.cast(g, dtype), True  # the input was promoted
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

    def hooked(self, hooks: dict, g: Any) -> Any:
        """What the hooks on a tensor make of its gradient."""
        for hook in list(hooks.values()):
            # a hook may change what it gets; the table's array may be somebody else's
            given = g if isinstance(g, Tensor) else wrap(np.array(g) if not is_array(g) else g.copy())
            result = hook(given)
            result = given if result is None else result
            if not isinstance(result, Tensor) or result.shape != given.shape:
                raise RuntimeError(
                    f"a hook must return None or a Tensor of shape {tuple(given.shape)}"
                )
            g = result if self.create_graph else result.array
        return g


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
    table, owned, deposit = grads.table, grads.owned, grads.deposit
    with recording(create_graph):
        for slot, seed in zip(slots, seeds):
            deposit(slot, seed, fresh=False)
        for op in order:
            gs, used = [], False
            for index in range(len(op.metas)):
                slot = (op, index)
                g = table.get(slot)
                if g is not None:
                    used = True
                    if op.hooks is not None and index in op.hooks:
                        g = table[slot] = grads.hooked(op.hooks[index], g)
                        owned.discard(slot)  # the hook may have kept it
                    if op.retained is not None and index in op.retained:
                        retain(op.retained[index](), g)
                    if wanted is None or slot not in wanted:
                        del table[slot]
                        op.owns = slot in owned and not create_graph
                gs.append(g)
            if used:
                fresh = op.fresh and not create_graph
                pull = op.pull if op.watch is None else op.watch
                for slot, g in zip(op.slots, pull(gs, create_graph)):
                    if g is None or slot is None:
                        continue
                    if wanted is None or slot in wanted or slot[0] in visited:
                        deposit(slot, g, fresh)
            if not retain_graph:
                op.release()
        for slot in list(table):
            if isinstance(slot[0], Tensor) and slot[0].hooks:
                table[slot] = grads.hooked(slot[0].hooks, table[slot])
                owned.discard(slot)
    return grads


def retain_grad(x: Tensor) -> None:
    """Have the walks put the gradient of a computed tensor into its `.grad`."""
    op, index = x.creator
    op.retained = op.retained or {}
    op.retained[index] = weakref.ref(x)  # the node must not hold its output


def retain(x: Tensor | None, g: Any) -> None:
    """Add a gradient to the `.grad` of a tensor, if it still lives."""
    if x is not None:
        g = as_tensor(g if isinstance(g, Tensor) else np.copy(g) if not is_array(g) else g.copy())
        x.grad = g if x.grad is None else x.grad + g


def as_tensor(g: Any) -> Tensor:
    if isinstance(g, Tensor):
        return g
    # NumPy's reductions give scalars for 0-d arrays
    return wrap(g if is_array(g) else np.asarray(g))
