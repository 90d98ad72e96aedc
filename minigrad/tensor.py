"""Tensor: an array, its gradient, and the op that made it.

What a Tensor is and where it stands in the graph is here; the operators and methods that compute
are functions of `minigrad.ops`, attached by name in `methods.py`. The imports at the bottom are the
one knot of the package: an op makes Tensors, `a + b` makes an op, and `backward()` is the engine.
"""

from __future__ import annotations

from typing import Any


from . import backend as backends
from . import dtypes
from .dtypes import DTYPES, Size
from .modes import recording


class Tensor:
    """An n-dimensional array that remembers how it was computed.

    - `array`: the raw array
    - `tracked`: whether a gradient flows to it (`requires_grad` for everyone else)
    - `creator`: its place on the tape, (op, output index), or None for a leaf
    - `version`: the number of in-place changes, in a cell that all views of the memory share
    - `base`: for a view the Tensor whose memory it shows, else None; `seen`: the creator that the
    base
      had when this view was made from it

    Called by the user it is PyTorch's legacy constructor, of float32: `Tensor(2, 3)` makes a tensor
    of that size, `Tensor([1, 2])` one with that content. `tensor()` is the better one.
    """

    __slots__ = (
        *("array", "tracked", "creator", "version", "base", "seen", "_grad"),
        *("__dict__", "__weakref__"),
    )
    # `ndarray * tensor` comes to our __rmul__ instead of making an object array
    __array_priority__ = 1000
    hooks: dict | None = None  # of a leaf: functions of its gradient
    retained = False  # whether a computed tensor keeps its gradient
    after_hooks: dict | None = None  # functions of the leaf once its gradient has been added

    def __init__(self, *content: Any, device: Any = None):
        made = ops.legacy(None, *content, device=device)
        _fill(self, made.array, None, made.version)

    # what it is

    @property
    def slot(self) -> tuple:
        """The key of this Tensor's gradient: the output of an op, or the leaf itself."""
        if self.base is not None:
            self.follow()
        return self.creator or (self, 0)

    @property
    def shape(self) -> Size:
        return Size(self.array.shape)

    @property
    def dtype(self) -> dtypes.dtype:
        return DTYPES[self.array.dtype]

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def device(self) -> str:
        return backends.backend_of(self.array).device

    @property
    def is_leaf(self) -> bool:
        return self.grad_fn is None

    @property
    def grad_fn(self) -> Any:
        if self.base is not None:
            self.follow()
        return self.creator[0] if self.creator else None

    @property
    def requires_grad(self) -> bool:
        if self.base is not None:
            self.follow()
        return self.tracked

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def is_floating_point(self) -> bool:
        return self.array.dtype.kind == "f"

    # the graph

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        if requires_grad and not self.is_floating_point():
            raise RuntimeError(
                f"only floating-point tensors can require gradients, this one is {self.dtype}"
            )
        if not requires_grad and not self.is_leaf:
            raise RuntimeError("this tensor was computed: use detach() to cut it from its graph")
        self.tracked = bool(requires_grad)
        return self

    def detach(self) -> Tensor:
        """The same memory, outside the graph."""
        return wrap(self.array, version=self.version)

    def follow(self) -> None:
        """A view takes its place in the graph again after the base's memory was written."""
        if self.base.creator is not self.seen:
            with recording(True):
                again = ops.region_of(self.base, self.array)
            self.creator, self.tracked, self.seen = again.creator, again.tracked, again.seen

    def changed(self) -> None:
        """Tell the tape that the memory was written to behind its back, through `array`."""
        self.version[0] += 1

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Add d self / d leaf to `.grad` of every leaf that requires it, or of `inputs` only."""
        autograd.backward(self, gradient, retain_graph, create_graph, inputs)

    __hash__ = object.__hash__  # == is elementwise, so a Tensor is a dictionary key by identity

    def __repr__(self) -> str:
        return printing.format_tensor(self)


def _fill(x: Tensor, array: Any, creator: tuple | None, version: list | None) -> None:
    x.array, x.creator, x.tracked = array, creator, creator is not None
    x.version = version or [0]
    x._grad = x.base = None


def wrap(array: Any, creator: tuple | None = None, version: list | None = None) -> Tensor:
    """A Tensor around a raw array: how every op makes its outputs."""
    # _fill's lines again: every op comes through here, and a call in Python is not free
    x = _new(Tensor)
    x.array, x.creator, x.tracked = array, creator, creator is not None
    x.version = version or [0]
    x._grad = x.base = None
    return x


_new = object.__new__


# The knot: everything above is complete without these names, everything below needs the class
# above.
from . import ops  # noqa: E402  isort: skip
from . import autograd, printing  # noqa: E402
