"""Fused: an op whose backward is written by hand on arrays, and whose meaning is `compose`."""

from __future__ import annotations

from .. import engine, ops
from ..op import Op
from ..tensor import Tensor


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

    def pull(self, gs: list, create_graph: bool) -> list:
        if not create_graph:
            return super().pull(gs, False)
        self.check_versions()
        _, inputs = self.as_tensors((), self.saved_inputs)
        # cut: without it an input that was computed from another input would be credited twice
        cut = [ops.reshape(x, x.shape) if need else x for x, need in zip(inputs, self.needs)]
        outputs = self.compose(*cut)
        used = [
            (y, g)
            for y, g in zip(outputs if type(outputs) is tuple else (outputs,), gs)
            if g is not None
        ]
        seeds = [g if isinstance(g, Tensor) else Tensor(g) for _, g in used]
        wanted = [x for x, need in zip(cut, self.needs) if need]
        grads = engine.vjp(
            [y for y, _ in used], seeds, wanted, create_graph=True, retain_graph=True
        )
        return [grads.table.get(x.slot) if need else None for x, need in zip(cut, self.needs)]
