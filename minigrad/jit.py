"""There is no compiler; the module exists so that programs which only import it run."""

from __future__ import annotations

from typing import Any


def _refuse(*args: Any, **kwargs: Any) -> Any:
    raise NotImplementedError(
        "jit is out of scope: models run as they are written; leave the call or decorator out"
    )


script = trace = script_method = load = save = _refuse
ScriptModule = _refuse
