"""Losses against formulas in NumPy, finite differences, and each other."""

import contextlib
import itertools
import math
import tracemalloc

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F
from minigrad.testing import composed, gradcheck


def array(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def log_softmax(x, axis):
    x = x - x.max(axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


SHAPES = [((5,), ()), ((4, 5), (4,)), ((4, 5, 3), (4, 3)), ((2, 5, 3, 2), (2, 3, 2))]


@pytest.mark.parametrize("shape, places", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_of_classes(shape, places, weighted, smoothing, reduction):
    x, V = array(*shape), 5
    dim = 0 if len(shape) == 1 else 1
    target = np.random.default_rng(1).integers(0, V, places)
    if places:
        target.flat[1] = -100
    w = np.random.default_rng(2).random(V) + 0.5 if weighted else np.ones(V)
    rows = np.moveaxis(log_softmax(x, dim), dim, -1).reshape(-1, V)
    losses, total = [], 0.0
    for row, t in zip(rows, target.reshape(-1)):
        if t == -100:
            losses.append(0.0)
            continue
        losses.append(-(1 - smoothing) * w[t] * row[t] - smoothing / V * (w * row).sum())
        total += w[t]
    expected = {"sum": sum(losses), "mean": sum(losses) / total}.get(reduction)
    if reduction == "none":
        expected = np.reshape(losses, places)
    module = nn.CrossEntropyLoss(
        mg.tensor(w) if weighted else None, reduction=reduction, label_smoothing=smoothing
    )
    loss = module(mg.tensor(x), mg.tensor(target))
    assert loss.shape == np.shape(expected)
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("shape", [(5,), (4, 5), (4, 5, 3)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_of_probabilities(shape, smoothing):
    x, q = array(*shape), np.exp(log_softmax(array(*shape, seed=1), 0 if len(shape) == 1 else 1))
    dim = 0 if len(shape) == 1 else 1
    w = np.arange(1.0, 6.0)
    smooth = q * (1 - smoothing) + smoothing / 5
    along = w.reshape([-1 if i == dim else 1 for i in range(len(shape))])
    losses = -(smooth * along * log_softmax(x, dim)).sum(dim)
    loss = F.cross_entropy(
        mg.tensor(x), mg.tensor(q), mg.tensor(w), label_smoothing=smoothing, reduction="mean"
    )
    np.testing.assert_allclose(loss.numpy(), losses.mean(), rtol=1e-10)


def test_one_hot_probabilities_are_classes():
    x, t = mg.tensor(array(6, 4)), mg.tensor([0, 3, 1, 1, 2, 0])
    one = F.cross_entropy(x, F.one_hot(t, 4).double())
    np.testing.assert_allclose(one.numpy(), F.cross_entropy(x, t).numpy())
    np.testing.assert_allclose(one.numpy(), F.nll_loss(F.log_softmax(x, 1), t).numpy())


def test_old_arguments_warn_and_work():
    a, b = mg.tensor(array(3)), mg.tensor(array(3, seed=1))
    with pytest.warns(UserWarning, match="reduction='sum'"):
        assert (
            F.mse_loss(a, b, size_average=False).item() == F.mse_loss(a, b, reduction="sum").item()
        )
    with pytest.warns(UserWarning, match="reduction='none'"):
        assert nn.L1Loss(reduce=False)(a, b).shape == (3,)


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss])
def test_sizes_that_broadcast_warn(loss):
    with pytest.warns(UserWarning, match="broadcast"):
        loss(mg.ones(4, 1), mg.ones(4))


x, t = array(4, 3), array(4, 3, seed=1)
d = np.abs(x - t)
p, z = 1 / (1 + np.exp(-x)), (t > 0).astype(float)
sign = np.where(t > 0, 1.0, -1.0)
FORMULAS = {
    "mse": (lambda: F.mse_loss(T(x), T(t)), d**2),
    "l1": (lambda: F.l1_loss(T(x), T(t)), d),
    "smooth_l1": (lambda: F.smooth_l1_loss(T(x), T(t), beta=0.7),
                  np.where(d < 0.7, d * d / 1.4, d - 0.35)),
    "huber": (lambda: F.huber_loss(T(x), T(t), delta=0.7),
              np.where(d <= 0.7, d * d / 2, 0.7 * (d - 0.35))),
    "bce": (lambda: F.binary_cross_entropy(T(p), T(z)), -z * np.log(p) - (1 - z) * np.log(1 - p)),
    "bce logits": (lambda: F.binary_cross_entropy_with_logits(T(x), T(z), pos_weight=T(3.0)),
                   -3 * z * np.log(p) - (1 - z) * np.log(1 - p)),
    "soft margin": (lambda: F.soft_margin_loss(T(x), T(sign)), np.log1p(np.exp(-sign * x))),
    "hinge": (lambda: F.hinge_embedding_loss(T(x), T(sign)),
              np.where(sign > 0, x, np.maximum(0, 1 - x))),
    "poisson": (lambda: F.poisson_nll_loss(T(x), T(z)), np.exp(x) - z * x),
    "gaussian": (lambda: F.gaussian_nll_loss(T(x), T(t), T(p), full=True),
                 0.5 * (np.log(p) + (x - t) ** 2 / p + math.log(2 * math.pi))),
    "ranking": (lambda: F.margin_ranking_loss(T(x), T(t), T(sign), 0.3),
                np.maximum(0, 0.3 - sign * (x - t))),
}  # fmt: skip


def T(values):
    return mg.tensor(np.asarray(values, "float64"))


@pytest.mark.parametrize("name", FORMULAS)
def test_formula(name):
    loss, expected = FORMULAS[name]
    np.testing.assert_allclose(loss().numpy(), np.mean(expected), rtol=1e-9)


def test_kl_div_counts_the_batch():
    q = np.exp(log_softmax(t, 1))
    log_p = log_softmax(x, 1)
    expected = (q * (np.log(q) - log_p)).sum() / 4
    loss = F.kl_div(T(log_p), T(q), reduction="batchmean")
    np.testing.assert_allclose(loss.numpy(), expected)
    both = F.kl_div(T(log_p), T(np.log(q)), reduction="batchmean", log_target=True)
    np.testing.assert_allclose(both.numpy(), expected)
    with pytest.warns(UserWarning, match="batchmean"):
        F.kl_div(T(log_p), T(q))


@pytest.mark.parametrize("order", [1, 2])
def test_finite_differences(order):
    target = mg.tensor([2, 0, 1, 2])
    cases = [
        lambda x: F.cross_entropy(x, target, T([1.0, 2.0, 3.0]), label_smoothing=0.1),
        lambda x: F.multi_margin_loss(x, target, p=2),
        lambda x: F.binary_cross_entropy(F.sigmoid(x), T(z)),
        lambda x: F.cosine_embedding_loss(x, T(t), T([1, -1, 1, -1])),
    ]
    for case in cases:
        assert gradcheck(case, [T(x).requires_grad_()], order=order)


@pytest.mark.parametrize(
    "x, target, gradient", [(0.0, 1.0, -1e12), (1.0, 1.0, 0.0), (1.0, 0.0, 1e12)]
)
def test_binary_cross_entropy_at_the_ends(x, target, gradient):
    x = mg.tensor([x], requires_grad=True)
    loss = F.binary_cross_entropy(x, mg.tensor([target]))
    loss.backward()
    assert loss.item() in (0.0, 100.0)
    np.testing.assert_allclose(x.grad.numpy(), [gradient], rtol=1e-5)


def test_logits_at_their_extremes_in_float32():
    x = mg.tensor([1000.0, -1000.0], requires_grad=True)
    loss = F.binary_cross_entropy_with_logits(x, mg.tensor([0.0, 1.0]), reduction="none")
    loss.sum().backward()
    assert loss.tolist() == [1000, 1000] and x.grad.tolist() == [1, -1]


# connectionist temporal classification


def paths(log_p, target, blank):
    """-ln of the probability of all paths that collapse to the target, one by one."""
    T, C = log_p.shape
    total = 0.0
    for path in itertools.product(range(C), repeat=T):
        merged = [k for k, _ in itertools.groupby(path)]
        if [k for k in merged if k != blank] == list(target):
            total += math.exp(sum(log_p[i, k] for i, k in enumerate(path)))
    return -math.log(total) if total else math.inf


TARGETS = [[1, 2], [1, 1], [2], []]


def ctc_case():
    log_p = log_softmax(array(5, 4, 3), 2)
    return log_p, [5, 4, 3, 2], [len(t) for t in TARGETS]


def test_ctc_is_the_sum_over_paths():
    log_p, steps, lengths = ctc_case()
    flat = mg.tensor([k for t in TARGETS for k in t])
    losses = F.ctc_loss(T(log_p), flat, steps, lengths, reduction="none")
    expected = [paths(log_p[:n, i], t, 0) for i, (n, t) in enumerate(zip(steps, TARGETS))]
    np.testing.assert_allclose(losses.numpy(), expected)
    mean = F.ctc_loss(T(log_p), flat, mg.tensor(steps), mg.tensor(lengths))
    np.testing.assert_allclose(
        mean.numpy(), np.mean([e / max(n, 1) for e, n in zip(expected, lengths)])
    )


@pytest.mark.parametrize("order", [1, 2])
def test_ctc_gradients(order):
    log_p, steps, lengths = ctc_case()
    padded = mg.tensor([[1, 2], [1, 1], [2, 0], [0, 0]])

    def loss(x):
        return F.ctc_loss(x, padded, steps, lengths, reduction="none")

    few = T(log_p[:, :2]).requires_grad_()
    assert gradcheck(
        lambda x: F.ctc_loss(x, padded[:2], steps[:2], lengths[:2], reduction="none"), [few],
        order=order, atol=1e-4,
    )  # fmt: skip
    leaves = [T(log_p).requires_grad_() for _ in range(2)]
    fast = loss(leaves[0])
    with composed():
        slow = loss(leaves[1])
    np.testing.assert_allclose(fast.detach().numpy(), slow.detach().numpy())
    fast.sum().backward(), slow.sum().backward()
    np.testing.assert_allclose(leaves[0].grad.numpy(), leaves[1].grad.numpy(), atol=1e-12)


def test_ctc_of_a_target_that_does_not_fit():
    log_p = T(log_softmax(array(2, 1, 3), 2)).requires_grad_()
    given = mg.tensor([[1, 1]]), [2], [2]  # needs three steps
    assert F.ctc_loss(log_p, *given).item() == math.inf
    loss = F.ctc_loss(log_p, *given, zero_infinity=True)
    loss.backward()
    assert loss.item() == 0 and (log_p.grad.numpy() == 0).all()


ERRORS = [
    (lambda: F.mse_loss(mg.ones(2), mg.ones(2), reduction="average"), ValueError),
    (lambda: F.binary_cross_entropy(mg.ones(2) * 2, mg.ones(2)), RuntimeError),
    (lambda: F.binary_cross_entropy(mg.ones(2), mg.ones(3)), ValueError),
    (lambda: F.smooth_l1_loss(mg.ones(2), mg.ones(2), beta=-1.0), RuntimeError),
    (lambda: F.huber_loss(mg.ones(2), mg.ones(2), delta=0.0), RuntimeError),
    (lambda: F.gaussian_nll_loss(mg.ones(2), mg.ones(2), -mg.ones(2)), ValueError),
    (lambda: F.triplet_margin_loss(*[mg.ones(2, 3)] * 3, margin=-1.0), ValueError),
    (lambda: F.multi_margin_loss(mg.ones(2, 3), mg.tensor([0, 1]), p=3), ValueError),
    (lambda: F.nll_loss(mg.ones(2, 3), mg.tensor([0, 5])), IndexError),
    (lambda: F.cross_entropy(mg.ones(2, 3), mg.tensor([0, 1]), mg.ones(2)), RuntimeError),
    (lambda: F.cross_entropy(mg.ones(2, 3), [0, 1]), TypeError),
    (lambda: F.cross_entropy(mg.ones(2, 3), None), TypeError),
    (lambda: F.nll_loss(mg.ones(2, 3), [0, 1]), TypeError),
    (lambda: F.ctc_loss(mg.ones(3, 1, 4), mg.tensor([[1]]), [4], [1]), RuntimeError),
]


@pytest.mark.parametrize("call, error", ERRORS)
def test_errors(call, error):
    with pytest.raises(error):
        call()


# the fused cross-entropy


def large_case(N, V, smoothing=0.0, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((N, V)) * 3
    target = rng.integers(0, V, N)
    target[rng.random(N) < 0.3] = -100
    return x, target, dict(label_smoothing=smoothing)


@pytest.mark.parametrize("N, V", [(700, 300), (5, 70_000), (1, 1), (3, 2)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("ignored", ["some", "none", "all"])
@pytest.mark.parametrize("weighted", [False, True])
def test_pieces_of_rows(N, V, smoothing, ignored, weighted):
    x, target, options = large_case(N, V, smoothing)
    if weighted:
        options["weight"] = mg.tensor(np.random.default_rng(2).random(V))
    if ignored == "none":
        target = np.abs(target) % V
    if ignored == "all":
        target[:] = -100
    weights = np.random.default_rng(1).random(N)
    found = []
    for way in (False, True):
        given = mg.tensor(x, requires_grad=True)
        with composed() if way else contextlib.nullcontext():
            losses = F.cross_entropy(given, mg.tensor(target), reduction="none", **options)
            (losses * mg.tensor(weights)).sum().backward()
        found.append((losses.to_numpy(), given.grad.to_numpy()))
    for fused, written_out in zip(*found):
        np.testing.assert_allclose(fused, written_out, atol=1e-12)


def test_ignored_rows_may_hold_anything():
    x, target, _ = large_case(300, 400)
    x[target == -100] = [[np.nan], [np.inf]][0]
    given = mg.tensor(x, requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        loss = F.cross_entropy(given, mg.tensor(target))
        loss.backward()
    assert math.isfinite(loss.item())
    assert np.isfinite(given.grad.to_numpy()).all()
    assert not given.grad.to_numpy()[target == -100].any()


def test_weights_of_classes_have_no_gradient():
    weight = mg.ones(3, dtype="float64", requires_grad=True)
    with pytest.raises(RuntimeError, match="pass weight.detach"):
        F.cross_entropy(mg.zeros(1, 3, dtype="float64"), mg.tensor([0]), weight)


def test_a_graph_that_is_kept_gives_the_gradient_again():
    x, target, options = large_case(200, 500, 0.1)
    given = mg.tensor(x, requires_grad=True)
    loss = F.cross_entropy(given, mg.tensor(target), **options)
    first, second = [
        mg.autograd.grad(loss, given, retain_graph=True)[0].numpy().copy() for _ in range(2)
    ]
    np.testing.assert_array_equal(first, second)
    loss.backward()
    np.testing.assert_array_equal(given.grad.to_numpy(), first)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_second_derivatives_of_cross_entropy(weighted, smoothing):
    x, target, options = large_case(4, 5, smoothing)
    options["weight"] = mg.tensor(np.arange(1.0, 6)) if weighted else None
    assert gradcheck(
        lambda x: F.cross_entropy(x, mg.tensor(target), **options),
        mg.tensor(x, requires_grad=True),
        order=2,
    )


@pytest.mark.parametrize("training", [True, False])
def test_one_array_as_large_as_the_logits(training):
    """in training, which becomes the gradient, and none without a graph."""
    N, V = 500, 2000
    x, target, options = large_case(N, V, 0.1)
    given = mg.tensor(x, dtype=mg.float32, requires_grad=training)
    target = mg.tensor(target)
    tracemalloc.start()
    loss = F.cross_entropy(given, target, **options)
    if training:
        loss.backward()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    pieces = 3 * 65536 * 4
    assert peak < (N * V * 4 if training else 0) + pieces + 100_000
