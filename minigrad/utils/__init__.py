"""Tools around training: `data` feeds a model."""

from ..later import later as _later

__getattr__, __dir__ = _later(
    __name__,
    {"data": ""},  # which loads what it takes to start processes
    lambda name: AttributeError(f"module 'minigrad.utils' has no attribute {name!r}"),
)
