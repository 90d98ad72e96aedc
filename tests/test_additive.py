"""The fused scores of additive attention: their formula, their definition, their derivatives."""

import itertools

import numpy as np
import pytest
from strict_backend import STRICT

import minigrad as mg
from minigrad import autograd
from minigrad.fused import additive
from minigrad.nn import functional as F

SIZES = list(itertools.product((1, 3), (1, 2), (1, 4), (1, 5)))  # B, T, S, H
of_sizes = pytest.mark.parametrize("B, T, S, H", [*SIZES, (0, 2, 3, 4), (2, 3, 0, 4)])


def arrays(B, T, S, H):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape) for shape in ((B, T, H), (B, S, H), (H,))]


def leaves(*sizes):
    return [mg.tensor(x, requires_grad=True) for x in arrays(*sizes)]


@pytest.fixture(params=[1, 20, 2**15], autouse=True)
def piece(request, monkeypatch):
    """Sentences one by one, two at a time, all at once."""
    monkeypatch.setattr(additive, "PIECE", request.param)


@of_sizes
def test_the_scores_are_their_formula(B, T, S, H):
    q, k, v = arrays(B, T, S, H)
    for recorded in (False, True):
        x = [mg.tensor(a, requires_grad=recorded) for a in (q, k, v)]
        got = F.additive_scores(*x).detach().numpy()
        assert got.shape == (B, T, S)
        for b, t, s in np.ndindex(B, T, S):
            assert got[b, t, s] == pytest.approx(v @ np.tanh(q[b, t] + k[b, s]), rel=1e-12)


@pytest.mark.parametrize("B, T, S, H", SIZES[::3])
def test_gradients_of_two_orders(B, T, S, H):
    assert autograd.gradcheck(F.additive_scores, leaves(B, T, S, H))
    assert autograd.gradgradcheck(F.additive_scores, leaves(B, T, S, H))


@of_sizes
def test_it_is_its_definition(B, T, S, H):
    g = np.random.default_rng(1).standard_normal((B, T, S))
    found = []
    for composed in (False, True):
        x = leaves(B, T, S, H)
        if composed:
            with mg.testing.composed():
                y = F.additive_scores(*x)
        else:
            y = F.additive_scores(*x)
        y.backward(mg.tensor(g), retain_graph=True)
        y.backward(mg.tensor(g))  # nothing that was saved is spoilt
        found.append([y.detach().numpy(), *[p.grad.numpy() for p in x]])
    for mine, definition in zip(*found):
        np.testing.assert_allclose(mine, definition, rtol=1e-10, atol=1e-12)


def test_float32_stays():
    x = [p.detach().float().requires_grad_() for p in leaves(2, 3, 4, 5)]
    y = F.additive_scores(*x)
    y.sum().backward()
    assert {t.dtype for t in (y, *[p.grad for p in x])} == {mg.float32}


def test_on_another_device():
    mg.register_backend(STRICT)
    here, there = leaves(2, 3, 4, 5), [x.detach().to("strict") for x in leaves(2, 3, 4, 5)]
    for x in there:
        x.requires_grad_()
    for x in (here, there):
        (F.additive_scores(*x) ** 2).sum().backward()
    for a, b in zip(here, there):
        np.testing.assert_allclose(b.grad.cpu().numpy(), a.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    "shapes",
    [((2, 3, 4), (2, 5, 3), (4,)), ((2, 3, 4), (1, 5, 4), (4,)), ((3, 4), (5, 4), (4,)),
     ((2, 3, 4), (2, 5, 4), (1, 4))],
)  # fmt: skip
def test_shapes_that_do_not_fit_are_refused(shapes):
    with pytest.raises(RuntimeError, match=r"expected \(B, T, H\), \(B, S, H\), \(H,\)"):
        F.additive_scores(*[mg.zeros(*shape) for shape in shapes])
