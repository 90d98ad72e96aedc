"""Parameters computed from others at each reading: `module.weight` is what a chain of modules makes
of `module.parametrizations.weight.original`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ...modes import no_grad
from ...tensor import Tensor
from ..containers import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter

_cache: ContextVar[dict | None] = ContextVar("parametrized", default=None)


@contextmanager
def cached() -> Iterator[None]:
    """Context manager under which each parametrized tensor is computed once, however often read."""
    token = _cache.set({} if _cache.get() is None else _cache.get())
    try:
        yield
    finally:
        _cache.reset(token)


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, the first one applied first, and what they start from:
    `original`, or `original0`, `original1`, ... where the first one takes several tensors.
    """

    def __init__(self, modules: list[Module], original: Tensor, unsafe: bool = False):
        super().__init__(modules)
        self.unsafe = unsafe
        with no_grad():
            starts = self._inverse(original)
        self.is_tensor = isinstance(starts, Tensor)
        self.names = ["original"] if self.is_tensor else []
        for i, start in enumerate([starts] if self.is_tensor else starts):
            name = "original" if self.is_tensor else f"original{i}"
            if not self.is_tensor:
                self.names.append(name)
            if isinstance(original, Parameter):
                if self.is_tensor and not unsafe and start.shape == original.shape:
                    original.data, start = start.detach(), original  # optimizers know this one
                else:
                    start = Parameter(start.detach(), original.requires_grad)
                self.register_parameter(name, start)
            else:
                self.register_buffer(name, start)
        self.ntensors = len(self.names)

    def _inverse(self, value: Any) -> Any:
        """What the parametrizations make `value` of, as far as they say so."""
        for module in reversed(list(self)):
            if hasattr(module, "right_inverse"):
                try:
                    value = module.right_inverse(value)
                except NotImplementedError:
                    pass
        return value

    def right_inverse(self, value: Tensor) -> None:
        """Change the originals such that the result is `value`, if the parametrizations can."""
        with no_grad():
            starts = self._inverse(value)
            for name, start in zip(self.names, [starts] if self.is_tensor else starts):
                getattr(self, name).data = start.detach().clone()

    def forward(self) -> Tensor:
        first, *rest = self
        x = first(*[getattr(self, name) for name in self.names])
        for module in rest:
            x = module(x)
        return x


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Let a parameter or buffer be computed by `parametrization`, after those it has already.

    A method `right_inverse` of it says what to start from, so that the tensor keeps its value.
    Without `unsafe`, shape and dtype must stay.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        chain = module.parametrizations[tensor_name]
        value = getattr(module, tensor_name)
        chain.append(parametrization)
        if hasattr(parametrization, "right_inverse"):
            chain.right_inverse(value)
    elif tensor_name in module._parameters or tensor_name in module._buffers:
        value = getattr(module, tensor_name)
        shape, dtype = value.shape, value.dtype
        chain = ParametrizationList([parametrization], value, unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            vars(module)["_plain_class"] = type(module)
            module.__class__ = type(f"Parametrized{type(module).__name__}", (type(module),), {})
            module.parametrizations = ModuleDict()
        setattr(type(module), tensor_name, _reader(tensor_name))
        module.parametrizations[tensor_name] = chain
        made = getattr(module, tensor_name)
        if not unsafe and (made.shape != shape or made.dtype != dtype):
            remove_parametrizations(module, tensor_name, leave_parametrized=False)
            raise ValueError(
                f"the parametrization makes {made.dtype} {tuple(made.shape)} of {tensor_name}, "
                f"which is {dtype} {tuple(shape)}: pass unsafe=True if that is meant"
            )
    else:
        raise ValueError(f"{type(module).__name__} has no parameter or buffer {tensor_name!r}")
    return module


def _reader(name: str) -> property:
    def read(self: Module) -> Tensor:
        cache = _cache.get()
        if cache is None:
            return self.parametrizations[name]()
        if (id(self), name) not in cache:
            cache[id(self), name] = self.parametrizations[name]()
        return cache[id(self), name]

    def write(self: Module, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(read, write)


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether that tensor, or any one, of the module is computed."""
    chains = module._modules.get("parametrizations")
    if not isinstance(chains, ModuleDict):
        return False
    return len(chains) > 0 if tensor_name is None else tensor_name in chains


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make the tensor a parameter or buffer again, with its present value, or with its original."""
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"{tensor_name} of this {type(module).__name__} is not parametrized")
    chain = module.parametrizations[tensor_name]
    original = getattr(chain, chain.names[0])
    if not leave_parametrized and not chain.is_tensor:
        raise ValueError(
            f"{tensor_name} comes from {chain.ntensors} tensors: leave_parametrized must be True"
        )
    if leave_parametrized:
        with no_grad():
            value = getattr(module, tensor_name)
        if chain.is_tensor and isinstance(original, Parameter):
            original.data = value
        else:
            original = type(original)(value) if isinstance(original, Parameter) else value
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = vars(module).pop("_plain_class")
    setattr(module, tensor_name, original)
    return module


def type_before_parametrizations(module: Module) -> type:
    return vars(module).get("_plain_class", type(module))
