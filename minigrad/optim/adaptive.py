"""Steps of their own for every weight, from the sizes or the signs of its past gradients."""

from __future__ import annotations

from ..backend import module_of
from ..tensor import Tensor, wrap
from .optimizer import ParamsT, PerParameter, count, mix, number, options


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
                names = (*self.scalars, *self.arrays)
                self.state[p] = {name: wrap(self.start(name, p.array, group)) for name in names}

    def start(self, name, x, group):
        if name == "sum":
            return module_of(x).full_like(x, group["initial_accumulator_value"])
        return super().start(name, x, group)

    def numbers(self, state, lr, group):
        return lr / (1 + (count(state) - 1) * group["lr_decay"]), group["eps"]

    def update(self, x, g, state, numbers, s):
        xp, total, (lr, eps) = module_of(x), state["sum"], numbers
        total += xp.multiply(g, g, out=s)
        xp.sqrt(total, out=s)
        s += eps
        xp.divide(g, s, out=s)
        s *= lr
        x -= s

    def update_rows(self, p, g, group):
        if group["weight_decay"]:
            raise RuntimeError("Adagrad: weight_decay does not go with sparse gradients")
        state = self.state[p]
        numbers = self.numbers({"step": state["step"].array}, number(group["lr"]), group)
        # the rule for the rows alone, in a state of these rows
        x, total = p.array[g.ids], state["sum"].array[g.ids]
        rows = -g.rows if group["maximize"] else g.rows
        self.update(x, rows, {"sum": total}, numbers, module_of(x).empty_like(x))
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

    def entries(self, group):
        used = (True, group["momentum"] > 0, group["centered"])
        return [name for name, use in zip(self.arrays, used) if use]

    def numbers(self, state, lr, group):
        count(state)
        return lr, group["alpha"], group["eps"], group["momentum"]

    def update(self, x, g, state, numbers, s):
        xp, v, (lr, alpha, eps, momentum) = module_of(x), state["square_avg"], numbers
        xp.multiply(g, g, out=s)
        mix(v, s, alpha, s, xp)
        if "grad_avg" in state:
            mean = state["grad_avg"]
            mix(mean, g, alpha, s, xp)
            xp.multiply(mean, mean, out=s)
            xp.subtract(v, s, out=s)
            xp.maximum(s, 0, out=s)  # rounding must not make a variance negative
            xp.sqrt(s, out=s)
        else:
            xp.sqrt(v, out=s)
        s += eps
        xp.divide(g, s, out=s)
        if momentum > 0:
            buffer = state["momentum_buffer"]
            buffer *= momentum
            buffer += s
            xp.multiply(buffer, lr, out=s)
        else:
            s *= lr
        x -= s


class Adadelta(PerParameter):
    """x ← x - lr d with d = g √(u + ε) / √(v + ε), v and u the decaying means of g² and of d²
    (Zeiler 2012).
    """

    arrays, scratch = ("square_avg", "acc_delta"), 2

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

    def numbers(self, state, lr, group):
        count(state)
        return lr, group["rho"], group["eps"]

    def update(self, x, g, state, numbers, s, d):
        xp, (lr, rho, eps) = module_of(x), numbers
        v, u = state["square_avg"], state["acc_delta"]
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

    def start(self, name, x, group):
        if name == "step_size":
            return module_of(x).full_like(x, number(group["lr"]))
        return super().start(name, x, group)

    def numbers(self, state, lr, group):
        count(state)
        return (*group["etas"], *group["step_sizes"])

    def update(self, x, g, state, numbers, s):
        xp, before, step_size = module_of(x), state["prev"], state["step_size"]
        shrink, grow, least, most = numbers
        xp.multiply(g, before, out=s)
        turned = s < 0
        step_size *= xp.where(turned, *[xp.full_like(x, eta) for eta in (shrink, 1)])
        step_size *= xp.where(s > 0, *[xp.full_like(x, eta) for eta in (grow, 1)])
        xp.clip(step_size, least, most, out=step_size)
        xp.multiply(g, ~turned, out=before)
        xp.sign(before, out=s)
        s *= step_size
        x -= s
