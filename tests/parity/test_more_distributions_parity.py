"""The rarer distributions and the transforms against PyTorch's."""

import numpy as np
import pytest

import minigrad
import minigrad.distributions

torch = pytest.importorskip("torch")

rng = np.random.default_rng(0)
REAL, OTHER = rng.standard_normal((2, 2, 3))
POSITIVE = rng.random((2, 3)) + 0.5
LARGE = rng.random((2, 3)) * 3 + 2.5
UNIT = rng.random((2, 3)) * 0.8 + 0.1
COUNTS = np.array([[0.0, 2.0, 1.0], [4.0, 0.0, 3.0]])
HOT = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
ROWS = UNIT / UNIT.sum(1, keepdims=True)
LOWER = np.tril(rng.standard_normal((2, 3, 3)), -1) + np.eye(3) * (1 + UNIT[:, None])
COVARIANCE = LOWER @ LOWER.swapaxes(1, 2)

# the distribution, made of leaves; the leaves; a value
MADE = {
    "laplace": (lambda d, a, b: d.Laplace(a, b), (REAL, POSITIVE), OTHER),
    "exponential": (lambda d, a: d.Exponential(a), (POSITIVE,), LARGE),
    "gumbel": (lambda d, a, b: d.Gumbel(a, b), (REAL, POSITIVE), OTHER),
    "cauchy": (lambda d, a, b: d.Cauchy(a, b), (REAL, POSITIVE), OTHER),
    "half normal": (lambda d, a: d.HalfNormal(a), (POSITIVE,), LARGE),
    "log normal": (lambda d, a, b: d.LogNormal(a, b), (REAL, POSITIVE), LARGE),
    "gamma": (lambda d, a, b: d.Gamma(a, b), (LARGE, POSITIVE), UNIT),
    "gamma below 1": (lambda d, a, b: d.Gamma(a, b), (UNIT, POSITIVE), LARGE),
    "chi2": (lambda d, a: d.Chi2(a), (LARGE,), POSITIVE),
    "beta": (lambda d, a, b: d.Beta(a, b), (LARGE, POSITIVE), UNIT),
    "dirichlet": (lambda d, a: d.Dirichlet(a), (LARGE,), ROWS),
    "poisson": (lambda d, a: d.Poisson(a), (LARGE,), COUNTS),
    "geometric": (lambda d, a: d.Geometric(a), (UNIT,), COUNTS),
    "geometric logits": (lambda d, a: d.Geometric(logits=a), (REAL,), COUNTS),
    "binomial": (lambda d, a: d.Binomial(5, a), (UNIT,), COUNTS),
    "binomial logits": (lambda d, a: d.Binomial(5, logits=a), (REAL,), COUNTS),
    "negative binomial": (lambda d, a, b: d.NegativeBinomial(a, b), (LARGE, UNIT), COUNTS),
    "student": (lambda d, a, b, c: d.StudentT(a, b, c), (LARGE, REAL, POSITIVE), OTHER),
    "one hot": (lambda d, a: d.OneHotCategorical(a), (ROWS,), HOT),
    "one hot logits": (lambda d, a: d.OneHotCategorical(logits=a), (REAL,), HOT),
    "straight through": (lambda d, a: d.OneHotCategoricalStraightThrough(a), (ROWS,), HOT),
    "multinomial": (lambda d, a: d.Multinomial(3, a), (ROWS,), np.array([[0.0, 2, 1], [3, 0, 0]])),
    "relaxed one hot": (
        lambda d, a, t: d.RelaxedOneHotCategorical(t, logits=a),
        (REAL, np.array(0.7)),
        ROWS,
    ),
    "relaxed bernoulli": (
        lambda d, a, t: d.RelaxedBernoulli(t, logits=a),
        (REAL, np.array(0.7)),
        UNIT,
    ),
    "multivariate scale": (
        lambda d, a, b: d.MultivariateNormal(a, scale_tril=b),
        (REAL, LOWER),
        OTHER,
    ),
    "multivariate covariance": (
        lambda d, a, b: d.MultivariateNormal(a, (b + b.mT) / 2),
        (REAL, COVARIANCE),
        OTHER,
    ),
    "multivariate precision": (
        lambda d, a, b: d.MultivariateNormal(a, precision_matrix=(b + b.mT) / 2),
        (REAL, COVARIANCE),
        OTHER,
    ),
    "independent": (
        lambda d, a, b: d.Independent(d.Normal(a, b), 1),
        (REAL, POSITIVE),
        OTHER,
    ),
    "mixture": (
        lambda d, a, b, c: d.MixtureSameFamily(d.Categorical(a), d.Normal(b, c)),
        (UNIT, REAL, POSITIVE),
        OTHER[:, 0],
    ),
    "mixture of vectors": (
        lambda d, a, b, c: d.MixtureSameFamily(
            d.Categorical(logits=a), d.Independent(d.Normal(b, c), 1)
        ),
        (REAL[0, :2], REAL, POSITIVE),
        OTHER[0],
    ),
    "tanh": (
        lambda d, a, b: d.TransformedDistribution(d.Normal(a, b), [d.TanhTransform()]),
        (REAL, POSITIVE),
        UNIT,
    ),
    "logistic": (
        lambda d, a, b: d.TransformedDistribution(
            d.Uniform(a * 0, b * 0 + 1),
            [d.SigmoidTransform().inv, d.AffineTransform(loc=a, scale=b)],
        ),
        (REAL, POSITIVE),
        OTHER,
    ),
}
READ = """mean variance stddev mode entropy batch_shape event_shape has_rsample
    has_enumerate_support""".split()
