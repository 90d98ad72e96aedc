"""Gradient descent, with momentum or with an average of its path."""

from __future__ import annotations

from ..backend import module_of
from ..tensor import Tensor
from .optimizer import ParamsT, PerParameter, count, number, options, scalar


class SGD(PerParameter):
    """x ← x - lr v with v ← momentum v + (1 - dampening) g; the first v is g (Polyak 1964;
    Sutskever et al. 2013 for Nesterov).
    """

    scalars, arrays = (), ("momentum_buffer",)

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        super().__init__(params, options(locals()))

    def check(self, group):
        super().check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("nesterov needs a momentum above 0 and no dampening")

    def entries(self, group):
        return self.arrays if group["momentum"] else ()

    def numbers(self, state, lr, group):
        damping = group["dampening"] if "momentum_buffer" in state else 0
        return lr, group["momentum"], 1 - damping, group["nesterov"]

    def update(self, x, g, state, numbers, s):
        xp, (lr, momentum, share, nesterov) = module_of(x), numbers
        if state:
            v = state["momentum_buffer"]
            v *= momentum
            v += g if share == 1 else xp.multiply(g, share, out=s)
        if not state:
            xp.multiply(g, lr, out=s)
        elif nesterov:
            xp.multiply(v, momentum, out=s)
            s += g
            s *= lr
        else:
            xp.multiply(v, lr, out=s)
        x -= s

    def update_rows(self, p, g, group):
        if group["weight_decay"]:
            raise RuntimeError("SGD: weight_decay does not go with sparse gradients")
        if group["momentum"]:  # which goes on in the rows that are not read
            sparse, p.grad = p.grad, g.to_dense()
            self._advance([p], group)
            p.grad = sparse
            return
        lr = number(group["lr"])
        p.array[g.ids] -= (-lr if group["maximize"] else lr) * g.rows


class ASGD(PerParameter):
    """x ← (1 - λη) x - ηg with η = lr / (1 + λ lr t)^α, and `ax` in the state, the average of x
    from step t0 on (Polyak & Juditsky 1992).
    """

    scalars, arrays = ("step", "eta", "mu"), ("ax",)

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ):
        super().__init__(params, options(locals()))

    def start(self, name, x, group):
        first = {"eta": number(group["lr"]), "mu": 1}
        return scalar(first[name]) if name in first else super().start(name, x, group)

    def numbers(self, state, lr, group):
        step, eta, mu = count(state), float(state["eta"]), float(state["mu"])
        state["eta"][...] = lr / (1 + group["lambd"] * lr * step) ** group["alpha"]
        state["mu"][...] = 1 / max(1, step - group["t0"])
        return eta, 1 - group["lambd"] * eta, mu

    def update(self, x, g, state, numbers, s):
        xp, average, (eta, shrink, mu) = module_of(x), state["ax"], numbers
        x *= shrink
        x -= xp.multiply(g, eta, out=s)
        if mu == 1:
            average[...] = x
        else:
            xp.subtract(x, average, out=s)
            s *= mu
            average += s
