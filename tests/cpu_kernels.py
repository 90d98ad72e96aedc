"""The CUDA kernels' own source, compiled for the CPU: not a GPU, but the same arithmetic.

A thread of a block is a thread here, blocks come one after the other. `CpuKernels` takes the place of
`minigrad.kernels.Kernels` on the strict stand-in.
"""

import ctypes
import shutil
import subprocess
import threading
from functools import cache
from pathlib import Path

import numpy as np

from minigrad.kernels import FOLDER, REALS

TESTS = Path(__file__).resolve().parent
COMPILER = shutil.which("g++")


def compile_for_cpu(source, target, real="float", text=None):
    """Build the shared library `target` from a .cu file, or from another text of it."""
    given = [str(source)] if text is None else ["-"]
    command = [COMPILER, "-std=c++20", "-O1", "-shared", "-fPIC", "-pthread", f"-DREAL={real}"]
    command += ["-include", str(TESTS / "cuda_on_cpu.h"), f"-I{FOLDER}", "-x", "c++", *given]
    subprocess.run([*command, "-o", str(target)], input=text, text=True, check=True)
    return ctypes.CDLL(str(target))


class CpuKernels:
    """Kernels of `folder`; threads of a block as given, 1 for a kernel whose threads never meet."""

    def __init__(self, build, threads=1, blocks=1):
        self.build, self.threads, self.blocks = Path(build), threads, blocks
        self.compiled = cache(self.compiled)
        self.launched = []

    def compiled(self, file, real):
        target = self.build / f"{file}-{REALS[real]}.so"
        return compile_for_cpu(FOLDER / f"{file}.cu", target, REALS[real])

    def __call__(self, name, real, count, *arguments):
        file, function = name.split(".")
        library = self.compiled(file, real.char)
        self.launched.append(name)
        given = [self.argument(x, real) for x in arguments]
        library.meet(self.threads)

        def thread(n, block):
            library.be(n, self.threads, block, self.blocks)
            getattr(library, function)(*given)

        for block in range(self.blocks):
            several = [
                threading.Thread(target=thread, args=(n, block)) for n in range(1, self.threads)
            ]
            for one in several:
                one.start()
            thread(0, block)
            for one in several:
                one.join()

    def argument(self, x, real):
        if x is None:
            return ctypes.c_void_p(None)
        if type(x) is int:
            return ctypes.c_int(x)
        if isinstance(x, np.integer):
            return ctypes.c_long(int(x))
        memory = x._memory
        assert memory.dtype in (real, bool, np.int64), memory.dtype
        return ctypes.c_void_p(memory.__array_interface__["data"][0])
