"""Which array module holds the data, and the few calls that array modules spell differently.

Arrays decide where an op runs: `module_of` looks at them. The device decides where arrays are born:
`backend_for` resolves "cpu", "cuda", "cuda:1" or "auto". Nothing else in minigrad imports CuPy, and
nothing imports it before a GPU is asked for.
"""

from __future__ import annotations

import importlib.util
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import numpy as np

from .dtypes import device
from .kernels import REALS, Kernels, Long


class Backend:
    """NumPy on the CPU, and the base of every other backend.

    A further backend gives `device`, the module `xp` with NumPy's interface and the class
    `array_type` of its arrays, and overrides whatever its module spells differently.
    `register_backend` makes it known.
    """

    device = device("cpu")
    xp: Any = np
    array_type: type = np.ndarray
    dlpack_kind = 1  # DLPack's number of the device
    kernels: Kernels | None = None  # of a GPU

    def why_unavailable(self) -> str | None:
        """None when the backend can compute, else the reason, in words for the user."""
        return None

    def kernels_of(self, dtype: np.dtype) -> Kernels | None:
        """The kernels for numbers of a type, if there are any."""
        return self.kernels if dtype.char in REALS else None

    def upload(self, array: np.ndarray) -> Any:
        """A host array as an array of this backend."""
        return array

    def download(self, array: Any) -> np.ndarray:
        """An array of this backend as a host array."""
        return array

    def is_view(self, y: Any, x: Any) -> bool:
        """Whether y, made from x by a view op, shares its memory."""
        owner = getattr(y, "base", x)  # an array class that cannot tell: better a false alarm
        return y is x or (owner is not None and (owner is x or owner is x.base))

    def place(self, index: Any) -> Any:
        """An index with its lists and host arrays on this device.

        Raises RuntimeError for an array of another device.
        """
        if isinstance(index, tuple):
            return tuple([self.place(part) for part in index])
        if isinstance(index, (list, np.ndarray)):
            return self.upload(np.asarray(index))
        if is_array(index) and type(index) is not self.array_type:
            raise RuntimeError(
                f"an index on {backend_of(index).device} for an array on {self.device}"
            )
        return index

    def address(self, array: Any) -> int:
        """Where in memory an array begins, in bytes."""
        return array.__array_interface__["data"][0]

    def strided(self, flat: Any, shape: tuple, strides: Any, offset: int) -> Any:
        """A view of the memory of a contiguous array; strides and offset in bytes."""
        return self.array_type(shape, flat.dtype, flat, offset, strides)

    def checking(self) -> AbstractContextManager:
        """Under it linear algebra raises where there is no result: of a singular matrix."""
        return nullcontext()

    def add_at(self, array: Any, index: Any, values: Any) -> None:
        """`array[index] += values`, where an index that occurs twice is added twice."""
        self.at("add", array, index, values)

    def at(self, name: str, array: Any, index: Any, values: Any) -> None:
        """The same for "add", "multiply", "maximum" or "minimum"."""
        getattr(self.xp, name).at(array, index, values)


class CuPyBackend(Backend):
    """CuPy on NVIDIA GPU number `index`, which becomes CuPy's current device: one GPU a process."""

    dlpack_kind = 2

    def __init__(self, index: int = 0):
        self.index = index
        self.device = device(f"cuda:{index}")
        self.xp = None
        try:
            self.reason = self.detect()
        except Exception as error:  # without toolkit an ImportError, without driver a RuntimeError
            self.reason = f"{type(error).__name__}: {error}"

    def detect(self) -> str | None:
        """Get ready to compute, or return why that cannot be."""
        if importlib.util.find_spec("cupy") is None:
            return "CuPy is not installed (pip install 'minigrad[cuda12]' or 'minigrad[cuda13]')"
        import cupy

        if not cupy.cuda.is_available():
            return "CuPy is installed but finds no CUDA driver or no GPU"
        count = cupy.cuda.runtime.getDeviceCount()
        if self.index >= count:
            return f"this machine has {count} GPU(s), numbered from 0"
        with cupy.cuda.Device(self.index):
            cupy.zeros(1).sum().get()  # a driver that is too old fails here and nowhere earlier
        cupy.cuda.Device(self.index).use()
        self.xp, self.array_type = cupy, cupy.ndarray
        self.kernels = Kernels(cupy, self.address)
        return None

    def why_unavailable(self) -> str | None:
        return self.reason

    def upload(self, array: np.ndarray) -> Any:
        return self.xp.asarray(array)

    def download(self, array: Any) -> np.ndarray:
        return array.get()

    def is_view(self, y: Any, x: Any) -> bool:
        return y is x or y.data.mem is x.data.mem  # an array of `strided` knows no base

    def address(self, array: Any) -> int:
        return array.data.ptr

    def strided(self, flat: Any, shape: tuple, strides: Any, offset: int) -> Any:
        return self.array_type(shape, flat.dtype, flat.data + offset, strides)

    def checking(self) -> AbstractContextManager:
        import cupyx

        return cupyx.errstate(linalg="raise")

    def at(self, name: str, array: Any, index: Any, values: Any) -> None:
        """In a set order, so that a run can be repeated: CuPy's own are atomic, and know few
        dtypes and of `multiply` none.
        """
        xp = self.xp
        places = xp.arange(array.size).reshape(array.shape)[index]
        values = xp.broadcast_to(xp.asarray(values, array.dtype), places.shape).reshape(-1)
        places, n = places.reshape(-1), places.size
        if not n:
            return
        # a thread of the kernel adds all that is sent to its place
        if name == "add" and n <= 32 * array.size and (kernels := kernels_for(array)):
            return add_in_order(kernels, array, places, values[:, None])
        order = places.argsort()
        function, places, values = getattr(xp, name), places[order], values[order]
        nth, by = xp.arange(n) - xp.searchsorted(places, places), 1  # of those sent to its place
        while by < n:  # what is sent to one place is combined in log n steps
            both = function(values[by:], values[:-by])
            values[by:] = xp.where(nth[by:] >= by, both, values[by:])
            by *= 2
        flat, all_ = array.reshape(-1), xp.arange(array.size)
        last = xp.maximum(xp.searchsorted(places, all_, side="right") - 1, 0)  # that was sent there
        sent = places[last] == all_
        array[...] = xp.where(sent, function(flat, values[last]), flat).reshape(array.shape)


