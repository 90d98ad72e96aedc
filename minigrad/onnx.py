"""There is no graph export; the module exists so that programs which only import it run."""

from __future__ import annotations

from typing import Any


def export(*args: Any, **kwargs: Any) -> None:
    raise NotImplementedError(
        "ONNX export is out of scope: minigrad.save and safetensors store a model's state"
    )
