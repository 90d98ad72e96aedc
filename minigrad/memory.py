"""The memory behind a Tensor, as PyTorch's storages and properties show it."""

from __future__ import annotations

from typing import Any

from . import ops
from .backend import backend_of, to_numpy
from .dtypes import dtype, of, uint8
from .methods import method
from .ops.birth import strided
from .ops.views import owner
from .tensor import Tensor


class UntypedStorage:
    """The bytes that a tensor and its views share."""

    def __init__(self, tensor: Tensor):
        self.memory = owner(tensor.array)
        self.dtype = uint8

    @property
    def device(self) -> str:
        return backend_of(self.memory).device

    @property
    def is_cuda(self) -> bool:
        return str(self.device).startswith("cuda")

    def data_ptr(self) -> int:
        return backend_of(self.memory).address(self.memory)

    def nbytes(self) -> int:
        return self.memory.nbytes

    def element_size(self) -> int:
        return self.dtype.itemsize

    def size(self) -> int:
        """How many elements: of an untyped storage, bytes."""
        return self.nbytes() // self.dtype.itemsize

    def __len__(self) -> int:
        return self.size()

    def tolist(self) -> list:
        return list(to_numpy(self.memory).reshape(-1).view(self.dtype.dtype).tolist())

    def __getitem__(self, index: Any) -> Any:
        return self.tolist()[index]

    def is_shared(self) -> bool:
        """False: memory is not shared between processes."""
        return False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.size()} x {self.dtype} on {self.device}>"


class TypedStorage(UntypedStorage):
    """The elements that a tensor and its views share."""

    def __init__(self, tensor: Tensor):
        super().__init__(tensor)
        self.dtype: dtype = of(self.memory.dtype)

    def untyped(self) -> UntypedStorage:
        return UntypedStorage(ops.as_tensor(self.memory))


@method
def untyped_storage(self: Tensor) -> UntypedStorage:
    return UntypedStorage(self)


@method
def storage(self: Tensor) -> TypedStorage:
    return TypedStorage(self)


@method
@property
def itemsize(self: Tensor) -> int:
    """Bytes of one element."""
    return self.array.itemsize


@method
@property
def nbytes(self: Tensor) -> int:
    """Bytes of all elements."""
    return self.array.nbytes


@method
@property
def layout(self: Tensor) -> Any:
    """`strided`, the only one here."""
    return strided


@method
def dim_order(self: Tensor) -> tuple[int, ...]:
    """The dimensions from the outermost in memory to the innermost."""
    steps = [abs(step) for step in self.array.strides]
    return tuple(sorted(range(self.array.ndim), key=lambda d: -steps[d]))


@method
def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether the other one shows the same elements of the same memory in the same way."""
    a, b = self.array, tensor.array
    same = a.shape == b.shape and a.strides == b.strides and a.dtype == b.dtype
    return same and owner(a) is owner(b) and self.data_ptr() == tensor.data_ptr()


@method
def resize_as_(self: Tensor, the_template: Tensor) -> Tensor:
    """Another tensor's size; the elements stay in order, new ones are 0."""
    return self.resize_(*the_template.shape)


@method
@property
def H(self: Tensor) -> Tensor:
    """A matrix transposed."""
    if self.array.ndim not in (0, 2):
        raise RuntimeError(f"H of {self.array.ndim} dimensions: of 2-D matrices only, see mH")
    return ops.t(self)


@method
@property
def mH(self: Tensor) -> Tensor:
    """The last two dimensions exchanged."""
    return ops.adjoint(self)
