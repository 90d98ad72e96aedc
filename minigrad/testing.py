"""Checks for ops and layers, the project's own and its users'."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import autograd
from .fused.base import composed  # noqa: F401  runs every fused op as its definition
from .modes import no_grad
from .tensor import Tensor, wrap


def gradcheck(
    function: Callable[..., Any],
    inputs: Sequence[Tensor],
    *,
    order: int = 1,
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    seed: int = 0,
) -> bool:
    """Hold the gradients of `function` against central finite differences; True, or AssertionError
    saying where.

    The output, a Tensor or several, is weighted by random numbers: with ones, the gradient of a
    softmax is zero and hides every mistake. Order 2 checks the gradient function itself in the same
    way, with respect to the inputs and to the weights; any order works. Inputs that require a
    gradient must be float64.
    """
    inputs = tuple(inputs)
    places = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    if not places:
        raise ValueError("gradcheck: no input requires a gradient")
    for i in places:
        if inputs[i].dtype != np.float64:
            raise ValueError(
                f"gradcheck: input {i} is {inputs[i].dtype}; finite differences need float64"
            )
    rng = np.random.default_rng(seed)
    outputs = _several(function(*inputs))
    floats = [n for n, y in enumerate(outputs) if y.dtype.kind == "f" and y.requires_grad]
    if not floats:
        raise ValueError("gradcheck: no output depends on an input that requires a gradient")
    weights = [_like(outputs[n], rng.standard_normal(outputs[n].shape)) for n in floats]
    xs = [inputs[i] for i in places]

    analytic = autograd.grad([outputs[n] for n in floats], xs, weights, allow_unused=True)
    for i, x, g in zip(places, xs, analytic):
        values = np.zeros(x.shape) if g is None else g.to_numpy()
        if values.shape != x.shape:
            raise AssertionError(
                f"the gradient of input {i} has shape {values.shape}, the input {x.shape}"
            )
        numeric = _finite_differences(function, inputs, i, floats, weights, eps)
        if not np.allclose(values, numeric, atol=atol, rtol=rtol):
            worst = np.unravel_index(np.argmax(np.abs(values - numeric)), values.shape)
            raise AssertionError(
                f"the gradient of input {i} is wrong, most at {tuple(map(int, worst))}: "
                f"{values[worst]:.9g}, finite differences give {numeric[worst]:.9g}"
            )
    if order > 1:
        for w in weights:
            w.requires_grad_()

        def derivative(*arguments):
            given, ws = list(arguments[: len(inputs)]), arguments[len(inputs) :]
            ys = _several(function(*given))
            gs = autograd.grad(
                [ys[n] for n in floats],
                [given[i] for i in places],
                ws,
                create_graph=True,
                allow_unused=True,
            )
            return tuple([g for g in gs if g is not None and g.requires_grad])

        if derivative(*inputs, *weights):
            gradcheck(
                derivative,
                (*inputs, *weights),
                order=order - 1,
                eps=eps,
                atol=atol,
                rtol=rtol,
                seed=seed + 1,
            )
    return True


def _several(outputs: Any) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


def _like(x: Tensor, values: np.ndarray) -> Tensor:
    return wrap(np.asarray(values, dtype=x.dtype)).to(x.device)


def _finite_differences(function, inputs, place, floats, weights, eps) -> np.ndarray:
    """d (Σ weights · outputs) / d inputs[place], one element at a time."""
    x = inputs[place]
    values = x.to_numpy().astype(np.float64)
    numeric = np.zeros(values.shape)

    def weighted(changed: np.ndarray) -> float:
        # a function may look at requires_grad, or use grad itself
        moved = _like(x, changed).requires_grad_()
        ys = _several(function(*inputs[:place], moved, *inputs[place + 1 :]))
        with no_grad():
            return sum(float((w.detach() * ys[n].detach()).sum()) for n, w in zip(floats, weights))

    for at in np.ndindex(values.shape):
        up, down = values.copy(), values.copy()
        up[at] += eps
        down[at] -= eps
        numeric[at] = (weighted(up) - weighted(down)) / (2 * eps)
    return numeric
