"""Optimizer: parameter groups, state, and one step for every parameter that has a gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..modes import enable_grad
from ..tensor import Tensor, wrap


class Optimizer:
    """Base of all optimizers. A subclass gives `update`, the rule for one parameter.

    `params` is an iterable of Tensors, or of dicts {"params": ..., option: value} with options of
    their own.
    """

    def __init__(self, params: Iterable[Any], **defaults: Any):
        entries = [params] if isinstance(params, Tensor) else list(params)
        if not entries:
            raise ValueError("the optimizer was given no parameters")
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        for group in entries if isinstance(entries[0], dict) else [{"params": entries}]:
            self.add_param_group(group)

    def add_param_group(self, group: dict[str, Any]) -> None:
        params = group["params"]
        group = {
            **self.defaults,
            **group,
            "params": [params] if isinstance(params, Tensor) else list(params),
        }
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for p in group["params"]:
            if not isinstance(p, Tensor) or not p.is_leaf:
                raise ValueError(
                    "an optimizer trains leaf Tensors; this is a computed one or no Tensor at all"
                )
            if id(p) in known:
                raise ValueError(f"a parameter of shape {tuple(p.shape)} was given twice")
            known.add(id(p))
        self.check(group)
        self.param_groups.append(group)

    def check(self, group: dict[str, Any]) -> None:
        """Refuse options that make no sense, by name."""
        for name in ("lr", "weight_decay", "eps"):
            value = group.get(name, 0)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value}, expected a number of at least 0")

    def zero_grad(self, set_to_none: bool = True) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none or p.grad is None:
                    p.grad = None
                else:
                    p.grad.zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient, once; returns what `closure` returns."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p.array, p.grad.array, self.state.setdefault(p, {}), group)
                    p.changed()
        return loss

    def update(self, x: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Change the array x by its gradient g; `g` must stay as it is."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """State and options, parameters by number, arrays on the host: plain data, ready to be
        stored.
        """
        numbers = {
            id(p): n for n, p in enumerate(p for g in self.param_groups for p in g["params"])
        }
        groups = []
        for group in self.param_groups:
            options = {name: value for name, value in group.items() if name != "params"}
            groups.append({**options, "params": [numbers[id(p)] for p in group["params"]]})
        state = {}
        for p, values in self.state.items():
            state[numbers[id(p)]] = {
                name: wrap(value).to_numpy().copy() if hasattr(value, "shape") else value
                for name, value in values.items()
            }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a `state_dict` of an optimizer over the same parameters in order."""
        groups = state_dict["param_groups"]
        sizes = [len(g["params"]) for g in groups]
        own = [len(g["params"]) for g in self.param_groups]
        if sizes != own:
            raise ValueError(
                f"the state is for groups of {sizes} parameters, this optimizer has groups of {own}"
            )
        params = [p for g in self.param_groups for p in g["params"]]
        state: dict[Tensor, dict[str, Any]] = {}
        for number, values in state_dict["state"].items():
            p = params[int(number)]
            state[p] = {}
            for name, value in values.items():
                value = value.to_numpy() if isinstance(value, Tensor) else value
                if isinstance(value, np.ndarray):
                    if value.shape != p.shape:
                        raise ValueError(
                            f"state {name!r} has shape {value.shape}, "
                            f"its parameter {tuple(p.shape)}"
                        )
                    value = wrap(value.copy()).to(p.device).array
                state[p][name] = value
        self.state = state
        for group, saved in zip(self.param_groups, groups):
            group.update({name: value for name, value in saved.items() if name != "params"})
