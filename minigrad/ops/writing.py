"""Writing into tensors while recording: `out[t] = y`, `x.add_(y)`, through views too.

Memory is changed in place, and the tensor that owns it moves on along the tape: its creator becomes
the op that wrote. Views of it notice at their next use (`Tensor.follow`) and take their place
behind that op. What was computed before from the old content keeps its own place on the tape; if
its rule needs the old content, the version counter says so.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..backend import backend_of
from ..modes import is_recording
from ..op import Node, Op, last_number, raw
from ..tensor import Tensor, wrap
from .convert import cast


class Place(NamedTuple):
    """Where in the memory of a base array a view lies, in elements."""

    shape: tuple
    strides: tuple
    offset: int
    base_shape: tuple
    base_strides: tuple

    def laid_out(self, x, copy: bool):
        """x, of the base's shape, with the base's layout, and the view of it at this place."""
        backend, size = backend_of(x), x.itemsize
        # the dimensions from the outermost in memory to the innermost
        order = sorted(range(x.ndim), key=lambda i: -abs(self.base_strides[i]))
        rows = x.transpose(order)
        if copy or not rows.flags.c_contiguous:
            rows = backend.xp.array(rows, order="C", copy=True)
        flat = rows.reshape(-1)
        whole = rows.transpose(sorted(range(x.ndim), key=lambda i: order[i]))
        strides = [n * size for n in self.strides]
        return whole, backend.strided(flat, self.shape, strides, self.offset * size)


def place_of(base: Any, view: Any) -> Place:
    """The place of an array in the memory of another one; gaps between that one's elements do not
    count.
    """
    backend, size = backend_of(base), base.itemsize
    start = (backend.address(view) - backend.address(base)) // size if view.size else 0
    strides = tuple([n // size for n in view.strides])
    steps = tuple([n // size for n in base.strides])
    if base.flags.c_contiguous:
        return Place(view.shape, strides, start, base.shape, steps)
    # the stride of each dimension, the innermost first, and what it is without gaps
    dims = sorted([i for i, n in enumerate(base.shape) if n > 1], key=lambda i: steps[i])
    if dims and steps[dims[0]] < 1:
        raise RuntimeError(
            "a recorded change in place of memory that is expanded or runs backwards: "
            "change a copy (.clone()) instead"
        )
    dense, total = [0] * base.ndim, 1
    for i in dims:
        dense[i], total = total, total * base.shape[i]

    def closed(distance):
        count = 0
        for i in reversed(dims):
            n, distance = divmod(distance, steps[i])
            count += n * dense[i]
        return count

    strides = tuple([closed(n) if size > 1 else 0 for n, size in zip(strides, view.shape)])
    return Place(view.shape, strides, closed(start), base.shape, tuple(dense))


class Region(Op):
    """What a view shows of its base: y = x[place]"""

    def forward(self, x):
        return self.place.laid_out(x, copy=False)[1]

    def backward(self, g, _y, _x):
        return Embed(place=self.place)(g)


class Embed(Op):
    """Zeros with x at a place: the adjoint of reading there"""

    def forward(self, x):
        zeros = self.xp.zeros(self.place.base_shape, x.dtype)
        whole, part = self.place.laid_out(zeros, copy=False)
        spread = [n > 1 and not step for n, step in zip(self.place.shape, self.place.strides)]
        if any(spread):  # by expand(): the same element is read many times
            x = x.sum(axis=tuple([i for i, s in enumerate(spread) if s]), keepdims=True)
            part = part[tuple([slice(1 if s else None) for s in spread])]
        part[...] = x
        return whole

    def backward(self, g, _y, _x):
        return Region(place=self.place)(g)


class Erase(Op):
    """x with zeros at a place"""

    def forward(self, x):
        whole, part = self.place.laid_out(x, copy=True)
        part[...] = 0
        return whole

    def backward(self, g, _y, _x):
        return Erase(place=self.place)(g)


class Overwrite(Op):
    """The base with `value` written, in place, where `part` lies: the rest of the gradient is the
    base's, the part's is the value's
    """

    # a loop that writes T rows erases T rows of one gradient; it does not copy the whole T times
    fresh = reuses = True

    def forward(self, base, value):
        self.part[...] = value
        self.part = None  # the node must not keep the memory alive
        return base

    def backward(self, g, _y, _base, _value):
        if isinstance(g, Tensor):
            return Erase(place=self.place)(g), Region(place=self.place)(g)
        whole, part = self.place.laid_out(g, copy=not self.owns)
        value = part.copy()
        part[...] = 0
        return whole, value


def check_writable(x: Tensor) -> None:
    base = x if x.base is None else x.base
    if base.tracked and base.creator is None:
        what = (
            "a leaf that requires grad" if x.base is None else "a view of a leaf that requires grad"
        )
        raise RuntimeError(
            f"{what} cannot be changed in place while recording: put the change under no_grad(), "
            "or change a copy (.clone())"
        )


def check_memory(part: Any) -> None:
    shared = 0 in part.strides and any(n > 1 and not s for n, s in zip(part.shape, part.strides))
    shared = shared and part.size
    if shared or not getattr(part.flags, "writeable", True):
        raise RuntimeError(
            "memory that several elements share, as after expand(), or that is read-only cannot be "
            "changed in place: change a copy (.clone())"
        )


def move(x: Tensor, creator: tuple) -> None:
    """x, written to, stands at another place of the tape now; `retain_grad` follows it there."""
    retained = x.retains_grad
    if retained:
        (x.creator[0].retained or {}).pop(x.creator[1], None)
    x.creator, x.tracked = creator, True
    if retained:
        x.retain_grad()
    x.changed()


def overwrite(x: Tensor, part: Any, value: Any) -> None:
    """Write `value` where the array `part` shows the memory of x, recorded."""
    check_writable(x)
    base = x if x.base is None else x.base
    out = Overwrite(place=place_of(base.array, part), part=part)(base, value)
    move(base, out.creator)


def write(x: Tensor, part: Any, value: Any) -> Tensor:
    """Write a number, array or Tensor where `part`, a view of x.array, lies; recorded if needed."""
    check_memory(part)
    if is_recording() and (x.requires_grad or getattr(value, "requires_grad", False)):
        overwrite(x, part, value)
        return x
    value = raw(value)
    backend_of(part, value)  # which refuses two devices
    try:
        part[...] = value
    except ValueError as error:  # as PyTorch has it
        why = f"{error}"
        if not getattr(part.flags, "writeable", True):
            why = (
                "its elements share memory, as after expand(), or are read-only: .clone() it before"
            )
        raise RuntimeError(f"writing into a tensor of shape {tuple(x.shape)}: {why}") from error
    x.changed()
    return x


def become(x: Tensor, y: Any) -> Tensor:
    """x takes over y in place: what `x.add_(z)` does with `x + z`.

    Raises RuntimeError where y has another shape or a dtype of a higher kind.
    """
    y = y if isinstance(y, Tensor) else wrap(backend_of(x.array).xp.asarray(raw(y)))
    if y.array.shape != x.array.shape:
        raise RuntimeError(
            f"a result of shape {tuple(y.shape)} does not fit in place into a tensor of shape "
            f"{tuple(x.shape)}"
        )
    kinds = "b", "iu", "f"
    rank = [next(i for i, kind in enumerate(kinds) if t.dtype.kind in kind) for t in (x, y)]
    if rank[1] > rank[0]:
        raise RuntimeError(f"a {y.dtype} result can't be cast to the tensor's type {x.dtype}")
    if not is_recording() or not (x.requires_grad or y.tracked) or y.creator is None:
        return write(x, x.array[...], y)
    check_writable(x)
    if y.dtype != x.dtype:
        y = cast(y, x.array.dtype)
    if x.base is not None:
        return write(x, x.array[...], y)
    check_memory(x.array)
    # no op between: x itself moves to where y stands
    x.array[...] = y.array
    move(x, y.creator)
    return x


def keep_content(x: Tensor, node: Node, since: int) -> None:
    """Give the nodes made after number `since` a copy of what they saved of x's memory, which is
    about to change: the rule of `x.log_()` needs the x that was.
    """
    stack = [node]
    while stack:
        node = stack.pop()
        if node.number <= since:
            continue
        mine = [(kind, i) for version, _, kind, i in node.guards if version is x.version]
        if mine:
            node.guards = [guard for guard in node.guards if guard[0] is not x.version]
            node.saved_outputs = node.saved_outputs and list(node.saved_outputs)
            for kind, i in mine:
                saved = node.saved_inputs if kind == "input" else node.saved_outputs
                saved[i] = saved[i].copy()
        stack += [slot[0] for slot in node.slots if slot is not None and isinstance(slot[0], Node)]


def in_place(function: Any) -> Any:
    """The in-place twin of a function of a tensor: `exp_` of `exp`."""

    def twin(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        before = last_number()
        y = function(self, *args, **kwargs)
        if isinstance(y, Tensor) and y.creator:
            keep_content(self, y.creator[0], before)
        return become(self, y)

    twin.__name__ = twin.__qualname__ = f"{function.__name__.rstrip('_')}_"
    twin.__doc__ = f"{function.__name__} in place."
    return twin


def reshaped(function: Any) -> Any:
    """The in-place twin of a view op: the tensor itself gets another shape over the same memory."""

    def twin(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if is_recording() and self.requires_grad:
            check_writable(self)
        y = function(self, *args, **kwargs)
        self.array, self.creator, self.tracked = y.array, y.creator or self.creator, y.tracked
        return self

    twin.__name__ = twin.__qualname__ = f"{function.__name__}_"
    twin.__doc__ = f"{function.__name__} in place."
    return twin


def region_of(base: Tensor, array: Any) -> Tensor:
    """The view `array` of the base's memory as a Tensor that stands behind the base."""
    view = Region(place=place_of(base.array, array))(base)
    view.version, view.base, view.seen = base.version, base, base.creator
    return view


def fill_(input: Tensor, value: Any) -> Tensor:
    """Every element becomes `value`, a number or a 0-d tensor."""
    if getattr(value, "ndim", 0):
        raise RuntimeError(f"fill_ takes a number or a 0-d tensor, got shape {tuple(value.shape)}")
    return write(input, input.array[...], value)


def zero_(input: Tensor) -> Tensor:
    return write(input, input.array[...], 0)


def copy_(input: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Take over the values of another tensor, broadcast, from any device and dtype."""
    if not isinstance(src, Tensor):
        raise TypeError(f"copy_ takes a Tensor, got {type(src).__name__}")
    if src.ndim > input.ndim:
        raise RuntimeError(
            f"copy_ of shape {tuple(src.shape)} into a tensor of shape {tuple(input.shape)}: "
            "the source has more dimensions"
        )
    return write(input, input.array[...], src.to(input.device))
