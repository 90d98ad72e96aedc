"""Jacobians, Hessians and their products with vectors, of functions of Tensors.

Everything here is written with `grad`; nothing recurses in Python however long the function's
graph.
"""

from __future__ import annotations

from typing import Any, Callable

from .. import ops
from ..modes import enable_grad
from ..tensor import Tensor
from .gradients import grad


def _tuple(x: Any) -> tuple:
    return (x,) if isinstance(x, Tensor) else tuple(x)


def _like(x: Any, values: tuple) -> Any:
    """`values` as a single Tensor where x is one, else as a tuple."""
    return values[0] if isinstance(x, Tensor) else tuple(values)


def _leaves(inputs: Any, create_graph: bool) -> tuple:
    """The inputs as starting points: connected to what they came from only under create_graph."""
    for i, x in enumerate(_tuple(inputs)):
        if not isinstance(x, Tensor):
            raise TypeError(f"input {i} is a {type(x).__name__}, expected a Tensor")
    if create_graph:
        return tuple(x.view_as(x) if x.requires_grad else _leaf(x) for x in _tuple(inputs))
    return tuple(_leaf(x) for x in _tuple(inputs))


def _leaf(x: Tensor) -> Tensor:
    return x.detach().clone().requires_grad_()


def _outputs(func: Callable, xs: tuple) -> tuple[Any, tuple]:
    made = func(*xs)
    ys = _tuple(made)
    for y in ys:
        if not isinstance(y, Tensor):
            raise TypeError(f"the function returned a {type(y).__name__}, expected Tensors")
    return made, ys


def _number(y: Any) -> Tensor:
    if not isinstance(y, Tensor) or y.numel() != 1:
        what = f"shape {tuple(y.shape)}" if isinstance(y, Tensor) else f"type {type(y).__name__}"
        raise RuntimeError(f"second derivatives are of a function to one element, not to {what}")
    return y


def _done(values: Any, create_graph: bool) -> Any:
    if create_graph:
        return values
    if isinstance(values, Tensor):
        return values.detach()
    return tuple(_done(v, False) for v in values)


def _grad(ys: tuple, xs: tuple, vs: tuple, create_graph: bool, strict: bool) -> tuple:
    """grad with zeros for what does not depend; an error instead under `strict`."""
    live = [(y, v) for y, v in zip(ys, vs) if y.requires_grad]
    if strict and len(live) < len(ys):
        raise RuntimeError("strict: an output does not depend on the inputs")
    if not live:
        return tuple(ops.zeros_like(x) for x in xs)
    gs = grad(
        [y for y, _ in live],
        xs,
        [v for _, v in live],
        retain_graph=True,
        create_graph=create_graph,
        allow_unused=True,
    )
    if strict and any(g is None for g in gs):
        raise RuntimeError("strict: the outputs do not depend on one of the inputs")
    return tuple(ops.zeros_like(x) if g is None else g for x, g in zip(xs, gs))


def _vectors(v: Any, likes: tuple, what: str) -> tuple:
    if v is None:
        if len(likes) == 1 and likes[0].numel() == 1:
            return (ops.ones_like(likes[0]),)
        raise RuntimeError(f"v can be left out only where the {what} is a single number")
    vs = _tuple(v)
    if len(vs) != len(likes) or any(a.shape != b.shape for a, b in zip(vs, likes)):
        raise RuntimeError(
            f"v has shapes {[tuple(a.shape) for a in vs]}, "
            f"the {what} {[tuple(b.shape) for b in likes]}"
        )
    return vs


def jacobian(
    func: Callable,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """d output / d input, of shape (*output, *input): one Tensor for a single input and output,
    else nested tuples, outputs first.

    One walk through the graph for each element of the output, whatever `vectorize` and `strategy`
    say.
    """
    with enable_grad():
        xs = _leaves(inputs, create_graph)
        made, ys = _outputs(func, xs)
        blocks = []
        for y in ys:
            flat = ops.reshape(y, (-1,))
            rows = []
            for i in range(y.numel()):
                one = ops.zeros_like(flat, requires_grad=False)
                one[i] = 1
                rows.append(_grad((flat,), xs, (one,), create_graph, strict))
            blocks.append(
                _like(
                    inputs,
                    tuple(
                        ops.reshape(ops.stack([row[n] for row in rows]), (*y.shape, *x.shape))
                        if rows
                        else ops.zeros((*y.shape, *x.shape), dtype=x.dtype)
                        for n, x in enumerate(xs)
                    ),
                )
            )
    return _done(_like(made, tuple(blocks)), create_graph)


def hessian(
    func: Callable,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a function of one number, of shape (*input, *input)."""

    def gradient(*xs: Tensor) -> Any:
        y = _number(func(*xs))
        gs = _grad((y.reshape(()),), xs, (ops.ones_like(y.reshape(())),), True, strict)
        return _like(inputs, gs)

    return jacobian(gradient, inputs, create_graph, strict)


def vjp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The output and vᵀ J, with v of the output's shape."""
    with enable_grad():
        xs = _leaves(inputs, create_graph)
        made, ys = _outputs(func, xs)
        vs = _vectors(v, ys, "output")
        gs = _like(inputs, _grad(ys, xs, vs, create_graph, strict))
    return _done(made, create_graph), _done(gs, create_graph)


def jvp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The output and J v, with v of the input's shape: reverse mode twice, since uᵀ J is linear in
    u and its derivative along v is J v (Townsend 2017, "A new trick for calculating Jacobian vector
    products").
    """
    with enable_grad():
        xs = _leaves(inputs, create_graph)
        vs = _vectors(v, xs, "input")
        made, ys = _outputs(func, xs)
        us = tuple(ops.zeros_like(y).requires_grad_() for y in ys)
        back = _grad(ys, xs, us, True, strict)
        products = _like(made, _grad(back, us, vs, create_graph, False))
    return _done(made, create_graph), _done(products, create_graph)


def hvp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of a function of one number and H v, at the cost of two gradients."""
    with enable_grad():
        xs = _leaves(inputs, create_graph)
        vs = _vectors(v, xs, "input")
        y = _number(func(*xs))
        gs = _grad((y,), xs, (ops.ones_like(y),), True, strict)
        products = _like(inputs, _grad(gs, xs, vs, create_graph, strict))
    return _done(y, create_graph), _done(products, create_graph)


# the Hessian is symmetric: vᵀ H is H v
vhp = hvp
