"""A module called with other parameters than its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...tensor import Tensor
from ..module import Module


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`module(*args, **kwargs)` with tensors by dotted name in the place of its parameters and
    buffers, through which gradients flow.

    `strict` wants all names, and no others; else the rest stay the module's own, and other names
    are passed over. With `tie_weights` a tensor also replaces what its parameter is tied to.
    """
    given = parameter_and_buffer_dicts
    if not isinstance(given, Mapping):
        given = {name: x for part in given for name, x in part.items()}
    places = _places(module)
    swaps = {name: x for name, x in given.items() if name in places}
    if strict and not given.keys() == places.keys():
        unknown, missing = given.keys() - places.keys(), places.keys() - given.keys()
        raise RuntimeError(
            f"functional_call: unexpected names {sorted(unknown)}, missing ones {sorted(missing)}"
        )
    if tie_weights:
        by_tensor = {id(_look(places[name])): x for name, x in swaps.items()}
        for name, place in places.items():
            if id(_look(place)) in by_tensor:
                swaps.setdefault(name, by_tensor[id(_look(place))])
    before = {name: _look(places[name]) for name in swaps}
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    try:
        for name, x in swaps.items():
            registry, key = places[name]
            registry[key] = x
        return module(*args, **(kwargs or {}))
    finally:
        for name, x in before.items():
            registry, key = places[name]
            registry[key] = x


def _places(module: Module) -> dict[str, tuple[dict, str]]:
    """By dotted name, the dictionary that holds a parameter or buffer, and its key there."""
    return {
        f"{path}.{name}" if path else name: (registry, name)
        for path, part in module.named_modules(remove_duplicate=False)
        for registry in (part._parameters, part._buffers)
        for name, x in registry.items()
        if x is not None
    }


def _look(place: tuple[dict, str]) -> Tensor:
    registry, key = place
    return registry[key]
