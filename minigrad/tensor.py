"""Tensor: an array, its gradient, and the op that made it.

Operators and methods are one line each and call `minigrad.ops`. The imports at the bottom are the
one knot of the package: an op makes Tensors, `a + b` makes an op, and `backward()` is the engine.
"""

from __future__ import annotations

from typing import Any, Iterator

import numpy as np

from . import backend as backends


class Tensor:
    """An n-dimensional array that remembers how it was computed.

    `array` is the raw array, `grad` the accumulated gradient of a leaf (a Tensor or None),
    `creator` the place on the tape, (op, output index), or None for a leaf. `version` counts
    in-place changes of the memory, in a cell that all views of this memory share.
    """

    __slots__ = ("array", "requires_grad", "grad", "creator", "version", "__weakref__")
    # `ndarray * tensor` comes to our __rmul__ instead of making an object array
    __array_ufunc__ = None

    def __init__(
        self, array: Any, requires_grad: bool = False, creator: tuple | None = None, version=None
    ):
        self.array = array
        self.requires_grad = requires_grad or creator is not None
        self.grad: Tensor | None = None
        self.creator = creator
        self.version = [0] if version is None else version

    # what it is

    @property
    def slot(self) -> tuple:
        """The key of this Tensor's gradient: the output of an op, or the leaf itself."""
        return self.creator or (self, 0)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def device(self) -> str:
        return backends.backend_of(self.array).device

    @property
    def is_leaf(self) -> bool:
        return self.creator is None

    @property
    def grad_fn(self) -> Any:
        return self.creator[0] if self.creator else None

    @property
    def data(self) -> Tensor:
        """The same memory, outside the graph; changes through it are not tracked, as in PyTorch."""
        return Tensor(self.array)

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        return self.ndim

    def numel(self) -> int:
        return self.array.size

    def is_floating_point(self) -> bool:
        return self.dtype.kind == "f"

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __repr__(self) -> str:
        text = np.array2string(self.to_numpy(), separator=", ", precision=4, prefix="tensor(")
        notes = [] if self.dtype in (np.float32, np.int64, np.bool_) else [f"dtype={self.dtype}"]
        if self.device != "cpu":
            notes.append(f"device='{self.device}'")
        if self.creator:
            notes.append(f"grad_fn=<{type(self.grad_fn).__name__}>")
        elif self.requires_grad:
            notes.append("requires_grad=True")
        return f"tensor({', '.join([text, *notes])})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    # to the host

    def to_numpy(self) -> np.ndarray:
        """The values as a NumPy array, from any device, with or without a graph."""
        return backends.to_numpy(self.array)

    def numpy(self) -> np.ndarray:
        """The values as a NumPy array that shares memory; RuntimeError where that would lose the
        graph.
        """
        if self.requires_grad:
            raise RuntimeError(
                "numpy() on a tensor that requires grad: use tensor.detach().numpy()"
            )
        if backends.backend_of(self.array) is not backends.CPU:
            raise TypeError(f"numpy() on a tensor on {self.device}: use tensor.cpu().numpy()")
        return self.array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def item(self) -> float | int | bool:
        if self.numel() != 1:
            raise RuntimeError(
                f"item() needs a tensor of one element, this one has shape {self.shape}"
            )
        return self.to_numpy().item()

    def tolist(self) -> Any:
        return self.to_numpy().tolist()

    def __bool__(self) -> bool:
        if self.numel() != 1:
            raise RuntimeError(
                f"truth value of a tensor of shape {self.shape} is ambiguous: use .any() or .all()"
            )
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iub":
            raise TypeError(
                f"only an integer tensor of one element can be an index, this one is {self.dtype}"
            )
        return int(self.item())

    # to other places and types

    def to(self, *targets: Any, device: str | None = None, dtype: Any = None) -> Tensor:
        """Another device, dtype, or both; positional arguments are told apart by what they are."""
        for target in targets:
            if isinstance(target, Tensor):
                device, dtype = target.device, target.dtype
            elif isinstance(target, str) and not target.startswith(
                ("float", "int", "uint", "bool")
            ):
                device = target
            else:
                dtype = target
        x = self
        if device is not None and backends.backend_for(device).device != self.device:
            x = ops.to_device(x, device)
        return x if dtype is None or np.dtype(dtype) == x.dtype else ops.cast(x, dtype)

    def cpu(self) -> Tensor:
        return self.to("cpu")

    def cuda(self) -> Tensor:
        return self.to("cuda")

    def float(self) -> Tensor:
        return self.to(dtype=np.float32)

    def double(self) -> Tensor:
        return self.to(dtype=np.float64)

    def long(self) -> Tensor:
        return self.to(dtype=np.int64)

    def int(self) -> Tensor:
        return self.to(dtype=np.int32)

    def bool(self) -> Tensor:
        return self.to(dtype=np.bool_)

    # the graph

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        if requires_grad and not self.is_floating_point():
            raise RuntimeError(
                f"only floating-point tensors can require gradients, this one is {self.dtype}"
            )
        if not requires_grad and not self.is_leaf:
            raise RuntimeError("this tensor was computed: use detach() to cut it from its graph")
        self.requires_grad = requires_grad
        return self

    def detach(self) -> Tensor:
        """The same memory, outside the graph."""
        return Tensor(self.array, version=self.version)

    def clone(self) -> Tensor:
        return ops.clone(self)

    def contiguous(self) -> Tensor:
        return self if self.array.flags.c_contiguous else ops.clone(self)

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Add d self / d leaf to `.grad` of every leaf that requires it, or of `inputs` only."""
        engine.backward(self, gradient, retain_graph, create_graph, inputs)

    # in place: for what is not being recorded; every change is counted, so that no rule uses a
    # changed array

    def changed(self) -> None:
        """Tell the tape that the memory was written to behind its back, through `array`."""
        self.version[0] += 1

    def _write(self, index: Any, value: Any) -> Tensor:
        if is_grad_enabled() and (self.requires_grad or getattr(value, "requires_grad", False)):
            raise RuntimeError(
                "an in-place change is not recorded: use the out-of-place form "
                "(y = x + 1, not x.add_(1)), or no_grad() if no gradient is wanted"
            )
        place = backends.backend_of(self.array, raw(value)).place
        try:
            self.array[place(raw_index(index))] = raw(value)
        except ValueError as error:  # as PyTorch has it
            raise RuntimeError(f"writing into a tensor of shape {self.shape}: {error}") from error
        self.changed()
        return self

    def _become(self, result: Tensor) -> Tensor:
        """An in-place operator: a wider type does not fit."""
        if result.dtype.kind == "f" and self.dtype.kind != "f":
            raise RuntimeError(f"a {result.dtype} result does not fit a tensor of {self.dtype}")
        return self._write(..., result)

    def __setitem__(self, index: Any, value: Any) -> None:
        self._write(index, value)

    def copy_(self, other: Tensor) -> Tensor:
        """Take over the values of another tensor, from any device."""
        return self._write(..., other.to(self.device))

    def fill_(self, value: float) -> Tensor:
        return self._write(..., value)

    def zero_(self) -> Tensor:
        return self._write(..., 0)

    def add_(self, other: Any, alpha: float = 1) -> Tensor:
        return self._become(self + (other if alpha == 1 else other * alpha))

    def sub_(self, other: Any, alpha: float = 1) -> Tensor:
        return self._become(self - (other if alpha == 1 else other * alpha))

    def mul_(self, other: Any) -> Tensor:
        return self._become(self * other)

    def div_(self, other: Any) -> Tensor:
        return self._become(self / other)

    def _iop(self, result: Tensor) -> Tensor:
        """x += y: in place, but while recording a computed tensor's name goes to a new tensor."""
        if not result.requires_grad:
            return self._become(result)
        if self.is_leaf and self.requires_grad:
            raise RuntimeError(
                "a leaf that requires grad cannot be changed in place while recording: "
                "put the update under no_grad()"
            )
        return result

    def __iadd__(self, other: Any) -> Tensor:
        return self._iop(self + other)

    def __isub__(self, other: Any) -> Tensor:
        return self._iop(self - other)

    def __imul__(self, other: Any) -> Tensor:
        return self._iop(self * other)

    def __itruediv__(self, other: Any) -> Tensor:
        return self._iop(self / other)

    # operators

    def __add__(self, other: Any) -> Tensor:
        return ops.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return ops.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return ops.sub(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return ops.sub(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return ops.mul(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return ops.mul(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return ops.div(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return ops.div(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return ops.pow(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return ops.pow(other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return ops.matmul(other, self)

    def __neg__(self) -> Tensor:
        return ops.neg(self)

    def __abs__(self) -> Tensor:
        return ops.abs(self)

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        return False if other is None else ops.eq(self, other)

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return True if other is None else ops.ne(self, other)

    def __lt__(self, other: Any) -> Tensor:
        return ops.lt(self, other)

    def __le__(self, other: Any) -> Tensor:
        return ops.le(self, other)

    def __gt__(self, other: Any) -> Tensor:
        return ops.gt(self, other)

    def __ge__(self, other: Any) -> Tensor:
        return ops.ge(self, other)

    def __invert__(self) -> Tensor:
        return ops.bitwise_not(self)

    def __and__(self, other: Any) -> Tensor:
        return ops.bitwise_and(self, other)

    def __or__(self, other: Any) -> Tensor:
        return ops.bitwise_or(self, other)

    __hash__ = object.__hash__  # == is elementwise, so a Tensor is a dictionary key by identity

    def __getitem__(self, index: Any) -> Tensor:
        return ops.index(self, index)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(ops.unbind(self))

    # elementwise

    def exp(self) -> Tensor:
        return ops.exp(self)

    def log(self) -> Tensor:
        return ops.log(self)

    def sqrt(self) -> Tensor:
        return ops.sqrt(self)

    def abs(self) -> Tensor:
        return ops.abs(self)

    def sin(self) -> Tensor:
        return ops.sin(self)

    def cos(self) -> Tensor:
        return ops.cos(self)

    def tanh(self) -> Tensor:
        return ops.tanh(self)

    def sigmoid(self) -> Tensor:
        return ops.sigmoid(self)

    def relu(self) -> Tensor:
        return ops.relu(self)

    def pow(self, exponent: Any) -> Tensor:
        return ops.pow(self, exponent)

    def clamp(self, min: float | None = None, max: float | None = None) -> Tensor:
        return ops.clamp(self, min, max)

    def masked_fill(self, mask: Any, value: float) -> Tensor:
        return ops.masked_fill(self, mask, value)

    # reductions

    def sum(self, dim: Any = None, keepdim: bool = False, **other_names: Any) -> Tensor:
        return ops.sum(self, dim, keepdim, **other_names)

    def mean(self, dim: Any = None, keepdim: bool = False, **other_names: Any) -> Tensor:
        return ops.mean(self, dim, keepdim, **other_names)

    def max(self, dim: Any = None, keepdim: bool = False, **other_names: Any) -> Any:
        return ops.max(self, dim, keepdim, **other_names)

    def min(self, dim: Any = None, keepdim: bool = False, **other_names: Any) -> Any:
        return ops.min(self, dim, keepdim, **other_names)

    def argmax(self, dim: Any = None, keepdim: bool = False, **other_names: Any) -> Tensor:
        return ops.argmax(self, dim, keepdim, **other_names)

    def argmin(self, dim: Any = None, keepdim: bool = False, **other_names: Any) -> Tensor:
        return ops.argmin(self, dim, keepdim, **other_names)

    def all(self, dim: Any = None, keepdim: bool = False, **other_names: Any) -> Tensor:
        return ops.all(self, dim, keepdim, **other_names)

    def any(self, dim: Any = None, keepdim: bool = False, **other_names: Any) -> Tensor:
        return ops.any(self, dim, keepdim, **other_names)

    def logsumexp(self, dim: Any, keepdim: bool = False, **other_names: Any) -> Tensor:
        return ops.logsumexp(self, dim, keepdim, **other_names)

    def softmax(self, dim: int) -> Tensor:
        return ops.softmax(self, dim)

    def log_softmax(self, dim: int) -> Tensor:
        return ops.log_softmax(self, dim)

    def norm(self) -> Tensor:
        return ops.norm(self)

    # shape

    def reshape(self, *shape: Any) -> Tensor:
        return ops.reshape(self, flat(shape))

    def view(self, *shape: Any) -> Tensor:
        return ops.reshape(self, flat(shape))

    def permute(self, *dims: Any) -> Tensor:
        return ops.permute(self, flat(dims))

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        return ops.transpose(self, dim0, dim1)

    def t(self) -> Tensor:
        return ops.t(self)

    @property
    def T(self) -> Tensor:
        return ops.permute(self, tuple(range(self.ndim))[::-1])

    @property
    def mT(self) -> Tensor:
        return ops.transpose(self, -2, -1)

    def squeeze(self, dim: int | None = None) -> Tensor:
        return ops.squeeze(self, dim)

    def unsqueeze(self, dim: int) -> Tensor:
        return ops.unsqueeze(self, dim)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        return ops.flatten(self, start_dim, end_dim)

    def expand(self, *shape: Any) -> Tensor:
        return ops.expand(self, flat(shape))

    def flip(self, *dims: Any) -> Tensor:
        return ops.flip(self, flat(dims))

    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        return ops.unbind(self, dim)

    def split(self, size: Any, dim: int = 0) -> tuple[Tensor, ...]:
        return ops.split(self, size, dim)

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        return ops.chunk(self, chunks, dim)

    def gather(self, dim: int, index: Tensor) -> Tensor:
        return ops.gather(self, dim, index)

    # linear algebra

    def matmul(self, other: Any) -> Tensor:
        return ops.matmul(self, other)

    mm = bmm = mv = dot = matmul


def flat(arguments: tuple) -> tuple:
    """`x.reshape(2, 3)` and `x.reshape((2, 3))` are the same call."""
    if len(arguments) == 1 and isinstance(arguments[0], (tuple, list)):
        return tuple(arguments[0])
    return arguments


# The knot: everything above is complete without these names, everything below needs the class
# above.
from . import engine, ops  # noqa: E402
from .op import is_grad_enabled, raw  # noqa: E402
from .ops.indexing import raw_index  # noqa: E402
