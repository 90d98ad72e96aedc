"""Weight normalisation as a hook before every call (Salimans & Kingma 2016)."""

from __future__ import annotations

import warnings
from typing import Any

from ... import ops
from ...tensor import Tensor
from ..module import Module, Parameter


def norm_except_dim(v: Tensor, dim: int) -> Tensor:
    """The Euclidean norm over all dimensions but `dim`, kept with size 1; over all with -1."""
    others = tuple([d for d in range(v.ndim) if d != dim])
    return ops.sqrt(ops.sum(v * v, others, keepdim=dim != -1))


class WeightNorm:
    """weight = g v / ‖v‖, computed again before every call of the module."""

    def __init__(self, name: str, dim: int):
        self.name, self.dim = name, dim

    def compute_weight(self, module: Module) -> Tensor:
        g, v = getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v")
        return v * (g / norm_except_dim(v, self.dim))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Train the length and the direction of a weight apart: `name` becomes `name_g` and `name_v`.

    The norm is taken for each index of `dim`, or over the whole weight with dim=None.
    """
    warnings.warn("PyTorch is to remove this form of weight_norm", FutureWarning, stacklevel=2)
    if _found(module, name) is not None:
        raise RuntimeError(f"{name} of this {type(module).__name__} is normalised already")
    hook, weight = WeightNorm(name, -1 if dim is None else dim), getattr(module, name)
    delattr(module, name)
    norm = norm_except_dim(weight.detach(), hook.dim)
    module.register_parameter(f"{name}_g", Parameter(norm))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    hook(module, ())
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Undo `weight_norm`: the present weight becomes a parameter again."""
    key = _found(module, name)
    if key is None:
        raise ValueError(f"{name} of this {type(module).__name__} is not normalised")
    weight = module._forward_pre_hooks.pop(key).function.compute_weight(module)
    for n in (name, f"{name}_g", f"{name}_v"):
        delattr(module, n)
    module.register_parameter(name, Parameter(weight.detach()))
    return module


def _found(module: Module, name: str) -> Any:
    """The key of the hook that normalises `name`, or None."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook.function, WeightNorm) and hook.function.name == name:
            return key
    return None
