"""State dicts as safetensors files: nothing is ever unpickled, and a file is replaced whole or not
at all.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .backend import is_array, to_numpy
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

    host = {name: np.asarray(_host(name, x), order="C") for name, x in tensors.items()}
    with replacing(path) as beside:
        try:
            write(host, beside, metadata)
        except SafetensorError as error:  # how the library reports a full disk
            raise OSError(f"cannot write {path}: {error}") from error


def load_file(path: str | os.PathLike) -> dict[str, Tensor]:
    """The Tensors of a safetensors file, on the CPU. Raises ValueError, with the path, for a
    damaged file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file as read

    try:
        return {name: wrap(array) for name, array in read(path).items()}
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or no safetensors file: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds a type that NumPy does not have: {error}") from error


def _host(name: str, x: Any) -> np.ndarray:
    if isinstance(x, Tensor):
        return x.to_numpy()
    if is_array(x):
        return to_numpy(x)
    raise TypeError(f"{name} is a {type(x).__name__}: a safetensors file holds Tensors and arrays")
