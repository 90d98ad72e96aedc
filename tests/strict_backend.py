"""A stand-in for a GPU backend that is stricter than CuPy: what passes on it is clean of NumPy."""

import json
import operator
import types
from pathlib import Path
from typing import NamedTuple

import numpy as np

import minigrad as mg
from minigrad.backend import CuPyBackend

# what CuPy has, and which arguments it takes
CUPY = json.loads(Path(__file__).with_name("golden").joinpath("cupy.json").read_text("utf-8"))
_ATTRIBUTES = ("shape", "dtype", "ndim", "size", "strides", "nbytes", "itemsize")
_METHODS = (
    "all any argmax argmin argsort astype copy cumsum max mean min prod ravel repeat reshape sum "
    "squeeze swapaxes transpose"
).split()
_BINARY = "add sub mul truediv floordiv mod pow matmul and or xor".split()
_COMPARISONS = "eq ne lt le gt ge".split()
# their result has a size that only the values tell
_WAITING = "argwhere bincount extract flatnonzero nonzero unique".split()
_FUNCTIONS_ON_THE_HOST = ("save", "savez", "load", "array2string", "array_repr", "array_str")


def check_arguments(name, known, count, keywords):
    """TypeError for more arguments in order, or other keywords, than CuPy's function knows."""
    if "**" not in known and (unknown := set(keywords) - set(known)):
        raise TypeError(f"cupy.{name} has no argument {', '.join(sorted(unknown))}")
    if "*" not in known and count > len(known):
        raise TypeError(f"cupy.{name} takes {len(known)} arguments, {count} were given")


class Flags(NamedTuple):
    c_contiguous: bool
    f_contiguous: bool


class StrictArray:
    """An array that is no `numpy.ndarray` and never turns into one silently.

    It refuses NumPy arrays as operands and as indices, lists as indices, `__array__`, pickling, and
    assignment of an array through integer arrays that name an element twice. Everything that must
    wait for the values (`item`, `float`, `tolist`, a truth value, a mask as an index) counts as a
    download.
    """

    __array_ufunc__ = None
    __array_priority__ = 1000
    __hash__ = None

    def __init__(self, memory):
        assert type(memory) is np.ndarray, type(memory)
        self._memory = memory

    def __array__(self, *args, **kwargs):
        raise TypeError("a strict array does not turn into a NumPy array: use Backend.download")

    def __reduce_ex__(self, protocol):
        raise TypeError("a strict array cannot be pickled")

    def __repr__(self):
        return f"StrictArray({self._memory!r})"

    @property
    def T(self):
        return wrap(self._memory.T)

    def __len__(self):
        return len(self._memory)

    @property
    def flags(self):
        flags = self._memory.flags
        return Flags(flags.c_contiguous, flags.f_contiguous)

    def __getitem__(self, index):
        self._wait_for_masks(index)
        return wrap(self._memory[unwrap_index(index)])

    def _wait_for_masks(self, index):
        """How many elements a mask picks only its values tell."""
        for part in index if isinstance(index, tuple) else (index,):
            if isinstance(part, StrictArray) and part.dtype.kind == "b" and part.size:
                part._wait()

    def __setitem__(self, index, value):
        self._wait_for_masks(index)
        index = unwrap_index(index)
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(part, np.ndarray) for part in parts):
            upload_number(value)
        by_number = any(isinstance(p, np.ndarray) and p.dtype.kind in "iu" for p in parts)
        if by_number and isinstance(value, StrictArray) and value.size > 1:  # not the same for all
            met = np.arange(self._memory.size).reshape(self._memory.shape)[index]
            if np.unique(met).size != met.size:
                raise ValueError("assignment through an index that names an element twice")
        self._memory[index] = unwrap(value)

    def _wait(self):
        STRICT.downloads += 1
        return self._memory

    def item(self):
        return self._wait().item()

    def tolist(self):
        return self._wait().tolist()

    def __float__(self):
        return float(self._wait().item())

    def __int__(self):
        return int(self._wait().item())

    def __index__(self):
        return operator.index(self._wait().item())

    def __bool__(self):
        return bool(self._wait())

    def __neg__(self):
        return wrap(-self._memory)

    def __abs__(self):
        return wrap(abs(self._memory))

    def __invert__(self):
        return wrap(~self._memory)


def _attribute(name):
    return property(lambda self: getattr(self._memory, name))


def _method(name):
    def method(self, *args, **kwargs):
        check_arguments(f"ndarray.{name}", CUPY["array"][name], len(args) + 1, kwargs)
        return called(getattr(self._memory, name), args, kwargs)

    return method


def _binary(name, reflected):
    function = getattr(operator, f"__{name}__")

    def apply(self, other):
        a, b = self._memory, unwrap(other)
        return wrap(function(b, a) if reflected else function(a, b))

    return apply


def _in_place(name):
    function = getattr(operator, f"__i{name}__")

    def apply(self, other):
        memory = function(self._memory, unwrap(other))
        # NumPy makes a scalar of a 0-d array here only if the array was no array at all
        assert memory is self._memory
        return self

    return apply


for _name in _ATTRIBUTES:
    setattr(StrictArray, _name, _attribute(_name))
for _name in _METHODS:
    setattr(StrictArray, _name, _method(_name))
for _name in _BINARY:
    setattr(StrictArray, f"__{_name}__", _binary(_name, reflected=False))
    setattr(StrictArray, f"__r{_name}__", _binary(_name, reflected=True))
    setattr(StrictArray, f"__i{_name}__", _in_place(_name))
