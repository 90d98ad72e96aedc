"""Steps of their own for every weight, from the sizes or the signs of its past gradients."""

from __future__ import annotations

from ..backend import module_of
from ..tensor import Tensor, wrap
from .optimizer import ParamsT, PerParameter, mix, number, options, scalar, zeros


class Adagrad(PerParameter):
    """x ← x - lr g / (√s + ε) with s the sum of all squared gradients (Duchi et al. 2011), and
    lr / (1 + (t - 1) lr_decay) for lr.
    """

    arrays = ("sum",)

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        super().__init__(params, options(locals()))
        for group in self.param_groups:
            for p in group["params"]:  # PyTorch's, too, has its state from the beginning
                entries = self.start(p.array, group).items()
                self.state[p] = {name: wrap(array) for name, array in entries}

    def start(self, x, group):
        value = group["initial_accumulator_value"]
        return {"step": scalar(0), "sum": module_of(x).full_like(x, value)}

    def update(self, x, g, state, lr, group):
        xp, total, step = module_of(x), state["sum"], float(state["step"])
        s = xp.empty_like(x)
        total += xp.multiply(g, g, out=s)
        xp.sqrt(total, out=s)
        s += group["eps"]
        xp.divide(g, s, out=s)
        s *= lr / (1 + (step - 1) * group["lr_decay"])
        x -= s

    def update_rows(self, p, g, group):
        if group["weight_decay"]:
            raise RuntimeError("Adagrad: weight_decay does not go with sparse gradients")
        state = self.state[p]
        state["step"].array += 1
        # the rule for the rows alone, in a state of these rows
        x, total = p.array[g.ids], state["sum"].array[g.ids]
        own = {"step": state["step"].array, "sum": total}
        self.update(x, -g.rows if group["maximize"] else g.rows, own, number(group["lr"]), group)
        p.array[g.ids], state["sum"].array[g.ids] = x, total


class RMSprop(PerParameter):
    """x ← x - lr g / (√v + ε) with v the decaying mean of g² (Tieleman & Hinton 2012).

    `centered` takes the variance for v (Graves 2013); `momentum` accumulates the steps.
    """

    arrays = ("square_avg", "momentum_buffer", "grad_avg")

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        super().__init__(params, options(locals()))

    def start(self, x, group):
        used = (True, group["momentum"] > 0, group["centered"])
        names = [name for name, use in zip(self.arrays, used) if use]
        return {"step": scalar(0), **zeros(x, *names)}

    def update(self, x, g, state, lr, group):
        xp, alpha, v = module_of(x), group["alpha"], state["square_avg"]
        s = xp.empty_like(x)
        xp.multiply(g, g, out=s)
        mix(v, s, alpha, s, xp)
        if group["centered"]:
            mean = state["grad_avg"]
            mix(mean, g, alpha, s, xp)
            xp.multiply(mean, mean, out=s)
            xp.subtract(v, s, out=s)
            xp.maximum(s, 0, out=s)  # rounding must not make a variance negative
            xp.sqrt(s, out=s)
        else:
            xp.sqrt(v, out=s)
        s += group["eps"]
        xp.divide(g, s, out=s)
        if group["momentum"] > 0:
            buffer = state["momentum_buffer"]
            buffer *= group["momentum"]
            buffer += s
            s[...] = buffer
        s *= lr
        x -= s


class Adadelta(PerParameter):
    """x ← x - lr d with d = g √(u + ε) / √(v + ε), v and u the decaying means of g² and of d²
    (Zeiler 2012).
    """

    arrays = ("square_avg", "acc_delta")

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        super().__init__(params, options(locals()))

    def check(self, group):
        super().check(group)
        if not 0 <= group["rho"] <= 1:
            raise ValueError(f"rho is {group['rho']}, expected a number from 0 to 1")

    def start(self, x, group):
        return {"step": scalar(0), **zeros(x, *self.arrays)}

    def update(self, x, g, state, lr, group):
        xp, rho, eps = module_of(x), group["rho"], group["eps"]
        v, u = state["square_avg"], state["acc_delta"]
        s, d = xp.empty_like(x), xp.empty_like(x)
        xp.multiply(g, g, out=s)
        mix(v, s, rho, s, xp)
        for mean, root in ((v, s), (u, d)):
            xp.add(mean, eps, out=root)
            xp.sqrt(root, out=root)
        d /= s
        d *= g
        xp.multiply(d, d, out=s)
        mix(u, s, rho, s, xp)
        d *= lr
        x -= d


class Rprop(PerParameter):
    """x ← x - η sign g, where η grows by etas[1] while g keeps its sign and shrinks by etas[0] when
    it turns; then the weight waits for one step (Riedmiller & Braun 1993). For full batches.
    """

    arrays = ("prev", "step_size")

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        super().__init__(params, options(locals()))

    def check(self, group):
        super().check(group)
        shrink, grow = group["etas"]
        if not 0 < shrink < 1 < grow:
            raise ValueError(f"etas are {group['etas']}, expected 0 < etas[0] < 1 < etas[1]")

    def start(self, x, group):
        step_size = module_of(x).full_like(x, number(group["lr"]))
        return {"step": scalar(0), **zeros(x, "prev"), "step_size": step_size}

    def update(self, x, g, state, lr, group):
        xp, before, step_size = module_of(x), state["prev"], state["step_size"]
        (shrink, grow), (least, most) = group["etas"], group["step_sizes"]
        agreement = g * before
        turned = agreement < 0
        step_size *= xp.where(turned, *[xp.full_like(x, eta) for eta in (shrink, 1)])
        step_size *= xp.where(agreement > 0, *[xp.full_like(x, eta) for eta in (grow, 1)])
        xp.clip(step_size, least, most, out=step_size)
        before[...] = g
        before *= ~turned
        x -= xp.sign(before) * step_size
