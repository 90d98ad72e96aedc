from __future__ import annotations

from ..backend import module_of
from .optimizer import Optimizer


class SGD(Optimizer):
    """x ← x - lr v with v ← momentum v + (1 - dampening) g; the first v is g (Sutskever et al. 2013
    for Nesterov).
    """

    def __init__(
        self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False
    ):
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("nesterov needs a momentum above 0 and no dampening")
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
        )

    def check(self, group):
        super().check(group)
        if not group["momentum"] >= 0:
            raise ValueError(f"momentum is {group['momentum']}, expected a number of at least 0")

    def update(self, x, g, state, group):
        if group["weight_decay"]:
            g = g + group["weight_decay"] * x
        if group["momentum"]:
            if "momentum_buffer" not in state:
                v = state["momentum_buffer"] = module_of(x).array(g)
            else:
                v = state["momentum_buffer"]
                v *= group["momentum"]
                v += (1 - group["dampening"]) * g
            g = g + group["momentum"] * v if group["nesterov"] else v
        x -= group["lr"] * g
