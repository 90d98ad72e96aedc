"""Clipping of gradients.

`foreach`, PyTorch's choice between two implementations, is taken and has nothing to choose from.
"""

from __future__ import annotations

import math
import types
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from ...backend import CPU, backend_of, kernels_for, module_of
from ...kernels import BLOCKS, Doubles, Kernels
from ...tensor import Tensor, wrap


def clip_grad_norm_(
    parameters: Iterable[Tensor] | Tensor,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
    *,
    nonfinite: Literal["raise", "skip"] | None = None,
) -> Tensor:
    """Scale all gradients so that their common norm is at most `max_norm` (Pascanu et al. 2013).

    Returns the norm before clipping. A norm that is NaN or infinite spoils all gradients, as in
    PyTorch, unless there is a policy: "raise", or `error_if_nonfinite`, raises RuntimeError and
    changes nothing; "skip" takes all gradients away, with a warning, so that the optimizer's next
    step changes neither weights nor state. Both say which gradients are not finite.
    """
    max_norm = float(max_norm)
    if not max_norm >= 0:
        raise ValueError(f"max_norm is {max_norm}, expected a number of at least 0")
    policy = _policy("raise" if error_if_nonfinite else nonfinite)
    if isinstance(parameters, types.GeneratorType):
        parameters = list(parameters)
        if not parameters:
            warnings.warn(
                "clip_grad_norm_: the generator is empty, nothing is clipped", stacklevel=2
            )
    parameters = _listed(parameters)
    grads = _gradients(parameters)
    if not policy and (found := _kernels(grads, norm_type)):
        return _scaled_by_norm(*found, grads, max_norm)
    norm = _norm(grads, norm_type)
    if policy and not math.isfinite(norm):
        _refuse(policy, parameters, f"the norm of the gradients is {norm}{_culprits(parameters)}")
    else:
        _scale(grads, max_norm, norm)
    return _as_tensor(norm, grads)


def clip_grad_norm(*args: object, **kwargs: object) -> Tensor:
    """The old name of `clip_grad_norm_`."""
    warnings.warn("clip_grad_norm is now clip_grad_norm_", FutureWarning, stacklevel=2)
    return clip_grad_norm_(*args, **kwargs)


def clip_grad_value_(
    parameters: Iterable[Tensor] | Tensor,
    clip_value: float,
    foreach: bool | None = None,
    *,
    nonfinite: Literal["raise", "skip"] | None = None,
) -> None:
    """Limit every element of every gradient to the range from -clip_value to clip_value.

    NaN stays NaN and an infinity becomes a limit, as in PyTorch, unless there is a policy, as for
    `clip_grad_norm_`.
    """
    clip_value, parameters = float(clip_value), _listed(parameters)
    culprits = _culprits(parameters) if _policy(nonfinite) else ""
    if culprits:
        _refuse(nonfinite, parameters, f"gradients are not finite{culprits}")
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
    if not error_if_nonfinite and (found := _kernels(tensors, norm_type)):
        return wrap(_norm_and_factor(*found, tensors)[0].astype(tensors[0].array.dtype))
    if norm_type == math.inf and not error_if_nonfinite and (xp := _one_gpu(tensors)):
        return wrap(xp.stack([_power_sum(x.array, math.inf) for x in tensors]).max())
    norm = _norm(tensors, norm_type)
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(f"the norm is {norm}, pass error_if_nonfinite=False to get it")
    return _as_tensor(norm, tensors)


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


def _policy(nonfinite: str | None) -> str | None:
    if nonfinite not in (None, "raise", "skip"):
        raise ValueError(f"nonfinite is {nonfinite!r}, expected 'raise', 'skip' or None")
    return nonfinite


def _refuse(policy: str, parameters: Sequence[Tensor], reason: str) -> None:
    if policy == "raise":
        raise RuntimeError(
            f"{reason}: nothing was clipped; take no step, or pass nonfinite='skip', or "
            "error_if_nonfinite=False to clip all the same"
        )
    warnings.warn(f"{reason}: the gradients were taken away, no step is made", stacklevel=3)
    for p in parameters:
        p.grad = None


