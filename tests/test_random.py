"""Random numbers: distributions by their moments, states, errors."""

import copy
import math
import pickle

import numpy as np
import pytest

import minigrad as mg
import minigrad.random as random
from minigrad.ops.random import (
    bernoulli_,
    cauchy_,
    exponential_,
    geometric_,
    log_normal_,
    normal_,
    random_,
    uniform_,
)

N = 4000
ONES = mg.ones(N, dtype="float64")
# mean and standard deviation
MOMENTS = [
    ("rand", lambda g: mg.rand(N, generator=g), 0.5, math.sqrt(1 / 12)),
    ("rand half", lambda g: mg.rand(N, generator=g, dtype=mg.float16), 0.5, math.sqrt(1 / 12)),
    ("randn", lambda g: mg.randn(size=(N,), generator=g), 0, 1),
    ("randint", lambda g: mg.randint(2, 5, (N,), generator=g), 3, math.sqrt(2 / 3)),
    ("randint named", lambda g: mg.randint(high=3, size=(N,), generator=g), 1, math.sqrt(2 / 3)),
    ("rand_like", lambda g: mg.rand_like(ONES), 0.5, math.sqrt(1 / 12)),
    ("randn_like", lambda g: mg.randn_like(ONES, dtype=mg.float32), 0, 1),
    ("randint_like", lambda g: mg.randint_like(ONES, 3), 1, math.sqrt(2 / 3)),
    ("randint_like low", lambda g: mg.randint_like(ONES, 2, 5), 3, math.sqrt(2 / 3)),
    ("normal", lambda g: mg.normal(2.0, 3.0, (N,), generator=g), 2, 3),
    ("normal tensors", lambda g: mg.normal(ONES, ONES * 2, generator=g), 1, 2),
    ("normal mean", lambda g: mg.normal(ONES, generator=g), 1, 1),
    ("normal std", lambda g: mg.normal(5.0, ONES, generator=g), 5, 1),
    ("bernoulli", lambda g: mg.bernoulli(ONES * 0.3, generator=g), 0.3, math.sqrt(0.21)),
    ("bernoulli p", lambda g: mg.bernoulli(ONES, 0.3, generator=g), 0.3, math.sqrt(0.21)),
    ("poisson", lambda g: mg.poisson(ONES * 4, generator=g), 4, 2),
    ("uniform_", lambda g: uniform_(ONES.clone(), -1, 3, generator=g), 1, math.sqrt(16 / 12)),
    ("normal_", lambda g: normal_(ONES.clone(), 2, 3, generator=g), 2, 3),
    ("bernoulli_", lambda g: bernoulli_(ONES.clone(), 0.3, generator=g), 0.3, math.sqrt(0.21)),
    ("bernoulli_ tensor", lambda g: bernoulli_(ONES.clone(), ONES * 0.5, generator=g), 0.5, 0.5),
    ("exponential_", lambda g: exponential_(ONES.clone(), 2, generator=g), 0.5, 0.5),
    ("geometric_", lambda g: geometric_(ONES.clone(), 0.5, generator=g), 2, math.sqrt(2)),
    ("random_", lambda g: random_(ONES.clone(), 3, generator=g), 1, math.sqrt(2 / 3)),
    ("random_ from", lambda g: random_(ONES.clone(), 2, 5, generator=g), 3, math.sqrt(2 / 3)),
    ("log_normal_", lambda g: log_normal_(ONES.clone(), 0, 0.5, generator=g).log(), 0, 0.5),
    ("cauchy_", lambda g: mg.atan(cauchy_(ONES.clone(), generator=g)), 0, math.pi / math.sqrt(12)),
    ("multinomial", lambda g: mg.multinomial(mg.tensor([1.0, 0, 1, 2]), N, True, generator=g),
     2, math.sqrt(1.5)),
]  # fmt: skip


@pytest.mark.parametrize("draw, mean, std", [m[1:] for m in MOMENTS], ids=[m[0] for m in MOMENTS])
def test_moments(draw, mean, std):
    mg.manual_seed(1)
    x = draw(mg.Generator(3)).numpy().astype(np.float64)
    assert x.shape == (N,)
    assert abs(x.mean() - mean) < 5 * std / math.sqrt(N)
    assert abs(x.std() - std) < 0.1 * std


DTYPES = [
    (lambda: mg.rand(2, dtype=mg.float64), "float64"),
    (lambda: mg.randn(2, dtype=mg.float16), "float16"),
    (lambda: mg.randint(5, (2,), dtype=mg.float32), "float32"),
    (lambda: mg.randint(5, (2,), dtype=mg.uint8), "uint8"),
    (lambda: mg.randperm(3, dtype=mg.float32), "float32"),
    (lambda: mg.randint_like(mg.zeros(2), 3), "float32"),
    (lambda: mg.normal(mg.zeros(2, dtype=mg.float64), mg.ones(2)), "float64"),
    (lambda: mg.bernoulli(mg.zeros(2, dtype=mg.float64)), "float64"),
    (lambda: mg.multinomial(mg.ones(2), 1), "int64"),
    (lambda: random_(mg.zeros(3, dtype=mg.uint8)), "uint8"),
]


@pytest.mark.parametrize("draw, dtype", DTYPES)
def test_dtypes(draw, dtype):
    assert draw().dtype == dtype


def test_half_precision_never_reaches_1():
    x = mg.rand(20000, dtype=mg.float16)
    assert x.numpy().max() < 1


