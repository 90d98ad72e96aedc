"""Adam and its family: steps by a decaying mean of the gradient over one of its size."""

from __future__ import annotations

import math
from typing import Any

from ..backend import backend_of, kernels_for, module_of
from ..tensor import Tensor
from .optimizer import ParamsT, PerParameter, count, mix, options, scalar


class Moments(PerParameter):
    """Base of the family: m and v, the decaying means of g and of g²."""

    arrays: tuple[str, ...] = ("exp_avg", "exp_avg_sq")

    def entries(self, group):
        return self.arrays if group.get("amsgrad") else Moments.arrays

    def moments(self, g, state, betas, s) -> tuple[Any, Any]:
        """m and v, with g in them."""
        xp, m, v = module_of(g), state["exp_avg"], state["exp_avg_sq"]
        mix(m, g, betas[0], s, xp)
        xp.multiply(g, g, out=s)
        mix(v, s, betas[1], s, xp)
        return m, v


class Adam(Moments):
    """x ← x - lr m̂ / (√v̂ + ε) with m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ) (Kingma & Ba 2015).

    `amsgrad` takes the largest v so far (Reddi et al. 2018).
    """

    arrays = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ):
        super().__init__(params, options(locals()))

    def check(self, group):
        if group["foreach"] and any(isinstance(x, Tensor) for x in (group["lr"], *group["betas"])):
            raise ValueError("foreach=True takes no Tensors for lr and betas: leave foreach out")
        super().check(group)

    def numbers(self, state, lr, group):
        t, (beta1, beta2) = count(state), group["betas"]
        root = math.sqrt(1 - beta2**t)  # √v / root + ε = (√v + ε root) / root: a pass less
        return group["betas"], group["eps"] * root, lr * root / (1 - beta1**t)

    def launch(self, jobs, decay, ascend, shrink):
        own = type(self)
        if own.update is not Adam.update or own.moments is not Moments.moments:
            return jobs  # a subclass with a rule of its own
        if not any([backend_of(job.x).kernels for job in jobs]):
            return jobs
        others, alike, met = [], {}, set()
        for job in jobs:
            kernels, place = kernels_for(job.x, *job.state.values()), id(job.x)
            if kernels is None or place in met:  # given twice: one after the other
                others.append(job)
                continue
            met.add(place)
            g = module_of(job.x, job.g).ascontiguousarray(job.g)
            moments = [job.state.get(name) for name in Adam.arrays]
            kind = kernels, job.x.dtype, job.numbers
            alike.setdefault(kind, []).append((job.x, g, *moments))
        for (kernels, dtype, (betas, eps, lr)), tensors in alike.items():
            shares = [share for beta in betas for share in (beta, 1 - beta)]
            numbers = [*shares, eps, lr, -1 if ascend else 1, decay, shrink]
            for size, table in kernels.tables(dtype, tensors):
                # floats, neither NumPy's nor integers
                kernels("adam.adam", dtype, size, table, *map(float, numbers))
        return others

    def update(self, x, g, state, numbers, s):
        (betas, eps, lr), xp = numbers, module_of(x)
        m, v = self.moments(g, state, betas, s)
        if "max_exp_avg_sq" in state:
            largest = state["max_exp_avg_sq"]
            v = xp.maximum(largest, v, out=largest)
        xp.sqrt(v, out=s)
        s += eps
        xp.divide(m, s, out=s)
        s *= lr
        x -= s


class AdamW(Adam):
    """Adam with x ← (1 - lr weight_decay) x before each step instead of a penalty in the gradient
    (Loshchilov & Hutter 2019).
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        super().__init__(params, **options(locals()), decoupled_weight_decay=True)


class Adamax(PerParameter):
    """x ← x - lr m̂ / u with u = max(β₂ u, |g| + ε): Adam in the infinity norm (Kingma & Ba 2015,
    section 7).
    """

    arrays = ("exp_avg", "exp_inf")

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ):
        super().__init__(params, options(locals()))

    def numbers(self, state, lr, group):
        t, (beta1, beta2) = count(state), group["betas"]
        return beta1, beta2, group["eps"], lr / (1 - beta1**t)

    def update(self, x, g, state, numbers, s):
        xp, (beta1, beta2, eps, lr) = module_of(x), numbers
        m, u = state["exp_avg"], state["exp_inf"]
        mix(m, g, beta1, s, xp)
        xp.absolute(g, out=s)
        s += eps
        u *= beta2
        xp.maximum(u, s, out=u)
        xp.divide(m, u, out=s)
        s *= lr
        x -= s


class NAdam(Moments):
    """Adam with Nesterov's momentum: the step mixes g and the m of the step to come, by a schedule
    of momenta μ that grows towards β₁ (Dozat 2016).
    """

    scalars, scratch = ("step", "mu_product"), 2

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ):
        super().__init__(params, options(locals()))

    def start(self, name, x, group):
        return scalar(1) if name == "mu_product" else super().start(name, x, group)

    def numbers(self, state, lr, group):
        t, (beta1, beta2) = count(state), group["betas"]
        mu, mu_next = [
            beta1 * (1 - 0.5 * 0.96 ** (step * group["momentum_decay"])) for step in (t, t + 1)
        ]
        state["mu_product"] *= mu
        product, root = float(state["mu_product"]), math.sqrt(1 - beta2**t)
        of_g = lr * root * (1 - mu) / (1 - product)
        of_m = lr * root * mu_next / (1 - product * mu_next)
        return group["betas"], group["eps"] * root, of_g, of_m

    def update(self, x, g, state, numbers, s, d):
        xp, (betas, eps, of_g, of_m) = module_of(x), numbers
        m, v = self.moments(g, state, betas, s)
        xp.sqrt(v, out=s)
        s += eps
        for part, share in ((g, of_g), (m, of_m)):
            xp.divide(part, s, out=d)
            d *= share
            x -= d


class RAdam(Moments):
    """Adam whose step is rectified by the variance of 1 / √v̂, and which waits with dividing by √v̂
    until that variance is finite (Liu et al. 2020).
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ):
        super().__init__(params, options(locals()))

    def numbers(self, state, lr, group):
        t, (beta1, beta2) = count(state), group["betas"]
        lr = lr / (1 - beta1**t)
        end = 2 / (1 - beta2) - 1
        length = end - 2 * t * beta2**t / (1 - beta2**t)  # of the moving average, ρ in the paper
        if length <= 5:
            return group["betas"], None, lr
        rectified = (length - 4) * (length - 2) * end / ((end - 4) * (end - 2) * length)
        return group["betas"], group["eps"], lr * math.sqrt(rectified * (1 - beta2**t))

    def update(self, x, g, state, numbers, s):
        xp, (betas, eps, lr) = module_of(x), numbers
        m, v = self.moments(g, state, betas, s)
        if eps is None:
            xp.multiply(m, lr, out=s)
        else:
            xp.sqrt(v, out=s)
            s += eps
            xp.divide(m, s, out=s)
            s *= lr
        x -= s