def _culprits(parameters: Sequence[Tensor]) -> str:
    """Which of the gradients are not finite, in words."""
    found = []
    for i, p in enumerate(parameters):
        if p.grad is not None:
            bad = int((~backend_of(p.grad.array).xp.isfinite(p.grad.array)).sum())
            if bad:
                found.append(f"{bad} elements of number {i}, of shape {tuple(p.shape)}")
    return " (" + "; ".join(found) + ")" if found else ""


# on a GPU, where nobody waits


def _kernels(tensors: Sequence[Tensor], p: float) -> tuple[Kernels, list] | None:
    """Those of the one device of all, where they can read all, and the tables of all numbers."""
    flags = [x.array.flags for x in tensors]
    without_gaps = all([f.c_contiguous or f.f_contiguous for f in flags])
    if p != 2 or not without_gaps or len({x.device for x in tensors}) != 1:
        return None
    if len({id(x.array) for x in tensors}) < len(tensors):  # they are scaled at the same time
        return None
    flat = [_flat(x.array) for x in tensors]
    kernels = kernels_for(*flat)
    return kernels and (kernels, list(kernels.tables(flat[0].dtype, [(x,) for x in flat])))


def _one_gpu(tensors: Sequence[Tensor]) -> Any:
    """The array module of the GPU that holds all, or None."""
    backends = {backend_of(x.array) for x in tensors}
    return backends.pop().xp if len(backends) == 1 and CPU not in backends else None


def _norm_and_factor(
    kernels: Kernels, tables: list, tensors: Sequence[Tensor], max_norm: float = math.inf
) -> Any:
    """The norm of all and what they are to be multiplied with, (2,), float64."""
    xp, dtype = module_of(tensors[0].array), tensors[0].array.dtype
    memory = xp.zeros(BLOCKS + 2, np.float64)
    sums, result = Doubles(memory[:BLOCKS]), memory[BLOCKS:]
    for count, table in tables:
        kernels("clip.add_squares", dtype, count, table, sums)
    given = BLOCKS, sums, np.float64(max_norm), Doubles(result)
    kernels.rows("clip.finish_norm", dtype, 1, *given)
    return result


def _scaled_by_norm(
    kernels: Kernels, tables: list, grads: Sequence[Tensor], max_norm: float
) -> Tensor:
    dtype, result = grads[0].array.dtype, _norm_and_factor(kernels, tables, grads, max_norm)
    for count, table in tables:
        kernels("clip.scale", dtype, count, table, Doubles(result))
    for g in grads:
        g.changed()
    return wrap(result[0].astype(dtype))


# on the host


def _norm(tensors: Sequence[Tensor], p: float) -> float:
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
        return math.sqrt(norms.sum())
    return float(np.linalg.norm(norms, p))


def _power_sum(array, p: float):
    """Of one array: Σ x² for p = 2, else the p-norm; a 0-d array, no waiting."""
    xp = backend_of(array).xp
    flat = _flat(array)
    if p == 2:
        return xp.dot(flat, flat)
    if not flat.size:
        return xp.zeros((), array.dtype)
    return xp.linalg.norm(flat, p)


def _flat(array):
    """All numbers in a row, of xᵀ without a copy."""
    return (array if array.flags.c_contiguous else array.T).reshape(-1)


def _downloaded(numbers: list) -> np.ndarray:
    """0-d arrays as one host array of float64, each device waited for once."""
    found = np.empty(len(numbers))
    by_device: dict = {}
    for i, x in enumerate(numbers):
        by_device.setdefault(backend_of(x), []).append(i)
    for backend, places in by_device.items():
        several = [numbers[i] for i in places]
        if backend is not CPU:
            several = backend.download(backend.xp.stack([backend.xp.asarray(x) for x in several]))
        found[places] = several
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
