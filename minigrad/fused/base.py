"""Fused: an op whose backward is written by hand on arrays, and whose meaning is `compose`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .. import engine, ops
from ..op import Node, Op
from ..tensor import Tensor, wrap

_composed: ContextVar[bool] = ContextVar("composed", default=False)


@contextmanager
def composed() -> Iterator[None]:
    """Under it every fused op runs as its `compose`, the slow twin that it is held against."""
    token = _composed.set(True)
    try:
        yield
    finally:
        _composed.reset(token)


class Fused(Op):
    """An op that needs loops or scratch memory.

    `compose` says the same in primitives: it is what learners read, the oracle of the tests, and
    the way that `create_graph` takes. So each fused op has one hand-written derivative and never a
    second. Every gradient that `backward` returns must be a new array, and nothing saved may be
    destroyed: it may be called twice.
    """

    fresh = True

    def compose(self, *inputs):
        raise NotImplementedError

    def __call__(self, *inputs):
        return self.compose(*inputs) if _composed.get() else super().__call__(*inputs)

    def pull(self, node: Node, gs: list, create_graph: bool) -> list:
        if not create_graph:
            return super().pull(node, gs, False)
        _, inputs = node.as_tensors((), node.saved_inputs)
        # cut: without it an input that was computed from another input would be credited twice
        cut = [ops.reshape(x, x.shape) if need else x for x, need in zip(inputs, self.needs)]
        outputs = self.compose(*cut)
        used = [
            (y, g)
            for y, g in zip(outputs if type(outputs) is tuple else (outputs,), gs)
            if g is not None
        ]
        seeds = [g if isinstance(g, Tensor) else wrap(g) for _, g in used]
        wanted = [x for x, need in zip(cut, self.needs) if need]
        grads = engine.vjp(
            [y for y, _ in used], seeds, wanted, create_graph=True, retain_graph=True
        )
        return [grads.get(x.slot) if need else None for x, need in zip(cut, self.needs)]
