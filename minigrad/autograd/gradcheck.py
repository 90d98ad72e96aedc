"""Gradients held against finite differences, under PyTorch's names."""

from __future__ import annotations

from typing import Any, Callable, Iterator

import numpy as np

from ..modes import no_grad
from ..tensor import Tensor, wrap
from .gradients import grad


class GradcheckError(RuntimeError, AssertionError):
    """A gradient that finite differences contradict."""


def gradcheck(
    func: Callable,
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
    seed: int = 0,
    **checks: Any,
) -> bool:
    """Hold the gradients of `func` against central finite differences; True, or GradcheckError
    saying where (False without `raise_exception`).

    The output, a Tensor or several, is weighted by random numbers: with ones, the gradient of a
    softmax is zero and hides every mistake. Inputs that require a gradient must be float64. The
    gradient is computed twice, and the two may differ by `nondet_tol`. `fast_mode` moves all
    elements of an input together, in a random direction: two calls for each input, not for each
    element. PyTorch's further options (`check_undefined_grad`, ...) choose what else it checks.
    """
    _check_options(checks)
    inputs = _several(inputs)
    try:
        return _check(func, inputs, places_of(inputs), eps, atol, rtol, nondet_tol, fast_mode, seed)
    except GradcheckError:
        if raise_exception:
            raise
        return False


def gradgradcheck(
    func: Callable,
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
    seed: int = 0,
    **checks: Any,
) -> bool:
    """`gradcheck` of the gradient of `func`, as a function of the inputs and of the weights of the
    outputs: `grad_outputs`, or random ones.
    """
    _check_options(checks)
    inputs = _several(inputs)
    function, arguments = derivative(func, inputs, grad_outputs, seed)
    if function is None:
        return True
    return gradcheck(
        function,
        arguments,
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        fast_mode=fast_mode,
        seed=seed + 1,
    )


OPTIONS = frozenset(
    """check_undefined_grad check_grad_dtypes check_batched_grad masked
    check_batched_forward_grad check_forward_ad check_backward_ad check_fwd_over_rev
    check_rev_over_rev gen_non_contig_grad_outputs""".split()
)


def _check_options(checks: dict) -> None:
    if not checks.keys() <= OPTIONS:
        raise TypeError(f"gradcheck has no option {', '.join(sorted(checks.keys() - OPTIONS))}")


def places_of(inputs: tuple) -> list[int]:
    """Which inputs require a gradient; ValueError if none, or one that is not float64."""
    places = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    if not places:
        raise ValueError("gradcheck: no input requires a gradient")
    for i in places:
        if inputs[i].dtype != np.float64:
            raise ValueError(
                f"gradcheck: input {i} is {inputs[i].dtype}; finite differences need float64"
            )
    return places


def _check(func, inputs, places, eps, atol, rtol, nondet_tol, fast_mode, seed) -> bool:
    outputs = _several(func(*inputs))
    # those without a graph too: the numbers must say that there is nothing to differentiate
    floats = [n for n, y in enumerate(outputs) if _is_float(y)]
    weights = weights_for([outputs[n] for n in floats], seed)
    xs, rng = [inputs[i] for i in places], np.random.default_rng(seed)

    def analytic(outputs):
        recorded = [(outputs[n], w) for n, w in zip(floats, weights) if outputs[n].requires_grad]
        if not recorded:
            return [None] * len(xs)
        ys, ws = zip(*recorded)
        return grad(ys, xs, ws, allow_unused=True)

    for i, x, g, again in zip(places, xs, analytic(outputs), analytic(_several(func(*inputs)))):
        values = np.zeros(x.shape) if g is None else g.to_numpy()
        if values.shape != x.shape:
            raise GradcheckError(
                f"the gradient of input {i} has shape {values.shape}, the input {x.shape}"
            )
        if g is not None and not np.allclose(
            values, again.to_numpy(), rtol=0, atol=nondet_tol, equal_nan=True
        ):
            raise GradcheckError(
                f"the gradient of input {i}, computed twice, is not the same: the function or a "
                "rule draws random numbers or keeps a state"
            )
        if fast_mode:
            directions = [rng.standard_normal(x.shape)]
            values = np.reshape((values * directions[0]).sum(), 1)
        else:
            directions = _elements(x.shape)
        numeric = _slopes(func, inputs, i, floats, weights, eps, directions)
        numeric = numeric.reshape(values.shape)
        right = np.isclose(values, numeric, atol=atol, rtol=rtol)
        if not right.all():
            off = np.where(right, -1, np.nan_to_num(np.abs(values - numeric), nan=np.inf))
            worst = np.unravel_index(np.argmax(off), off.shape)
            place = "in a random direction" if fast_mode else f"most at {tuple(map(int, worst))}"
            raise GradcheckError(
                f"the gradient of input {i} is wrong, {place}: "
                f"{values[worst]:.9g}, finite differences give {numeric[worst]:.9g}"
            )
    return True


def derivative(func: Callable, inputs: tuple, weights: Any, seed: int) -> tuple:
    """The gradient of `func` as a function of inputs and weights, and the arguments to call it
    with; None where that function is constant.
    """
    places = places_of(inputs)
    outputs = _several(func(*inputs))
    floats = [n for n, y in enumerate(outputs) if _is_float(y) and y.requires_grad]
    if weights is None:
        weights = weights_for([outputs[n] for n in floats], seed)
    weights = tuple([w.detach().requires_grad_() for w in _several(weights)])
    if len(weights) != len(floats):
        raise ValueError(
            f"{len(weights)} grad_outputs for {len(floats)} outputs that require a gradient"
        )

    def gradients(*arguments):
        given, ws = list(arguments[: len(inputs)]), arguments[len(inputs) :]
        ys = _several(func(*given))
        gs = grad(
            [ys[n] for n in floats],
            [given[i] for i in places],
            ws,
            create_graph=True,
            allow_unused=True,
        )
        return tuple([g for g in gs if g is not None and g.requires_grad])

    arguments = (*inputs, *weights)
    return (gradients if floats and gradients(*arguments) else None), arguments


def weights_for(outputs: list[Tensor], seed: int) -> list[Tensor]:
    rng = np.random.default_rng(seed)
    return [_like(y, rng.standard_normal(y.shape)) for y in outputs]


def _several(x: Any) -> tuple:
    return (x,) if isinstance(x, Tensor) else tuple(x)


def _like(x: Tensor, values: np.ndarray) -> Tensor:
    return wrap(np.asarray(values, dtype=x.dtype)).to(x.device)


def _is_float(y: Any) -> bool:
    return isinstance(y, Tensor) and y.dtype.kind == "f"


def _elements(shape: tuple) -> Iterator[np.ndarray]:
    """The directions in which one element moves."""
    for at in np.ndindex(*shape):
        direction = np.zeros(shape)
        direction[at] = 1
        yield direction


def _slopes(func, inputs, place, floats, weights, eps, directions) -> np.ndarray:
    """d (Σ weights · outputs) / d inputs[place] in each of the directions."""
    x = inputs[place]
    values = x.to_numpy().astype(np.float64)

    def weighted(changed: np.ndarray) -> float:
        # a function may look at requires_grad, or use grad itself
        moved = _like(x, changed).requires_grad_()
        ys = _several(func(*inputs[:place], moved, *inputs[place + 1 :]))
        with no_grad():
            return sum(float((w.detach() * ys[n].detach()).sum()) for n, w in zip(floats, weights))

    slopes = [
        (weighted(values + eps * d) - weighted(values - eps * d)) / (2 * eps) for d in directions
    ]
    return np.array(slopes)
