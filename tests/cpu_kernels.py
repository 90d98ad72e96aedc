"""The CUDA kernels' own source, compiled for the CPU: not a GPU, but the same arithmetic.

Threads of a block that meet are threads here, blocks come one after the other. `CpuKernels` takes
the place of `minigrad.kernels.Kernels` on the strict stand-in.
"""

import ctypes
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
from strict_backend import STRICT

from minigrad import kernels
from minigrad.kernels import REALS, ROLES, TENSORS, Doubles, Kernels

TESTS, FOLDER = Path(__file__).resolve().parent, Path(kernels.FOLDER)
COMPILER = shutil.which("g++")


def compile_for_cpu(source, target, real):
    """The text of a .cu file as the shared library `target`."""
    command = [COMPILER, "-std=c++20", "-O1", "-shared", "-fPIC", "-pthread", f"-DREAL={real}"]
    command += ["-include", str(TESTS / "cuda_on_cpu.h"), f"-I{FOLDER}", "-x", "c++", "-"]
    subprocess.run([*command, "-o", str(target)], input=source, text=True, check=True)
    return ctypes.CDLL(str(target))


class Tensors(ctypes.Structure):
    """That of kernels.h."""

    _fields_ = [
        ("start", ctypes.c_longlong * (TENSORS + 1)),
        ("at", ctypes.c_void_p * TENSORS * ROLES),
    ]


class CpuKernels(Kernels):
    """Kernels built in the folder `build`. Those whose threads never meet take one thread after the
    other, in blocks of 3; those of rows take blocks of 4 threads.
    """

    def __init__(self, build):
        super().__init__(None, STRICT.address)
        self.build = Path(build)
        self.launched = []

    def compiled(self, file, real):
        target = self.build / f"{file}-{REALS[real]}.so"
        return compile_for_cpu(self.text(file), target, REALS[real])

    def text(self, file):
        return (FOLDER / f"{file}.cu").read_text(encoding="utf-8")

    def __call__(self, name, real, count, *arguments):
        self.launch(name, real, arguments, threads=3, meet=False)

    def rows(self, name, real, count, *arguments):
        self.launch(name, real, arguments, threads=4, meet=True)

    def launch(self, name, real, arguments, threads, meet, blocks=2):
        file, function = name.split(".")
        library = self.compiled(file, real.char)
        self.launched.append(name)
        given = [self.argument(x, real) for x in arguments]
        library.meet(threads)

        def thread(n, block):
            library.be(n, threads, block, blocks)
            getattr(library, function)(*given)

        for block in range(blocks):
            several = [threading.Thread(target=thread, args=(n, block)) for n in range(threads)]
            for one in several:
                if meet:
                    one.start()
                else:
                    one.run()
            for one in several:
                if meet:
                    one.join()

    def argument(self, x, real):
        if x is None:
            return ctypes.c_void_p(None)
        if type(x) is int:
            return ctypes.c_int(x)
        if type(x) is float:
            return np.ctypeslib.as_ctypes_type(real)(x)
        if isinstance(x, np.ndarray):
            return Tensors.from_buffer_copy(x)
        if isinstance(x, np.generic):
            return np.ctypeslib.as_ctypes_type(x.dtype)(x.item())
        doubles = type(x) is Doubles
        memory = x.array._memory if doubles else x._memory
        allowed = (np.float64,) if doubles else (real, bool, np.int64)
        assert memory.dtype in allowed, memory.dtype
        return ctypes.c_void_p(memory.__array_interface__["data"][0])
