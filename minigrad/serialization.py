"""Tensors in files: state dicts, checkpoints, whole objects. A file is replaced whole or not at
all.

`save` writes tensors in plain containers as one safetensors file, whose metadata holds a digest and
the containers as JSON; a plain state dict is thereby a safetensors file like any other. Anything
else is pickled, and nothing is unpickled unless `load` is told to.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import json
import math
import os
import pickle
import struct
import tempfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from . import dtypes
from .backend import is_array, to_numpy
from .nn import Buffer, Parameter
from .methods import rebuild
from .tensor import Tensor, wrap


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A path beside `path` to write to; it takes `path`'s place when the block ends without an
    exception.

    A reader sees the old file or the new one, whenever the writer is killed.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
        with open(name, "rb") as written:
            os.fsync(written.fileno())  # the rename must not reach the disk before the content
        mask = os.umask(0)
        os.umask(mask)
        # mkstemp's files are private; this one is a file like any other
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def write_text(path: str | os.PathLike, text: str) -> None:
    """Replace a UTF-8 text file atomically."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def save_file(
    tensors: Mapping[str, Any], path: str | os.PathLike, metadata: dict[str, str] | None = None
) -> None:
    """Write Tensors or arrays, from any device, to a safetensors file, atomically."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file as write

    host = _hosts(tensors)
    with replacing(path) as beside:
        try:
            write(host, beside, _signed(host, metadata))
        except SafetensorError as error:  # how the library reports a full disk
            raise OSError(f"cannot write {path}: {error}") from error


def load_file(path: str | os.PathLike) -> dict[str, Tensor]:
    """The Tensors of a safetensors file, on the CPU. Raises ValueError, with the path, for a
    damaged file.
    """
    data = Path(path).read_bytes()
    arrays, _ = _arrays(data, _header(data) or {}, str(path))
    return {name: wrap(array) for name, array in arrays.items()}


_DIGEST = "sha256"  # the entry of the metadata that says what the file held when it was written


def _signed(host: Mapping[str, np.ndarray], metadata: dict[str, str] | None) -> dict[str, str]:
    """The metadata with a digest of it and of the arrays."""
    metadata = dict(metadata or {})
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(host):
        x = host[name]
        digest.update(json.dumps([name, x.dtype.name, x.shape]).encode())
        digest.update(x.reshape(-1).view(np.uint8))
    return metadata | {_DIGEST: digest.hexdigest()}


def _arrays(
    data: bytes, header: dict[str, Any], name: str
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of a safetensors file and its metadata. A file with a digest, as ours have, is
    what was written, or ValueError is raised.
    """
    from safetensors.numpy import load as from_bytes

    with _reading(name):
        arrays = from_bytes(data)
    metadata = dict(header.get("__metadata__") or {})
    digest = metadata.pop(_DIGEST, None)
    if digest is not None and _signed(arrays, metadata)[_DIGEST] != digest:
        raise ValueError(f"{name} is damaged: its digest is not that of its content")
    return arrays, metadata


@contextlib.contextmanager
def _reading(name: Any) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise ValueError(f"{name} is damaged or no safetensors file: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{name} holds a type that NumPy does not have: {error}") from error


def _hosts(tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(_host(name, x), order="C") for name, x in tensors.items()}


def _host(name: str, x: Any) -> np.ndarray:
    if isinstance(x, Tensor):
        return x.to_numpy()
    if is_array(x):
        return to_numpy(x)
    raise TypeError(f"{name} is a {type(x).__name__}: a safetensors file holds Tensors and arrays")


# objects

# how files of torch.save begin: as a zip file, or, the older ones, as the pickle of a number
_TORCH = b"PK\x03\x04", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_METADATA = "minigrad"  # the entry of a safetensors file's metadata that holds the containers


def save(
    obj: Any,
    f: str | os.PathLike | BinaryIO,
    *,
    pickle_protocol: int = 4,
    _use_new_zipfile_serialization: bool = True,
) -> None:
    """Write `obj` to a path, atomically, or to an open binary file.

    Tensors and arrays in dicts, lists, tuples, sets and the like, with numbers, text and None, make
    a safetensors file. Anything else (a whole model) is pickled and can be loaded only with
    `weights_only=False`. PyTorch's choice between two formats of its own has no meaning here.
    """
    packed, plain = Packed(), True
    try:
        structure = packed.node(obj, "")
    except (NotPlain, RecursionError):  # an object, or containers that hold themselves
        plain = False
    if not plain:
        with _writing(f) as stream:
            _Pickler(stream, pickle_protocol).dump(obj)
        return
    metadata = {_METADATA: json.dumps(structure, separators=(",", ":"))}
    if _is_path(f):
        save_file(packed.arrays, f, metadata)
    else:
        from safetensors.numpy import save as to_bytes

        host = _hosts(packed.arrays)
        with _writing(f) as stream:
            stream.write(to_bytes(host, _signed(host, metadata)))