_default: ContextVar[str] = ContextVar("default_device", default="cpu")
CPU = Backend()
_BACKENDS: dict[str, Backend] = {"cpu": CPU}
_BY_TYPE: dict[type, Backend] = {np.ndarray: CPU}


def register_backend(backend: Backend) -> None:
    """Make `backend` known under its `device` name, and its arrays to every op."""
    _BACKENDS[backend.device] = backend
    _BY_TYPE[backend.array_type] = backend


def backend_for(device: Any) -> Backend:
    """The backend of a device name; None means the default device, and only "auto" falls back to
    the CPU.

    Raises RuntimeError for an unknown name, and, with the reason, for a device that cannot be used.
    """
    name = str(_default.get() if device is None else device)
    name = f"cuda:{name}" if name.isdecimal() else name  # PyTorch's short form
    if name == "auto":
        cuda = _cuda("cuda")
        return CPU if cuda.why_unavailable() else cuda
    backend = _BACKENDS.get(name) or _cuda(name)
    reason = backend.why_unavailable()
    if reason:
        raise RuntimeError(f"device {name!r} cannot be used: {reason}; use device='cpu' or 'auto'")
    return backend


def _cuda(name: str) -> Backend:
    kind, _, number = name.partition(":")
    if kind != "cuda" or (":" in name and not number.isdecimal()):
        raise RuntimeError(
            f"unknown device {name!r}; known: {', '.join(_BACKENDS)}, cuda, cuda:N, auto"
        )
    index = int(number or 0)
    for backend in _BACKENDS.values():
        if isinstance(backend, CuPyBackend):
            if backend.index == index:
                return backend
            raise RuntimeError(f"{name} was asked for, but this process uses {backend.device}")
    backend = CuPyBackend(index)
    if backend.why_unavailable() is None:
        register_backend(backend)
    return backend


def get_default_device() -> device:
    """Where new tensors are made when no device is named."""
    return device(_default.get())


def set_default_device(device: Any) -> None:
    """Make new tensors of this thread or task on `device`. Raises RuntimeError if it cannot be
    used.
    """
    _default.set(backend_for("cpu" if device is None else device).device)


def backends() -> list[Backend]:
    """The backends in use."""
    return list(_BACKENDS.values())


def backend_of(*arrays: Any) -> Backend:
    """The backend that holds the arrays; Python numbers belong to every backend.

    Raises RuntimeError when the arrays live on different devices.
    """
    found = None
    for array in arrays:
        backend = _BY_TYPE.get(type(array))
        if backend is None or backend is found:
            continue
        if found is not None:
            raise RuntimeError(
                f"arrays on different devices: {found.device} and {backend.device}; "
                "move one with .to(device)"
            )
        found = backend
    return found or CPU


def module_of(*arrays: Any) -> ModuleType:
    """The array module (numpy, cupy, ...) of the arrays."""
    return backend_of(*arrays).xp


def kernels_for(*arrays: Any) -> Kernels | None:
    """The kernels of the arrays' device, if it has any and they can read them: of one floating
    type, without gaps.
    """
    dtype = arrays[0].dtype
    kernels = backend_of(*arrays).kernels_of(dtype)
    alike = kernels and all([x.dtype == dtype and x.flags.c_contiguous for x in arrays])
    return kernels if alike else None


def add_in_order(kernels: Kernels, table: Any, ids: Any, rows: Any, skip: int = -1) -> None:
    """table[ids] += rows, ids (n,) and rows (n, ...), those of one id in their order; row `skip` of
    the table stays as it is.
    """
    xp, order, n, D = module_of(table), ids.argsort(), len(ids), rows[0].size
    given = table, ids[order], order, xp.ascontiguousarray(rows), Long(skip)
    kernels("embedding.embedding_add", table.dtype, n * D, Long(n), D, *given)


def is_array(x: Any) -> bool:
    """Whether `x` is an array of a known backend."""
    return type(x) in _BY_TYPE


def to_numpy(array: Any) -> np.ndarray:
    """Any backend's array as a NumPy array."""
    return backend_of(array).download(array)
