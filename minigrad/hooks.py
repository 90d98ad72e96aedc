"""Handles of registered hooks."""

from __future__ import annotations

import itertools
import weakref
from typing import Any

_ids = itertools.count()


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook out again, as does leaving a
    `with` block.
    """

    def __init__(self, hooks: dict, hook: Any, *, first: bool = False):
        self.id = next(_ids)
        hooks[self.id] = hook
        if first:  # before those that are there
            for key in list(hooks)[:-1]:
                hooks[key] = hooks.pop(key)
        self.hooks = weakref.ref(hooks)

    def remove(self) -> None:
        hooks = self.hooks()
        if hooks is not None:
            hooks.pop(self.id, None)

    # a copy of a model has copies of its hooks: the handle in it follows them
    def __getstate__(self) -> tuple:
        return self.id, self.hooks()

    def __setstate__(self, state: tuple) -> None:
        self.id, hooks = state
        self.hooks = weakref.ref(Hooks() if hooks is None else hooks)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.remove()


class Hooks(dict):
    """Hooks by number, in the order of their registration; a dict that can be weakly referenced."""
