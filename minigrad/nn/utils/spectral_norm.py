"""Spectral normalisation as a hook before every call (Miyato et al. 2018): PyTorch's older form."""

from __future__ import annotations

from typing import Any

from ... import ops
from ...tensor import Tensor
from ..functional import normalize
from ..module import Module, Parameter
from .parametrizations import PowerMethod


class SpectralNorm:
    """weight = weight_orig / σ, computed again before every call of the module."""

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float):
        if n_power_iterations <= 0:
            raise ValueError(f"n_power_iterations is {n_power_iterations}, expected at least 1")
        self.name, self.n_power_iterations, self.dim, self.eps = name, n_power_iterations, dim, eps

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Tensor:
        parts = [getattr(module, f"{self.name}_{part}") for part in ("orig", "u", "v")]
        weight, u, v = parts
        W = PowerMethod.matrix(weight, self.dim)
        if do_power_iteration:
            for _ in range(self.n_power_iterations):
                v.data.copy_(normalize(W.detach().mT @ u, dim=0, eps=self.eps))
                u.data.copy_(normalize(W.detach() @ v, dim=0, eps=self.eps))
        return weight / ops.dot(u.clone(), W @ v.clone())

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide a weight by its largest singular value: of `name` come `name_orig`, `_u` and `_v`."""
    if _found(module, name) is not None:
        raise RuntimeError(f"{name} of this {type(module).__name__} is normalised already")
    if dim is None:
        dim = 1 if "ConvTranspose" in type(module).__name__ else 0
    hook, weight = SpectralNorm(name, n_power_iterations, dim, eps), getattr(module, name)
    W = PowerMethod.matrix(weight.detach(), dim)
    delattr(module, name)
    module.register_parameter(f"{name}_orig", Parameter(weight.detach()))
    vars(module)[name] = weight.detach()
    for part, size in zip("uv", W.shape):
        start = ops.randn(size, dtype=W.dtype, device=W.device)
        module.register_buffer(f"{name}_{part}", normalize(start, dim=0, eps=eps))
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Undo `spectral_norm`: the present weight becomes a parameter again."""
    key = _found(module, name)
    if key is None:
        raise ValueError(f"{name} of this {type(module).__name__} is not normalised")
    weight = module._forward_pre_hooks.pop(key).function.compute_weight(module, False)
    for n in (name, f"{name}_orig", f"{name}_u", f"{name}_v"):
        delattr(module, n)
    module.register_parameter(name, Parameter(weight.detach()))
    return module


def _found(module: Module, name: str) -> Any:
    """The key of the hook that normalises `name`, or None."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook.function, SpectralNorm) and hook.function.name == name:
            return key
    return None
