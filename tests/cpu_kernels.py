"""The CUDA kernels' own source, compiled for the CPU: not a GPU, but the same arithmetic.

Threads of a block that meet are threads here, blocks come one after the other. What takes the place
of a GPU is its compiler; what is launched, and with what, `minigrad.kernels` says as on a GPU.
"""

import ctypes
import shutil
import subprocess
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from strict_backend import STRICT, StrictArray

from minigrad import kernels
from minigrad.kernels import ROLES, TENSORS, Kernels

TESTS, FOLDER = Path(__file__).resolve().parent, Path(kernels.FOLDER)
COMPILER = shutil.which("g++")


def compile_for_cpu(text, target, *options):
    """The file `target` from a text in CUDA C++."""
    command = [COMPILER, "-std=c++20", "-O1", "-pthread", *options]
    command += ["-include", str(TESTS / "cuda_on_cpu.h"), "-x", "c++", "-", "-o", str(target)]
    subprocess.run(command, input=text, text=True, check=True)


class Tensors(ctypes.Structure):
    """That of kernels.h."""

    _fields_ = [
        ("start", ctypes.c_longlong * (TENSORS + 1)),
        ("at", ctypes.c_void_p * TENSORS * ROLES),
    ]


class RawModule:
    """In the place of CuPy's: compiles for the CPU into the folder `build`. However many are asked
    for, there are two blocks of four threads.
    """

    def __init__(self, build, launched, code, options):
        self.launched, self.code = launched, code
        target = build / f"{len(list(build.iterdir()))}.so"
        given = [option for option in options if not option.startswith("--std=")]
        compile_for_cpu(code, target, "-shared", "-fPIC", *given)
        self.library = ctypes.CDLL(str(target))

    def get_function(self, name):
        text = self.code.split(f"KERNEL {name}(")[1].split("KERNEL")[0]
        return lambda *given: self.launch(name, "together(" in text, *given)

    def launch(self, name, meet, grid, block, arguments, blocks=2, threads=4):
        self.launched.append(name)
        given = [argument(x) for x in arguments]
        self.library.meet(threads)

        def thread(n, block):
            self.library.be(n, threads, block, blocks)
            getattr(self.library, name)(*given)

        for block in range(blocks):
            several = [threading.Thread(target=thread, args=(n, block)) for n in range(threads)]
            for one in several:
                if meet:
                    one.start()
                else:  # one after the other
                    one.run()
            for one in several:
                if meet:
                    one.join()


def argument(x):
    """As CuPy hands it to a kernel: arrays by their address, NumPy's by value."""
    if isinstance(x, StrictArray):
        return ctypes.c_void_p(STRICT.address(x))
    if isinstance(x, np.ndarray):
        return Tensors.from_buffer_copy(x)
    assert isinstance(x, np.generic), type(x)
    return np.ctypeslib.as_ctypes_type(x.dtype)(x.item())


class CpuKernels(Kernels):
    """Kernels that run here, and the names of those that were launched. `change` is given file and
    text of what is compiled, and returns another text.
    """

    def __init__(self, build, change=lambda file, text: text):
        self.launched = []
        module = partial(RawModule, Path(build), self.launched)
        super().__init__(SimpleNamespace(RawModule=module), STRICT.address)
        self.change = change

    def text(self, file):
        return self.change(file, super().text(file))
