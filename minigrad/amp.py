"""Mixed precision, which is out of scope: switched off, as PyTorch itself does without a GPU, its
names do nothing, so that programs which offer it run.
"""

from __future__ import annotations

import warnings
from contextlib import ContextDecorator
from typing import Any

from .backend import backend_for


def _wanted(name: str, device_type: str, enabled: bool) -> bool:
    """Whether it was really asked for: on a machine without a GPU a warning says that it is off."""
    if not enabled:
        return False
    if str(device_type).startswith("cuda") and backend_for("auto").device == "cpu":
        warnings.warn(f"{name} is enabled, but CUDA is not available: disabled", stacklevel=3)
        return False
    raise NotImplementedError(
        f"{name}: there is no mixed precision: pass enabled=False, or convert the model and its "
        "inputs with .half()"
    )


class autocast(ContextDecorator):
    """Context manager or decorator that does nothing; RuntimeError where it would have to."""

    def __init__(
        self,
        device_type: str,
        dtype: Any = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ):
        self.device, self.fast_dtype = str(device_type), dtype
        self._enabled = _wanted("autocast", device_type, enabled)

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *exc_info: object) -> None:
        return None


class GradScaler:
    """Scales no loss and no gradient: `step(optimizer)` is `optimizer.step()`."""

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        self._enabled = _wanted("GradScaler", device, enabled)

    def is_enabled(self) -> bool:
        return False

    def scale(self, outputs: Any) -> Any:
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """The gradients are not scaled."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """The scale stays 1."""

    def get_scale(self) -> float:
        return 1.0

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """There is no state."""


def is_autocast_available(device_type: str) -> bool:
    return False


def is_autocast_enabled(device_type: str | None = None) -> bool:
    return False
