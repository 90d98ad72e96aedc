"""What minigrad finds on this machine, to read or to put into a report:

    python -m minigrad.doctor

Versions, what multiplies NumPy's matrices and on how many threads, CuPy, the CUDA driver, the GPUs,
and the reason where "cuda" cannot be used.
"""

from __future__ import annotations

import importlib
import importlib.util
import platform
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import numpy as np

from .backend import backend_for
from .threads import get_num_threads
from .version import __version__

SCRIPTS = "tqdm", "safetensors", "threadpoolctl", "sacrebleu", "sentencepiece", "matplotlib"
GIB = 2**30


def found() -> Iterator[tuple[str, str]]:
    """Lines of a name and what there is. Asking never raises."""
    yield "minigrad", __version__
    yield "Python", f"{platform.python_version()}, {platform.platform()}"
    yield "NumPy", f"{np.__version__}, products by {blas()} on {get_num_threads()} thread(s)"
    yield "scripts", ", ".join(f"{name} {installed(name)}" for name in SCRIPTS)
    if importlib.util.find_spec("cupy") is None:
        yield "CuPy", "not installed"
    else:
        yield from cuda()
    try:
        yield "cuda", f"can be used: {backend_for('cuda').device}"
    except RuntimeError as error:
        yield "cuda", str(error)


def blas() -> str:
    about = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    return f"{about.get('name', 'an unknown library')} {about.get('version', '')}".strip()


def installed(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def cuda() -> Iterator[tuple[str, str]]:
    """CuPy, driver and GPUs, as far as they can be asked."""
    try:
        cupy = importlib.import_module("cupy")
    except Exception as error:  # without the toolkit's libraries, whatever its loader raises
        yield "CuPy", f"cannot be imported: {type(error).__name__}: {error}"
        return
    yield "CuPy", answer(lambda: cupy.__version__)
    runtime = getattr(cupy.cuda, "runtime", None)
    for name, ask in (("driver", "driverGetVersion"), ("runtime", "runtimeGetVersion")):
        yield f"CUDA {name}", answer(lambda ask=ask: dotted(getattr(runtime, ask)()))
    count = answer(lambda: runtime.getDeviceCount())
    yield "GPUs", count
    for n in range(int(count) if count.isdecimal() else 0):
        yield f"GPU {n}", answer(lambda n=n: described(runtime.getDeviceProperties(n)))


def answer(ask: Callable[[], Any]) -> str:
    try:
        return str(ask())
    except Exception as error:  # no driver, or one that is too old
        return f"unknown ({type(error).__name__}: {error})"


def dotted(version: int) -> str:
    """CUDA writes 12.4 as 12040, and 0 for nothing."""
    return f"{version // 1000}.{version % 1000 // 10}" if version else "none"


def described(about: dict[str, Any]) -> str:
    name = about["name"].decode() if isinstance(about["name"], bytes) else about["name"]
    capability = f"{about['major']}.{about['minor']}"
    return f"{name}, compute capability {capability}, {about['totalGlobalMem'] / GIB:.1f} GiB"


if __name__ == "__main__":
    for name, what in found():
        print(f"{name:<13} {what}")
