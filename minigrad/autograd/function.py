"""Ops written by the user on Tensors."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import Any, Callable

from ..engine import as_tensor
from ..modes import is_recording, no_grad
from ..op import Op
from ..ops.writing import check_writable, move, overwrite
from ..tensor import Tensor, wrap


class FunctionCtx:
    """What `forward` of a Function leaves for its `backward`."""

    def __init__(self) -> None:
        self._saved: tuple = ()
        self._constant: tuple = ()
        self._dirty: tuple = ()
        self._materialize = True
        self.needs_input_grad: tuple[bool, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs or outputs for `backward`; a change in place in between is detected."""
        self._saved = tensors

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """These outputs are constants to the tape."""
        self._constant = outputs

    def mark_dirty(self, *inputs: Tensor) -> None:
        """These inputs were changed in place by `forward` and returned."""
        self._dirty = inputs

    def set_materialize_grads(self, value: bool) -> None:
        """Whether the gradient of an unused output is zeros (the default) or None."""
        self._materialize = value


class Function:
    """An op with `forward` and `backward` written by the user on Tensors, as in PyTorch.

        class Exp(Function):
            @staticmethod
            def forward(ctx, x):
                y = x.exp()
                ctx.save_for_backward(y)
                return y

            @staticmethod
            def backward(ctx, g):
                (y,) = ctx.saved_tensors
                return g * y

        y = Exp.apply(x)

    `forward` runs unrecorded. `backward` is recorded under `create_graph`, so a derivative of any
    order follows if it is made of differentiable functions. It returns one gradient for each
    argument of `forward`, None for what is no Tensor. With a static method `setup_context(ctx,
    inputs, output)`, `forward` takes no `ctx`. For rules on raw arrays see `minigrad.Op`.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            f"{type(self).__name__} is not called: write {type(self).__name__}.apply(...), with "
            "static methods forward(ctx, ...) and backward(ctx, ...)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("a Function needs a static method forward(ctx, ...)")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise NotImplementedError("a Function needs a static method backward(ctx, *grads)")

    setup_context: Any = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._op = type(f"{cls.__name__}Backward", (_FunctionOp,), {})  # by whose name nodes go

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        ctx = FunctionCtx()
        if kwargs:
            first = (ctx,) if cls.setup_context is None else ()
            bound = inspect.signature(cls.forward).bind(*first, *args, **kwargs)
            bound.apply_defaults()
            args = bound.args[len(first) :]
        tensors = [x for x in args if isinstance(x, Tensor)]
        ctx.needs_input_grad = tuple(isinstance(x, Tensor) and x.requires_grad for x in args)
        with no_grad():
            if cls.setup_context is None:
                result = cls.forward(ctx, *args)
            else:
                result = cls.forward(*args)
                cls.setup_context(ctx, args, result)
        several = isinstance(result, (tuple, list))
        outs = tuple(result) if several else (result,)
        op = cls._op(
            function=cls,
            ctx=ctx,
            is_tensor=[isinstance(x, Tensor) for x in args],
            shapes=[x.array.shape for x in tensors],
            is_output=[isinstance(y, Tensor) for y in outs],
        )
        arrays = tuple([y.array for y in outs if isinstance(y, Tensor)])
        made = op.over(tensors, arrays)
        made = made if isinstance(made, tuple) else (made,)
        node = next((y.creator[0] for y in made if y.creator), None)
        made = iter(made)
        results: list[Any] = []
        for y in outs:
            if not isinstance(y, Tensor):
                results.append(y)
                continue
            new = next(made)
            if any(y is c for c in ctx._constant):
                new = wrap(y.array)
            new.version = y.version
            if any(y is d for d in ctx._dirty):
                new = _changed(y, new)
            results.append(new)
        if node is not None:
            op.keep(node, ctx._saved, outs)
        else:
            ctx.saved_tensors = ctx._saved
        ctx._saved = ctx._constant = ctx._dirty = ()  # outputs among them would be a cycle
        return tuple(results) if several else results[0]


def _changed(x: Tensor, new: Tensor) -> Tensor:
    """x, whose memory `forward` has changed, in the place of the output `new`."""
    if is_recording() and new.creator:
        check_writable(x)
        if x.base is not None:
            overwrite(x, x.array[...], new)
        else:
            move(x, new.creator)
    else:
        x.changed()
    return x


class _FunctionOp(Op):
    """The op of one application of a Function; its inputs are the Tensors among the arguments."""

    def over(self, tensors, arrays):
        self.results = arrays
        made = self(*tensors) if tensors else tuple([wrap(y) for y in arrays])
        self.results = None
        return made

    def forward(self, *arrays):
        # an output that is an input gets a Tensor of its own, and shares the memory, as in PyTorch
        return self.results if len(self.results) != 1 else self.results[0]

    def backward(self, g, _y, *_xs):
        gs = g if isinstance(g, list) else [g]
        recorded = any(isinstance(g, Tensor) for g in gs)
        ctx = self.ctx
        gs = [
            None if none and not ctx._materialize else as_tensor(g)
            for g, none in zip(gs, self.unused)
        ]
        given = iter(gs)
        gs = [next(given) if tensor else None for tensor in self.is_output]
        ctx.saved_tensors = tuple([self.saved(*item) for item in self.kept])
        results = self.function.backward(ctx, *gs)
        del ctx.saved_tensors
        results = list(results) if isinstance(results, (tuple, list)) else [results]
        while len(results) > len(self.is_tensor) and results[-1] is None:
            results.pop()
        if len(results) != len(self.is_tensor):
            raise RuntimeError(
                f"{self.name()}.backward returned {len(results)} gradients for "
                f"{len(self.is_tensor)} arguments of forward"
            )
        results = [g for g, tensor in zip(results, self.is_tensor) if tensor]
        for i, (g, shape) in enumerate(zip(results, self.shapes)):
            if g is None:
                continue
            if not isinstance(g, Tensor):
                raise TypeError(
                    f"{self.name()}.backward returned a {type(g).__name__} as gradient {i}: "
                    "expected a Tensor or None"
                )
            tail = g.array.shape[max(g.array.ndim - len(shape), 0) :]
            if len(tail) != len(shape) or any(n not in (1, m) for n, m in zip(shape, tail)):
                raise RuntimeError(
                    f"{self.name()}.backward returned gradient {i} with shape {tuple(g.shape)} "
                    f"for an input of shape {shape}"
                )
        return [g if g is None or recorded else g.array for g in results]

    def keep(self, node, saved, outs) -> None:
        """Hold what `save_for_backward` was given without holding an output."""
        self.kept = []
        if saved:
            node.saved_inputs = [None] * len(node.slots)  # so that it is let go of
        for x in saved:
            place = next((i for i, y in enumerate(outs) if y is x), None)
            if x is None or place is None:
                self.kept.append((x, None))
            else:
                self.kept.append((x.array, place))
            if x is not None:
                guard = x.version, x.version[0], "saved tensor", len(self.kept) - 1
                node.guards = [*node.guards, guard]

    def saved(self, x, place):
        return x if place is None else wrap(x, (self.node, place))

    def pull(self, node, gs, create_graph):
        self.unused, self.node = [g is None for g in gs], node
        try:
            return super().pull(node, gs, create_graph)
        finally:
            self.node = None  # which holds this op


class _Once(Function):
    @staticmethod
    def forward(ctx, count, *tensors):
        return tensors[:count]

    @staticmethod
    def backward(ctx, *gradients):
        raise RuntimeError("a second derivative through a backward marked once_differentiable")


def once_differentiable(backward: Callable) -> Callable:
    """Decorator of a `backward` that does not compute with differentiable functions: it runs
    unrecorded, and a second derivative through it raises RuntimeError.
    """

    @wraps(backward)
    def unrecorded(ctx: Any, *grads: Any) -> Any:
        with no_grad():
            results = backward(ctx, *grads)
        if not is_recording():
            return results
        results = results if isinstance(results, tuple) else (results,)
        made = [g for g in results if isinstance(g, Tensor)]
        # on the tape they stand behind all that they were made of
        made = iter(_Once.apply(len(made), *made, *ctx.saved_tensors, *grads))
        return tuple([next(made) if isinstance(g, Tensor) else g for g in results])

    return unrecorded