def load(
    f: str | os.PathLike | BinaryIO,
    map_location: Any = None,
    *,
    weights_only: bool | None = True,
    **pickle_load_args: Any,
) -> Any:
    """What `save` wrote, or the tensors of any safetensors file, by name.

    Tensors come back where they were, or where `map_location` says: a device, a dict from devices
    to devices, or a function of a tensor on the CPU and the name of its device. With
    `weights_only=False` a pickled object is unpickled, which runs code that the file brings along:
    only for files that you trust. Raises ValueError for a file that is damaged or of another kind,
    and pickle.UnpicklingError for a pickled object with `weights_only`.
    """
    if _is_path(f):
        name, data = str(f), Path(f).read_bytes()
    else:
        name, data = str(getattr(f, "name", "the file")), f.read()
    header = _header(data)
    if header is not None:
        return _unpacked(data, header, name, map_location)
    if data.startswith(_TORCH):
        raise ValueError(
            f"{name} was written by PyTorch's torch.save: in PyTorch, write its tensors with "
            "safetensors.torch.save_file(state_dict, path); such a file can be loaded here"
        )
    if data[:1] != b"\x80":
        hint = "" if data else ": it is empty"
        if not data and not _is_path(f):
            hint += " here; after writing to a buffer, call its seek(0)"
        raise ValueError(f"{name} is damaged or no file of save(){hint}")
    if weights_only is None or weights_only:
        raise pickle.UnpicklingError(
            f"{name} holds a pickled object, not only tensors and plain containers, and unpickling "
            "runs code that the file brings along. If you trust its source, use "
            "load(..., weights_only=False); better save model.state_dict() instead of a model"
        )
    token = _location.set(map_location)
    try:
        return pickle.loads(data, **pickle_load_args)
    except (pickle.UnpicklingError, EOFError) as error:
        raise ValueError(f"{name} is damaged: {error}") from error
    finally:
        _location.reset(token)


def _is_path(f: Any) -> bool:
    return isinstance(f, (str, os.PathLike))


@contextlib.contextmanager
def _writing(f: Any) -> Iterator[BinaryIO]:
    """An open binary file as it is; a path as a file that replaces it in the end."""
    if _is_path(f):
        with replacing(f) as beside, open(beside, "wb") as stream:
            yield stream
    elif hasattr(f, "write"):
        yield f
    else:
        raise TypeError(f"expected a path or an open binary file, got {type(f).__name__}")


# plain objects as JSON: None, bool, int, str and lists as they are, all else {kind: content}

_SEQUENCES = {"tuple": tuple, "set": set, "frozenset": frozenset, "Size": dtypes.Size}
_MAPPINGS = {"dict": dict, "OrderedDict": OrderedDict, "Counter": Counter}
_TENSORS = {"Tensor": Tensor, "Parameter": Parameter, "Buffer": Buffer}
_ATOMS: dict[str, tuple[type, Callable, Callable]] = {  # type, to JSON, back
    "float": (float, repr, float),  # NaN and infinities: JSON has none
    "complex": (complex, lambda z: [z.real, z.imag], lambda z: complex(*z)),
    "bytes": (bytes, lambda b: base64.b64encode(b).decode(), base64.b64decode),
    "range": (range, lambda r: [r.start, r.stop, r.step], lambda r: range(*r)),
    "dtype": (dtypes.dtype, lambda d: d.name, dtypes.of),
    "device": (dtypes.device, str, dtypes.device),
}
_KINDS = {
    kind: name
    for table in (_SEQUENCES, _MAPPINGS, _TENSORS, {k: v[0] for k, v in _ATOMS.items()})
    for name, kind in table.items()
}
# what safetensors and NumPy both have
_DTYPES = set(
    "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 float32 float64".split()
)


class NotPlain(Exception):
    """Something that only a pickle can hold."""


