from __future__ import annotations

import math

from ..backend import module_of
from .optimizer import Optimizer


class Adam(Optimizer):
    """Steps by the ratio of the gradient's mean to its root mean square, both debiased (Kingma & Ba
    2015).
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay)

    def check(self, group):
        super().check(group)
        betas = group["betas"]
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas are {group['betas']}, expected two numbers from 0 to below 1")

    def update(self, x, g, state, group):
        xp = module_of(x)
        if not state:
            state.update(step=0, exp_avg=xp.zeros_like(x), exp_avg_sq=xp.zeros_like(x))
        if group["weight_decay"]:
            g = g + group["weight_decay"] * x
        (beta1, beta2), m, v = group["betas"], state["exp_avg"], state["exp_avg_sq"]
        state["step"] += 1
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        scratch = xp.empty_like(x)
        xp.multiply(g, g, out=scratch)
        scratch *= 1 - beta2
        v += scratch
        xp.sqrt(v, out=scratch)
        scratch /= math.sqrt(1 - beta2 ** state["step"])
        scratch += group["eps"]
        xp.divide(m, scratch, out=scratch)
        scratch *= group["lr"] / (1 - beta1 ** state["step"])
        x -= scratch
