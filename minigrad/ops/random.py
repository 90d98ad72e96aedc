"""Random Tensors: every device sees the same numbers. All but the factors of dropout are drawn on
the host.
"""

from __future__ import annotations

import math
import operator
import os
from functools import cached_property
from typing import Any

import numpy as np

from ..backend import backend_of
from ..dtypes import device as Device
from ..kernels import Long
from ..tensor import Tensor, wrap
from .birth import factory, shape_of
from .promotion import default_dtype

_WORDS = 4 * 16 + 1  # bytes of a state: seed, state, increment, half of a number left over


class Generator:
    """A source of random numbers with a state that can be saved, as a uint8 Tensor, and restored.

    `Generator(7)` is short for `Generator().manual_seed(7)`.
    """

    def __init__(self, device: Any = "cpu"):
        self.device = Device("cpu" if isinstance(device, int) else device)
        self.manual_seed(device if isinstance(device, int) else 67280421310721)

    def manual_seed(self, seed: int) -> Generator:
        """Start anew; a negative seed counts from 2⁶⁴ down."""
        self._seed = operator.index(seed) % 2**64
        vars(self).pop("host", None)
        return self

    @cached_property
    def host(self) -> np.random.Generator:
        """Where the numbers come from; made when the first is drawn, for numpy.random is long in
        loading.
        """
        return np.random.Generator(np.random.PCG64(self._seed))

    def seed(self) -> int:
        """Start anew from a seed that the operating system draws, and return it."""
        return self.manual_seed(int.from_bytes(os.urandom(8), "little")).initial_seed()

    def initial_seed(self) -> int:
        """The seed that this generator last started from."""
        return self._seed

    def get_state(self) -> Tensor:
        """Everything that decides the numbers to come, as a uint8 Tensor."""
        state = self.host.bit_generator.state
        words = (self._seed, *state["state"].values(), state["uinteger"])
        data = b"".join(n.to_bytes(16, "little") for n in words) + bytes([state["has_uint32"]])
        return wrap(np.frombuffer(data, np.uint8).copy())

    def set_state(self, new_state: Tensor) -> Generator:
        """Go on from where `get_state` was called."""
        if not isinstance(new_state, Tensor) or new_state.dtype != np.uint8:
            raise TypeError("a generator's state is a uint8 tensor, as get_state() returns it")
        data = new_state.to_numpy().tobytes()
        if len(data) != _WORDS:
            raise RuntimeError(f"a generator's state has {_WORDS} bytes, this one {len(data)}")
        words = [int.from_bytes(data[i : i + 16], "little") for i in range(0, 64, 16)]
        self._seed, state, increment, left = words
        self.host.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": state, "inc": increment},
            "has_uint32": data[-1],
            "uinteger": left,
        }
        return self

    def clone_state(self) -> Generator:
        """A generator of its own in the same state."""
        return Generator().set_state(self.get_state())

    def __reduce__(self) -> tuple:
        return _restored, (self.get_state().tolist(),)


def _restored(state: list) -> Generator:
    return Generator().set_state(wrap(np.array(state, np.uint8)))


default_generator = Generator(0)


def manual_seed(seed: int) -> Generator:
    """Start the default generator anew."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Start the default generator anew from a seed that the operating system draws."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the default generator last started from."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Let the default generator go on from a state."""
    default_generator.set_state(new_state)


def host_of(generator: Generator | None) -> np.random.Generator:
    """NumPy's generator behind one of ours; None means the default one."""
    return (generator or default_generator).host


# draws on the host, in a dtype


def _floating(dtype: np.dtype | None, what: str) -> np.dtype:
    dtype = dtype or default_dtype()
    if dtype.kind != "f":
        raise NotImplementedError(f"{what} makes floats, not {dtype}: use randint")
    return dtype


def _uniform(shape, dtype, generator) -> np.ndarray:
    dtype = _floating(dtype, "rand")
    if dtype == np.float16:  # 11 bits: rounding might reach 1
        return (host_of(generator).integers(0, 2048, shape) / 2048).astype(dtype)
    return np.asarray(host_of(generator).random(shape, dtype))


