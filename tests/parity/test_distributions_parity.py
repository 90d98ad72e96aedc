"""Distributions against PyTorch's: values, gradients, shapes, types of errors."""

import numpy as np
import pytest

import minigrad
import minigrad.distributions

torch = pytest.importorskip("torch")

rng = np.random.default_rng(0)
REAL = rng.standard_normal((2, 3))
POSITIVE = rng.random((2, 3)) + 0.5
UNIT = rng.random((2, 3)) * 0.8 + 0.1
PROBS = np.array([[0.2, 0.3, 0.5], [0.0, 0.9, 0.1]])
BITS = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])

# family, arguments, a value
MADE = {
    "normal": ("Normal", dict(loc=REAL, scale=POSITIVE), REAL[::-1]),
    "uniform": ("Uniform", dict(low=REAL, high=REAL + 2 * POSITIVE), REAL + POSITIVE),
    "bernoulli": ("Bernoulli", dict(probs=UNIT), BITS),
    "bernoulli logits": ("Bernoulli", dict(logits=REAL * 4), BITS),
    "categorical": ("Categorical", dict(probs=UNIT * 3), np.array([2, 0])),
    "categorical zeros": ("Categorical", dict(probs=PROBS), np.array([2, 1])),
    "categorical logits": ("Categorical", dict(logits=REAL), np.array([[1, 2], [0, 0]])),
}
READ = "mean variance stddev mode probs logits perplexity entropy batch_shape event_shape".split()
READ += ["param_shape", "has_rsample", "enumerate_support"]


def made(lib, name):
    family, arguments, value = MADE[name]
    leaves = {key: lib.tensor(x, requires_grad=True) for key, x in arguments.items()}
    return getattr(lib.distributions, family)(**leaves), leaves, lib.tensor(value.copy())


def close(mine, theirs):
    if isinstance(theirs, torch.Tensor):
        mine, theirs = mine.detach().numpy(), theirs.detach().numpy()
        assert mine.dtype == theirs.dtype and mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=1e-7, atol=1e-12)
    else:
        assert (tuple(mine) == tuple(theirs)) if isinstance(theirs, tuple) else mine == theirs


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("what", [*READ, "log_prob", "cdf"])
def test_values_and_gradients(name, what):
    (p, mine, value), (q, theirs, their_value) = made(minigrad, name), made(torch, name)
    if what == "cdf" and name != "uniform":
        return
    if not hasattr(q, what):
        assert not hasattr(p, what)
        return
    try:
        a, b = getattr(p, what), getattr(q, what)
        if callable(b):
            a, b = (a(value), b(their_value)) if what in ("log_prob", "cdf") else (a(), b())
    except NotImplementedError:
        with pytest.raises(NotImplementedError):
            getattr(q, what)()
        return
    close(a, b)
    if getattr(b, "requires_grad", False):
        seed = rng.standard_normal(b.shape)
        a.backward(minigrad.tensor(seed))
        b.backward(torch.tensor(seed))
        for key in theirs:
            if theirs[key].grad is None:
                assert mine[key].grad is None
            else:
                close(mine[key].grad, theirs[key].grad)


@pytest.mark.parametrize("name", MADE)
def test_shapes(name):
    (p, _, _), (q, _, _) = made(minigrad, name), made(torch, name)
    for shape in ((), (4,), (2, 3)):
        mine, theirs = p.sample(shape), q.sample(shape)
        assert tuple(mine.shape) == tuple(theirs.shape)
        assert mine.numpy().dtype == theirs.numpy().dtype
    larger = (5, *q.batch_shape)
    p, q = p.expand(larger), q.expand(larger)
    close(p.entropy(), q.entropy())
    assert tuple(p.sample((2,)).shape) == tuple(q.sample((2,)).shape)


@pytest.mark.parametrize(
    "make",
    [
        lambda lib: lib.distributions.Normal(0.5, 1),
        lambda lib: lib.distributions.Normal(lib.zeros(2, 3), 1.0),
        lambda lib: lib.distributions.Uniform(lib.zeros(1), 1.0),
        lambda lib: lib.distributions.Bernoulli(logits=lib.zeros(3)),
        lambda lib: lib.distributions.Categorical(lib.ones(3)),
    ],
)
def test_printing(make):
    assert repr(make(minigrad)) == repr(make(torch)).replace("torch.", "minigrad.")


PAIRS = [
    ("normal", "normal"),
    ("bernoulli", "bernoulli logits"),
    ("categorical", "categorical logits"),
    ("categorical zeros", "categorical logits"),
    ("categorical", "categorical zeros"),
    ("uniform", "uniform"),
    ("uniform", "normal"),
    ("normal", "categorical"),
]


@pytest.mark.parametrize("first, second", PAIRS)
def test_divergences(first, second):
    def both(lib):
        (p, a, _), (q, b, _) = made(lib, first), made(lib, second)
        try:
            kl = lib.distributions.kl_divergence(p, q)
        except NotImplementedError:
            return None
        return kl, [*a.values(), *b.values()]

    mine, theirs = both(minigrad), both(torch)
    if theirs is None:
        assert mine is None
        return
    close(mine[0], theirs[0])
    if np.isfinite(theirs[0].detach().numpy()).all():
        mine[0].sum().backward()
        theirs[0].sum().backward()
        for x, y in zip(mine[1], theirs[1]):
            close(x.grad, y.grad)


WRONG = [
    lambda lib, d: d.Normal(0.0, -1.0),
    lambda lib, d: d.Normal("a", 1.0),
    lambda lib, d: d.Normal(lib.zeros(2), lib.ones(3)),
    lambda lib, d: d.Normal(np.zeros(2), 1.0),
    lambda lib, d: d.Uniform(2.0, 1.0),
    lambda lib, d: d.Bernoulli(),
    lambda lib, d: d.Bernoulli(2.0),
    lambda lib, d: d.Categorical(),
    lambda lib, d: d.Categorical(lib.tensor(1.0)),
    lambda lib, d: d.Categorical(lib.tensor([-1.0, 2.0])),
    lambda lib, d: d.Categorical(lib.ones(3)).log_prob(lib.tensor(3)),
    lambda lib, d: d.Categorical(lib.ones(3)).log_prob(3),
    lambda lib, d: d.Categorical(lib.ones(2, 3)).log_prob(lib.zeros(3)),
    lambda lib, d: d.Categorical(lib.ones(3)).sample(3),
    lambda lib, d: d.Categorical(lib.ones(3)).rsample(),
    lambda lib, d: d.Uniform(0.0, 1.0).log_prob(lib.tensor(-1.0)),
    lambda lib, d: d.Distribution(validate_args=False).sample(),
    lambda lib, d: d.Distribution(validate_args=False).entropy(),
]


@pytest.mark.parametrize("call", WRONG)
def test_errors(call):
    kinds = []
    for lib in (minigrad, torch):
        try:
            call(lib, lib.distributions)
            kinds.append(None)
        except Exception as error:
            kinds.append(type(error))
    assert kinds[0] is kinds[1]