CALLED = "log_prob cdf icdf".split()


def made(lib, name):
    make, leaves, value = MADE[name]
    leaves = [lib.tensor(x.copy(), requires_grad=True) for x in leaves]
    return make(lib.distributions, *leaves), leaves, lib.tensor(value.copy())


def close(mine, theirs):
    if isinstance(theirs, torch.Tensor):
        mine, theirs = mine.detach().numpy(), theirs.detach().numpy()
        assert mine.dtype == theirs.dtype and mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=1e-7, atol=1e-9)
    else:
        assert (tuple(mine) == tuple(theirs)) if isinstance(theirs, tuple) else mine == theirs


def read(p, what, value):
    """An attribute or the result of a method, or None where the family has none."""
    try:
        found = getattr(p, what)
        if what in CALLED:
            return found(value if what != "icdf" else value * 0 + 0.3)
        return found() if callable(found) else found
    except NotImplementedError:
        return None


NO_RSAMPLE = "gamma beta dirichlet chi2 student".split()  # as gradients of samples go, fewer here


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("what", [*READ, *CALLED])
def test_values_and_gradients(name, what):
    (p, mine, value), (q, theirs, their_value) = made(minigrad, name), made(torch, name)
    b = read(q, what, their_value)
    if what == "has_rsample" and name.split()[0] in NO_RSAMPLE:
        b = False
    if b is None or what in CALLED[1:] and name in ("gamma", "gamma below 1", "chi2"):
        return
    a = read(p, what, value)
    close(a, b)
    if getattr(b, "requires_grad", False):
        seed = rng.standard_normal(b.shape)
        a.backward(minigrad.tensor(seed))
        b.backward(torch.tensor(seed))
        for x, y in zip(mine, theirs):
            if y.grad is None or not y.grad.any():
                assert x.grad is None or not x.grad.any()
            else:
                close(x.grad, y.grad)


@pytest.mark.parametrize("name", MADE)
def test_shapes(name):
    (p, _, _), (q, _, _) = made(minigrad, name), made(torch, name)
    for shape in ((), (4,), (2, 3)):
        mine, theirs = p.sample(shape), q.sample(shape)
        assert tuple(mine.shape) == tuple(theirs.shape)
        assert mine.numpy().dtype == theirs.numpy().dtype
        assert not mine.requires_grad
    if p.has_rsample:
        assert p.rsample((2,)).requires_grad
    larger = (5, *q.batch_shape)
    p, q = p.expand(larger), q.expand(larger)
    assert tuple(p.batch_shape) == larger
    assert tuple(p.sample((2,)).shape) == tuple(q.sample((2,)).shape)
    value = q.sample()
    close(p.log_prob(minigrad.tensor(value.numpy())), q.log_prob(value))