def test_multinomial():
    weights = mg.tensor([[0.0, 1.0, 3.0, 2.0], [5.0, 0.0, 1.0, 1.0]])
    picked = mg.multinomial(weights, 3)
    assert picked.shape == (2, 3)
    assert sorted(picked[0].tolist()) == [1, 2, 3] and sorted(picked[1].tolist()) == [0, 2, 3]
    again = mg.multinomial(weights, 500, replacement=True)
    for row, zero in zip(again.tolist(), (0, 1)):
        assert zero not in row and len(set(row)) == 3
    first = [mg.multinomial(weights[0], 1).item() for _ in range(600)]
    shares = np.bincount(first, minlength=4) / 600
    np.testing.assert_allclose(shares, [0, 1 / 6, 1 / 2, 1 / 3], atol=0.08)


E = mg.zeros(2)
P = mg.tensor([1.0, 2.0])
L = mg.tensor([1, 2])
ERRORS = [
    ("rand int", lambda: mg.rand(2, dtype=mg.int64), NotImplementedError, "randint"),
    ("randn int", lambda: mg.randn(2, dtype=mg.int64), NotImplementedError, "randint"),
    ("rand_like int", lambda: mg.rand_like(L), NotImplementedError, "int64"),
    ("randint", lambda: mg.randint(5, 5, (2,)), RuntimeError, "5"),
    ("randint size", lambda: mg.randint(5), TypeError, "size"),
    ("randint float", lambda: mg.randint(2.5, (2,)), TypeError, "float"),
    ("randperm", lambda: mg.randperm(-1), RuntimeError, "negative"),
    ("normal size", lambda: mg.normal(0.0, 1.0), TypeError, "size"),
    ("normal std", lambda: mg.normal(P, -1.0), RuntimeError, "deviation"),
    ("normal shapes", lambda: mg.normal(P, mg.ones(3)), RuntimeError, "shape"),
    ("bernoulli", lambda: mg.bernoulli(P), RuntimeError, "probability"),
    ("bernoulli int", lambda: mg.bernoulli(L), NotImplementedError, "int64"),
    ("multinomial many", lambda: mg.multinomial(P, 3), RuntimeError, "replacement"),
    ("multinomial none", lambda: mg.multinomial(P, 0), RuntimeError, "at least 1"),
    ("multinomial int", lambda: mg.multinomial(L, 1), RuntimeError, "int64"),
    ("multinomial sum", lambda: mg.multinomial(P * 0, 1), RuntimeError, "sum to 0"),
    ("multinomial nan", lambda: mg.multinomial(P * math.nan, 1), RuntimeError, "NaN"),
    ("multinomial 3-d", lambda: mg.multinomial(mg.ones(1, 1, 2), 1), RuntimeError, "rows"),
    ("uniform_", lambda: uniform_(E, 1, 0), RuntimeError, "below"),
    ("normal_", lambda: normal_(E, 0, -1), RuntimeError, "std"),
    ("normal_ int", lambda: normal_(L), NotImplementedError, "int64"),
    ("random_", lambda: random_(E, 5, 5), RuntimeError, "5"),
    ("exponential_", lambda: exponential_(E, -1), RuntimeError, "lambd"),
    ("geometric_", lambda: geometric_(E, 1.5), RuntimeError, "between"),
    ("bernoulli_", lambda: bernoulli_(E, 1.5), RuntimeError, "probability"),
    ("state dtype", lambda: mg.Generator().set_state(E), TypeError, "uint8"),
    ("state size", lambda: mg.Generator().set_state(E.to(mg.uint8)), RuntimeError, "bytes"),
]


@pytest.mark.parametrize("call, kind, text", [e[1:] for e in ERRORS], ids=[e[0] for e in ERRORS])
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_filling_respects_the_tape():
    leaf = mg.zeros(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        uniform_(leaf)
    with mg.no_grad():
        assert uniform_(leaf) is leaf and leaf.requires_grad
    y = leaf * 2
    z = y * y
    normal_(y)  # what squared it needs the old content
    with pytest.raises(RuntimeError, match="changed in place"):
        z.sum().backward()
    y = leaf * 2
    normal_(y)
    y.sum().backward()
    assert leaf.grad.tolist() == [0, 0, 0]


def test_states():
    g = mg.Generator(device="cpu")
    assert g.device == "cpu" and g.initial_seed() == mg.Generator().initial_seed()
    assert g.manual_seed(-1) is g and g.initial_seed() == 2**64 - 1
    mg.randint(9, (3,), generator=g)  # half of a number is left over
    state = g.get_state()
    assert state.dtype == mg.uint8 and state.ndim == 1
    twins = [mg.Generator(), g.clone_state(), copy.deepcopy(g), pickle.loads(pickle.dumps(g))]
    twins[0].set_state(state.clone())
    expected = [mg.rand(3, generator=g).tolist(), mg.randint(99, (5,), generator=g).tolist()]
    for twin in twins:
        found = [mg.rand(3, generator=twin).tolist(), mg.randint(99, (5,), generator=twin).tolist()]
        assert found == expected and twin.initial_seed() == 2**64 - 1
    assert g.seed() == g.initial_seed() != mg.Generator().seed()


def test_the_default_generator():
    mg.manual_seed(7)
    assert random.initial_seed() == 7
    state = random.get_rng_state()
    a = mg.rand(3).tolist()
    random.set_rng_state(state)
    assert mg.rand(3).tolist() == a
    random.set_rng_state(state)
    with random.fork_rng():
        assert mg.rand(3).tolist() == a
    assert mg.rand(3).tolist() == a
    random.set_rng_state(state)
    with random.fork_rng(enabled=False):
        mg.rand(3)
    assert mg.rand(3).tolist() != a
    assert isinstance(random.seed(), int)
    random.manual_seed(0)
