"""Module: a tree of parameters, in the order of their definition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..ops import as_tensor
from ..tensor import Tensor, _fill


class Parameter(Tensor):
    """A Tensor that a Module registers and an optimizer trains."""

    def __init__(self, data: Any, requires_grad: bool = True):
        data = as_tensor(data)
        _fill(self, data.array, None, data.version)
        self.requires_grad_(requires_grad)


class Module:
    """Base of all layers and models: assign Parameters and Modules as attributes, define `forward`.

    Buffers (`register_buffer`) are saved with the parameters but not trained.
    """

    def __init__(self) -> None:
        self.training = True
        self._buffers: set[str] = set()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no forward()")

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, (Parameter, Module)) and "training" not in vars(self):
            raise AttributeError(
                f"call super().__init__() before assigning {name!r} to a {type(self).__name__}"
            )
        super().__setattr__(name, value)

    def register_buffer(self, name: str, tensor: Tensor) -> None:
        setattr(self, name, tensor)
        self._buffers.add(name)

    # walking the tree: attributes keep their order of assignment, so nothing is stored twice

    def named_children(self) -> Iterator[tuple[str, Module]]:
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def children(self) -> Iterator[Module]:
        return (child for _, child in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator[Module]:
        return (module for _, module in self.named_modules())

    def _named_tensors(self, wanted: Any) -> Iterator[tuple[str, Tensor]]:
        for prefix, module in self.named_modules():
            for name, value in vars(module).items():
                if wanted(module, name, value):
                    yield (f"{prefix}.{name}" if prefix else name), value

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Names and parameters, each parameter once even if it is tied to several names."""
        seen: set[int] = set()
        for name, p in self._named_tensors(
            lambda module, name, value: isinstance(value, Parameter)
        ):
            if id(p) not in seen:
                seen.add(id(p))
                yield name, p

    def parameters(self) -> Iterator[Parameter]:
        return (p for _, p in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        return self._named_tensors(lambda module, name, value: name in module._buffers)

    # modes

    def train(self, mode: bool = True) -> Module:
        """Training mode (dropout on) for this module and all below it."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        return self.train(False)

    def zero_grad(self) -> None:
        for p in self.parameters():
            p.grad = None

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def to(self, *targets: Any, device: str | None = None, dtype: Any = None) -> Module:
        """Move or convert all parameters and buffers; the Parameter objects stay the same."""
        for _, x in [*self.named_parameters(), *self.named_buffers()]:
            y = x.detach().to(*targets, device=device, dtype=dtype)
            if y.is_floating_point() and not x.is_floating_point():
                # counts and masks keep their type, only their place changes
                y = y.to(dtype=x.dtype)
            x.array = y.array
            x.changed()
            if x.grad is not None:
                x.grad = x.grad.detach().to(*targets, device=device, dtype=dtype)
        return self

    def double(self) -> Module:
        return self.to(dtype=np.float64)

    # state

    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and buffers under their dotted names, sharing memory with the module."""

        def wanted(module: Module, name: str, value: Any) -> bool:
            return isinstance(value, Parameter) or name in module._buffers

        return {name: x.detach() for name, x in self._named_tensors(wanted)}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Copy values in, onto each parameter's device and dtype; nothing is changed if anything
        does not fit.

        Raises RuntimeError with the missing, unexpected and wrongly shaped names. `strict=False`
        ignores missing and unexpected names.
        """
        own = self.state_dict()
        missing = [name for name in own if name not in state]
        unexpected = [name for name in state if name not in own]
        misfits = [
            f"{name}: {tuple(np.shape(state[name]))} given, {tuple(x.shape)} expected"
            for name, x in own.items()
            if name in state and tuple(np.shape(state[name])) != tuple(x.shape)
        ]
        problems = [f"wrong shapes: {'; '.join(misfits)}"] if misfits else []
        if strict:
            problems += [f"missing: {', '.join(missing)}"] if missing else []
            problems += [f"unexpected: {', '.join(unexpected)}"] if unexpected else []
        if problems:
            raise RuntimeError(
                f"the state does not fit {type(self).__name__}; " + "; ".join(problems)
            )
        values = {
            name: as_tensor(state[name]).detach().to(device=x.device, dtype=x.dtype)
            for name, x in own.items()
            if name in state
        }
        for name, value in values.items():
            own[name].copy_(value)

    # looks

    def extra_repr(self) -> str:
        """The arguments to show inside the parentheses."""
        return ""

    def __repr__(self) -> str:
        lines = [
            f"({name}): " + repr(child).replace("\n", "\n  ")
            for name, child in self.named_children()
        ]
        if not lines:
            return f"{type(self).__name__}({self.extra_repr()})"
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"
