"""Hooks of a Module: functions that see, and may replace, what goes in, what comes out, and the
gradients of both.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..modes import is_grad_enabled
from ..op import Op
from ..tensor import Tensor, wrap


class Hook(NamedTuple):
    function: Callable[..., Any]
    with_kwargs: bool = False
    always_call: bool = False


def call(module: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """`module.forward(*args, **kwargs)` with all hooks of the module."""
    output, called = None, set()
    try:
        for hook in list(module._forward_pre_hooks.values()):
            args, kwargs = _before(module, hook, args, kwargs)
        watch = None
        if module._backward_hooks or module._backward_pre_hooks:
            watch = GradientWatch(module)
            args = watch.inputs(args)
        output = module.forward(*args, **kwargs)
        for number, hook in list(module._forward_hooks.items()):
            called.add(number)
            result = _after(module, hook, args, kwargs, output)
            output = output if result is None else result
        return watch.outputs(output) if watch else output
    except Exception:
        for number, hook in list(module._forward_hooks.items()):
            if hook.always_call and number not in called:
                try:
                    _after(module, hook, args, kwargs, output)
                except Exception as error:
                    warnings.warn(f"a forward hook failed after the module did: {error}")
        raise


def _before(module, hook, args, kwargs):
    if not hook.with_kwargs:
        result = hook.function(module, args)
        if result is not None:
            args = result if isinstance(result, tuple) else (result,)
        return args, kwargs
    result = hook.function(module, args, kwargs)
    if result is None:
        return args, kwargs
    if not isinstance(result, tuple) or len(result) != 2:
        raise RuntimeError(
            "a forward pre-hook with kwargs must return None or a pair (args, kwargs), "
            f"but got {result!r}"
        )
    return result


def _after(module, hook, args, kwargs, output):
    if hook.with_kwargs:
        return hook.function(module, args, kwargs, output)
    return hook.function(module, args, output)


class Watch(Op):
    """y_i = x_i; on the way back `see` is shown the gradients and returns those that go on."""

    def forward(self, *xs):
        return tuple([x.copy() for x in xs])

    def backward(self, gs, _ys, *_xs):
        return gs

    def pull(self, node: Any, gs: list, create_graph: bool) -> list:
        gs = [g if g is None or isinstance(g, Tensor) else wrap(g) for g in gs]
        return [g if g is None or create_graph else g.array for g in self.see(gs)]


class GradientWatch:
    """One call of a module, whose backward hooks wait for its gradients."""

    def __init__(self, module: Any):
        self.module = module
        self.pre_hooks = [hook.function for hook in module._backward_pre_hooks.values()]
        self.hooks = [hook.function for hook in module._backward_hooks.values()]
        self.inputs_seen, self.n_inputs = False, 0
        self.grad_output: tuple | None = None

    def inputs(self, args: tuple) -> tuple:
        self.n_inputs = len(args)
        watched = watched_values(args, self.see_inputs)
        self.inputs_seen = watched is not args
        return watched

    def outputs(self, output: Any) -> Any:
        if isinstance(output, tuple):
            watched = watched_values(output, self.see_outputs)
            if hasattr(output, "_fields"):  # a named tuple
                return type(output)(*watched)
            return watched
        return watched_values((output,), self.see_outputs)[0]

    def see_outputs(self, grads: tuple) -> tuple:
        for hook in self.pre_hooks:
            grads = replaced(grads, hook(self.module, grads), "grad_output")
        self.grad_output = grads
        if not self.inputs_seen:
            for hook in self.hooks:
                result = hook(self.module, (None,) * self.n_inputs, grads)
                if result is not None and any(g is not None for g in _tuple(result)):
                    raise RuntimeError(
                        "a backward hook gave a gradient to an input, but no input of this "
                        f"{type(self.module).__name__} requires grad: return None"
                    )
        return grads

    def see_inputs(self, grads: tuple) -> tuple:
        if self.grad_output is None:
            raise RuntimeError(
                f"the gradient reached the inputs of {type(self.module).__name__} without passing "
                "its outputs, so its backward hook has no grad_output: "
                "use in the loss only what the module returns"
            )
        for hook in self.hooks:
            result = hook(self.module, grads, self.grad_output)
            grads = replaced(grads, result, "grad_input")
        self.grad_output = None
        return grads


def watched_values(values: tuple, see: Callable[[tuple], tuple]) -> tuple:
    """`values`, the tensors that require grad as outputs of one Watch; `see` gets a gradient or
    None for every value.
    """
    places = [
        i
        for i, value in enumerate(values)
        if isinstance(value, Tensor) and value.requires_grad and is_grad_enabled()
    ]
    if not places:
        return values

    def seen(grads: Sequence[Tensor | None]) -> list:
        every: list = [None] * len(values)
        for i, g in zip(places, grads):
            every[i] = g
        every = see(tuple(every))
        return [every[i] for i in places]

    outputs = dict(zip(places, Watch(see=seen)(*[values[i] for i in places])))
    return tuple([outputs.get(i, value) for i, value in enumerate(values)])


def replaced(grads: tuple, result: Any, what: str) -> tuple:
    """The gradients that a hook returned, or those it was given."""
    if result is None:
        return grads
    result = _tuple(result)
    if len(result) != len(grads):
        raise RuntimeError(
            f"a backward hook returned {len(result)} gradients as {what}, expected {len(grads)}"
        )
    return result


def _tuple(result: Any) -> tuple:
    return (result,) if isinstance(result, Tensor) else tuple(result)
