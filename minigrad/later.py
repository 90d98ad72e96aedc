"""Modules that are loaded when they are first asked for: most programs never need them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def later(
    package: str, table: Mapping[str, str], missing: Callable[[str], Exception]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package (PEP 562).

    `table` has the modules to be loaded later, each with the names of it that the package has too;
    `missing(name)` is the error for a name that is nowhere.
    """
    homes = {name: module for module, names in table.items() for name in names.split()}

    def get(name: str) -> Any:
        if name in table:
            return import_module(f".{name}", package)
        if name not in homes:
            raise missing(name)
        found = getattr(import_module(f".{homes[name]}", package), name)
        setattr(sys.modules[package], name, found)
        return found

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *table, *homes})

    return get, names
