"""`nn.modules.Module`, as older programs write: minigrad.nn under a second name."""

import sys
from typing import Any


def __getattr__(name: str) -> Any:
    return getattr(sys.modules[__package__], name)
