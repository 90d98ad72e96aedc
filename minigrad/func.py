"""A module as a function of its parameters."""

from __future__ import annotations

from typing import Any

from .nn.utils.stateless import functional_call
from .scope import FUNC

__all__ = ["functional_call"]


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module 'minigrad.func' has no attribute {name!r}: {FUNC}")