@pytest.mark.parametrize("name", MADE)
def test_samples_have_the_moments(name):
    minigrad.manual_seed(0)
    p, _, _ = made(minigrad, name)
    with minigrad.no_grad():
        mean, spread = read(p, "mean", None), read(p, "stddev", None)
        x = p.sample((20000,))
        if mean is None or spread is None or name == "cauchy":
            assert np.isfinite(x.numpy()).all()
            return
        mean, spread = mean.detach(), spread.detach()
    error = (x.mean(0) - mean).numpy() / spread.numpy()
    assert np.abs(error).max() < 0.05
    if name not in ("student", "log normal"):  # whose fourth moments are large, or none
        assert np.abs(x.std(0).numpy() / spread.numpy() - 1).max() < 0.12


PAIRS = [
    ("laplace", "laplace"),
    ("exponential", "exponential"),
    ("gumbel", "gumbel"),
    ("cauchy", "cauchy"),
    ("half normal", "half normal"),
    ("log normal", "log normal"),
    ("gamma", "gamma below 1"),
    ("beta", "beta"),
    ("dirichlet", "dirichlet"),
    ("poisson", "poisson"),
    ("geometric", "geometric logits"),
    ("binomial", "binomial logits"),
    ("one hot", "one hot logits"),
    ("multivariate scale", "multivariate covariance"),
    ("independent", "independent"),
    ("half normal", "geometric"),
]


@pytest.mark.parametrize("first, second", PAIRS)
def test_divergences(first, second):
    def both(lib):
        (p, a, _), (q, b, _) = made(lib, first), made(lib, second)
        try:
            kl = lib.distributions.kl_divergence(p, q)
        except NotImplementedError:
            return None
        kl.sum().backward()
        return [kl, *[x.grad for x in a + b]]

    mine, theirs = both(minigrad), both(torch)
    assert (mine is None) == (theirs is None)
    for x, y in zip(mine or (), theirs or ()):
        close(x, y)


TRANSFORMS = {
    "affine": lambda d: d.AffineTransform(0.5, -2.0),
    "exp": lambda d: d.ExpTransform(),
    "sigmoid": lambda d: d.SigmoidTransform(),
    "tanh": lambda d: d.TanhTransform(),
    "softplus": lambda d: d.SoftplusTransform(),
    "inverse": lambda d: d.ExpTransform().inv.inv,
    "composed": lambda d: d.ComposeTransform([d.TanhTransform(), d.AffineTransform(1.0, 3.0)]),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name):
    results = []
    for lib in (minigrad, torch):
        f, x = TRANSFORMS[name](lib.distributions.transforms), lib.tensor(REAL)
        y = f(x)
        results.append([y, f.inv(y), f.log_abs_det_jacobian(x, y)])
        assert f.sign == (-1 if name == "affine" else 1)
    for mine, theirs in zip(*results):
        close(mine, theirs)


WRONG = [
    lambda lib, d: d.Laplace(0.0, -1.0),
    lambda lib, d: d.Beta(lib.zeros(2), lib.ones(2)),
    lambda lib, d: d.Gamma(lib.ones(2), lib.ones(3)),
    lambda lib, d: d.Dirichlet(lib.tensor(1.0)),
    lambda lib, d: d.Poisson(-1.0),
    lambda lib, d: d.Poisson(1.0).log_prob(lib.tensor(0.5)),
    lambda lib, d: d.Geometric(),
    lambda lib, d: d.Binomial(2, 0.5).log_prob(lib.tensor(3.0)),
    lambda lib, d: d.OneHotCategorical(lib.ones(3)).log_prob(lib.ones(3)),
    lambda lib, d: d.MultivariateNormal(lib.zeros(2)),
    lambda lib, d: d.MultivariateNormal(lib.tensor(0.0), lib.eye(2)),
    lambda lib, d: d.MultivariateNormal(lib.zeros(2), -lib.eye(2)),
    lambda lib, d: d.MultivariateNormal(lib.zeros(2), scale_tril=lib.ones(2, 2)),
    lambda lib, d: d.Independent(d.Normal(lib.zeros(2), 1.0), 2),
    lambda lib, d: d.MixtureSameFamily(d.Normal(0.0, 1.0), d.Normal(lib.zeros(2), 1.0)),
    lambda lib, d: d.MixtureSameFamily(d.Categorical(lib.ones(3)), d.Normal(lib.zeros(2), 1.0)),
    lambda lib, d: d.TransformedDistribution(d.Normal(0.0, 1.0), 3),
    lambda lib, d: d.NoSuchFamily,
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
