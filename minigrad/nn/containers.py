"""Modules that hold modules, and modules that hold parameters: lists and dictionaries of them."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any

from ..tensor import Tensor
from .module import Module, _block
from .parameter import Parameter


def _position(index: Any, length: int) -> int:
    """An index counted from the front; IndexError outside of the list."""
    index = operator.index(index)
    if not -length <= index < length:
        raise IndexError(f"index {index} is out of range")
    return index % length


class _Modules(Module):
    """What Sequential and ModuleList share: children in order, reached by number."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def _name(self, index: Any) -> str:
        return list(self._modules)[_position(index, len(self))]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._part(index)
        return self._modules[self._name(index)]

    def __setitem__(self, index: Any, module: Module) -> None:
        setattr(self, self._name(index), module)

    def __delitem__(self, index: Any) -> None:
        names = list(self._modules)[index] if isinstance(index, slice) else [self._name(index)]
        for name in names:
            del self._modules[name]
        self._number(self)

    def _number(self, modules: Iterable[Module]) -> None:
        self._modules = {str(i): module for i, module in enumerate(list(modules))}

    def append(self, module: Module) -> Any:
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        if not isinstance(modules, Iterable):
            raise TypeError(
                f"{self._get_name()}.extend should be called with an iterable, but got "
                f"{type(modules).__name__}"
            )
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        if not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        modules = list(self)
        modules.insert(index, module)
        self._number(modules)
        return self

    def pop(self, index: Any = -1) -> Any:
        module = self[index]
        del self[index]
        return module

    def __iadd__(self, other: Iterable[Module]) -> Any:
        return self.extend(other)


class Sequential(_Modules):
    """Modules one after the other; each gets what the one before returned.

    From modules, or from an OrderedDict of names and modules.
    """

    def __init__(self, *args: Any):
        super().__init__()
        named = len(args) == 1 and isinstance(args[0], OrderedDict)
        for name, module in args[0].items() if named else enumerate(args):
            self.add_module(name if named else str(name), module)

    def forward(self, input: Any) -> Any:
        for module in self:
            input = module(input)
        return input

    def _part(self, index: slice) -> Sequential:
        return type(self)(OrderedDict(list(self._modules.items())[index]))

    def insert(self, index: int, module: Module) -> Sequential:
        if not -len(self) <= index <= len(self):
            raise IndexError(f"index {index} is out of range")
        return super().insert(index, module)

    def __add__(self, other: Sequential) -> Sequential:
        _only_sequential(other)
        return Sequential(*self, *other)

    def __iadd__(self, other: Sequential) -> Sequential:
        _only_sequential(other)
        return self.extend(other)

    def __mul__(self, times: int) -> Sequential:
        return Sequential(*list(self) * _times(times))

    __rmul__ = __mul__

    def __imul__(self, times: int) -> Sequential:
        modules = list(self)
        for _ in range(_times(times) - 1):
            self.extend(modules)
        return self


def _only_sequential(other: Any) -> None:
    if not isinstance(other, Sequential):
        raise ValueError(
            f"only a Sequential can be added to a Sequential, but {type(other)} is given"
        )


def _times(times: Any) -> int:
    if not isinstance(times, int):
        raise TypeError(f"a Sequential is repeated an int of times, not {type(times)}")
    if times < 1:
        raise ValueError(f"a Sequential is repeated at least once, not {times} times")
    return times


class ModuleList(_Modules):
    """A list whose modules are registered; it has no forward of its own."""

    def __init__(self, modules: Iterable[Module] | None = None):
        super().__init__()
        self.extend(() if modules is None else modules)

    def _part(self, index: slice) -> ModuleList:
        return type(self)(list(self)[index])

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __repr__(self) -> str:
        """Equal neighbours are shown once, with their number."""
        runs: list[list] = []  # first, last, text
        for i, module in enumerate(self):
            if runs and runs[-1][2] == repr(module):
                runs[-1][1] = i
            else:
                runs.append([i, i, repr(module)])
        lines = [
            f"({a}): {text}" if a == b else f"({a}-{b}): {b - a + 1} x {text}"
            for a, b, text in runs
        ]
        return _block(self._get_name(), [], lines)


class _Dict(Module, MutableMapping):
    """A dictionary in a module: compared and hashed as a module."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__


class ModuleDict(_Dict):
    """A dictionary whose modules are registered, in the order of their insertion."""

    def __init__(self, modules: Any = None):
        super().__init__()
        self.update(() if modules is None else modules)

    def __getitem__(self, key: str) -> Module:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


class _Values(Module):
    """Tensors, which become Parameters, and values of other kinds, as attributes `_keys`."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def _put(self, key: str, value: Any) -> None:
        setattr(self, key, Parameter(value) if type(value) is Tensor else value)
        self._keys[key] = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"{self._get_name()} should not be called.")

    def extra_repr(self) -> str:
        return "\n".join([f"  ({key}): {_description(getattr(self, key))}" for key in self._keys])


class ParameterList(_Values):
    """A list whose tensors are registered as Parameters."""

    def __init__(self, values: Iterable[Any] | None = None):
        super().__init__()
        self.extend(() if values is None else values)

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, key) for key in list(self._keys))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return getattr(self, str(_position(index, len(self))))

    def __setitem__(self, index: Any, value: Any) -> None:
        self._put(str(_position(index, len(self))), value)

    def append(self, value: Any) -> ParameterList:
        self._put(str(len(self)), value)
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(
                f"ParameterList.extend should be called with an iterable, but got "
                f"{type(values).__name__}"
            )
        for value in list(values):
            self.append(value)
        return self

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:
        return self.extend(values)


class ParameterDict(_Values, _Dict):
    """A dictionary whose tensors are registered as Parameters, in the order of their insertion."""

    def __init__(self, parameters: Any = None):
        super().__init__()
        self.update(() if parameters is None else parameters)

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"a key of a ParameterDict is a string, not {type(key).__name__}")
        self._put(key, value)

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._keys)

    def popitem(self) -> tuple[str, Any]:
        key = next(reversed(self))
        return key, self.pop(key)

    def copy(self) -> ParameterDict:
        return ParameterDict(self)

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        return ParameterDict(dict.fromkeys(keys, default))

    def __or__(self, other: Any) -> ParameterDict:
        return ParameterDict({**self, **other})

    def __ror__(self, other: Any) -> ParameterDict:
        return ParameterDict({**other, **self})

    def __ior__(self, other: Any) -> ParameterDict:
        self.update(other)
        return self


def _description(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"Object of type: {type(value).__name__}"
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    place = "" if value.device == "cpu" else f" ({value.device})"
    size = "x".join(map(str, value.shape))
    return f"{kind} containing: [minigrad.{value.dtype.name} of size {size}{place}]"
