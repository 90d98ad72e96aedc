"""Distributions against their formulas, samples against their moments, gradients by differences."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Normal,
    Uniform,
    kl_divergence,
    register_kl,
)
from minigrad.testing import gradcheck

N = 20000


@pytest.fixture(autouse=True)
def seeded():
    mg.manual_seed(0)


def f64(x, **options):
    return mg.tensor(np.asarray(x, np.float64), **options)


LOC, SCALE = np.array([[-1.0], [2.0]]), np.array([0.5, 1.0, 3.0])
PROBS = np.array([[0.2, 0.3, 0.5], [0.0, 0.9, 0.1]])

MADE = {
    "normal": lambda: Normal(f64(LOC), f64(SCALE)),
    "uniform": lambda: Uniform(f64(LOC), f64(LOC + SCALE)),
    "bernoulli": lambda: Bernoulli(probs=f64([0.1, 0.5, 0.9])),
    "bernoulli logits": lambda: Bernoulli(logits=f64([-2.0, 0.0, 3.0])),
}


@pytest.mark.parametrize("name", MADE)
def test_moments_of_samples(name):
    p = MADE[name]()
    x = p.sample((N,))
    assert x.shape == (N, *p.batch_shape) and x.dtype == np.float64 and not x.requires_grad
    x, mean, std = x.numpy(), p.mean.numpy(), p.stddev.numpy()
    assert (abs(x.mean(0) - mean) < 5 * std / math.sqrt(N)).all()
    assert (abs(x.std(0) / std - 1) < 0.05).all()
    np.testing.assert_allclose(p.variance.numpy(), std**2)


@pytest.mark.parametrize("name", MADE)
def test_entropy_is_the_expected_surprise(name):
    p = MADE[name]()
    surprise = -p.log_prob(p.sample((N,))).numpy()
    error = surprise.std(0) / math.sqrt(N)
    assert (abs(surprise.mean(0) - p.entropy().numpy()) <= 5 * error + 1e-12).all()
    np.testing.assert_allclose(p.perplexity().numpy(), np.exp(p.entropy().numpy()))


def test_normal():
    x = np.linspace(-3, 3, 6).reshape(2, 3)
    density = np.exp(-((x - LOC) ** 2) / (2 * SCALE**2)) / (SCALE * math.sqrt(2 * math.pi))
    p = MADE["normal"]()
    np.testing.assert_allclose(p.log_prob(f64(x)).numpy(), np.log(density))
    assert p.batch_shape == (2, 3) and p.event_shape == () and p.has_rsample
    np.testing.assert_array_equal(p.mode.numpy(), p.mean.numpy())
    far = Normal(0.0, 1.0).log_prob(mg.tensor([1000.0, -1000.0])).numpy()
    np.testing.assert_allclose(far, -5e5, rtol=1e-5)


def test_uniform():
    p = Uniform(1.0, 5.0, validate_args=False)
    values = p.log_prob(mg.tensor([0.0, 1.0, 4.0, 5.0])).tolist()
    assert values == [
        -math.inf,
        pytest.approx(-math.log(4)),
        pytest.approx(-math.log(4)),
        -math.inf,
    ]
    assert p.cdf(mg.tensor([0.0, 2.0, 9.0])).tolist() == [0, 0.25, 1]
    assert p.icdf(mg.tensor(0.25)).item() == 2 and math.isnan(p.mode.item())
    assert p.sample((1000,)).numpy().min() >= 1


def test_bernoulli():
    p = MADE["bernoulli"]()
    chances = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(p.log_prob(mg.ones(3)).numpy(), np.log(chances))
    np.testing.assert_allclose(p.log_prob(mg.zeros(3)).numpy(), np.log(1 - chances))
    np.testing.assert_allclose(p.logits.numpy(), np.log(chances / (1 - chances)))
    assert set(p.sample((100,)).numpy().ravel()) == {0.0, 1.0}
    assert p.mode.tolist()[::2] == [0, 1] and math.isnan(p.mode.tolist()[1])
    assert p.enumerate_support().tolist() == [[0] * 3, [1] * 3]
    assert p.enumerate_support(expand=False).tolist() == [[0], [1]]
    extreme = Bernoulli(logits=mg.tensor([1000.0, -1000.0]))
    assert extreme.log_prob(mg.tensor([1.0, 1.0])).tolist() == [0, -1000]
    assert extreme.entropy().tolist() == [0, 0]


def test_categorical():
    p = Categorical(probs=f64(PROBS * 7))
    np.testing.assert_allclose(p.probs.numpy(), PROBS)
    x = p.sample((N,))
    assert x.shape == (N, 2) and x.dtype == np.int64
    share = np.stack([(x.numpy() == k).mean(0) for k in range(3)], 1)
    assert (abs(share - PROBS) < 5 * np.sqrt(PROBS * (1 - PROBS) / N) + 1e-9).all()
    np.testing.assert_allclose(p.log_prob(mg.tensor([2, 1])).exp().numpy(), [0.5, 0.9])
    positive = np.where(PROBS > 0, PROBS, 1)
    entropy = -(PROBS * np.log(positive)).sum(1)
    np.testing.assert_allclose(p.entropy().numpy(), entropy, atol=1e-12)
    assert p.mode.tolist() == [2, 1] and np.isnan(p.mean.numpy()).all()
    assert p.batch_shape == (2,) and p.event_shape == () and p.param_shape == (2, 3)
    assert p.enumerate_support().tolist() == [[0, 0], [1, 1], [2, 2]]
    assert p.log_prob(p.enumerate_support()).shape == (3, 2)


def test_categorical_by_logits():
    logits = np.array([[1000.0, 1001.0, 998.0]], np.float32)
    p = Categorical(logits=mg.tensor(logits))
    expected = np.exp(logits - 1001) / np.exp(logits - 1001).sum()
    np.testing.assert_allclose(p.probs.numpy(), expected, rtol=1e-5)
    assert p.sample().shape == (1,) and p.sample((2, 4)).shape == (2, 4, 1)
    masked = Categorical(logits=mg.tensor([0.0, -math.inf, 0.0]))
    assert 1 not in masked.sample((500,)).tolist()
    assert masked.entropy().item() == pytest.approx(math.log(2))
    one = Categorical(mg.tensor([0.5, 0.5])).sample()
    assert one.shape == () and one.item() in (0, 1)


def test_a_seed_repeats_the_samples():
    for name in MADE:
        draws = []
        for _ in range(2):
            mg.manual_seed(7)
            draws.append(MADE[name]().sample((5,)).tolist())
        assert draws[0] == draws[1]


def test_parameters_keep_dtype_and_shape():
    mixed = Normal(mg.zeros(3, dtype=np.float64), 1.0)
    assert mixed.scale.dtype == np.float64 and mixed.sample().dtype == np.float64
    assert Normal(0, 1).sample().dtype == np.float32 and Normal(0, 1).batch_shape == ()
    assert Categorical(probs=mg.ones(2)).log_prob(mg.tensor(1)).dtype == np.float32
    assert Bernoulli(0.5).log_prob(mg.tensor(1.0)).dtype == np.float32


def test_expand():
    p = Normal(mg.zeros(3), mg.ones(3)).expand((4, 3))
    assert p.batch_shape == (4, 3) and p.sample().shape == (4, 3) and p.entropy().shape == (4, 3)
    c = Categorical(logits=mg.zeros(2, 5)).expand((3, 2))
    assert c.probs.shape == (3, 2, 5) and c.sample((7,)).shape == (7, 3, 2)
    assert Bernoulli(probs=mg.tensor([0.5])).expand((4,)).sample().shape == (4,)
    assert Uniform(0.0, 1.0).expand((2,)).mean.tolist() == [0.5, 0.5]


def test_gradients_of_log_prob_and_entropy():
    x = f64([[0.3, -1.0, 2.0], [1.0, 0.0, 0.5]])
    loc, scale = f64(LOC, requires_grad=True), f64(SCALE, requires_grad=True)
    assert gradcheck(lambda m, s: Normal(m, s).log_prob(x), (loc, scale))
    assert gradcheck(lambda m, s: Normal(m, s).entropy() * x, (loc, scale))
    logits = f64([[0.5, -1.0, 2.0], [1.0, 0.0, 0.5]], requires_grad=True)
    weights = f64([0.7, -1.3])
    for make in (
        lambda x: Categorical(logits=x),
        lambda x: Categorical(probs=x.exp()),
    ):
        assert gradcheck(lambda z: make(z).log_prob(mg.tensor([2, 0])) * weights, (logits,))
        assert gradcheck(lambda z: make(z).entropy() * weights, (logits,))
    ones = mg.tensor([1.0, 0.0, 1.0], dtype=np.float64)
    assert gradcheck(lambda z: Bernoulli(logits=z).log_prob(ones) * x, (logits,))
    assert gradcheck(lambda z: Bernoulli(probs=z.sigmoid()).entropy() * x, (logits,))
    at_zero = f64([0.0], requires_grad=True)
    assert gradcheck(lambda z: Bernoulli(logits=z).log_prob(mg.ones(1)), (at_zero,))


def test_gradients_flow_through_rsample():
    loc, scale = f64(LOC, requires_grad=True), f64(SCALE, requires_grad=True)

    def drawn(family):
        def function(a, b):
            mg.manual_seed(3)
            return family(a, b).rsample((2,)) ** 2

        return function

    assert gradcheck(drawn(Normal), (loc, scale))
    assert gradcheck(drawn(lambda a, b: Uniform(a, a + b)), (loc, scale))
    for p in (Categorical(probs=mg.ones(2)), Bernoulli(0.5)):
        with pytest.raises(NotImplementedError, match="log_prob"):
            p.rsample()


def test_a_sample_does_not_cut_the_gradient_of_what_it_computed():
    logits = mg.zeros(3, requires_grad=True)
    p = Categorical(logits=logits)
    with mg.no_grad():
        action = p.sample()
    assert p.probs.requires_grad and not action.requires_grad
    (p.log_prob(action) + p.entropy()).backward()
    assert abs(logits.grad.sum().item()) < 1e-6 and logits.grad.numpy().any()


def test_the_score_function_estimates_the_gradient():
    logits = f64([0.2, -0.4, 0.9], requires_grad=True)
    rewards = np.array([1.0, -2.0, 0.5])
    p = Categorical(logits=logits)
    actions = p.sample((N,))
    (p.log_prob(actions) * f64(rewards[actions.numpy()])).mean().backward()
    probs = p.probs.detach().numpy()
    exact = probs * (rewards - (probs * rewards).sum())
    np.testing.assert_allclose(logits.grad.numpy(), exact, atol=0.05)


PAIRS = {
    "normal": (Normal(0.5, 2.0), Normal(-1.0, 0.7)),
    "categorical": (
        Categorical(probs=mg.tensor([0.2, 0.8, 0.0])),
        Categorical(logits=mg.tensor([0.1, 0.2, -1.0])),
    ),
    "bernoulli": (Bernoulli(0.3), Bernoulli(logits=1.5)),
    "uniform": (Uniform(0.0, 1.0), Uniform(-1.0, 3.0)),
    "uniform, normal": (Uniform(0.0, 1.0), Normal(0.3, 2.0)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_kl_divergence_is_the_expected_log_ratio(name):
    p, q = PAIRS[name]
    x = p.sample((N,))
    ratio = (p.log_prob(x) - q.log_prob(x)).numpy()
    error = ratio.std() / math.sqrt(N)
    assert abs(kl_divergence(p, q).item() - ratio.mean()) < 5 * error + 1e-4
    assert abs(kl_divergence(p, p).item()) < 1e-6


def test_kl_divergence_of_what_q_excludes():
    p, q = mg.tensor([0.5, 0.5, 0.0]), mg.tensor([1.0, 0.0, 0.0])
    assert kl_divergence(Categorical(p), Categorical(q)).item() == math.inf
    assert kl_divergence(Categorical(q), Categorical(p)).item() == pytest.approx(math.log(2))
    assert kl_divergence(Uniform(0.0, 2.0), Uniform(0.0, 1.0)).item() == math.inf
    assert kl_divergence(Bernoulli(0.5), Bernoulli(1.0)).item() == math.inf
    assert kl_divergence(Bernoulli(1.0), Bernoulli(1.0)).item() == 0


def test_kl_divergence_of_new_families():
    class Shifted(Normal):
        pass

    assert kl_divergence(Shifted(0.0, 1.0), Normal(0.0, 1.0)).item() == 0
    with pytest.raises(NotImplementedError, match="register_kl"):
        kl_divergence(Normal(0.0, 1.0), Uniform(0.0, 1.0))
    register_kl(Shifted, Shifted)(lambda p, q: "known")
    assert kl_divergence(Shifted(0.0, 1.0), Shifted(0.0, 1.0)) == "known"
    with pytest.raises(TypeError):
        register_kl(int, Normal)


WRONG = [
    lambda: Normal(0.0, 0.0),
    lambda: Normal(0.0, mg.tensor([1.0, -1.0])),
    lambda: Normal(math.nan, 1.0),
    lambda: Normal("0", 1.0),
    lambda: Uniform(1.0, 1.0),
    lambda: Uniform(mg.tensor([0.0, 3.0]), 2.0),
    lambda: Bernoulli(1.5),
    lambda: Bernoulli(),
    lambda: Bernoulli(0.5, 0.0),
    lambda: Categorical(),
    lambda: Categorical(mg.ones(2), mg.ones(2)),
    lambda: Categorical(mg.tensor(1.0)),
    lambda: Categorical(mg.tensor([-1.0, 3.0])),
    lambda: Categorical(mg.tensor([math.nan, 3.0])),
    lambda: Categorical(logits=mg.tensor([math.nan, 3.0])),
    lambda: Categorical(mg.ones(3)).log_prob(mg.tensor(3)),
    lambda: Categorical(mg.ones(3)).log_prob(mg.tensor(-1)),
    lambda: Categorical(mg.ones(3)).log_prob(mg.tensor(0.5)),
    lambda: Categorical(mg.ones(3)).log_prob(1),
    lambda: Categorical(mg.ones(2, 3)).log_prob(mg.tensor([0, 0, 0])),
    lambda: Bernoulli(0.5).log_prob(mg.tensor(0.5)),
    lambda: Uniform(0.0, 1.0).log_prob(mg.tensor(2.0)),
    lambda: Normal(0.0, 1.0).log_prob(mg.tensor(math.nan)),
    lambda: Distribution.set_default_validate_args(3),
]


@pytest.mark.parametrize("call", WRONG)
def test_what_makes_no_sense(call):
    with pytest.raises(ValueError):
        call()


def test_checks_may_be_left_out():
    assert Normal(0.0, -1.0, validate_args=False).scale.item() == -1
    try:
        Distribution.set_default_validate_args(False)
        assert Normal(0.0, -1.0).scale.item() == -1
    finally:
        Distribution.set_default_validate_args(True)
    with pytest.raises(RuntimeError, match="broadcast"):
        Normal(mg.zeros(2), mg.ones(3))


def test_a_family_without_formulas_says_so():
    for name in ("mean", "mode", "variance", "stddev"):
        with pytest.raises(NotImplementedError, match=name if name != "stddev" else "variance"):
            getattr(Distribution(), name)
    for name in ("log_prob", "cdf", "icdf"):
        with pytest.raises(NotImplementedError, match=name):
            getattr(Distribution(), name)(mg.zeros(1))
    for name in ("entropy", "enumerate_support", "sample"):
        with pytest.raises(NotImplementedError):
            getattr(Distribution(), name)()


def test_reading_one():
    assert repr(Normal(mg.zeros(3), 1.0)).startswith("Normal(loc: ")
    assert "logits" in repr(Categorical(logits=mg.zeros(3)))
