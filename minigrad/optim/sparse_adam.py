"""Adam for gradients that hold only rows."""

from __future__ import annotations

import math

from ..backend import module_of
from ..tensor import Tensor, wrap
from .optimizer import ParamsT, PerParameter, number, options


class SparseAdam(PerParameter):
    """Adam (Kingma & Ba 2015) on the rows that the gradient holds: the means m and v of a row decay
    only when it is read, x ← x - lr √(1 - β2ᵗ) / (1 - β1ᵗ) m / (√v + ε) with t the count of steps.
    """

    scalars, arrays = (), ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ):
        super().__init__(params, options(locals()))

    def check(self, group):
        super().check(group)
        for name in ("lr", "eps"):
            if number(group[name], name) <= 0:
                raise ValueError(f"{name} is {group[name]}, expected a number above 0")

    def update(self, x, g, state, numbers, *scratch):
        raise RuntimeError(
            "SparseAdam does not take dense gradients: use Adam, or sparse=True in the embedding"
        )

    def update_rows(self, p, g, group):
        xp, state = module_of(p.array), self.state[p]
        if not state:
            state["step"] = 0
            state.update({name: wrap(xp.zeros_like(p.array)) for name in self.arrays})
        state["step"] += 1
        rows = -g.rows if group["maximize"] else g.rows
        means = []
        for name, beta, new in zip(self.arrays, group["betas"], (rows, rows * rows)):
            mean = state[name].array[g.ids]
            mean += (1 - beta) * (new - mean)
            state[name].array[g.ids] = mean
            means.append(mean)
        m, v = means
        d = xp.sqrt(v, out=v)
        d += group["eps"]
        xp.divide(m, d, out=d)
        first, second = [1 - beta ** state["step"] for beta in group["betas"]]
        d *= number(group["lr"]) * math.sqrt(second) / first
        p.array[g.ids] -= d