for _name in _COMPARISONS:
    setattr(StrictArray, f"__{_name}__", _binary(_name, reflected=False))


def unwrap(x):
    """The memory of strict arrays, also inside lists and tuples; a NumPy array is an error."""
    if isinstance(x, StrictArray):
        return x._memory
    if isinstance(x, np.ndarray):
        raise TypeError(f"a NumPy array of shape {x.shape} was given to the strict backend")
    if isinstance(x, mg.Tensor):
        raise TypeError("a Tensor was given to the strict backend: expected its array")
    if isinstance(x, (list, tuple)):
        return type(x)([unwrap(part) for part in x])
    return x


def unwrap_index(index):
    if isinstance(index, tuple):
        return tuple([unwrap_index(part) for part in index])
    if isinstance(index, list):
        raise TypeError("a list is no index of a strict array")
    return unwrap(index)


def wrap(x):
    """NumPy's results as strict arrays; its scalars become 0-d arrays, as on a GPU."""
    if isinstance(x, np.generic):
        x = np.asarray(x)
    if isinstance(x, np.ndarray):
        return StrictArray(x)
    return tuple([wrap(part) for part in x]) if isinstance(x, tuple) else x


def upload_number(x):
    """What CuPy makes an array of where it takes no number."""
    if isinstance(x, (bool, int, float, np.generic)):
        STRICT.upload(np.asarray(x))


def called(function, args, kwargs):
    result = function(*unwrap(args), **{name: unwrap(value) for name, value in kwargs.items()})
    out = kwargs.get("out")
    return wrap(result) if out is None else out


def poisoned(memory):
    """What no one may read before writing it: NaN, or the largest integer."""
    memory[...] = np.nan if memory.dtype.kind == "f" else np.array(True) * _most(memory.dtype)
    return memory


def _most(dtype):
    return True if dtype.kind == "b" else np.iinfo(dtype).max


# the dtypes of what `at` changes, by their characters
_AT = dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor"), "iIlL")
_AT |= {"add": "efdiIL", "subtract": "iI", "maximum": "fdiIL", "minimum": "fdiIL"}


class _Function:
    """A NumPy function or ufunc on strict arrays; of a ufunc's methods only `at` is there, where
    CuPy has it.
    """

    def __init__(self, name, function):
        self.name, self.function = name, function

    def at(self, array, index, values):
        if self.name not in _AT:
            raise NotImplementedError(f"cupy.{self.name}.at")
        if array.dtype.char not in _AT[self.name]:
            raise TypeError(f"cupy.{self.name}.at does not support {array.dtype}")
        array._wait_for_masks(index)
        upload_number(values)
        called(self.function.at, (array, index, values), {})

    def __call__(self, *args, **kwargs):
        check_arguments(self.name, CUPY["functions"][self.name], len(args), kwargs)
        if self.name in _WAITING:
            args[0]._wait()
        if self.name in ("array", "asarray"):
            upload_number(args[0])
        if self.name == "repeat" and isinstance(args[1], StrictArray):
            args[1]._wait()
        if self.name == "linalg.solve":
            a, b = [x.shape for x in args]
            if len(b) > 1 and a[:-1] != b[:-1]:
                raise ValueError(f"cupy.linalg.solve of shapes {a} and {b}")
        if isinstance(self.function, np.ufunc) and any(isinstance(x, (list, tuple)) for x in args):
            raise TypeError(f"cupy.{self.name} of a list")
        if self.name == "einsum" and (unknown := kwargs.keys() - {"dtype", "optimize"}):
            raise TypeError(f"cupy.einsum has no argument {', '.join(unknown)}")  # it has **kwargs
        return called(self.function, args, kwargs)


class _Module:
    """NumPy's interface on strict arrays."""

    ndarray = StrictArray

    def __init__(self, module=np, prefix=""):
        self.module, self.prefix = module, prefix

    def __getattr__(self, name):
        found = getattr(self.module, name)
        if isinstance(found, types.ModuleType):
            return _Module(found, f"{name}.")  # linalg
        full = self.prefix + name
        if full in CUPY["constants"]:
            return found
        if full not in CUPY["functions"] or name in _FUNCTIONS_ON_THE_HOST:
            raise AttributeError(f"there is no cupy.{full}")
        return found if isinstance(found, type) else _Function(full, found)  # types, functions

    def empty(self, shape, dtype=np.float64):
        return StrictArray(poisoned(np.empty(shape, dtype)))

    def empty_like(self, x, dtype=None):
        return StrictArray(poisoned(np.empty(x.shape, dtype or x.dtype)))


class StrictBackend(mg.Backend):
    """Device "strict"; counts how often arrays cross the border to the host and back."""

    device = "strict"
    array_type = StrictArray
    at = CuPyBackend.at

    def __init__(self):
        self.xp = _Module()
        self.uploads = self.downloads = 0

    def upload(self, array):
        assert type(array) is np.ndarray, type(array)
        self.uploads += 1
        return StrictArray(array.copy())

    def download(self, array):
        assert type(array) is StrictArray, type(array)
        self.downloads += 1
        return array._memory.copy()

    def is_view(self, y, x):
        return y is x or owner(y._memory) is owner(x._memory)

    def address(self, array):
        return array._memory.__array_interface__["data"][0]

    def strided(self, flat, shape, strides, offset):
        return StrictArray(np.ndarray(shape, flat.dtype, flat._memory, offset, strides))


def owner(memory):
    while isinstance(memory.base, np.ndarray):
        memory = memory.base
    return memory


STRICT = StrictBackend()
mg.register_backend(STRICT)
