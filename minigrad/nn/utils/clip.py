"""Clipping of gradients.

`foreach`, PyTorch's choice between two implementations, is taken and has nothing to choose from.
"""

from __future__ import annotations

import math
import types
import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from ...backend import backend_of
from ...tensor import Tensor, wrap


def clip_grad_norm_(
    parameters: Iterable[Tensor] | Tensor,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients so that their common norm is at most `max_norm` (Pascanu et al. 2013).

    Returns the norm before clipping. A norm that is NaN or infinite spoils all gradients, as in
    PyTorch; with `error_if_nonfinite` it raises RuntimeError and changes nothing.
    """
    max_norm = float(max_norm)
    if not max_norm >= 0:
        raise ValueError(f"max_norm is {max_norm}, expected a number of at least 0")
    if isinstance(parameters, types.GeneratorType):
        parameters = list(parameters)
        if not parameters:
            warnings.warn(
                "clip_grad_norm_: the generator is empty, nothing is clipped", stacklevel=2
            )
    grads = _gradients(parameters)
    norm = _norm(grads, norm_type, error_if_nonfinite)
    _scale(grads, max_norm, norm)
    return _as_tensor(norm, grads)


def clip_grad_norm(*args: object, **kwargs: object) -> Tensor:
    """The old name of `clip_grad_norm_`."""
    warnings.warn("clip_grad_norm is now clip_grad_norm_", FutureWarning, stacklevel=2)
    return clip_grad_norm_(*args, **kwargs)


def clip_grad_value_(
    parameters: Iterable[Tensor] | Tensor, clip_value: float, foreach: bool | None = None
) -> None:
    """Limit every element of every gradient to the range from -clip_value to clip_value."""
    clip_value = float(clip_value)
    for g in _gradients(parameters):
        xp = backend_of(g.array).xp
        xp.clip(g.array, -clip_value, clip_value, out=g.array)
        g.changed()


def get_total_norm(
    tensors: Iterable[Tensor] | Tensor,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The p-norm of all elements of all tensors together, p = norm_type."""
    tensors = _listed(tensors)
    return _as_tensor(_norm(tensors, norm_type, error_if_nonfinite), tensors)


def clip_grads_with_norm_(
    parameters: Iterable[Tensor] | Tensor,
    max_norm: float,
    total_norm: Tensor,
    foreach: bool | None = None,
) -> None:
    """The second half of `clip_grad_norm_`, with a norm that is known already."""
    _scale(_gradients(parameters), float(max_norm), float(total_norm))


def _listed(tensors: Iterable[Tensor] | Tensor) -> list[Tensor]:
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    for x in tensors:
        if not isinstance(x, Tensor):
            named = isinstance(x, tuple) and len(x) == 2 and isinstance(x[0], str)
            raise TypeError(
                f"expected tensors, got a {type(x).__name__}"
                + ("; pass parameters(), not named_parameters()" if named else "")
            )
    return tensors


def _gradients(parameters: Iterable[Tensor] | Tensor) -> list[Tensor]:
    grads = [p.grad for p in _listed(parameters) if p.grad is not None]
    return [g.coalesce_()._values() if g.is_sparse else g for g in grads]


def _norm(tensors: Sequence[Tensor], p: float, error_if_nonfinite: bool) -> float:
    """The norm of all elements, having waited for the device once; finite wherever the true norm
    fits a float64.
    """
    p = float(p)
    if not tensors:
        return 0.0
    norms = _downloaded([_power_sum(x.array, p) for x in tensors])
    if p == 2:
        for i in np.flatnonzero(~((norms > 1e-30) & (norms < math.inf))):
            # squares beyond float32: once more, in float64
            flat = tensors[i].array.reshape(-1).astype(np.float64)
            norms[i] = float(backend_of(flat).xp.dot(flat, flat))
        norm = math.sqrt(norms.sum())
    else:
        norm = float(np.linalg.norm(norms, p))
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(
            f"the norm of the gradients is {norm}: nothing was clipped; take no step, or pass "
            "error_if_nonfinite=False to scale by it all the same"
        )
    return norm


def _power_sum(array, p: float):
    """Of one array: Σ x² for p = 2, else the p-norm; a 0-d array, no waiting."""
    xp, flat = backend_of(array).xp, array.reshape(-1)
    if p == 2:
        return xp.dot(flat, flat)
    if not flat.size:
        return xp.zeros((), array.dtype)
    return xp.linalg.norm(flat, p)


def _downloaded(numbers: list) -> np.ndarray:
    """0-d arrays as one host array of float64, each device waited for once."""
    found = np.empty(len(numbers))
    by_device: dict = {}
    for i, x in enumerate(numbers):
        by_device.setdefault(backend_of(x), []).append(i)
    for backend, places in by_device.items():
        together = backend.xp.stack([backend.xp.asarray(numbers[i]) for i in places])
        found[places] = backend.download(together)
    return found


def _scale(grads: Sequence[Tensor], max_norm: float, norm: float) -> None:
    coefficient = max_norm / (norm + 1e-6)
    if coefficient >= 1:  # false for NaN too, which then spoils the gradients as in PyTorch
        return
    for g in grads:
        g.array *= coefficient
        g.changed()


def _as_tensor(norm: float, like: Sequence[Tensor]) -> Tensor:
    if not like:
        return wrap(np.asarray(norm, np.float32))
    dtype = np.result_type(*[x.array.dtype for x in like])
    return wrap(backend_of(like[0].array).upload(np.asarray(norm, dtype)))