class Packed:
    """The arrays of an object, each under a name of its own, which is its path in the object.

    Every tensor is written under its own name, so that any reader of safetensors finds all names of
    a state dict; that it is the same tensor as another, or shares its memory, is noted beside.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, Any] = {}
        self.seen: dict[int, str] = {}  # id of a tensor or its array: the name it has

    def node(self, x: Any, path: str) -> Any:
        kind = type(x)
        if x is None or kind in (bool, int, str) or (kind is float and math.isfinite(x)):
            return x
        if kind is list:
            return self.items(enumerate(x), path)
        name = _KINDS.get(kind)
        if name in _TENSORS:
            return {name: self.tensor(x, path)}
        if name in _MAPPINGS:
            values = self.items(x.items(), path)
            return {name: [[self.node(key, path), value] for key, value in zip(x, values)]}
        if name in _SEQUENCES:
            return {name: self.items(enumerate(x), path)}
        if name:
            return {name: _ATOMS[name][1](x)}
        if kind is argparse.Namespace:
            return {"Namespace": self.node(vars(x), path)}
        if isinstance(x, np.dtype) and x.name in _DTYPES:
            return {"numpy dtype": x.name}
        if (kind is np.ndarray or isinstance(x, np.generic)) and x.dtype.name in _DTYPES:
            host = np.asarray(x, dtype=x.dtype.newbyteorder("="))
            return {"array" if kind is np.ndarray else "scalar": self.add(host, path)}
        raise NotPlain

    def items(self, pairs: Any, path: str) -> list:
        return [self.node(value, f"{path}.{key}" if path else str(key)) for key, value in pairs]

    def add(self, array: Any, path: str) -> str:
        name = path or "data"
        while name in self.arrays or name == "__metadata__":  # the format's own word
            name += "_"
        self.arrays[name] = array
        return name

    def tensor(self, x: Tensor, path: str) -> dict[str, Any]:
        note = {"name": self.add(x.array, path), "requires_grad": x.requires_grad}
        if x.device != "cpu":
            note["device"] = str(x.device)
        if isinstance(x, Buffer):
            note["persistent"] = x.persistent
        for key, relation in ((id(x), "is"), (id(x.array), "shares")):
            if key in self.seen:
                return {**note, relation: self.seen[key]}
            self.seen[key] = note["name"]
        return note


class Unpacked:
    """The way back."""

    def __init__(self, arrays: Mapping[str, np.ndarray], map_location: Any):
        self.arrays, self.map_location = arrays, map_location
        self.tensors: dict[str, Tensor] = {}

    def value(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.value(item) for item in node]
        if not isinstance(node, dict):
            return node
        ((name, content),) = node.items()
        if name in _TENSORS:
            return self.tensor(_TENSORS[name], **content)
        if name in _MAPPINGS:
            pairs = [(self.value(key), self.value(value)) for key, value in content]
            return _MAPPINGS[name](dict(pairs) if name == "Counter" else pairs)
        if name in _SEQUENCES:
            return _SEQUENCES[name](self.value(content))
        if name == "Namespace":
            return argparse.Namespace(**self.value(content))
        if name == "numpy dtype":
            return np.dtype(content)
        if name in ("array", "scalar"):
            array = self.arrays[content]
            return array if name == "array" else array[()]
        return _ATOMS[name][2](content)

    def tensor(self, kind: type, name: str, **note: Any) -> Tensor:
        if "is" in note:
            self.tensors[name] = self.tensors[note["is"]]
        else:
            if "shares" in note:
                x = self.tensors[note["shares"]]
            else:
                x = placed(self.arrays[name], note.get("device", "cpu"), self.map_location)
            attributes = {"persistent": note["persistent"]} if kind is Buffer else {}
            self.tensors[name] = rebuilt(kind, x, note["requires_grad"], attributes)
        return self.tensors[name]


def placed(array: np.ndarray, device: str, map_location: Any) -> Tensor:
    """A Tensor on the device it was saved from, or where `map_location` wants it."""
    x = wrap(array)
    if callable(map_location):
        moved = map_location(x, device)
        return x.to(device=device) if moved is None else moved
    if isinstance(map_location, Mapping):
        device = map_location.get(device, device)
    elif map_location is not None:
        device = map_location
    try:
        return x.to(device=str(device))
    except RuntimeError as error:
        if map_location is not None:
            raise
        raise RuntimeError(f"{error}; or load with map_location='cpu'") from error


def rebuilt(kind: type, x: Tensor, requires_grad: bool, attributes: dict[str, Any]) -> Tensor:
    """A leaf of class `kind` over the memory of `x`."""
    y = rebuild(kind, x.array, None, requires_grad, attributes)
    y.version = x.version
    return y


def _header(data: bytes) -> dict[str, Any] | None:
    """The header of a safetensors file, or None for another file."""
    if len(data) < 8 or data[8:9] != b"{":
        return None
    (size,) = struct.unpack("<Q", data[:8])
    try:
        return json.loads(data[8 : 8 + size])
    except ValueError:
        return {}  # damaged: the reader will say how


def _unpacked(data: bytes, header: dict[str, Any], name: str, map_location: Any) -> Any:
    arrays, metadata = _arrays(data, header, name)
    note = metadata.get(_METADATA)
    if note is None:
        keys = [key for key in header if key != "__metadata__"]
        return {key: placed(arrays[key], "cpu", map_location) for key in keys}
    try:
        return Unpacked(arrays, map_location).value(json.loads(note))
    except (KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{name} is damaged: {error!r} in its containers") from error


# whole objects, as pickles whose tensors can be loaded onto another device

_location: ContextVar[Any] = ContextVar("map_location", default=None)


class _Pickler(pickle.Pickler):
    def reducer_override(self, x: Any) -> Any:
        if not isinstance(x, Tensor):
            return NotImplemented
        state = getattr(x, "__dict__", {})
        return _unpickled, (type(x), to_numpy(x.array), str(x.device), x.requires_grad, state)


def _unpickled(kind: type, array: np.ndarray, device: str, requires_grad: bool, state: Any) -> Any:
    return rebuilt(kind, placed(array, device, _location.get()), requires_grad, state)