def _normal(shape, dtype, generator) -> np.ndarray:
    dtype = _floating(dtype, "randn")
    inside = np.float32 if dtype == np.float16 else dtype
    return np.asarray(host_of(generator).standard_normal(shape, inside), dtype)


def _integers(low, high, shape, dtype, generator) -> np.ndarray:
    low, high = operator.index(low), operator.index(high)
    if low >= high:
        raise RuntimeError(f"random integers from {low} to below {high}: there are none")
    return np.asarray(host_of(generator).integers(low, high, shape), dtype or np.int64)


@factory
def rand(*shape: Any, size: Any = None, generator=None, dtype: Any) -> np.ndarray:
    """Uniform on [0, 1)."""
    return _uniform(shape_of(shape, size), dtype, generator)


@factory
def randn(*shape: Any, size: Any = None, generator=None, dtype: Any) -> np.ndarray:
    """Standard normal."""
    return _normal(shape_of(shape, size), dtype, generator)


@factory
def randint(*bounds: Any, generator=None, dtype: Any, **named: Any) -> np.ndarray:
    """Integers from low (0 if left out) to high - 1: randint(high, size) or with low before."""
    names = ["low", "high", "size"][3 - len(bounds) - len(named) :]
    given = {**dict(zip([n for n in names if n not in named], bounds)), **named}
    if not {"high", "size"} <= given.keys() <= {"low", "high", "size"}:
        raise TypeError("randint takes (high, size) or (low, high, size)")
    shape = shape_of((given["size"],))
    return _integers(given.get("low", 0), given["high"], shape, dtype, generator)


@factory
def randperm(n: int, *, generator=None, dtype: Any) -> np.ndarray:
    """The numbers 0 to n - 1 in random order."""
    shape_of((n,))  # refuses what is no size
    return host_of(generator).permutation(n).astype(dtype or np.int64)


def _like(make, input: Tensor, *args: Any, dtype: Any = None, device: Any = None, **named: Any):
    dtype = input.dtype if dtype is None else dtype
    device = input.device if device is None else device
    return make(*args, size=tuple(input.shape), dtype=dtype, device=device, **named)


def rand_like(input: Tensor, **options: Any) -> Tensor:
    """Uniform on [0, 1), with the shape, dtype and device of `input` unless others are named."""
    return _like(rand, input, **options)


def randn_like(input: Tensor, **options: Any) -> Tensor:
    """Standard normal, with the shape, dtype and device of `input` unless others are named."""
    return _like(randn, input, **options)


def randint_like(input: Tensor, *bounds: int, low: int = 0, high: Any = None, **options: Any):
    """Integers from low (0 if left out) to high - 1, in the dtype of `input`."""
    low, high = (low, *bounds)[-2:] if high is None else (*bounds, low)[:1] + (high,)
    return _like(randint, input, low=low, high=high, **options)


# drawn where they are used


