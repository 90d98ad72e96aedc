"""Adam and its family: steps by a decaying mean of the gradient over one of its size."""

from __future__ import annotations

import math
from typing import Any

from ..backend import module_of
from ..tensor import Tensor
from .optimizer import ParamsT, PerParameter, mix, options, scalar, zeros


class Moments(PerParameter):
    """Base of the family: m and v, the decaying means of g and of g²."""

    arrays: tuple[str, ...] = ("exp_avg", "exp_avg_sq")

    def start(self, x, group):
        return {"step": scalar(0), **zeros(x, *Moments.arrays)}

    def moments(self, x, g, state, group) -> tuple[float, Any, Any, Any]:
        """The number of this step, m and v with g in them, and scratch memory."""
        xp, (beta1, beta2) = module_of(x), group["betas"]
        m, v, scratch = state["exp_avg"], state["exp_avg_sq"], xp.empty_like(x)
        mix(m, g, beta1, scratch, xp)
        xp.multiply(g, g, out=scratch)
        mix(v, scratch, beta2, scratch, xp)
        return float(state["step"]), m, v, scratch


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

    def update(self, x, g, state, lr, group):
        xp, (beta1, beta2) = module_of(x), group["betas"]
        t, m, v, s = self.moments(x, g, state, group)
        if group["amsgrad"]:
            if "max_exp_avg_sq" not in state:
                state["max_exp_avg_sq"] = xp.zeros_like(x)
            largest = state["max_exp_avg_sq"]
            v = xp.maximum(largest, v, out=largest)
        xp.sqrt(v, out=s)
        s /= math.sqrt(1 - beta2**t)
        s += group["eps"]
        xp.divide(m, s, out=s)
        s *= lr / (1 - beta1**t)
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

    def start(self, x, group):
        return {"step": scalar(0), **zeros(x, *self.arrays)}

    def update(self, x, g, state, lr, group):
        xp, (beta1, beta2) = module_of(x), group["betas"]
        t, m, u, s = float(state["step"]), state["exp_avg"], state["exp_inf"], xp.empty_like(x)
        mix(m, g, beta1, s, xp)
        xp.absolute(g, out=s)
        s += group["eps"]
        u *= beta2
        xp.maximum(u, s, out=u)
        xp.divide(m, u, out=s)
        s *= lr / (1 - beta1**t)
        x -= s


class NAdam(Moments):
    """Adam with Nesterov's momentum: the step mixes g and the m of the step to come, by a schedule
    of momenta μ that grows towards β₁ (Dozat 2016).
    """

    scalars = ("step", "mu_product")

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

    def start(self, x, group):
        return {**super().start(x, group), "mu_product": scalar(1)}

    def update(self, x, g, state, lr, group):
        xp, (beta1, beta2) = module_of(x), group["betas"]
        t, m, v, s = self.moments(x, g, state, group)
        mu, mu_next = [
            beta1 * (1 - 0.5 * 0.96 ** (step * group["momentum_decay"])) for step in (t, t + 1)
        ]
        state["mu_product"] *= mu
        product = float(state["mu_product"])
        xp.multiply(v, 1 / (1 - beta2**t), out=s)
        xp.sqrt(s, out=s)
        s += group["eps"]
        step = (lr * (1 - mu) / (1 - product)) * g
        step += (lr * mu_next / (1 - product * mu_next)) * m
        x -= step / s


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

    def update(self, x, g, state, lr, group):
        xp, (beta1, beta2) = module_of(x), group["betas"]
        t, m, v, s = self.moments(x, g, state, group)
        lr = lr / (1 - beta1**t)
        end = 2 / (1 - beta2) - 1
        length = end - 2 * t * beta2**t / (1 - beta2**t)  # of the moving average, ρ in the paper
        if length <= 5:
            x -= lr * m
            return
        rectified = (length - 4) * (length - 2) * end / ((end - 4) * (end - 2) * length)
        xp.sqrt(v, out=s)
        s += group["eps"]
        xp.divide(m, s, out=s)
        s *= lr * math.sqrt(rectified * (1 - beta2**t))
        x -= s
