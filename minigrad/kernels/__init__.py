"""CUDA kernels for what array functions would do in many passes, and how they are launched.

The `.cu` files are plain CUDA C++ over a type REAL, compiled at their first use, once for each type
of numbers. "recurrent.lstm_forward" is a function of recurrent.cu.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

FOLDER = os.path.dirname(__file__)
REALS = {"f": "float", "d": "double"}
THREADS = 256  # of a block
BLOCKS = 2048  # at most: a thread goes on with the next number

# those of kernels.h
Long = np.int64  # a Python int is an int
TENSORS, ROLES = 64, 5
TABLE = np.dtype([("start", np.int64, TENSORS + 1), ("at", np.uint64, (ROLES, TENSORS))])


class Kernels:
    """The kernels of a GPU; `module` is CuPy, `address` says where in memory an array begins."""

    def __init__(self, module: Any, address: Callable[[Any], int]):
        self.module, self.address = module, address
        # a module of CuPy looks for a function anew at every call
        self.compiled, self.function = cache(self.compiled), cache(self.function)

    def compiled(self, file: str, real: str) -> Any:
        """A file for one type of numbers."""
        options = "--std=c++14", f"-DREAL={REALS[real]}"
        return self.module.RawModule(code=self.text(file), options=options)

    def text(self, file: str) -> str:
        """With the header in it: CuPy keeps on disk what it compiled, and looks for it by the text
        and the options, not by what the text includes.
        """
        texts = []
        for name in (f"{file}.cu", "kernels.h"):
            with open(os.path.join(FOLDER, name), encoding="utf-8") as source:
                texts.append(source.read())
        return texts[0].replace('#include "kernels.h"\n', texts[1])

    def function(self, name: str, real: str) -> Callable:
        file, function = name.split(".")
        return self.compiled(file, real).get_function(function)

    def __call__(self, name: str, real: np.dtype, count: int, *arguments: Any) -> None:
        """Launch with a thread for each of `count` numbers. Arguments are arrays without gaps, None
        for no array, Python's int and float for int and REAL, NumPy's numbers for those of other
        types, `Doubles`, and what `tables` makes.
        """
        self.ready(name, real, count, *arguments)()

    def rows(self, name: str, real: np.dtype, count: int, *arguments: Any) -> None:
        """The same with a block for each of `count` rows."""
        self.ready(name, real, count * THREADS, *arguments)()

    def ready(self, name: str, real: np.dtype, count: int, *arguments: Any) -> Callable[..., None]:
        """A launch for the same arguments again and again: it is called with the last ones of the
        kernel, which are ints.
        """
        function, threads = self.function(name, real.char), (THREADS,)
        blocks = (max(1, min(BLOCKS, -(-count // THREADS))),)
        given = tuple([self.argument(x, real) for x in arguments])

        def launch(*last: int) -> None:
            function(blocks, threads, (*given, *map(np.int32, last)))

        return launch

    def tables(
        self, real: np.dtype, tensors: Sequence[Sequence[Any]]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Arguments `Tensors` of kernels.h, each with the count of all its numbers. Of every tensor
        there are as many arrays of one size as the kernel takes, or None for no array.
        """
        for i in range(0, len(tensors), TENSORS):
            table, end = np.zeros(1, TABLE), 0  # CuPy hands one element over by its value
            start, at = table["start"][0], table["at"][0]
            for t, arrays in enumerate(tensors[i : i + TENSORS]):
                size = arrays[0].size
                end += size
                start[t + 1 :] = end
                for role, x in enumerate(arrays):
                    if x is None:
                        continue
                    if x.size != size or x.dtype != real:
                        raise TypeError(f"expected {size} numbers of {real}: {x.size} of {x.dtype}")
                    at[role, t] = self.address(self.argument(x, real))
            yield end, table

    def argument(self, x: Any, real: np.dtype) -> Any:
        if x is None:
            return np.uint64(0)  # no array
        if type(x) is Doubles:
            return x.array
        if type(x) is int:
            return np.int32(x)
        if type(x) is float:
            return real.type(x)
        if isinstance(x, np.generic):
            return x  # a number of that type
        if x.dtype not in (real, np.int64, np.bool_, TABLE):  # it would be read as another type
            raise TypeError(f"a kernel for {real} was given {x.dtype}")
        if not x.flags.c_contiguous:  # it sees no strides
            raise TypeError(f"a kernel was given an array of strides {x.strides}")
        return x


class Doubles(NamedTuple):
    """An array of float64, whatever REAL is."""

    array: Any
