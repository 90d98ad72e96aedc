"""Derivatives for users: `grad` and `backward`."""

from __future__ import annotations

from typing import Any, Sequence

from .. import ops
from ..engine import Gradients, as_tensor, vjp
from ..modes import recording
from ..ops.sparse import accumulated
from ..tensor import Tensor


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of the outputs, weighted by `grad_outputs` and summed, with respect to the
    inputs.

    Nothing is accumulated into `.grad`. With `create_graph` the result can be differentiated again.
    With `is_grads_batched` the weights have a dimension more in front, and so have the results.
    An input that the outputs do not depend on gets None with `allow_unused` and zeros with
    `materialize_grads`.

    Raises RuntimeError for an output or input outside every graph, for an output that is no scalar
    and has no `grad_outputs`, and for an input that is not used.
    """
    if materialize_grads and allow_unused is False:
        raise ValueError("materialize_grads=True gives zeros where allow_unused=False would raise")
    if is_grads_batched:
        batch = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
        rows = [
            grad(
                outputs,
                inputs,
                list(gs),
                True,
                create_graph,
                allow_unused,
                False,
                materialize_grads,
            )
            for gs in zip(*batch)
        ]
        return tuple(None if column[0] is None else ops.stack(column) for column in zip(*rows))
    outputs, given = _pairs(outputs, grad_outputs)
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    for i, x in enumerate(inputs):
        if not isinstance(x, Tensor):
            raise TypeError(f"input {i} is a {type(x).__name__}, expected a Tensor")
        if not x.requires_grad:
            raise RuntimeError(
                f"input {i} does not require grad: call requires_grad_() on it before computing"
            )
    grads = _walk(outputs, given, inputs, create_graph, retain_graph)
    results = []
    for i, x in enumerate(inputs):
        if x.slot in grads.table:
            results.append(as_tensor(grads.own(x.slot)))
        elif materialize_grads:
            results.append(ops.zeros_like(x))
        elif allow_unused:
            results.append(None)
        else:
            raise RuntimeError(
                f"input {i}, of shape {tuple(x.shape)}, was not used to compute the outputs: "
                "pass allow_unused=True to get None for it"
            )
    return tuple(results)


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Accumulate the gradient of `tensors`, weighted by `grad_tensors`, into `.grad` of the leaves,
    or of `inputs` only.

    Raises RuntimeError as `grad` does; then no `.grad` has changed.
    """
    tensors, given = _pairs(tensors, grad_tensors)
    targets = [inputs] if isinstance(inputs, Tensor) else inputs
    if targets is not None:
        targets = list(targets)
        if not targets:
            raise RuntimeError("backward with an empty list of inputs: leave it out for all leaves")
    grads = _walk(tensors, given, targets, create_graph, retain_graph)
    if targets is None:
        targets = [owner for owner, _ in grads.table if isinstance(owner, Tensor)]
    with recording(create_graph):
        for x in targets:
            if x.slot not in grads.table or x.retains_grad:  # whose .grad the walk has set
                continue
            new = as_tensor(grads.own(x.slot))
            if x.grad is None:
                x.grad = new
            elif create_graph or x.grad.requires_grad:
                x.grad = x.grad + new
            else:
                x.grad = accumulated(x.grad, new)
        for x in targets:
            for hook in list((x.after_hooks or {}).values()):
                hook(x)


def _walk(outputs, given, targets, create_graph, retain_graph) -> Gradients:
    seeds = [_seed(y, g, create_graph) for y, g in zip(outputs, given)]
    keep = create_graph if retain_graph is None else retain_graph
    return vjp(outputs, seeds, targets, create_graph, keep)


def _pairs(outputs: Any, grads: Any) -> tuple[list, list]:
    """Outputs and the gradient given for each (None: the obvious one of a scalar), as lists of one
    length.
    """
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    if grads is None:
        grads = [None] * len(outputs)
    grads = list(grads) if isinstance(grads, (list, tuple)) else [grads]
    if len(grads) != len(outputs):
        raise RuntimeError(f"{len(outputs)} tensors but {len(grads)} gradients: give one for each")
    return outputs, grads


def _seed(y: Tensor, g: Any, create_graph: bool) -> Any:
    """The gradient to start from, checked: 1 for a scalar, else what the caller gave."""
    if not isinstance(y, Tensor):
        raise TypeError(f"expected a Tensor to differentiate, got {type(y).__name__}")
    if not y.requires_grad:
        raise RuntimeError(
            "the tensor does not require grad: nothing it was computed from requires grad, "
            "or it was made under no_grad()"
        )
    if g is None:
        if y.array.size != 1:
            raise RuntimeError(
                f"backward from a tensor of shape {tuple(y.shape)} needs a gradient of that shape; "
                "only a scalar has an obvious one: reduce with .sum() or .mean(), or pass gradient="
            )
        g = ops.full_like(y, 1.0)
    if not isinstance(g, Tensor):
        g = ops.as_tensor(g, dtype=y.dtype)
    if tuple(g.shape) != tuple(y.shape):
        raise RuntimeError(
            f"a gradient of shape {tuple(g.shape)} was given for a tensor of shape {tuple(y.shape)}"
        )
    if g.device != y.device:
        raise RuntimeError(f"a gradient on {g.device} was given for a tensor on {y.device}")
    return g if create_graph else g.array
