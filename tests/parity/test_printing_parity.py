"""What a tensor prints, character for character what PyTorch prints."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, printing

torch = pytest.importorskip("torch")

SHAPES = [(), (1,), (5,), (30,), (1001,), (3, 4), (2, 17), (2, 1, 3), (2, 2, 2, 2), (7, 200)]
SHAPES += [(1200, 1), (8, 9, 20), (0,), (0, 3), (2, 0)]
DTYPES = "float16 float32 float64 int8 int16 int32 int64 uint8 bool".split()
SPECIAL = [0.0, -0.0, math.nan, math.inf, -math.inf, 1e-5, 1e5, 1e9, -1.0, 0.5, 2.0, 1e-40]


class Shown:
    """What the printer may look at, with names that PyTorch's tensor would show."""

    def __init__(self, theirs):
        self.requires_grad, self.grad_fn, self.device = theirs.requires_grad, theirs.grad_fn, "cpu"
        self.array = theirs.detach().numpy()

    def to_numpy(self):
        return self.array


Shown.__name__ = "Tensor"


@pytest.fixture(autouse=True)
def default_options():
    yield
    torch.set_printoptions(profile="default")
    printing.set_printoptions(profile="default")


def same(theirs, shown=None):
    expected = repr(theirs).replace("torch.", "minigrad.")
    assert printing.format_tensor(Shown(theirs) if shown is None else shown) == expected


def values(rng, shape, dtype, kind):
    """An array of one of the kinds that print differently."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        low, high = (info.min, info.max) if kind % 2 else (max(info.min, -9), 20)
        return rng.integers(low, high, shape, dtype=dtype, endpoint=True)
    x = np.asarray(rng.standard_normal(shape))
    if kind == 1:
        x = np.round(x * 10)
    elif kind == 2:
        x = x * 10.0 ** rng.integers(-8, 9, shape)
    elif kind == 3:
        x = x * 10.0 ** rng.integers(-5, 9)
    elif kind == 4:
        x = rng.choice(SPECIAL, shape)
    elif kind == 5:
        x = rng.choice(SPECIAL[:5] + [3.0, -12.0], shape)
    with np.errstate(over="ignore"):
        return np.asarray(x).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", range(6))
def test_values(dtype, kind):
    rng = np.random.default_rng([kind, len(dtype), *map(ord, dtype)])
    for shape in SHAPES:
        for _ in range(2):
            same(torch.from_numpy(np.array(values(rng, shape, dtype, kind))))


OPTIONS = [
    dict(precision=2),
    dict(precision=0),
    dict(sci_mode=True),
    dict(sci_mode=False, precision=6),
    dict(threshold=5),
    dict(threshold=5, edgeitems=1),
    dict(threshold=5, edgeitems=0),
    dict(edgeitems=0),
    dict(linewidth=40),
    dict(linewidth=10),
    dict(profile="short"),
    dict(profile="full"),
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options(options):
    torch.set_printoptions(**options)
    printing.set_printoptions(**options)
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        if math.prod(shape) < 1400:
            for dtype, kind in (("float32", 0), ("float32", 5), ("float64", 2), ("int64", 0)):
                same(torch.from_numpy(np.array(values(rng, shape, dtype, kind))))


def test_history_and_leaves():
    for n in range(1, 40):
        x = torch.randn(n, dtype=torch.float64 if n % 2 else torch.float32, requires_grad=True)
        same(x)
        same(x + 1)
        same(x.reshape(1, n, 1) * 2)
        same(x.sum())


def test_parameters():
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    same(torch.nn.Parameter(torch.from_numpy(x)), nn.Parameter(mg.tensor(x)))
    frozen = torch.nn.Parameter(torch.from_numpy(x), requires_grad=False)
    same(frozen, nn.Parameter(mg.tensor(x), requires_grad=False))


def test_default_dtype():
    try:
        torch.set_default_dtype(torch.float64)
        from minigrad import dtypes

        dtypes.set_default_dtype("float64")
        same(torch.ones(2, dtype=torch.float64))
        same(torch.ones(2, dtype=torch.float32))
        same(torch.ones(0, dtype=torch.float64))
    finally:
        torch.set_default_dtype(torch.float32)
        dtypes.set_default_dtype("float32")


def test_options_are_reported_alike():
    theirs, mine = torch._tensor_str.get_printoptions, printing.get_printoptions
    assert mine() == theirs()
    with torch._tensor_str.printoptions(precision=2, sci_mode=True):
        with printing.printoptions(precision=2, sci_mode=True):
            assert mine() == theirs()
    assert mine() == theirs()