def drop_factors(
    shape: tuple[int, ...], p: float, like: Tensor, generator: Generator | None = None
) -> Tensor:
    """What dropout multiplies with, in the dtype and on the device of `like`: 0 with probability
    0 < p <= 1, else 1 / (1 - p).

    The generator gives a key alone. The number of an element is a function of the key and of its
    place, Philox 4x64-10 (Salmon et al. 2011): a GPU computes it without an upload, and the same on
    every device. p counts in steps of 2⁻³². Raises RuntimeError for a dtype without fractions.
    """
    if like.array.dtype.kind != "f":
        raise RuntimeError(f"dropout of {like.dtype}: expected floating numbers, see .float()")
    backend, dtype, count = backend_of(like.array), like.array.dtype, math.prod(shape)
    p = float(p)
    below = round(p * 2**32)  # of 32 bits, what is dropped
    if below == 2**32:
        return wrap(backend.xp.zeros(shape, dtype))
    key, threshold = int(host_of(generator).integers(2**63)), np.uint32(below)
    scale = min(1 / (1 - p), float(np.finfo(dtype).max))  # of float16; 0 times infinity were NaN
    if kernels := backend.kernels_of(dtype):
        factors = backend.xp.empty(shape, dtype)
        blocks = -(-count // 8)  # a thread for each: a block of Philox is enough for 8 elements
        given = Long(count), factors, Long(key), threshold, scale
        kernels("dropout.drop_factors", dtype, blocks, *given)
        return wrap(factors)
    words = np.random.Philox(key=key).random_raw(-(-count // 2)).view(np.uint32)[:count]
    factors = np.multiply((words >= threshold).reshape(shape), scale, dtype=dtype)
    return wrap(backend.upload(np.asarray(factors)))


# draws from distributions that tensors give


def _drawn(host: np.ndarray, like: Tensor) -> Tensor:
    return wrap(backend_of(like.array).upload(np.asarray(host, like.dtype)))


def _host(x: Any) -> Any:
    return x.to_numpy() if isinstance(x, Tensor) else x


def normal(mean: Any = 0.0, std: Any = 1.0, size: Any = None, **options: Any) -> Tensor:
    """Normal with mean and std, numbers or Tensors; of two numbers, `size` of them."""
    given = mean if isinstance(mean, Tensor) else std
    if np.min(_host(std), initial=np.inf) < 0:
        raise RuntimeError("normal: the standard deviation must be at least 0")
    if not isinstance(given, Tensor):
        if size is None:
            raise TypeError("normal of two numbers needs a size")
        requires_grad = options.pop("requires_grad", False)
        y = randn(size, **options) * std + mean
        return y.requires_grad_() if requires_grad else y
    try:
        shape = np.broadcast_shapes(np.shape(_host(mean)), np.shape(_host(std)))
    except ValueError as error:
        raise RuntimeError(f"normal: {error}") from error
    noise = _normal(shape, given.array.dtype, options.get("generator"))
    return _drawn(noise * _host(std) + _host(mean), given)


def bernoulli(input: Tensor, p: float | None = None, *, generator=None) -> Tensor:
    """1 with the probability that the element of `input` gives, or with probability p, else 0."""
    chance = _host(input) if p is None else p
    if p is None and chance.dtype.kind != "f":
        raise NotImplementedError(f"bernoulli of probabilities, got {chance.dtype}")
    _check_chance(chance)
    return _drawn(host_of(generator).random(input.shape) < chance, input)


def _check_chance(p: Any) -> None:
    if not np.all((0 <= np.asarray(p)) & (np.asarray(p) <= 1)):
        raise RuntimeError("bernoulli: a probability is outside of [0, 1]")


def poisson(input: Tensor, generator=None) -> Tensor:
    """Poisson numbers with the means that `input` gives."""
    return _drawn(host_of(generator).poisson(_host(input)), input)


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator=None
) -> Tensor:
    """Class numbers drawn with the weights in `input`, (classes) or (rows, classes), which need
    not sum to 1; without replacement no class comes twice.
    """
    weights = _host(input)
    if weights.dtype.kind != "f":
        raise RuntimeError(f"multinomial takes floating weights, got {weights.dtype}")
    if weights.ndim not in (1, 2) or not weights.shape[-1]:
        raise RuntimeError(f"multinomial takes (classes) or (rows, classes), got {weights.shape}")
    if weights.shape[-1] > 2**24:  # PyTorch's limit: float32 counts no further
        raise RuntimeError(f"multinomial of {weights.shape[-1]} classes: expected at most 2²⁴")
    if num_samples < 1:
        raise RuntimeError(f"multinomial of {num_samples} samples: expected at least 1")
    if not replacement and num_samples > weights.shape[-1]:
        raise RuntimeError(
            f"{num_samples} samples of {weights.shape[-1]} classes need replacement=True"
        )
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise RuntimeError("multinomial: a weight is negative, infinite or NaN")
    weights = weights.astype(np.float64)
    if not (weights.sum(-1) > 0).all():
        raise RuntimeError("multinomial: weights that sum to 0")
    host = host_of(generator)
    if replacement:
        steps = weights.cumsum(-1)
        points = host.random((*weights.shape[:-1], num_samples)) * steps[..., -1:]
        ids = (steps[..., None, :] <= points[..., None]).sum(-1)
    else:
        # the class whose exponential clock of that rate rings first, then the second, ...
        clocks = host.standard_exponential(weights.shape)
        with np.errstate(divide="ignore"):
            ids = np.argsort(clocks / weights, -1, kind="stable")[..., :num_samples]
    return wrap(backend_of(input.array).upload(np.ascontiguousarray(ids, np.int64)))


# in place: all write through copy_, which knows leaves, views and versions


def _fill(input: Tensor, host: np.ndarray) -> Tensor:
    return input.copy_(_drawn(host, input))


def _only_floats(input: Tensor, what: str) -> None:
    if input.array.dtype.kind != "f":
        raise NotImplementedError(f"{what} fills floating tensors, this one is {input.dtype}")


def uniform_(input: Tensor, from_: float = 0.0, to: float = 1.0, *, generator=None) -> Tensor:
    """Fill with numbers uniform on [from_, to)."""
    _only_floats(input, "uniform_")
    if from_ > to:
        raise RuntimeError(f"uniform_ from {from_} to {to}: the end is below the start")
    noise = _uniform(tuple(input.shape), input.array.dtype, generator)
    return _fill(input, noise * (to - from_) + from_)


def normal_(input: Tensor, mean: float = 0.0, std: float = 1.0, *, generator=None) -> Tensor:
    """Fill with normal numbers."""
    _only_floats(input, "normal_")
    if std < 0:
        raise RuntimeError(f"normal_: std must be at least 0, got {std}")
    return _fill(input, _normal(tuple(input.shape), input.array.dtype, generator) * std + mean)


def log_normal_(input: Tensor, mean: float = 1.0, std: float = 2.0, *, generator=None) -> Tensor:
    """Fill with the exponentials of normal numbers."""
    _only_floats(input, "log_normal_")
    if std <= 0:
        raise RuntimeError(f"log_normal_: std must be above 0, got {std}")
    return _fill(input, host_of(generator).lognormal(mean, std, tuple(input.shape)))


def cauchy_(input: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator=None) -> Tensor:
    """Fill with Cauchy numbers."""
    _only_floats(input, "cauchy_")
    if sigma <= 0:
        raise RuntimeError(f"cauchy_: sigma must be above 0, got {sigma}")
    return _fill(input, host_of(generator).standard_cauchy(tuple(input.shape)) * sigma + median)


def exponential_(input: Tensor, lambd: float = 1.0, *, generator=None) -> Tensor:
    """Fill with exponential numbers of rate lambd."""
    _only_floats(input, "exponential_")
    if lambd <= 0:
        raise RuntimeError(f"exponential_: lambd must be above 0, got {lambd}")
    return _fill(input, host_of(generator).standard_exponential(tuple(input.shape)) / lambd)


def geometric_(input: Tensor, p: float, *, generator=None) -> Tensor:
    """Fill with the number of trials up to the first success, each of probability p."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_: p must lie between 0 and 1, got {p}")
    return _fill(input, host_of(generator).geometric(p, tuple(input.shape)))


def bernoulli_(input: Tensor, p: Any = 0.5, *, generator=None) -> Tensor:
    """Fill with ones, with probability p (a number or a Tensor), and zeros."""
    _check_chance(_host(p))
    return _fill(input, host_of(generator).random(tuple(input.shape)) < _host(p))


def random_(input: Tensor, *bounds: int, generator=None) -> Tensor:
    """Fill with integers: random_(to) from 0 to to - 1, random_(from, to), or all that the dtype
    counts exactly.
    """
    dtype = input.array.dtype
    if bounds:
        low, high = (0, *bounds)[-2:]
    else:
        low, high = 0, 2 ** (np.finfo(dtype).nmant + 1) if dtype.kind == "f" else 2
        high = np.iinfo(dtype).max if dtype.kind in "iu" else high
    return _fill(input, _integers(low, high, tuple(input.shape), None, generator))
