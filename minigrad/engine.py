"""Reverse mode: the tape and the vector-Jacobian product. `autograd` is its public face.

Ops number themselves as they are created, so the tape needs no sorting algorithm beyond "latest
first", and nothing here is recursive. Gradients live in a table keyed by slot, (op, output index)
or (leaf, 0).
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Iterable, Sequence

import numpy as np
from numpy import ndarray

from . import ops
from .backend import is_array
from .modes import recording
from .op import Node
from .ops.indexing import Part
from .ops.products import Product
from .tensor import Tensor, wrap


def tape(slots: Iterable[tuple], targets: set[tuple] | None) -> list[Node]:
    """The recorded ops between `slots` and `targets` (None: every leaf), latest first."""
    # nothing created before the first target leads to a target; a leaf may be as old as the tape
    ages = [owner.number if isinstance(owner, Node) else 0 for owner, _ in targets or ()]
    first = min(ages, default=0)
    order = [
        node
        for node in {owner for owner, _ in slots}
        if isinstance(node, Node) and node.number > first
    ]
    found, stack = set(order), order[:]
    while stack:
        for slot in stack.pop().slots:
            if slot is not None:
                owner = slot[0]
                if owner not in found and isinstance(owner, Node) and owner.number > first:
                    found.add(owner)
                    stack.append(owner)
                    order.append(owner)
    order.sort(key=attrgetter("number"), reverse=True)  # nearly sorted already, which is quick
    if targets is not None:
        useful: set[Node] = set()
        for node in reversed(order):
            if any(
                slot is not None and (slot in targets or slot[0] in useful) for slot in node.slots
            ):
                useful.add(node)
        order = [node for node in order if node in useful]
    for node in order:
        if node.released:
            raise RuntimeError(
                f"backward a second time through {node.name()}, whose saved arrays were "
                "released by the first: pass retain_graph=True to the first backward"
            )
    return order


class Gradients:
    """The gradient of every slot seen so far; a slot's contributions are summed as they arrive.

    The table says of each whether it is owned, an array that nobody else holds: then a fan of
    thousands of consumers adds in place.
    """

    def __init__(self, create_graph: bool):
        self.table: dict[tuple, list] = {}  # slot: [gradient, whether it is owned]
        self.create_graph = create_graph

    def deposit(self, slot: tuple, g: Any, fresh: bool) -> None:
        owner, index = slot
        if isinstance(owner, Node):
            shape, dtype = owner.metas[index]
        else:
            shape, dtype = owner.array.shape, owner.array.dtype
        entry = self.table.get(slot)
        if entry is not None and type(entry[0]) is Product:
            if type(g) is Product and g.dtype == entry[0].dtype:
                entry[0].add(g)
                return
            entry[0] = entry[0].whole()
        if type(g) is Part:
            if entry is not None and entry[1] and g.dtype == dtype:
                g.add_to(entry[0])
                return
            g, fresh = g.whole(shape), True
        elif type(g) is Product:
            if entry is None and g.dtype == dtype:
                self.table[slot] = [g, True]
                return
            g, fresh = g.whole(), True
        if g.shape != shape:
            g, fresh = ops.sum_to(g, shape), True  # the input was broadcast
        if g.dtype is not dtype and g.dtype != dtype:
            g, fresh = ops.cast(g, dtype), True  # the input was promoted
        if entry is None:
            self.table[slot] = [g, fresh]
        elif entry[1] and not self.create_graph:
            entry[0] += g
        else:
            entry[:] = entry[0] + g, True

    def get(self, slot: tuple) -> Any:
        """A slot's gradient, or None."""
        return self.table[slot][0] if slot in self.table else None

    def own(self, slot: tuple) -> Any:
        """A slot's gradient as an array that is shared with nobody."""
        g, owned = self.table[slot]
        if owned:
            self.table[slot][1] = False  # given away: who asks again gets a copy
            return g
        return g.clone() if isinstance(g, Tensor) else g.copy()

    def hooked(self, owner: Node | Tensor, index: int, g: Any) -> Any:
        """What the hooks on a tensor make of its gradient; `retain_grad` sees the result."""
        hooks = owner.hooks if isinstance(owner, Tensor) else owner.hooks.get(index, {})
        # a hook may change what it gets; the table's array may be somebody else's
        given = g if isinstance(g, Tensor) else as_tensor(g.copy())
        for hook in list(hooks.values()):
            result = hook(given)
            result = given if result is None else result
            if not isinstance(result, Tensor):
                raise TypeError(f"a hook returned a {type(result).__name__}, not a Tensor or None")
            if result.shape != given.shape:
                raise RuntimeError(
                    f"a hook must return None or a Tensor of shape {tuple(given.shape)}"
                )
            given = result
        x = (owner.retained or {}).get(index, lambda: None)() if isinstance(owner, Node) else None
        if x is not None:
            g = given if self.create_graph else as_tensor(given.array.copy())
            x.grad = g if x.grad is None else x.grad + g
        return given if self.create_graph or given.is_sparse else given.array


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
    visited = None if wanted is None else set(order)  # None: all that a slot leads to
    grads = Gradients(create_graph)
    table, deposit = grads.table, grads.deposit
    with recording(create_graph):
        for slot, seed in zip(slots, seeds):
            deposit(slot, seed, fresh=False)
        for node in order:
            gs, used = [], False
            for index in range(len(node.metas)):
                slot = (node, index)
                entry = table.pop(slot, None)
                if entry is None:
                    gs.append(None)
                    continue
                used, (g, owned) = True, entry
                if type(g) is Product:
                    g = g.whole()
                elif type(g) is not ndarray and isinstance(g, np.generic):
                    g = np.asarray(g)  # what NumPy makes of 0-d arrays
                if node.hooks is not None:
                    g, owned = grads.hooked(node, index, g), False  # a hook may have kept it
                if wanted is not None and slot in wanted:
                    table[slot] = [g, owned]
                elif node.reuses:
                    node.make_ready()
                    node.op.owns = owned and not create_graph
                gs.append(g)
            if used:
                watch, fresh = node.watch, node.fresh and not create_graph
                if watch is None:
                    pulled = node.pull(gs, create_graph)
                else:  # which may keep what it sees
                    pulled, fresh = watch(node, gs, create_graph), False
                for slot, g in zip(node.slots, pulled):
                    if g is not None and slot is not None:
                        if visited is None or slot[0] in visited or slot in wanted:
                            deposit(slot, g, fresh)
            if not retain_graph:
                node.release()
        for slot, entry in table.items():  # leaves, and targets whose own op is not on the way
            if type(entry[0]) is Product:
                entry[0] = entry[0].whole()
            if slot[0].hooks is not None and not (visited and slot[0] in visited):
                entry[:] = grads.hooked(*slot, entry[0]), False
    return grads


def as_tensor(g: Any) -> Tensor:
    if isinstance(g, Tensor):
        return g
    # NumPy's reductions give scalars for 0-d arrays
    return wrap(g if is_array(g) else np.asarray(g))
